"""The order of the stages: question -> derivation -> estimand -> plan -> passes -> view -> text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from causalc.compiler.answer import Estimand
from causalc.compiler.choose import on_common_graph, together, ways_of
from causalc.compiler.cost import DISCRETE, Ledger
from causalc.compiler.graph import Graph
from causalc.compiler.lower import Decisions, Lowering, Routes
from causalc.compiler.passes import PASSES
from causalc.compiler.plan import Fit, Plan, verify
from causalc.compiler.view import Spec, View
from causalc.compiler.view import make as view_of
from causalc.errors import CausalcError

LARGE = 200  # variables; the comments of a program show the whole of a smaller graph
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
        graph = f"Graph: {_edges(_shown(self.graph, self.estimands))}"
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
    ledger = ledger_of(kinds, models or {})

    def lower(estimand: Estimand, routes: Routes) -> tuple[Plan, Decisions]:
        return lowered(estimand, graph, strategy, kinds, routes, left_out)

    shared = on_common_graph(tuple(estimands.values()))
    ways = [ways_of(e, lower, ledger, s) for e, s in zip(estimands.values(), shared, strict=True)]
    taken = together(ways)
    chosen = {name: way.estimand for name, way in zip(estimands, taken, strict=True)}
    if len(taken) == 1:
        plan = named(taken[0].plan, next(iter(chosen)))
    else:
        routes = {key: route for way in taken for key, route in way.routes.items()}
        plan = plan_of(chosen, graph, strategy, kinds, left_out, routes)
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


def ledger_of(kinds: Mapping[str, str], models: Mapping[str, Spec]) -> Ledger:
    """Prices, where a model that is trained already, and real rows, cost nothing wherever they serve."""
    given = {name: spec for name, spec in models.items() if spec.name in ("pretrained", "rows")}
    if not given:
        return Ledger(kinds)

    def free(plan: Plan, fit: Fit) -> bool:
        spec = given.get(fit.targets[0])
        if spec is None:
            return False
        if spec.name == "rows":
            return not fit.propensity and all(kinds.get(name) in DISCRETE for name in fit.inputs)
        from causalc.compiler.pretrained import bound  # few scripts need it

        return bound(spec, plan, fit) is not None

    return Ledger(kinds, free)


def plan_of(
    estimands: Mapping[str, Estimand],
    graph: Graph,
    strategy: str,
    kinds: Mapping[str, str],
    skip: frozenset[str] = frozenset(),
    routes: Routes | None = None,
) -> Plan:
    """The plan that answers these queries by these very estimands, passes run but those in ``skip``."""
    lowering = Lowering(graph, strategy, kinds, routes or {})
    return _planned(lowering, estimands, skip)


def lowered(
    estimand: Estimand,
    graph: Graph,
    strategy: str,
    kinds: Mapping[str, str],
    routes: Routes,
    skip: frozenset[str] = frozenset(),
) -> tuple[Plan, Decisions]:
    """One query's plan by this estimand and these routes, and the decisions that were open on the way."""
    lowering = Lowering(graph, strategy, kinds, routes)
    return _planned(lowering, {"query": estimand}, skip), lowering.decisions


def _planned(lowering: Lowering, estimands: Mapping[str, Estimand], skip: frozenset[str]) -> Plan:
    networks = [
        lowering.network(n, e.question, e.derivation, e.regime) for n, e in estimands.items()
    ]
    plan = Plan(tuple(lowering.operations), tuple(networks))
    for name, step in PASSES:
        if name not in skip:
            plan = step(plan, lowering.graph)
    return plan


def named(plan: Plan, name: str) -> Plan:
    """The plan of one query, under another name."""
    (network,) = plan.networks
    return replace(plan, networks=(replace(network, name=name),))


def _shown(graph: Graph, estimands: Mapping[str, Estimand]) -> Graph:
    """The graph, or of a large one what bears on the queries: the ancestors of all they name."""
    if len(graph.order) <= LARGE:
        return graph
    asked = 0
    for estimand in estimands.values():
        for part in estimand.question.sets(graph):
            asked |= part
    kept = set(graph.names(graph.ancestors(asked, graph.all)))
    directed, both = (
        [(a, b) for a, b in edges if a in kept and b in kept]
        for edges in (graph.directed, graph.bidirected)
    )
    return Graph.from_edges((v for v in graph.order if v in kept), directed, both)


def _edges(graph: Graph) -> str:
    parts = [f"{a} -> {b}" for a, b in graph.directed] + [
        f"{a} <-> {b}" for a, b in graph.bidirected
    ]
    return "; ".join(parts)
