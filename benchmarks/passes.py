"""What each choice of the compiler saves, whether it finds the best plan, and what queries of one script share.

    python benchmarks/passes.py                     # all three tables, and docs/passes.md
    python benchmarks/passes.py --only best         # or: ablation, sharing

Ablation: the queries of the literature (tests/data/textbook.json) with all variables binary, all real, and one at a
time an image among binary ones, compiled with one pass or choice left out.

Best: the same, against the fewest models and the fewest image models of any plan found by exhaustive search: every
set of variables that the query does not ask about projected out (some 500 sets of 14, in two queries), in up to
``--orders`` causal orders each, with interventions seen or not, by every combination of routes. Where the plan
taken trains more, it is printed with what the cheapest plan that trains fewer pays for instead.

Sharing: random graphs of 12 variables with 20 different random identifiable queries each, as one script and as 20,
and the fewest models that any choice of plans could do with (benchmarks/sharing.py).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from oracle.admg import Case
from oracle.queries import textbook
from sharing import graph_of, sharing

import causalc
from causalc.compiler.answer import Estimand
from causalc.compiler.choose import every_way
from causalc.compiler.cost import HEAVY, Ledger
from causalc.compiler.graph import Graph, bits
from causalc.compiler.identify import Derivation, NotIdentifiable, identify
from causalc.compiler.lower import Decisions, Routes
from causalc.compiler.passes import PASSES
from causalc.compiler.pipeline import STRATEGIES, compile_estimands, lowered, plan_of
from causalc.compiler.plan import Fit, Generate, Plan, references
from causalc.compiler.view import Spec

SPECS = {"binary": Spec("binary"), "real": Spec("real"), "image": Spec("image", (8, 8))}
Kinds = Mapping[str, str]
MANY = 9  # variables all of whose sets are tried


@dataclass(frozen=True)
class Problem:
    """A query of the literature with kinds declared."""

    name: str
    graph: Graph
    estimand: Estimand
    kinds: Kinds
    declared: str

    @property
    def schema(self) -> dict[str, Spec]:
        """The kinds as the compiler takes them."""
        return {name: SPECS[kind] for name, kind in self.kinds.items()}


def problems(cases: Sequence[Case]) -> Iterator[Problem]:
    """Every identifiable case: all binary, all real, and an image at each place in turn."""
    for case in cases:
        if case.identifiable:
            graph = graph_of(case.graph)
            estimand = causalc.identify(case.query(), graph)
            names = graph.nodes
            for kind in ("binary", "real"):
                yield Problem(case.name, graph, estimand, dict.fromkeys(names, kind), f"all {kind}")
            for image in names:
                kinds = {v: "image" if v == image else "binary" for v in names}
                yield Problem(case.name, graph, estimand, kinds, f"{image} an image")


# ---- what each choice saves ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """What a plan takes: models, image models, generated columns, longest chain of models."""

    models: int
    images: int
    generated: int
    depth: int


def size(plan: Plan, kinds: Kinds) -> Size:
    """Measure a plan."""
    fits = [op for op in plan.operations if isinstance(op, Fit)]
    images = sum(any(kinds[t] in HEAVY for t in fit.targets) for fit in fits)
    generated = sum(len(op.columns) for op in plan.operations if isinstance(op, Generate))
    return Size(len(fits), images, generated, depth_of(plan))


def depth_of(plan: Plan) -> int:
    """The longest chain of models, each trained on rows that the one before made or weighted."""
    depths: list[int] = []
    for op in plan.operations:
        below = max((depths[i] for i in references(op)), default=0)
        depths.append(below + isinstance(op, Fit))
    return max(depths, default=0)


Setting = Callable[[Problem], Plan]


def settings() -> dict[str, Setting]:
    """The whole compiler, the compiler less one thing, and the algorithm as published."""

    def whole(p: Problem, skip: tuple[str, ...] = ()) -> Plan:
        made = compile_estimands({"query": p.estimand}, p.graph, p.schema, skip=skip)
        return made.plan

    def by(p: Problem, way: int, strategy: str, skip: frozenset[str] = frozenset()) -> Plan:
        one = p.estimand.alternatives()[way]
        return plan_of({"query": one}, p.graph, strategy, p.kinds, skip)

    def usual(p: Problem) -> Plan:
        plans = [by(p, way, "auto") for way in range(4)]
        ledger = Ledger(p.kinds)
        return min(plans, key=ledger.cost)

    def forced(p: Problem, strategy: str) -> Plan:
        estimands = {"query": p.estimand}
        return compile_estimands(estimands, p.graph, p.schema, strategy=strategy).plan

    found: dict[str, Setting] = {"everything on": whole}
    for name, _ in PASSES:
        found[f"without {name}"] = lambda p, name=name: whole(p, (name,))  # type: ignore[misc]
    found["without a smaller graph or the short way"] = lambda p: by(p, 0, "auto")
    found["without a choice of routes"] = usual
    found["generate everywhere"] = lambda p: forced(p, "generate")
    found["reweight everywhere"] = lambda p: forced(p, "reweight")
    every = frozenset(name for name, _ in PASSES)
    found["as published: generate, ID's estimand, no passes"] = lambda p: by(
        p, 0, "generate", every
    )
    return found


def ablation(cases: Sequence[Case]) -> list[str]:
    """The table: sums over all problems."""
    every = list(problems(cases))
    lines = [
        f"{len(every)} problems: {len({p.name for p in every})} queries of the literature, each with all "
        "variables binary, all real, and an image at each place in turn.",
        "",
        "| setting | models | image models | columns generated | greatest depth | mean depth |",
        "|---|---|---|---|---|---|",
    ]
    for name, make in settings().items():
        sizes = [size(make(p), p.kinds) for p in every]
        total = [sum(getattr(s, c) for s in sizes) for c in ("models", "images", "generated")]
        depths = [s.depth for s in sizes]
        figures = [*map(str, total), str(max(depths)), f"{np.mean(depths):.2f}"]
        lines.append(f"| {name} | {' | '.join(figures)} |")
    return lines


# ---- the best plan -------------------------------------------------------------------------------------------


def orders(graph: Graph, most: int) -> Iterator[tuple[str, ...]]:
    """Causal orders of a graph, up to ``most`` of them."""
    todo: list[tuple[int, ...]] = [()]
    found = 0
    while todo and found < most:
        done = todo.pop()
        if len(done) == len(graph.order):
            found += 1
            yield tuple(graph.order[v] for v in done)
        mask = sum(1 << v for v in done)
        left = bits(graph.all & ~mask)
        todo += [(*done, v) for v in left if not graph.parents[v] & ~mask]


def derivations(estimand: Estimand, most: int) -> Iterator[Derivation]:
    """Derivations on every graph without some of the variables that are not asked about; distinct ones."""
    graph, question = estimand.graph, estimand.question
    asked = 0
    for part in question.sets(graph):
        asked |= part
    relevant = graph.ancestors(asked, graph.all)
    extra = list(bits(relevant & ~asked))
    seen: set[object] = set()
    for gone in _gone(extra):
        smaller = graph.marginal(relevant & ~gone)
        for order in orders(smaller, most):
            turned = Graph.from_edges(order, smaller.directed, smaller.bidirected)
            for see in (True, False):
                try:
                    found = identify(turned, *question.sets(turned), see=see)
                except NotIdentifiable:
                    continue
                if (shape := _shape(found)) not in seen:
                    seen.add(shape)
                    yield found


def _gone(extra: list[int]) -> Iterator[int]:
    """Sets of variables to leave out: every one of up to ``MANY`` variables, of more the small, the large and some."""
    if len(extra) <= MANY:
        yield from (
            sum(1 << v for v in s) for n in range(len(extra) + 1) for s in combinations(extra, n)
        )
        return
    full = sum(1 << v for v in extra)
    for n in range(3):
        for some in combinations(extra, n):
            yield sum(1 << v for v in some)
            yield full & ~sum(1 << v for v in some)
    rng = np.random.default_rng(0)
    for _ in range(300):
        yield sum(1 << v for v in extra if rng.random() < 0.5)


def _shape(derivation: Derivation) -> object:
    """What a plan is made of: conditionals and kernels by name, the reduced query."""
    names = derivation.graph.names
    kernels = tuple((names(k.variables), names(k.source)) for k in derivation.pool.kernels.values())
    factors = [
        *derivation.factors,
        *(
            f
            for k in derivation.pool.kernels.values()
            for f in derivation.pool.factors_of(k, k.source)
        ),
    ]
    parts = tuple(
        (derivation.graph.order[f.variable], names(f.inputs), names(f.kernel.variables))
        for f in factors
    )
    reduced = tuple(names(p) for p in (derivation.outcomes, derivation.do, derivation.given))
    return kernels, parts, reduced


def every_plan(problem: Problem, most: int) -> Iterator[Plan]:
    """Every plan that the search finds; they do not depend on the kinds."""
    for derivation in derivations(problem.estimand, most):
        single = _Single(replace(problem.estimand, derivation=derivation))
        for strategy in STRATEGIES:
            lower = partial(_lowered, single.estimand, problem.graph, strategy)
            for way in every_way(single, lower, Ledger({})):  # type: ignore[arg-type]
                yield way.plan


def _lowered(
    one: Estimand, graph: Graph, strategy: str, _: Estimand, routes: Routes
) -> tuple[Plan, Decisions]:
    return lowered(one, graph, strategy, {}, routes)


@dataclass(frozen=True)
class _Single:
    """An estimand without alternatives."""

    estimand: Estimand

    def alternatives(self) -> tuple[Estimand, ...]:
        return (self.estimand,)


@dataclass(frozen=True)
class Verdict:
    """A problem, the plan taken, and the fewest models and image models of all plans."""

    problem: Problem
    taken: Size
    plans: int
    fewest: int
    fewest_images: int
    why: str

    @property
    def best(self) -> bool:
        """Whether the plan taken trains no more of either."""
        return self.taken.models <= self.fewest and self.taken.images <= self.fewest_images

    def __str__(self) -> str:
        p = self.problem
        return (
            f"{p.name}: {p.estimand.question.text}, {p.declared}: {self.taken.models} models, "
            f"{self.taken.images} of images; of {self.plans} plans the fewest {self.fewest} and "
            f"{self.fewest_images}. {self.why}"
        )


def verdicts(cases: Sequence[Case], most: int) -> Iterator[Verdict]:
    """Compare the plan taken with all others, problem by problem."""
    plans: dict[str, list[Plan]] = {}
    for problem in problems(cases):
        if problem.name not in plans:
            plans[problem.name] = list(dict.fromkeys(every_plan(problem, most)))
        kinds, others = problem.kinds, plans[problem.name]
        chosen = compile_estimands({"query": problem.estimand}, problem.graph, problem.schema).plan
        sizes = [size(plan, kinds) for plan in others]
        fewest, images = min(s.models for s in sizes), min(s.images for s in sizes)
        taken = size(chosen, kinds)
        why = ""
        if taken.models > fewest or taken.images > images:
            rivals = [
                plan
                for plan, s in zip(others, sizes, strict=True)
                if s.models < taken.models or s.images < taken.images
            ]
            why = _why(chosen, rivals, Ledger(kinds))
        yield Verdict(problem, taken, len(others), fewest, images, why)


def _why(chosen: Plan, rivals: Sequence[Plan], ledger: Ledger) -> str:
    """What the cheapest plan with fewer models pays for that the one taken does not."""
    rival = min(rivals, key=ledger.cost)
    price, other = ledger.cost(chosen), ledger.cost(rival)
    if other < price - 1e-9:
        return f"It costs {price:.2f}; a cheaper one, {other:.2f}, was not found."
    if other == price == 0:
        return "All are tables, which cost nothing: the plan with most structure counts from more rows."
    own = ledger.bill(chosen)
    extra = sorted((i for i in ledger.items(rival) if i.key not in own), key=lambda i: -i.price)
    dearest = "; ".join(f"{i.what} {i.price:.2f} ({i.why})" for i in extra[:2])
    return f"Fewer cost {other:.2f} against {price:.2f}: {dearest}."


def best(cases: Sequence[Case], most: int) -> list[str]:
    """The table: in how many problems the plan taken is as small as any, and why not in the others."""
    start = time.process_time()
    found = list(verdicts(cases, most))
    good = sum(v.best for v in found)
    lines = [
        f"{good} of {len(found)} problems ({good / len(found):.1%}): no plan found trains fewer models or fewer "
        f"image models than the one taken. {sum(v.plans for v in found):,} plans were compared, up to {most} causal "
        f"orders a graph ({time.process_time() - start:.0f} CPU seconds). The others:",
        "",
    ]
    return lines + [f"- {v}" for v in found if not v.best]


def main() -> int:
    """Print the tables; write docs/passes.md where all three were made."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("ablation", "best", "sharing"))
    parser.add_argument("--orders", type=int, default=12, help="causal orders tried of a graph")
    parser.add_argument(
        "--graphs", type=int, default=8, help="graphs with 20 queries, of each sort"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    cases = textbook()
    parts = {
        "ablation": ("What each choice saves", lambda: ablation(cases)),
        "best": ("Against the best plan", lambda: best(cases, args.orders)),
        "sharing": ("Queries of one script", lambda: sharing(args.graphs, 20, args.seed)),
    }
    text = ["# Choosing among plans", "", "Made by `python benchmarks/passes.py`.", ""]
    for name, (title, make) in parts.items():
        if args.only in (None, name):
            lines = [f"## {title}", "", *make(), ""]
            print("\n".join(lines), flush=True)
            text += lines
    if args.only is None:
        path = Path(__file__).resolve().parent.parent / "docs" / "passes.md"
        path.write_text("\n".join(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
