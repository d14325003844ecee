"""Verdicts on queries while a script is typed: each is found once, and what would help a query later.

A key changes one query or none, seldom the graph; so what is known of a query in a graph is kept. Whether
it is identifiable takes a fraction of a millisecond, its formula some, what would help it up to half a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from causalc.advice import advice
from causalc.compiler.answer import Question, decide, solve
from causalc.compiler.checked import CheckedScript
from causalc.compiler.diagram import Diagram
from causalc.compiler.graph import Graph
from causalc.compiler.identify import NotIdentifiable
from causalc.grammar.tree import GraphSpec, Query, Statement

KEPT = 2_000  # verdicts


@dataclass
class Verdict:
    """What is known of a query in a graph; ``refusal`` says why it is not identifiable."""

    question: Question
    diagram: Diagram = field(repr=False)
    graph: Graph = field(repr=False)
    refusal: NotIdentifiable | None
    help: str | None = None

    @cached_property
    def formula(self) -> str:
        """The estimand of a query that is identifiable."""
        return solve(self.question, self.graph).text

    @property
    def said(self) -> str:
        """The formula, or why there is none with as much as is known of what would help."""
        if self.refusal is None:
            return self.formula
        return "\n".join(filter(None, (str(self.refusal), self.help)))

    def find_help(self, among: int = 1, stop: Callable[[], bool] = lambda: False) -> None:
        """Find what would help, one query ``among`` so many that share the work; nothing where stopped."""
        if self.refusal is not None and self.help is None:
            found = str(advice(self.refusal, self.diagram, among, stop))
            if not stop():
                self.help = found


@lru_cache(maxsize=16)
def _projected(diagram: Diagram) -> Graph:
    return diagram.projected()


@lru_cache(maxsize=KEPT)
def verdict(query: Query, text: str, diagram: Diagram) -> Verdict:
    """The verdict on a query, which reads ``text``, in a graph that it fits; the same object each time."""
    question, graph = Question.of(query), _projected(diagram)
    try:
        decide(question, graph)
    except NotIdentifiable as refusal:
        return Verdict(question, diagram, graph, refusal)
    return Verdict(question, diagram, graph, None)


@dataclass(frozen=True, slots=True)
class Under:
    """What the checks make of a script under one of its graphs; ``name`` is set where it has several."""

    name: str | None
    checked: CheckedScript
    diagram: Diagram

    @classmethod
    def of(cls, name: str | None, checked: CheckedScript, spec: GraphSpec) -> Under:
        """With the graph as it is drawn, named latents included."""
        latents = tuple(v for v in spec.nodes if v not in checked.graph.index)
        return cls(name, checked, Diagram(spec.nodes, spec.directed, spec.bidirected, latents))


@dataclass(frozen=True, slots=True)
class Asked:
    """A query of a statement, and the verdict on it under one of the script's graphs."""

    statement: Statement
    query: Query
    under: Under
    verdict: Verdict

    @property
    def text(self) -> str:
        """What there is to say, as far as it is known."""
        return (f"in {self.under.name}: " if self.under.name else "") + self.verdict.said
