"""The order of the stages: question -> derivation -> estimand -> plan -> passes -> view -> text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from causalc.compiler.answer import Estimand
from causalc.compiler.graph import Graph
from causalc.compiler.lower import Lowering
from causalc.compiler.passes import PASSES
from causalc.compiler.plan import Fit, Plan, verify
from causalc.compiler.view import Spec, View
from causalc.compiler.view import make as view_of
from causalc.errors import CausalcError

DISCRETE = frozenset({"binary", "categorical", "ordinal"})
COSTS = {"image": 10, "text": 10}
STRATEGIES = ("auto", "generate", "reweight")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled script or query: ``plan``, the program's ``source`` and one estimand a query."""

    graph: Graph
    schema: Mapping[str, Spec | None]
    estimands: Mapping[str, Estimand]
    plan: Plan
    strategy: str = "auto"
    models: Mapping[int, Spec] = field(default_factory=dict, repr=False)
    title: str = field(default="", repr=False)

    @property
    def view(self) -> View:
        """What the program's text says: ``plan``, ``schema`` and ``models``; all else goes into comments."""
        from causalc import __version__

        texts = [str(e) for e in self.estimands.values()]
        asked = "; ".join(e.question.text for e in self.estimands.values())
        title = self.title or f"Sample from {asked}."
        graph = f"Graph: {_edges(self.graph)}"
        return view_of(self.plan, self.schema, self.models, texts, title, graph, __version__)

    @property
    def source(self) -> str:
        """The program's text, written when it is asked for."""
        from causalc.compiler.emit import emit

        return emit(self.view)


def compile_estimands(
    estimands: Mapping[str, Estimand],
    graph: Graph,
    schema: Mapping[str, Spec | None] | None = None,
    models: Mapping[str, Spec] | None = None,
    strategy: str = "auto",
    title: str = "",
    skip: Iterable[str] = (),
) -> Compiled:
    """Plan, optimise and emit identified queries of one graph as one program.

    ``skip`` names passes to leave out. Raises ``CausalcError`` for an unknown strategy.
    """
    if strategy not in STRATEGIES:
        raise CausalcError(f"unknown strategy {strategy!r}; use one of {', '.join(STRATEGIES)}")
    schema = schema or {}
    kinds = {name: spec.name for name, spec in schema.items() if spec is not None}
    left_out = frozenset(skip)

    def make(chosen: Sequence[Estimand]) -> Plan:
        return plan_of(dict(zip(estimands, chosen, strict=False)), graph, strategy, kinds, left_out)

    plan, chosen = _chosen(make, estimands, kinds)
    verify(plan)
    specs = _specs_of(plan, models or {})
    return Compiled(graph, schema, chosen, plan, strategy, specs, title)


def _specs_of(plan: Plan, models: Mapping[str, Spec]) -> dict[int, Spec]:
    """The model that the user chose for each factor, by operation; those of others only where they fit."""
    found: dict[int, Spec | None] = {}
    for number in plan.models:
        factor = plan.operations[number]
        assert isinstance(factor, Fit)
        spec = found[number] = models.get(factor.targets[0])
        if spec is not None and spec.name == "pretrained":
            from causalc.compiler.pretrained import bound  # few scripts need it

            found[number] = bound(spec, plan, factor)
    return {number: spec for number, spec in found.items() if spec is not None}


def plan_of(
    estimands: Mapping[str, Estimand],
    graph: Graph,
    strategy: str,
    kinds: Mapping[str, str],
    skip: frozenset[str] = frozenset(),
) -> Plan:
    """The plan that answers these queries by these very estimands, passes run but those in ``skip``."""
    lowering = Lowering(graph, strategy, kinds)
    networks = [
        lowering.network(n, e.question, e.derivation, e.regime) for n, e in estimands.items()
    ]
    plan = Plan(tuple(lowering.operations), tuple(networks))
    for name, step in PASSES:
        if name not in skip:
            plan = step(plan, graph)
    return plan


def _chosen(
    make: Callable[[Sequence[Estimand]], Plan],
    estimands: Mapping[str, Estimand],
    kinds: Mapping[str, str],
) -> tuple[Plan, dict[str, Estimand]]:
    """Lower all queries, each by one of its estimands, so that the plan costs least.

    Tried are the long way for all, the short way for all, smaller graphs for all, and for each query in
    turn what is best on top of those before it. Ties go to the first.
    """
    ways = [e.alternatives() for e in estimands.values()]
    tried = [list(choice) for choice in zip(*ways, strict=True)]
    if len(ways) > 1:
        greedy: list[Estimand] = []
        for way in ways:
            options = list(dict.fromkeys(way))
            costs = [cost(make([*greedy, e]), kinds) for e in options] if options[1:] else [0]
            greedy.append(options[costs.index(min(costs))])
        tried.append(greedy)
    tried = [choice for i, choice in enumerate(tried) if choice not in tried[:i]]
    plans = [make(choice) for choice in tried]
    totals = [cost(plan, kinds) for plan in plans]
    best = totals.index(min(totals))
    return plans[best], dict(zip(estimands, tried[best], strict=True))


def cost(plan: Plan, kinds: Mapping[str, str]) -> int:
    """What the models of a plan cost to train, in units of one network for a number.

    A table of counts is free, and the more of them the better: each conditional is then estimated from
    more rows. Images and texts are ten times a number.
    """
    total = 0
    for i in plan.models:
        fit = plan.operations[i]
        assert isinstance(fit, Fit)
        if any(kinds.get(name) not in DISCRETE for name in (*fit.targets, *fit.inputs)):
            total += max(COSTS.get(kinds.get(name, ""), 1) for name in fit.targets)
    return total


def _edges(graph: Graph) -> str:
    parts = [f"{a} -> {b}" for a, b in graph.directed] + [
        f"{a} <-> {b}" for a, b in graph.bidirected
    ]
    return "; ".join(parts)
