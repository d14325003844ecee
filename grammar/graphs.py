"""Graphs as written: DAGitty's statements, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Literal as OneOf

from causalc.grammar.source import NOWHERE, Source, Span
from causalc.grammar.values import Name

Arrow = OneOf["->", "<-", "<->"]
LATENT_ATTRIBUTES = ("latent", "unobserved", "l", "u")


@dataclass(frozen=True, slots=True)
class NodeSet:
    """One variable, or ``{a b c}``."""

    names: tuple[Name, ...]
    braced: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Attribute:
    """``key`` or ``key="value"`` of DAGitty, kept as written."""

    key: str
    value: str | None = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Chain:
    """``A -> {B C} <-> D [attributes]``; without an arrow it only declares its variables."""

    sets: tuple[NodeSet, ...]
    arrows: tuple[Arrow, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Latent:
    """``latent U, V``: variables that are never measured."""

    names: tuple[Name, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Property:
    """``key="value"`` of a whole DAGitty graph, such as its bounding box ``bb``."""

    key: str
    value: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge, ``<-`` turned round: ``->`` from ``tail`` to ``head``, or ``<->`` between them."""

    tail: Name
    head: Name
    arrow: OneOf["->", "<->"]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


GraphItem = Chain | Latent | Property


@dataclass(frozen=True)
class GraphSpec:
    """A graph as written; its properties say what it means, in order of first mention."""

    statements: tuple[GraphItem, ...]
    source: Source | None = field(default=None, compare=False, repr=False)
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    @cached_property
    def names(self) -> tuple[Name, ...]:
        """The first mention of every variable."""
        first: dict[str, Name] = {}
        for item in self.statements:
            match item:
                case Chain(sets):
                    mentioned = [name for part in sets for name in part.names]
                case Latent(names):
                    mentioned = list(names)
                case Property():
                    mentioned = []
            for name in mentioned:
                first.setdefault(name.text, name)
        return tuple(first.values())

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every variable, latent ones included."""
        return tuple(name.text for name in self.names)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge as written, repeated ones included."""
        return tuple(
            Edge(a, b, "->" if arrow == "->" else "<->", left.span | right.span)
            if arrow != "<-"
            else Edge(b, a, "->", left.span | right.span)
            for item in self.statements
            if isinstance(item, Chain)
            for left, arrow, right in zip(item.sets, item.arrows, item.sets[1:], strict=False)
            for a, b in product(left.names, right.names)
        )

    @cached_property
    def directed(self) -> tuple[tuple[str, str], ...]:
        """The pairs ``(cause, effect)``, each once."""
        return tuple(
            dict.fromkeys((e.tail.text, e.head.text) for e in self.edges if e.arrow == "->")
        )

    @cached_property
    def bidirected(self) -> tuple[tuple[str, str], ...]:
        """The pairs with a latent common cause, each once, in the direction first written."""
        pairs: dict[frozenset[str], tuple[str, str]] = {}
        for edge in self.edges:
            if edge.arrow == "<->":
                pair = edge.tail.text, edge.head.text
                pairs.setdefault(frozenset(pair), pair)
        return tuple(pairs.values())

    @cached_property
    def latents(self) -> tuple[str, ...]:
        """The variables declared latent, by statement or by DAGitty's attribute."""
        found: dict[str, None] = {}
        for item in self.statements:
            match item:
                case Latent(names):
                    found.update((name.text, None) for name in names)
                case Chain((only,), (), attributes) if any(
                    a.key in LATENT_ATTRIBUTES for a in attributes
                ):
                    found.update((name.text, None) for name in only.names)
        return tuple(found)

    def with_attribute(self, *keys: str) -> tuple[Name, ...]:
        """The variables that carry one of the given attributes, e.g. ``"exposure", "e"``."""
        return tuple(
            name
            for item in self.statements
            if isinstance(item, Chain) and not item.arrows
            if any(a.key in keys for a in item.attributes)
            for name in item.sets[0].names
        )

    def span_of(self, name: str) -> Span:
        """Where a variable is first mentioned; raises ``KeyError`` for an unknown name."""
        return self._spans[name]

    @cached_property
    def _spans(self) -> dict[str, Span]:
        return {name.text: name.span for name in self.names}

    def __str__(self) -> str:
        from causalc.grammar.printer import graph_text

        return graph_text(self)
