"""Queries over many variables that need step 7: compiled, trained, sampled, compared with simulation.

    python benchmarks/large.py [--variables 40] [--edges 15] [--kinds binary linear] [--seeds 0 1 2]
        [--families auto table softmax mixture flow diffusion]

The graph of a seed: each variable, in order, takes up to three parents among the ten before it; then
`edges` pairs at most ten apart are confounded. The query is P(Y | do(X)) of the first pair (X, Y) in
order, X an ancestor of Y, whose derivation takes line 7 of ID, whatever comes of it. Binary: every
variable is a coin whose log-odds are linear in its causes. Linear: linear with normal noise. Scored is
½-L1 (binary) or W1 (linear), averaged over two values of X; `floor` is what as many rows of the truth as
were trained on and hold that X would score, `naive` a perfect P(Y | X). `auto` leaves the families to the compiler.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from worlds import Columns, w1

import causalc
from causalc.compiler.view import Spec

_NEAR = 10
_DRAWS = 100_000
FAMILIES = {
    "binary": ("auto", "table", "softmax", "diffusion"),
    "linear": ("auto", "mixture", "flow", "diffusion"),
}


@dataclass(frozen=True)
class World:
    """A structural model: parents and confounders of each variable with their coefficients."""

    kind: str
    parents: tuple[tuple[tuple[int, float], ...], ...]
    hidden: tuple[tuple[int, int, float, float], ...]
    base: np.ndarray

    @staticmethod
    def random(kind: str, variables: int, edges: int, seed: int) -> World:
        """Draw a model."""
        rng = np.random.default_rng(seed)
        parents = []
        for i in range(variables):
            near = np.arange(max(0, i - _NEAR), i)
            chosen = rng.choice(near, min(len(near), int(rng.integers(1, 4))), replace=False)
            parents.append(tuple((int(j), _coefficient(rng, kind)) for j in sorted(chosen)))
        pairs = [(i, j) for j in range(variables) for i in range(max(0, j - _NEAR), j)]
        picked = rng.choice(len(pairs), edges, replace=False)
        hidden = [
            (*pairs[k], _coefficient(rng, kind), _coefficient(rng, kind)) for k in sorted(picked)
        ]
        return World(kind, tuple(parents), tuple(hidden), rng.normal(size=variables) / 2)

    @property
    def graph(self) -> str:
        """The graph in the language of scripts."""
        arrows = [f"V{j} -> V{i}" for i, row in enumerate(self.parents) for j, _ in row]
        return "; ".join([*arrows, *(f"V{i} <-> V{j}" for i, j, _, _ in self.hidden)])

    def simulate(
        self, rng: np.random.Generator, n: int, do: tuple[int, float] | None = None
    ) -> Columns:
        """Return ``n`` rows, with one variable set if ``do`` says so."""
        rows: list[np.ndarray] = []
        causes = rng.normal(size=(len(self.hidden), n))
        for i, parents in enumerate(self.parents):
            total = np.full(n, self.base[i])
            for j, a in parents:
                total += a * (rows[j] - (0.5 if self.kind == "binary" else 0))
            for (k, j, a, b), u in zip(self.hidden, causes, strict=True):
                total += a * u if k == i else b * u if j == i else 0
            if self.kind == "binary":
                value = (rng.random(n) < 1 / (1 + np.exp(-total))).astype(np.int64)
            else:
                value = total + 0.7 * rng.normal(size=n)
            rows.append(np.full_like(value, do[1]) if do is not None and do[0] == i else value)
        return {f"V{i}": values for i, values in enumerate(rows)}


def _coefficient(rng: np.random.Generator, kind: str) -> float:
    size = rng.uniform(0.8, 1.8) if kind == "binary" else rng.uniform(0.3, 0.7)
    return float(size * rng.choice([-1, 1]))


def queries(world: World) -> Iterator[tuple[int, int]]:
    """Yield pairs (x, y) in order, x an ancestor of y."""
    ancestors: list[set[int]] = []
    for row in world.parents:
        ancestors.append(set().union(*({j} | ancestors[j] for j, _ in row)))
    count = len(world.parents)
    yield from ((x, y) for x in range(count) for y in range(x + 1, count) if x in ancestors[y])


def first(world: World, family: str) -> tuple[int, int, Any] | None:
    """Return the first query that needs step 7, with its program by one family."""
    kind = "binary" if world.kind == "binary" else "real"
    kinds = {f"V{i}": kind for i in range(len(world.parents))}
    models = None if family == "auto" else dict.fromkeys(kinds, Spec(family))
    for x, y in queries(world):
        try:
            program = causalc.compile(f"P(V{y} | do(V{x}))", world.graph, kinds, models=models)
        except causalc.NotIdentifiable:
            continue
        if "line 7" in str(program.estimand.derivation):
            return x, y, program
    return None


def distance(kind: str, a: np.ndarray, b: np.ndarray) -> float:
    """Return ½-L1 of two binary samples, W1 of two real ones."""
    if kind == "binary":
        return float(abs(a.mean() - b.mean()))
    return w1(a, b)


def score(world: World, x: int, y: int, sampler: Any, data: Columns) -> tuple[float, float, float]:
    """Return the mean error, floor and naive score over two values of X."""
    rng = np.random.default_rng(10_000)
    plain = world.simulate(rng, 1_000_000)
    binary = world.kind == "binary"
    values = (0, 1) if binary else [float(v) for v in np.quantile(plain[f"V{x}"], (0.25, 0.75))]
    found = []
    for value in values:
        truth = world.simulate(rng, 1_000_000, (x, value))[f"V{y}"]
        drawn = sampler.sample(_DRAWS, **{f"V{x}": value}, seed=1)[f"V{y}"].to_numpy().astype(float)
        width = 0.5 if binary else 0.05 * plain[f"V{x}"].std()
        near = np.abs(plain[f"V{x}"] - value) < width
        local = int((np.abs(data[f"V{x}"] - value) < width).sum())
        floors = [distance(world.kind, rng.choice(truth, local), truth) for _ in range(20)]
        naive = distance(world.kind, plain[f"V{y}"][near].astype(float), truth)
        found.append((distance(world.kind, drawn, truth), float(np.mean(floors)), naive))
    error, floor, naive = np.mean(found, axis=0)
    return float(error), float(floor), float(naive)


def main() -> None:
    """Print a line a kind and seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variables", type=int, default=40)
    parser.add_argument("--edges", type=int, default=15)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kinds", nargs="+", default=["binary", "linear"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    known = sorted({family for able in FAMILIES.values() for family in able})
    parser.add_argument("--families", nargs="+", default=["auto"], choices=known)
    parser.add_argument("--dry", action="store_true", help="print the queries and plans alone")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "kind    family     seed query                 compile s  CPU s   error   floor  ratio   naive"
    )
    for kind in chosen.kinds:
        able = [family for family in chosen.families if family in FAMILIES[kind]]
        for seed, family in itertools.product(chosen.seeds, able):
            start = time.process_time()
            world = World.random(kind, chosen.variables, chosen.edges, seed)
            found = first(world, family)
            compiled = time.process_time() - start
            if found is None:
                print(f"{kind:8}{family:10}{seed:5} no query needs step 7")
                continue
            x, y, program = found
            if chosen.dry:
                print(
                    f"{kind:8}{family:10}{seed:5} P(V{y} | do(V{x})) {compiled:.1f}\n{program.plan}"
                )
                continue
            data = world.simulate(np.random.default_rng(seed + 1), chosen.rows)
            sampler = program.fit(data, progress=False, seed=seed)
            seconds = time.process_time() - start
            error, floor, naive = score(world, x, y, sampler, data)
            print(
                f"{kind:8}{family:10}{seed:5} {f'P(V{y} | do(V{x}))':21} {compiled:9.1f} {seconds:6.1f}"
                f"  {error:.4f}  {floor:.4f} {error / floor:6.2f}  {naive:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
