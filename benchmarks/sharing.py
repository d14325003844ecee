"""What the queries of one script share: models of one script of 20 queries against those of 20 scripts.

Two lower bounds say what could be reached at all. *Outcomes*: a model draws one variable, so that one script needs a
model for each outcome that some query must model, however clever the plans. *Best choice*: of all plans known for each
query (every estimand of the compiler and every combination of routes), the choice whose union is smallest, found
exactly by integer programming.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_array

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from oracle.admg import Admg, Case, random_admg

import causalc
from causalc.compiler.answer import Estimand
from causalc.compiler.choose import every_way, on_common_graph, ways_of
from causalc.compiler.cost import Ledger
from causalc.compiler.graph import Graph
from causalc.compiler.identify import NotIdentifiable
from causalc.compiler.lower import Decisions, Routes
from causalc.compiler.pipeline import compile_estimands, lowered
from causalc.compiler.plan import Bootstrap, Fit, Generate, Plan, Reweight, needed_draws
from causalc.compiler.view import Spec

SORTS = ("a study", "any effects", "any joint effects", "any conditional effects")
REAL = Spec("real")


@dataclass(frozen=True)
class Script:
    """Models that one script of some queries trains, that as many scripts do, and that any script must."""

    name: str
    queries: int
    together: int
    apart: int
    outcomes: int
    best: int


def graph_of(graph: Admg) -> Graph:
    """The graph as the compiler takes it."""
    return Graph.from_edges(graph.nodes, graph.directed, graph.bidirected)


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
    schema = dict.fromkeys(graph.nodes, REAL)
    named = {f"q{i}": e for i, e in enumerate(found.values())}
    one = compile_estimands(named, graph, schema)
    apart = [compile_estimands({n: e}, graph, schema).plan for n, e in named.items()]
    modelled = {
        name
        for estimand, plan in zip(named.values(), apart, strict=True)
        if plan.models
        for name in estimand.question.outcomes
        if not _drawn_from_rows(plan, name)
    }
    total, least = sum(len(plan.models) for plan in apart), fewest(tuple(named.values()), graph)
    return Script(name, len(named), len(one.plan.models), total, len(modelled), least)


def _drawn_from_rows(plan: Plan, name: str) -> bool:
    """Whether the outcome is not modelled in this plan: its rows are drawn as they are."""
    (network,) = plan.networks
    (model,) = (draw.model for draw in network.draws if name in draw.slots)
    return not isinstance(plan.operations[model], Fit)


# ---- the best choice of plans --------------------------------------------------------------------------------


def fewest(estimands: Sequence[Estimand], graph: Graph) -> int:
    """The fewest models of one script that answers all, over every choice of one known plan a query."""
    kinds = dict.fromkeys(graph.nodes, REAL.name)
    ledger = Ledger(kinds)

    def lower(estimand: Estimand, routes: Routes) -> tuple[Plan, Decisions]:
        return lowered(estimand, graph, "auto", kinds, routes)

    options = []
    for estimand, shared in zip(estimands, on_common_graph(estimands), strict=True):
        found = [*ways_of(estimand, lower, ledger, shared), *every_way(estimand, lower, ledger)]
        options.append(list({_models(way.plan) for way in found}))
    return smallest_union(options)


def _models(plan: Plan) -> frozenset[object]:
    """The models of a plan, by what they are fitted to: what its rows have beside does not tell models apart."""
    return frozenset(_key(plan, number) for number in plan.models)


def _key(plan: Plan, number: int) -> object:
    op = plan.operations[number]
    assert isinstance(op, Fit | Bootstrap)
    names = (*op.targets, *op.inputs) if isinstance(op, Fit) else op.columns
    return type(op).__name__, names, _rows(plan, op.data, set(names))


def _rows(plan: Plan, number: int, columns: set[str]) -> object:
    match plan.operations[number]:
        case Reweight(base, by):
            return _rows(plan, base, columns), frozenset(_key(plan, i) for i in by)
        case Generate(draws):
            needed = needed_draws(draws, columns)
            return tuple((d.slots, d.inputs, _key(plan, d.model)) for d in needed)
    return ()


def smallest_union(options: Sequence[Sequence[frozenset[object]]]) -> int:
    """The size of the smallest union of sets, one taken of each group; exact, by integer programming."""
    items = {item: i for i, item in enumerate({x: None for o in options for s in o for x in s})}
    sets = [(group, s) for group, some in enumerate(options) for s in some]
    rows = len(options) + sum(len(s) for _, s in sets)
    matrix = lil_array((rows, len(sets) + len(items)))
    lower = np.zeros(rows)
    row = len(options)
    for column, (group, some) in enumerate(sets):
        matrix[group, column] = 1
        lower[group] = 1
        for item in some:  # who takes the set pays for all that is in it
            matrix[row, len(sets) + items[item]] = 1
            matrix[row, column] = -1
            row += 1
    price = np.concatenate([np.zeros(len(sets)), np.ones(len(items))])
    limits = LinearConstraint(matrix.tocsr(), lower, np.inf)
    found = milp(price, integrality=np.ones(len(price)), bounds=Bounds(0, 1), constraints=limits)
    assert found.status == 0, found.message
    return round(found.fun)


# ---- the questions -------------------------------------------------------------------------------------------


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
        "one of two early covariates; the other sorts ask for the effects of any variable on any. What no script can",
        "do without: a model for each outcome that has to be modelled (*outcomes*); and of all plans known for each",
        "query, the choice that trains fewest models together (*best choice*, exact, by integer programming).",
        "",
        f"| queries | one script | {queries} scripts | share | least | most | outcomes | best choice |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for sort in SORTS:
        these = [s for s in found if s.name.startswith(sort)]
        one, apart = sum(s.together for s in these), sum(s.apart for s in these)
        shares = [s.together / s.apart for s in these]
        bounds = [sum(s.outcomes for s in these), sum(s.best for s in these)]
        lines.append(
            f"| {sort}, {len(these)} graphs | {one} | {apart} | {one / apart:.0%} | {min(shares):.0%} "
            f"| {max(shares):.0%} | " + " | ".join(f"{b} ({b / apart:.0%})" for b in bounds) + " |"
        )
    return lines
