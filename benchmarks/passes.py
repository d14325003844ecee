"""What each choice of the compiler saves, whether it finds the best plan, and what queries of one script share.

    python benchmarks/passes.py                     # all three tables, and docs/passes.md
    python benchmarks/passes.py --only best         # or: ablation, sharing

Ablation: the queries of the literature (tests/data/textbook.json) with all variables binary, all real, and one at a
time an image among binary ones, compiled with one pass or choice left out.

Best: the same, against the fewest models and the fewest image models of any plan found by exhaustive search: every
set of variables that the query does not ask about projected out (some 500 sets of 14, in two queries), in up to
``--orders`` causal orders each, with interventions seen or not, by every combination of routes. Where the plan
taken trains more, it is printed with what the cheapest plan that trains fewer pays for instead.

Sharing: random graphs of 12 variables with 20 different random identifiable queries each, as one script and as 20.
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

from oracle.admg import Admg, Case, random_admg
from oracle.queries import textbook

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


def graph_of(graph: Admg) -> Graph:
    """The graph as the compiler takes it."""
    return Graph.from_edges(graph.nodes, graph.directed, graph.bidirected)


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


# ---- what queries of one script share ------------------------------------------------------------------------


@dataclass(frozen=True)
class Script:
    """Models that one script of some queries trains, and that as many scripts do."""

    name: str
    queries: int
    together: int
    apart: int


SORTS = ("a study", "any effects", "any joint effects", "any conditional effects")


def scripts(count: int, queries: int, seed: int) -> Iterator[Script]:
    """Random graphs of 12 variables with random identifiable queries, each sort of question on ``count`` graphs."""
    for sort in SORTS:
        done = number = 0
        while done < count:
            rng = np.random.default_rng([seed, SORTS.index(sort), number])
            number += 1
            graph = random_admg(12, rng.uniform(0.2, 0.4), rng.uniform(0.05, 0.15), rng)
            found = _identifiable(graph, sort, queries, rng)
            if len(found) == queries:
                done += 1
                yield _counted(f"{sort}, graph {number}", graph_of(graph), found)


def _identifiable(
    graph: Admg, sort: str, queries: int, rng: np.random.Generator
) -> dict[str, Estimand]:
    """So many different identifiable queries of a sort, or fewer where they are hard to find."""
    compiled, found = graph_of(graph), dict[str, Estimand]()
    roles = Roles.of(graph, rng)
    for _ in range(400):
        case = roles.question(rng) if sort == SORTS[0] else _question(graph, sort, rng)
        if case is None or case.query() in found:
            continue
        try:
            found[case.query()] = causalc.identify(case.query(), compiled)
        except NotIdentifiable:
            continue
        if len(found) == queries:
            break
    return found


def _counted(name: str, graph: Graph, found: Mapping[str, Estimand]) -> Script:
    schema = dict.fromkeys(graph.nodes, SPECS["real"])
    named = {f"q{i}": e for i, e in enumerate(found.values())}
    one = compile_estimands(named, graph, schema)
    apart = (compile_estimands({n: e}, graph, schema) for n, e in named.items())
    total = sum(len(c.plan.models) for c in apart)
    return Script(name, len(named), len(one.plan.models), total)


@dataclass(frozen=True)
class Roles:
    """What a study asks about: three treatments, four outcomes below one of them, two covariates above."""

    graph: Admg
    treatments: tuple[str, ...]
    outcomes: tuple[str, ...]
    covariates: tuple[str, ...]

    @classmethod
    def of(cls, graph: Admg, rng: np.random.Generator) -> Roles:
        """Draw them from the middle, the end and the start of a causal order."""
        order = graph.order
        treatments = [order[i] for i in sorted(rng.choice(np.arange(2, 8), 3, replace=False))]
        later = [v for v in order[5:] if v not in treatments]
        outcomes = [later[i] for i in rng.permutation(len(later))[:4]]
        return cls(graph, tuple(treatments), tuple(outcomes), tuple(order[:2]))

    def question(self, rng: np.random.Generator) -> Case | None:
        """Some treatments, one or two outcomes, and in one query of four a covariate."""
        x = [v for v in self.treatments if rng.random() < 0.5]
        y = [self.outcomes[i] for i in rng.permutation(4)[: int(rng.integers(1, 3))]]
        z = [self.covariates[int(rng.integers(2))]] if rng.random() < 0.25 else []
        if not x or not set(x) & self.graph.ancestors(y):
            return None
        return Case(self.graph, tuple(sorted(y)), tuple(x), tuple(z))


def _question(graph: Admg, sort: str, rng: np.random.Generator) -> Case | None:
    """Any cause and something below it; with up to two more outcomes, or with a condition at times."""
    names = [graph.nodes[i] for i in rng.permutation(12)]
    x, y = names[0], names[1]
    if x not in graph.ancestors({y}):
        return None
    more = tuple(names[2 : 2 + int(rng.integers(0, 3))])
    if "joint" in sort:
        return Case(graph, (y, *more), (x,))
    return Case(graph, (y,), (x,), more[:1] if "conditional" in sort else ())


def sharing(count: int, queries: int, seed: int) -> list[str]:
    """The table: one script of 20 queries against 20 scripts."""
    found = list(scripts(count, queries, seed))
    lines = [
        f"Random graphs of 12 real variables, {queries} different identifiable queries each, seed {seed}. A study",
        "asks for the effects of any of three treatments on one or two of four outcomes, in one query of four given",
        "one of two early covariates; the other sorts ask for the effects of any variable on any.",
        "",
        f"| queries | one script | {queries} scripts | share | least | most |",
        "|---|---|---|---|---|---|",
    ]
    for sort in SORTS:
        these = [s for s in found if s.name.startswith(sort)]
        one, apart = sum(s.together for s in these), sum(s.apart for s in these)
        shares = [s.together / s.apart for s in these]
        lines.append(
            f"| {sort}, {len(these)} graphs | {one} | {apart} | {one / apart:.0%} "
            f"| {min(shares):.0%} | {max(shares):.0%} |"
        )
    return lines


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
