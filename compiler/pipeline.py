"""The order of the stages: question -> derivation -> estimand -> plan -> passes -> view -> text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from causalc.compiler.answer import Estimand
from causalc.compiler.graph import Graph
from causalc.compiler.lower import Lowering
from causalc.compiler.passes import PASSES
from causalc.compiler.plan import Plan, verify
from causalc.compiler.view import Spec, View
from causalc.compiler.view import make as view_of
from causalc.errors import CausalcError

STRATEGIES = ("auto", "generate", "reweight")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled script or query: ``plan``, the program's ``source`` and one estimand a query."""

    graph: Graph
    schema: Mapping[str, Spec | None]
    estimands: Mapping[str, Estimand]
    plan: Plan
    view: View = field(repr=False)
    strategy: str = "auto"

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
    names, steps = list(estimands), [step for name, step in PASSES if name not in skip]

    def make(chosen: Sequence[Estimand]) -> Plan:
        lowering = Lowering(graph, strategy, kinds)
        pairs = zip(names, chosen, strict=False)
        networks = tuple(lowering.network(name, e.question, e.derivation) for name, e in pairs)
        plan = Plan(tuple(lowering.operations), networks)
        for step in steps:
            plan = step(plan, graph)
        return plan

    plan, estimands = _chosen(make, estimands)
    verify(plan)
    texts = [str(e) for e in estimands.values()]
    from causalc import __version__

    title = title or "Sample from " + "; ".join(e.question.text for e in estimands.values()) + "."
    view = view_of(plan, schema, models or {}, texts, title, f"Graph: {_edges(graph)}", __version__)
    return Compiled(graph, schema, estimands, plan, view, strategy)


Choice = tuple[Plan, dict[str, Estimand]]


def _chosen(
    make: Callable[[Sequence[Estimand]], Plan], estimands: Mapping[str, Estimand]
) -> Choice:
    """Lower all queries, each by the estimand that makes the fewest models of them together.

    Tried are every short way, every long way, and each query in turn on top of those before it.
    """
    ways = [e.alternatives() for e in estimands.values()]
    tried = [[way[0] for way in ways]]
    if any(len(way) > 1 for way in ways) and len(ways) > 1:
        tried.append([way[-1] for way in ways])
        greedy: list[Estimand] = []
        for way in ways:
            counted = [len(make([*greedy, e]).models) for e in way] if way[1:] else [0]
            greedy.append(way[counted.index(min(counted))])
        tried.append(greedy)
    plans = [make(choice) for choice in tried]
    best = min(range(len(plans)), key=lambda i: len(plans[i].models))
    return plans[best], dict(zip(estimands, tried[best], strict=True))


def _edges(graph: Graph) -> str:
    parts = [f"{a} -> {b}" for a, b in graph.directed] + [
        f"{a} <-> {b}" for a, b in graph.bidirected
    ]
    return "; ".join(parts)
