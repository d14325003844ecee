"""Compile a query every way there is and compare what it computes with the oracle's answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
from oracle.admg import Case, shrink
from oracle.decider import identifiable, reductions
from oracle.hedge import Hedge, hedge_flaw
from oracle.scm import Scm, random_scm
from oracle.witness import stirred, witnesses

import causalc

STRATEGIES = ("generate", "reweight", "auto")
TOLERANCE = 1e-9
APART = 1e-6  # how far two models must differ in the answer; they agree on P(v) to 1e-14
KINDS = ("binary", "categorical(2)", "image(4, 4, channels=1)", "real", "vector(3)")


@dataclass(frozen=True)
class Result:
    """What came of one case: the oracle's verdict, the worst error, and the failure, if any."""

    case: Case
    seed: int
    identifiable: bool
    error: float = 0.0
    failure: str | None = None
    mixed_kinds: bool = False

    def __str__(self) -> str:
        lines = [self.case.text(), f"seed: {self.seed}"]
        if self.mixed_kinds:
            kinds = (f"{v}: {_kind(v, self.seed)}" for v in self.case.graph.nodes)
            lines.append(f"kinds: {'; '.join(kinds)}")
        return "\n".join([*lines, str(self.failure)])


def prove(
    case: Case,
    seed: int = 0,
    strategies: Sequence[str] = STRATEGIES,
    *,
    levels: int = 2,
    numeric: bool = True,
    mixed_kinds: bool = False,
) -> Result:
    """Compare verdict, hedge, estimand and compiled programs with the oracle.

    A verdict of not identifiable must come with a hedge, and the hedge is made into two models that agree
    on P(v) and differ in the answer. ``numeric=False`` compares verdict and hedge alone. ``mixed_kinds``
    declares random kinds for the variables: they change what "auto" chooses, and must not change the
    answer.
    """
    verdict = identifiable(case)
    result = Result(case, seed, verdict, mixed_kinds=mixed_kinds)
    graph = causalc.Graph.from_edges(case.graph.nodes, case.graph.directed, case.graph.bidirected)
    try:
        estimand = causalc.identify(case.query(), graph)
    except causalc.NotIdentifiable as error:
        flaw = (
            "a verdict of not identifiable"
            if verdict
            else _flaw(case, error, seed if numeric else None)
        )
        return replace(result, failure=flaw)
    except Exception as error:
        return replace(result, failure=f"identify raised {type(error).__name__}: {error}")
    if not verdict:
        return replace(result, failure="a verdict of identifiable")
    if not numeric:
        return result
    rng = np.random.default_rng(seed)
    model = random_scm(case.graph, rng, max_levels=levels, cliques=bool(seed % 2))
    joint = causalc.Table(case.graph.nodes, model.joint())
    schema = {v: _kind(v, seed) for v in case.graph.nodes} if mixed_kinds else None
    ways = {"estimand": lambda: estimand.evaluate(joint)}
    for s in strategies:
        ways[s] = lambda s=s: causalc.compile(case.query(), graph, schema, strategy=s).exact(joint)
    for way, compute in ways.items():
        result = _compare(result, way, compute, model)
    return result


def _compare(result: Result, way: str, compute: Callable[[], causalc.Table], model: Scm) -> Result:
    case = result.case
    if result.failure:
        return result
    try:
        answer = compute()
    except Exception as error:
        return replace(result, failure=f"{way} raised {type(error).__name__}: {error}")
    axes = (*case.x, *case.z, *case.y)
    if answer.variables != axes:
        return replace(result, failure=f"{way} has the axes {answer.variables}, not {axes}")
    error = float(np.abs(answer.array - model.effect(case.y, case.x, case.z)).max())
    result = replace(result, error=max(result.error, error))
    if not error <= TOLERANCE:
        return replace(result, failure=f"{way} is wrong by {error:.3g}")
    return result


def _kind(variable: str, seed: int) -> str:
    """A kind that depends on the name and the seed alone, so that it survives shrinking."""
    return KINDS[crc32(f"{seed} {variable}".encode()) % len(KINDS)]


def _flaw(case: Case, error: causalc.NotIdentifiable, seed: int | None) -> str | None:
    """What is wrong with the hedge, for every unconditional query that the rules make of the case.

    With a ``seed``, a hedge without a flaw must give two models as well.
    """
    outer, inner = frozenset(error.hedge.forest), frozenset(error.hedge.subforest)
    flaws = []
    for plain in reductions(case):
        cut = plain.graph.without_edges_into(set(plain.x))
        hedge = Hedge(outer, inner, inner & cut.ancestors(set(plain.y)))
        flaw = hedge_flaw(plain, hedge)
        if flaw is None and seed is not None:
            flaw = _alike(case, plain, hedge, np.random.default_rng(seed))
        if flaw is None:
            return None
        flaws.append(flaw)
    return f"the hedge {set(outer)}, {set(inner)} is none: {flaws}"


def _alike(case: Case, plain: Case, hedge: Hedge, rng: np.random.Generator) -> str | None:
    """What keeps the hedge's two models from showing that the answer of ``case`` is not identifiable.

    Parity carried by copies is tried first; it always moves P(y, z | do(x)). Where it does not move
    P(y | do(x), z), as it need not, random mechanisms do.
    """
    gap = 0.0
    for turn in range(1 + 3 * bool(case.z)):
        first, second = stirred(plain, hedge, rng) if turn else witnesses(plain, hedge)
        joint = first.joint()
        if np.abs(joint - second.joint()).max() > 1e-14 or joint.min() <= 0:
            return "its two models do not agree on P(v), or not everywhere above zero"
        answers = (model.effect(case.y, case.x, case.z) for model in (first, second))
        gap = max(gap, float(np.abs(np.subtract(*answers)).max()))
        if gap > APART:
            return None
    return f"its two models differ by {gap:.1g} only"


def minimal(result: Result, strategies: Sequence[str] = STRATEGIES, **options: Any) -> Result:
    """Shrink a failing case for as long as it fails in the same way."""

    def fails(case: Case) -> bool:
        found = prove(case, result.seed, strategies, **options).failure
        return found is not None and _sort(found) == _sort(result.failure or "")

    return prove(shrink(result.case, fails), result.seed, strategies, **options)


def _sort(failure: str) -> str:
    return " ".join(failure.split(" by ")[0].split()[:4])
