"""What the checks make of a script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from causalc.compiler.graph import Graph
from causalc.compiler.kinds import Kind
from causalc.grammar.source import NOWHERE, Span
from causalc.grammar.tree import Assignment, Call, Expression, Query


@dataclass(frozen=True, slots=True)
class CheckedData:
    """A data set: how to read it, from where, and which columns are which variables."""

    name: str
    format: str
    path: str
    options: Mapping[str, object]
    split: str | None
    columns: Mapping[str, str]
    under: tuple[Assignment, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CheckedQuery:
    """A query whose variables are in the graph and whose values are of their kinds."""

    name: str
    query: Query
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CheckedEstimate:
    """A number to compute from samples, or a table of them over the values of what it leaves open.

    ``over`` holds these values where the script states them.
    """

    name: str
    expression: Expression
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    over: Mapping[str, tuple[object, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckedCheck:
    """Diagnostics to run on a query."""

    query: str
    checks: tuple[str, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CheckedSample:
    """Rows to draw: how many, with what inputs, to where; ``seed`` is ``None`` where not given."""

    query: str
    n: int
    seed: int | None
    inputs: Mapping[str, object]
    path: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CheckedScript:
    """A script that makes sense.

    ``graph`` is projected on the observed variables; ``schema`` holds the declared kinds only;
    ``models`` maps variables to families whose arguments are literals and lists of them.
    """

    graph: Graph
    schema: Mapping[str, Kind]
    data: tuple[CheckedData, ...]
    models: Mapping[str, Call]
    train: Mapping[str, object]
    queries: tuple[CheckedQuery, ...]
    estimates: tuple[CheckedEstimate, ...]
    checks: tuple[CheckedCheck, ...]
    samples: tuple[CheckedSample, ...]
