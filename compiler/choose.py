"""Which plan a script gets: every query could be answered in several ways, and together they should cost least.

A way is an estimand (ID's own, the short one, one on a smaller graph or in another causal order) with a route for each
kernel, district and set of conditions. The ways of a query are few and are lowered one at a time; what the queries then
share is a matter of their bills alone: each model is paid for once, however many queries draw from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from causalc.compiler.answer import Estimand
from causalc.compiler.cost import Ledger
from causalc.compiler.eliminate import common
from causalc.compiler.lower import Decisions, Routes
from causalc.compiler.plan import Plan

WAYS = ("long", "short", "smaller", "order", "common")
ROUNDS = 4  # of improvement, each of them over all queries
MOST_PAIRS = 100_000  # of steps, in all plans of one round: larger plans take the usual routes


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One way to answer a query: its estimand and routes, and the plan and the bill that they lead to."""

    name: str
    estimand: Estimand
    routes: Routes = field(repr=False)
    plan: Plan = field(repr=False)
    bill: Mapping[int, float] = field(repr=False)
    decisions: Decisions = field(repr=False)

    @property
    def cost(self) -> float:
        """What the plan costs by itself."""
        return sum(self.bill.values())


Lower = Callable[[Estimand, Routes], tuple[Plan, Decisions]]
"""One query's plan by this estimand and these routes, and the decisions that were open on the way."""


def ways_of(
    estimand: Estimand, lower: Lower, ledger: Ledger, shared: Estimand | None = None
) -> list[Way]:
    """The ways that the compiler looks at: each estimand by its usual routes, then by better ones if there are.

    Routes are improved one decision at a time. That is seldom needed: most queries have none to take. ``shared``
    is the estimand on a graph that all queries of a script have in common.
    """
    found: dict[Plan, Way] = {}
    for name, one in zip(WAYS, (*estimand.alternatives(), shared), strict=True):
        if one is not None and all(one is not way.estimand for way in found.values()):
            way = _way(name, one, {}, lower, ledger)
            found.setdefault(way.plan, way)
            for better in _improved(way, lower, ledger):
                found.setdefault(better.plan, better)
    return sorted(found.values(), key=lambda way: way.cost)


def every_way(estimand: Estimand, lower: Lower, ledger: Ledger, most: int = 200) -> list[Way]:
    """All combinations of routes, up to ``most`` for each estimand: for those who ask."""
    found: dict[Plan, Way] = {}
    for name, one in zip(WAYS, estimand.alternatives(), strict=False):
        todo, seen = [_way(name, one, {}, lower, ledger)], set[frozenset[tuple[object, str]]]()
        while todo and len(seen) < most:
            way = todo.pop()
            found.setdefault(way.plan, way)
            for routes in _flips(way):
                if (key := frozenset(routes.items())) not in seen:
                    seen.add(key)
                    todo.append(_way(name, one, routes, lower, ledger))
    return sorted(found.values(), key=lambda way: way.cost)


def _way(name: str, estimand: Estimand, routes: Routes, lower: Lower, ledger: Ledger) -> Way:
    plan, decisions = lower(estimand, routes)
    return Way(name, estimand, routes, plan, ledger.bill(plan), decisions)


def _flips(way: Way) -> Iterator[Routes]:
    for key, (taken, others) in way.decisions.items():
        for other in others:
            if other != taken:
                yield {**way.routes, key: other}


def _improved(way: Way, lower: Lower, ledger: Ledger) -> Iterator[Way]:
    """Cheaper and cheaper ways by the same estimand, while looking costs little: each is lowered anew."""
    while 0 < len(way.decisions) * _steps(way.plan) ** 2 <= MOST_PAIRS:
        others = [_way(way.name, way.estimand, r, lower, ledger) for r in _flips(way)]
        yield from others
        best = min(others, key=lambda other: other.cost)
        if best.cost >= way.cost:
            return
        way = best


def _steps(plan: Plan) -> int:
    """Operations, or values drawn if they are more: lowering a plan takes time for both."""
    drawn = sum(len(draw.slots) for network in plan.networks for draw in network.draws)
    return max(len(plan.operations), drawn)


def on_common_graph(estimands: Sequence[Estimand]) -> list[Estimand | None]:
    """The estimands of several queries on the smallest graph that serves all; None under policies, or for one query."""
    plain = [e for e in estimands if e.regime is None]
    if len(plain) < 2 or any(e.graph is not plain[0].graph for e in plain):
        return [None] * len(estimands)
    graph = plain[0].graph
    smaller = common(graph, [e.question.sets(graph) for e in plain])
    return [e.on(smaller) if e.regime is None else None for e in estimands]


def together(ways: Sequence[Sequence[Way]]) -> list[Way]:
    """One way a query, so that the models of all cost least; every model is paid for once.

    Local search from several starts: each kind of estimand for all, and each query's own best. Ties go to the first.
    """
    if len(ways) == 1:
        return [ways[0][0]]
    starts = [[options[0] for options in ways]]
    for name in WAYS:
        starts.append([next((w for w in o if w.name == name), o[0]) for o in ways])
    found = [_settled(start, ways) for start in starts]
    return min(found, key=total)


def total(chosen: Sequence[Way]) -> float:
    """What the models of several ways cost together."""
    union: dict[int, float] = {}
    for way in chosen:
        union.update(way.bill)
    return sum(union.values())


def _settled(chosen: list[Way], ways: Sequence[Sequence[Way]]) -> list[Way]:
    """Move one query after another to the way that adds least to the rest, while anything is gained."""
    users: dict[int, int] = {}
    for way in chosen:
        for key in way.bill:
            users[key] = users.get(key, 0) + 1
    for _ in range(ROUNDS):
        moved = False
        for i, options in enumerate(ways):
            for key in chosen[i].bill:
                users[key] -= 1

            def added(way: Way) -> float:
                return sum(price for key, price in way.bill.items() if not users.get(key))

            best = min(options, key=added)
            if added(best) < added(chosen[i]) - 1e-9:
                chosen[i], moved = best, True
            for key in chosen[i].bill:
                users[key] = users.get(key, 0) + 1
        if not moved:
            break
    return chosen
