"""What a graph says that data can contradict: its conditional independences, each tested."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from causalc.compiler.graph import Graph, bits
from causalc.runtime.data import Columns

LEVEL = 0.01  # of all tests of a graph together
NOTICED = 0.03  # a partial correlation below it is not worth an edge, however many rows show it
ROWS_A_CELL = 20


@dataclass(frozen=True, slots=True)
class Independence:
    """``a`` and ``b`` are independent given ``given``."""

    a: str
    b: str
    given: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.a} and {self.b}" + (f" given {', '.join(self.given)}" if self.given else "")


def implied(graph: Graph) -> Iterator[Independence]:
    """One independence for each pair of variables that some set separates, with a small such set.

    If any set separates a pair, the pair's other ancestors do; what it can spare is left out.
    """
    for a, b in combinations(range(len(graph.order)), 2):
        x, y = 1 << a, 1 << b
        given = graph.ancestors(x | y, graph.all) & ~(x | y)
        if not graph.separated(x, y, given):
            continue
        for v in bits(given):
            if graph.separated(x, y, given & ~(1 << v)):
                given &= ~(1 << v)
        yield Independence(graph.order[a], graph.order[b], graph.names(given))


def contradictions(graph: Graph, data: Columns) -> Iterator[tuple[str, str]]:
    """A verdict and a line for each independence that the data contradict, and one line for the rest.

    Variables that the data lack count as latent; images, vectors and texts are left out.
    """
    numbers = [n for n in graph.nodes if n in data and not data.schema[n].shape]
    claims = list(implied(graph.project(tuple(n for n in graph.nodes if n in data))))
    tested = [c for c in claims if {c.a, c.b, *c.given} <= set(numbers)]
    held: list[float] = []
    for claim in tested:
        p, correlation = independence(data, claim)
        if p < LEVEL / len(tested) and correlation > NOTICED:
            yield (
                "weak",
                f"the graph says that {claim} are independent, and the data speak against it (p = {p:.1e}, partial "
                f"correlation {correlation:.2f}); add -> or <-> between the two, or question the graph near them",
            )
        else:
            held.append(p)
    if held:
        noun = "independence" if len(held) == 1 else "independences"
        yield (
            "ok",
            f"{len(held)} {noun} of the graph not contradicted (smallest p = {min(held):.3f})",
        )
    if len(tested) < len(claims):
        yield (
            "not done",
            f"{len(claims) - len(tested)} independences involve images, vectors or texts",
        )
    if not claims:
        yield (
            "ok",
            "the graph implies no independence among its observed variables, so none was tested",
        )


def independence(data: Columns, claim: Independence) -> tuple[float, float]:
    """The p-value of a conditional independence, and the largest partial correlation.

    Both sides are regressed on the conditions: cell means where these are discrete and rows suffice,
    cubic polynomials in numbers; the products of the residuals then have mean 0 (the generalised covariance
    measure of Shah and Peters), which is tested by chi-square.
    """
    design = _design(data, claim.given)
    left, right = (_residual(_coded(data, name), design) for name in (claim.a, claim.b))
    products = (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
    mean, n = products.mean(axis=0), len(products)
    covariance = np.atleast_2d(np.cov(products, rowvar=False))
    statistic = n * float(mean @ np.linalg.pinv(covariance, rcond=1e-9, hermitian=True) @ mean)
    freedom = int(np.linalg.matrix_rank(covariance, hermitian=True))
    scale = np.sqrt(np.outer((left**2).mean(axis=0), (right**2).mean(axis=0))).reshape(-1)
    correlation = float(np.max(np.abs(mean) / np.where(scale > 1e-12, scale, math.inf)))
    half = torch.tensor([freedom / 2, statistic / 2], dtype=torch.float64)
    p = float(torch.special.gammaincc(half[0], half[1])) if freedom else 1.0
    return p, correlation


def _coded(data: Columns, name: str) -> np.ndarray:
    """A variable as columns: indicators of all levels but the last, or a standardised number."""
    kind, values = data.schema[name], data[name]
    if kind.discrete:
        return np.asarray(np.eye(len(kind.levels))[values][:, :-1])
    return _standard(values)[:, None]


def _standard(values: np.ndarray) -> np.ndarray:
    spread = values.std()
    return np.asarray((values - values.mean()) / (spread if spread > 0 else 1.0))


def _design(data: Columns, given: Sequence[str]) -> np.ndarray:
    """What both sides are regressed on."""
    discrete = [n for n in given if data.schema[n].discrete]
    scalars = [_standard(data[n]) for n in given if not data.schema[n].discrete]
    columns = [np.ones(data.rows)]
    if discrete:
        _, cell = np.unique(np.stack([data[n] for n in discrete]), axis=1, return_inverse=True)
        cells = int(cell.max()) + 1
        if cells * ROWS_A_CELL <= data.rows:
            columns += list(np.eye(cells)[cell.reshape(-1)].T[1:])
        else:
            columns += [column for n in discrete for column in _coded(data, n).T]
    inner = columns[1:]
    for s in scalars:
        columns += [s, s**2, s**3, *(s * indicator for indicator in inner)]
    columns += [s * t for s, t in combinations(scalars, 2)]
    return np.stack(columns, axis=1)


def _residual(values: np.ndarray, design: np.ndarray) -> np.ndarray:
    fitted, *_ = np.linalg.lstsq(design, values, rcond=None)
    return np.asarray(values - design @ fitted)
