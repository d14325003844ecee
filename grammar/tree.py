"""The syntax tree of the query language: frozen nodes, each with the place it came from.

Spans do not take part in comparison, so two texts that say the same give equal trees.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Literal as OneOf

from causalc.grammar.source import NOWHERE, Source, Span


def _span() -> Span:
    """The field that every node ends with."""
    return field(default=NOWHERE, compare=False, repr=False)


# ---- names and values -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """A name as the user means it, without its backticks."""

    text: str
    span: Span = _span()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a string, ``true`` or ``false``."""

    value: int | float | str | bool
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Parameter:
    """``$name``: a value given when the program runs."""

    name: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Symbol:
    """A bare word used as a value, such as ``auto``."""

    text: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Sequence:
    """``[a, b, ...]``."""

    items: tuple[Value, ...]
    span: Span = _span()


Value = Literal | Parameter | Symbol | Sequence
Options = tuple[tuple[str, Value], ...]
"""``name = value`` pairs as written; the ``option_spans`` beside them hold the places of the names."""


@dataclass(frozen=True, slots=True)
class Call:
    """``name(arg, ..., option=value, ...)``: a kind, a model family or a data source."""

    name: str
    args: tuple[Value, ...] = ()
    options: Options = ()
    span: Span = _span()
    name_span: Span = _span()
    option_spans: tuple[Span, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        from causalc.grammar.printer import call_text

        return call_text(self)


@dataclass(frozen=True, slots=True)
class Assignment:
    """``X = 3``, or ``X`` alone when its value is left open until the program runs."""

    name: Name
    value: Value | None = None
    span: Span = _span()


# ---- queries ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Query:
    """``P(outcomes | do(do), given)``; ``str`` prints it in this canonical form."""

    outcomes: tuple[Name, ...]
    do: tuple[Assignment, ...] = ()
    given: tuple[Assignment, ...] = ()
    span: Span = _span()

    def __str__(self) -> str:
        from causalc.grammar.printer import query_text

        return query_text(self)

    @property
    def free(self) -> tuple[str, ...]:
        """The intervened or conditioned variables without a value: the inputs of the sampler."""
        return tuple(a.name.text for a in (*self.do, *self.given) if a.value is None)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the ``$parameters``, each once."""
        values = (a.value for a in (*self.do, *self.given))
        return tuple(dict.fromkeys(v.name for v in values if isinstance(v, Parameter)))


# ---- estimates --------------------------------------------------------------------------------------

Comparison = OneOf["==", "!=", "<", "<=", ">", ">="]
Operator = OneOf["+", "-", "*", "/"]


@dataclass(frozen=True, slots=True)
class Predicate:
    """``Y``, or ``Y == 3`` and the like: what an estimate is about."""

    name: Name
    comparison: Comparison | None = None
    value: Value | None = None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Moment:
    """``E(Y | ...)``, ``Var(Y | ...)`` or ``Pr(Y == 1, ... | ...)``."""

    function: OneOf["E", "Var", "Pr"]
    predicates: tuple[Predicate, ...]
    do: tuple[Assignment, ...] = ()
    given: tuple[Assignment, ...] = ()
    span: Span = _span()

    @property
    def query(self) -> Query:
        """The query whose samples answer it."""
        names = {p.name.text: p.name for p in self.predicates}
        return Query(tuple(names.values()), self.do, self.given, self.span)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two expressions joined by ``+``, ``-``, ``*`` or ``/``."""

    operator: Operator
    left: Expression
    right: Expression
    span: Span = _span()


Expression = Literal | Moment | Arithmetic


# ---- graphs -----------------------------------------------------------------------------------------

Arrow = OneOf["->", "<-", "<->"]
LATENT_ATTRIBUTES = ("latent", "unobserved", "l", "u")


@dataclass(frozen=True, slots=True)
class NodeSet:
    """One variable, or ``{a b c}``."""

    names: tuple[Name, ...]
    braced: bool = False
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Attribute:
    """``key`` or ``key="value"`` of DAGitty, kept as written."""

    key: str
    value: str | None = None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Chain:
    """``A -> {B C} <-> D [attributes]``; without an arrow it only declares its variables."""

    sets: tuple[NodeSet, ...]
    arrows: tuple[Arrow, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Latent:
    """``latent U, V``: variables that are never measured."""

    names: tuple[Name, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Property:
    """``key="value"`` of a whole DAGitty graph, such as its bounding box ``bb``."""

    key: str
    value: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge, ``<-`` turned round: ``->`` from ``tail`` to ``head``, or ``<->`` between them."""

    tail: Name
    head: Name
    arrow: OneOf["->", "<->"]
    span: Span = _span()


GraphItem = Chain | Latent | Property


@dataclass(frozen=True)
class GraphSpec:
    """A graph as written; its properties say what it means, in order of first mention."""

    statements: tuple[GraphItem, ...]
    source: Source | None = field(default=None, compare=False, repr=False)
    span: Span = _span()

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


# ---- statements -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GraphStatement:
    """``graph { ... }``, or ``graph "file"``: exactly one of ``spec`` and ``path`` is set."""

    spec: GraphSpec | None = None
    path: str | None = None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class LatentStatement:
    """``latent U`` outside the braces, for a graph that is read from a file."""

    names: tuple[Name, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class VarStatement:
    """``var A, B : kind``."""

    names: tuple[Name, ...]
    kind: Call
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class DataStatement:
    """``data name = source(...) under do(...) { options }``."""

    name: Name
    source: Call
    under: tuple[Assignment, ...] = ()
    options: Options = ()
    span: Span = _span()
    option_spans: tuple[Span, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ModelStatement:
    """``model Y = family(...)``."""

    variable: Name
    family: Call
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class TrainStatement:
    """``train { options }``."""

    options: Options = ()
    span: Span = _span()
    option_spans: tuple[Span, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class QueryStatement:
    """``query name = P(...)``."""

    name: Name
    query: Query
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class EstimateStatement:
    """``estimate name = expression``."""

    name: Name
    expression: Expression
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class CheckStatement:
    """``check query : checks``."""

    query: Name
    checks: tuple[Name, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class SampleStatement:
    """``sample query, options to "path"``."""

    query: Name
    options: Options
    path: str
    span: Span = _span()
    option_spans: tuple[Span, ...] = field(default=(), compare=False, repr=False)


Statement = (
    GraphStatement
    | LatentStatement
    | VarStatement
    | DataStatement
    | ModelStatement
    | TrainStatement
    | QueryStatement
    | EstimateStatement
    | CheckStatement
    | SampleStatement
)


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment with its marker, ``# ...`` or ``// ...``."""

    text: str
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Script:
    """A parsed script: its statements in order, and the text they came from."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = field(default=(), compare=False, repr=False)
    source: Source | None = field(default=None, compare=False, repr=False)

    @property
    def graph(self) -> GraphStatement | None:
        """The first graph statement."""
        return next((s for s in self.statements if isinstance(s, GraphStatement)), None)

    @property
    def variables(self) -> tuple[VarStatement, ...]:
        """The ``var`` statements."""
        return tuple(s for s in self.statements if isinstance(s, VarStatement))

    @property
    def data(self) -> tuple[DataStatement, ...]:
        """The ``data`` statements."""
        return tuple(s for s in self.statements if isinstance(s, DataStatement))

    @property
    def models(self) -> tuple[ModelStatement, ...]:
        """The ``model`` statements."""
        return tuple(s for s in self.statements if isinstance(s, ModelStatement))

    @property
    def queries(self) -> tuple[QueryStatement, ...]:
        """The ``query`` statements."""
        return tuple(s for s in self.statements if isinstance(s, QueryStatement))

    @property
    def estimates(self) -> tuple[EstimateStatement, ...]:
        """The ``estimate`` statements."""
        return tuple(s for s in self.statements if isinstance(s, EstimateStatement))

    @property
    def samples(self) -> tuple[SampleStatement, ...]:
        """The ``sample`` statements."""
        return tuple(s for s in self.statements if isinstance(s, SampleStatement))

    @property
    def checks(self) -> tuple[CheckStatement, ...]:
        """The ``check`` statements."""
        return tuple(s for s in self.statements if isinstance(s, CheckStatement))
