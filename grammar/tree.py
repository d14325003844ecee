"""The syntax tree of the query language: frozen nodes, each with the place it came from.

Spans do not take part in comparison, so two texts that say the same give equal trees.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal as OneOf

from causalc.grammar.graphs import (
    LATENT_ATTRIBUTES,
    Arrow,
    Attribute,
    Chain,
    Edge,
    GraphItem,
    GraphSpec,
    Latent,
    NodeSet,
    Property,
)
from causalc.grammar.source import NOWHERE, Source, Span
from causalc.grammar.values import (
    Assignment,
    Call,
    Cases,
    Element,
    Literal,
    Name,
    Options,
    Parameter,
    Policy,
    Rule,
    Sequence,
    Symbol,
    Value,
)

__all__ = [
    "LATENT_ATTRIBUTES",
    "Arithmetic",
    "Arrow",
    "Assignment",
    "Attribute",
    "Call",
    "Cases",
    "Chain",
    "CheckStatement",
    "Comment",
    "Comparison",
    "DataStatement",
    "Edge",
    "Element",
    "EstimateStatement",
    "Expression",
    "GraphItem",
    "GraphSpec",
    "GraphStatement",
    "IncludeStatement",
    "Latent",
    "LatentStatement",
    "Literal",
    "ModelStatement",
    "Moment",
    "Name",
    "NodeSet",
    "Operator",
    "Options",
    "Parameter",
    "Policy",
    "Predicate",
    "Property",
    "Query",
    "QueryStatement",
    "Rule",
    "SampleStatement",
    "Script",
    "Sequence",
    "Statement",
    "Sweep",
    "Symbol",
    "TrainStatement",
    "Value",
    "VarStatement",
]


# ---- queries


@dataclass(frozen=True, slots=True)
class Query:
    """``P(outcomes | do(do, policies), given)``; ``str`` prints it in this canonical form."""

    outcomes: tuple[Name, ...]
    do: tuple[Assignment, ...] = ()
    given: tuple[Assignment, ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    policies: tuple[Policy, ...] = ()

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


# ---- estimates

Comparison = OneOf["==", "!=", "<", "<=", ">", ">="]
Operator = OneOf["+", "-", "*", "/"]


@dataclass(frozen=True, slots=True)
class Predicate:
    """``Y``, or ``Y == 3`` and the like: what an estimate is about."""

    name: Name
    comparison: Comparison | None = None
    value: Value | None = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Moment:
    """``E(Y | ...)``, ``Var(Y | ...)``, ``Pr(Y == 1, ... | ...)``, ``Median(Y | ...)`` or ``Quantile(Y, 0.9 | ...)``.

    ``share`` is the number of a quantile, and ``None`` for all else.
    """

    function: OneOf["E", "Var", "Pr", "Median", "Quantile"]
    predicates: tuple[Predicate, ...]
    do: tuple[Assignment, ...] = ()
    given: tuple[Assignment, ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    policies: tuple[Policy, ...] = ()
    share: Literal | None = None

    @property
    def query(self) -> Query:
        """The query whose samples answer it."""
        names = {p.name.text: p.name for p in self.predicates}
        return Query(tuple(names.values()), self.do, self.given, self.span, self.policies)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two expressions joined by ``+``, ``-``, ``*`` or ``/``."""

    operator: Operator
    left: Expression
    right: Expression
    span: Span = field(default=NOWHERE, compare=False, repr=False)


Expression = Literal | Moment | Arithmetic


# ---- statements


@dataclass(frozen=True, slots=True)
class GraphStatement:
    """``graph { ... }``, or ``graph "file"``: exactly one of ``spec`` and ``path`` is set.

    Where a script has several to compare, each has a ``name``.
    """

    spec: GraphSpec | None = None
    path: str | None = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    name: Name | None = None


@dataclass(frozen=True, slots=True)
class IncludeStatement:
    """``include "file.causal"``: its statements stand here."""

    path: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LatentStatement:
    """``latent U`` outside the braces, for a graph that is read from a file."""

    names: tuple[Name, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class VarStatement:
    """``var A, B : kind``."""

    names: tuple[Name, ...]
    kind: Call
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DataStatement:
    """``data name = source(...) under do(...) { options }``."""

    name: Name
    source: Call
    under: tuple[Assignment, ...] = ()
    options: Options = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    option_spans: tuple[Span, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ModelStatement:
    """``model Y = family(...)``."""

    variable: Name
    family: Call
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TrainStatement:
    """``train { options }``."""

    options: Options = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    option_spans: tuple[Span, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class QueryStatement:
    """``query name = P(...)``."""

    name: Name
    query: Query
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Sweep:
    """``X = [0, 1]``, ``X = grid(0, 1, 11)``, or ``X`` for every level: the values that an open variable takes."""

    name: Name
    values: Value | Call | None = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class EstimateStatement:
    """``estimate name = expression over X = [...]``."""

    name: Name
    expression: Expression
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    over: tuple[Sweep, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckStatement:
    """``check query : checks``."""

    query: Name
    checks: tuple[Name, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SampleStatement:
    """``sample query, options to "path"``."""

    query: Name
    options: Options
    path: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    option_spans: tuple[Span, ...] = field(default=(), compare=False, repr=False)


Statement = (
    GraphStatement
    | IncludeStatement
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
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Script:
    """A parsed script: its statements in order, and the text they came from."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = field(default=(), compare=False, repr=False)
    source: Source | None = field(default=None, compare=False, repr=False)

    @property
    def graph(self) -> GraphStatement | None:
        """The first graph statement."""
        return next(iter(self.graphs), None)

    @property
    def graphs(self) -> tuple[GraphStatement, ...]:
        """The ``graph`` statements."""
        return tuple(s for s in self.statements if isinstance(s, GraphStatement))

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
