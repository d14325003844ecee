"""The order of the stages: question -> derivation -> estimand -> plan -> passes -> view -> text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from causalc.compiler.answer import Estimand, Question, solve
from causalc.compiler.graph import Graph
from causalc.compiler.lower import Lowering
from causalc.compiler.passes import PASSES
from causalc.compiler.plan import Plan, verify
from causalc.compiler.view import Spec, View, make
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
    from causalc import __version__

    schema = schema or {}
    kinds = {name: spec.name for name, spec in schema.items() if spec is not None}
    lowering = Lowering(graph, strategy, kinds)
    networks = tuple(
        lowering.network(name, e.question, e.derivation) for name, e in estimands.items()
    )
    plan = Plan(tuple(lowering.operations), networks)
    for name, step in PASSES:
        if name not in skip:
            plan = step(plan, graph)
    verify(plan)
    texts = [str(e) for e in estimands.values()]
    title = title or "Sample from " + "; ".join(e.question.text for e in estimands.values()) + "."
    view = make(plan, schema, models or {}, texts, title, f"Graph: {_edges(graph)}", __version__)
    return Compiled(graph, schema, estimands, plan, view, strategy)


def estimate_all(questions: Sequence[tuple[str, Question]], graph: Graph) -> dict[str, Estimand]:
    """Identify every question; raises at the first that is not identifiable."""
    return {name: solve(question, graph) for name, question in questions}


def _edges(graph: Graph) -> str:
    parts = [f"{a} -> {b}" for a, b in graph.directed] + [
        f"{a} <-> {b}" for a, b in graph.bidirected
    ]
    return "; ".join(parts)
