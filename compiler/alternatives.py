"""The plans one query could have, beside the one it gets: every way to lower it, with what each costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from causalc.compiler.answer import Estimand
from causalc.compiler.graph import Graph
from causalc.compiler.pipeline import COSTS, STRATEGIES, cost, plan_of
from causalc.compiler.plan import Fit, Generate, Plan, Reweight, references

WAYS = ("long", "short", "smaller")


@dataclass(frozen=True, slots=True)
class Alternative:
    """A plan for one query.

    ``way`` is one of WAYS (see ``Estimand.alternatives``). ``cost`` is what the compiler minimises, in
    networks for a number; ``models`` are trained, ``heavy`` of them model images or texts; ``made`` counts the
    data sets generated and ``weighted`` those reweighted; ``depth`` is the longest chain of models each
    trained on rows that the one before made.
    """

    way: str
    strategy: str
    estimand: Estimand
    plan: Plan
    cost: int
    models: int
    heavy: int
    made: int
    weighted: int
    depth: int


def alternatives(
    name: str, estimand: Estimand, graph: Graph, kinds: Mapping[str, str]
) -> tuple[Alternative, ...]:
    """The distinct plans for a query, cheapest first; of equal cost the compiler's own comes first."""
    found: dict[Plan, Alternative] = {}
    for strategy in STRATEGIES:
        for way, one in zip(WAYS, estimand.alternatives(), strict=True):
            plan = plan_of({name: one}, graph, strategy, kinds)
            found.setdefault(plan, _measured(way, strategy, one, plan, kinds))
    return tuple(sorted(found.values(), key=lambda a: a.cost))


def _measured(
    way: str, strategy: str, estimand: Estimand, plan: Plan, kinds: Mapping[str, str]
) -> Alternative:
    operations = plan.operations
    heavy = sum(
        any(kinds.get(name) in COSTS for name in op.targets)
        for op in operations
        if isinstance(op, Fit)
    )
    made, weighted = (sum(isinstance(op, t) for op in operations) for t in (Generate, Reweight))
    depth = max(_depths(plan), default=0)
    total = cost(plan, kinds)
    return Alternative(
        way, strategy, estimand, plan, total, len(plan.models), heavy, made, weighted, depth
    )


def _depths(plan: Plan) -> Iterator[int]:
    """For each operation, how many models lie one behind the other up to it."""
    depths: list[int] = []
    for op in plan.operations:
        below = max((depths[i] for i in references(op)), default=0)
        depths.append(below + isinstance(op, Fit))
        yield depths[-1]
