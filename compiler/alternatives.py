"""The plans one query could have, beside the one it gets: what each costs, and what for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from causalc.compiler.answer import Estimand
from causalc.compiler.choose import Way, every_way
from causalc.compiler.cost import HEAVY, Item, Ledger
from causalc.compiler.graph import Graph
from causalc.compiler.lower import Decisions, Routes
from causalc.compiler.pipeline import STRATEGIES, ledger_of, lowered
from causalc.compiler.plan import Fit, Generate, Plan, Reweight, references
from causalc.compiler.view import Spec


@dataclass(frozen=True, slots=True)
class Alternative:
    """A plan for one query.

    ``way`` is the estimand: "long" is ID's, "short" P(y | x, z) where nothing confounds, "smaller" one of a graph
    without what the query can do without, "order" one of another causal order. ``routes`` are those by which rows of
    other distributions are had.
    ``cost`` is what the compiler minimises, in networks for a number, and ``items`` what it is for; ``models`` are
    trained, ``heavy`` of them model images or texts; ``made`` counts the data sets generated and ``weighted`` those
    reweighted; ``depth`` is the longest chain of models each trained on rows that the one before made.
    """

    way: str
    routes: str
    estimand: Estimand
    plan: Plan
    cost: float
    items: tuple[Item, ...]
    models: int
    heavy: int
    made: int
    weighted: int
    depth: int

    def less(self, chosen: Alternative) -> str:
        """Why this is not the plan taken: what it pays for and the other does not, dearest first."""
        theirs = {item.key for item in chosen.items}
        extra = sorted((i for i in self.items if i.key not in theirs), key=lambda i: -i.price)
        return "; ".join(f"{i.what} {i.price:.2f} ({i.why})" for i in extra[:3])


def alternatives(
    name: str,
    estimand: Estimand,
    graph: Graph,
    kinds: Mapping[str, str],
    models: Mapping[str, Spec] | None = None,
) -> tuple[Alternative, ...]:
    """The plans for a query that train or generate different things, cheapest first.

    Of equal cost the compiler's own comes first.
    """
    ledger = ledger_of(kinds, models or {})
    found: dict[frozenset[int], Alternative] = {}
    for strategy in STRATEGIES:

        def lower(one: Estimand, routes: Routes, by: str = strategy) -> tuple[Plan, Decisions]:
            return lowered(one, graph, by, kinds, routes)

        for way in every_way(estimand, lower, ledger):
            found.setdefault(frozenset(way.bill), measured(way, ledger, kinds))
    return tuple(sorted(found.values(), key=lambda a: a.cost))


def measured(way: Way, ledger: Ledger, kinds: Mapping[str, str]) -> Alternative:
    """A way with what there is to say about it."""
    plan, operations = way.plan, way.plan.operations
    heavy = sum(
        any(kinds.get(name) in HEAVY for name in op.targets)
        for op in operations
        if isinstance(op, Fit)
    )
    made, weighted = (sum(isinstance(op, t) for op in operations) for t in (Generate, Reweight))
    depth = max(_depths(plan), default=0)
    return Alternative(
        way.name,
        ", ".join(dict.fromkeys(_routes(way))) or "observed",
        way.estimand,
        plan,
        round(way.cost, 2),
        tuple(ledger.items(plan)),
        len(plan.models),
        heavy,
        made,
        weighted,
        depth,
    )


def _routes(way: Way) -> Iterator[str]:
    """The routes that show in the plan."""
    for op in way.plan.operations:
        if isinstance(op, Generate):
            yield "generate"
        elif isinstance(op, Reweight):
            yield "reweight"
    for taken, _ in way.decisions.values():
        if taken == "inline":
            yield taken


def _depths(plan: Plan) -> Iterator[int]:
    """For each operation, how many models lie one behind the other up to it."""
    depths: list[int] = []
    for op in plan.operations:
        below = max((depths[i] for i in references(op)), default=0)
        depths.append(below + isinstance(op, Fit))
        yield depths[-1]
