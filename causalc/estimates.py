"""``estimate`` statements: the queries whose samples answer them, and their values with standard errors.

Moments of one estimate are drawn with the same noise, which their influence accounts for: a contrast is paired,
row by row. So are the lines of a table over what an estimate leaves open.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from causalc.compiler.check_estimates import MOST_POINTS, moments, open_variables
from causalc.compiler.checked import CheckedEstimate
from causalc.compiler.kinds import plain
from causalc.errors import CausalcError
from causalc.grammar.printer import expression_text, policy_text
from causalc.grammar.tree import Arithmetic, Assignment, Expression, Literal, Moment, Query
from causalc.moments import Mean, Table, joined, moment_of

if TYPE_CHECKING:
    from causalc.runtime.data import Columns
    from causalc.runtime.schema import Schema

Draw = Callable[[str, Mapping[str, object]], Table]
"""Samples of a query by name, given the values of its open variables: one column a variable."""
Point = tuple[tuple[str, object], ...]
"""A value for each variable that an estimate leaves open."""
FEW = 12  # a variable with no more values than this is taken at each of them
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)  # and any other at these quantiles of the data


@dataclass(frozen=True, slots=True)
class Draws:
    """Where the samples for a moment come from: a query, and the values of its variables.

    ``open`` are those of its variables that the estimate leaves open too.
    """

    query: str
    values: tuple[tuple[str, object], ...]
    open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate and, for each of its moments from left to right, where its samples come from.

    ``over`` states values of what it leaves open.
    """

    name: str
    expression: Expression
    sources: tuple[Draws, ...]
    over: Mapping[str, tuple[object, ...]] = field(default_factory=dict)

    @property
    def queries(self) -> tuple[str, ...]:
        """The queries whose samples it needs."""
        return tuple(dict.fromkeys(source.query for source in self.sources))

    @property
    def text(self) -> str:
        """The expression as written."""
        return expression_text(self.expression)


@dataclass(frozen=True, slots=True)
class Answer:
    """The value of an estimate; ``error`` is the Monte-Carlo standard error of ``draws`` draws alone.

    ``value`` is NaN where the expression divides by zero. ``refit_error`` is the standard deviation over
    refits on resampled rows, where these were asked for, and ``interval`` the 95 % interval that follows.
    ``at`` says for which values of what is left open.
    """

    name: str
    text: str
    value: float
    error: float
    draws: int
    notes: tuple[str, ...] = ()
    refit_error: float | None = None
    interval: tuple[float, float] | None = None
    at: Point = ()

    def to_json(self) -> dict[str, object]:
        """As JSON has it: null where there is no number."""
        return {
            "name": self.name,
            "expression": self.text,
            **({"at": dict(self.at)} if self.at else {}),
            "value": _finite(self.value),
            "monte_carlo_standard_error": _finite(self.error),
            "refit_standard_error": _finite(self.refit_error),
            "interval_95": self.interval and [_finite(end) for end in self.interval],
            "draws": self.draws,
            "notes": list(self.notes),
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


# ---- which queries


def plan_estimates(
    estimates: Sequence[CheckedEstimate], queries: Mapping[str, Query]
) -> tuple[tuple[Estimate, ...], dict[str, Query]]:
    """The estimates with the queries that answer them, and those of these that the script does not ask itself.

    A moment is answered by the query of the same variables with all values left open, so that
    ``E(Y | do(X = 1))`` and ``E(Y | do(X = 0))`` share one sampler.
    """
    named = {_key(q): name for name, q in queries.items() if _open(q)}
    taken = {*queries, *(e.name for e in estimates)}
    extra: dict[str, Query] = {}
    made = []
    for estimate in estimates:
        sources = []
        for moment in moments(estimate.expression):
            query = _left_open(moment.query)
            if _key(query) not in named:
                name = _fresh(estimate.name, extra, taken)
                named[_key(query)], extra[name] = name, query
            values = [(a.name.text, a.value) for a in (*moment.do, *moment.given)]
            given = tuple((name, plain(value)) for name, value in values if value is not None)
            free = tuple(name for name, value in values if value is None)
            sources.append(Draws(named[_key(query)], given, free))
        made.append(Estimate(estimate.name, estimate.expression, tuple(sources), estimate.over))
    return tuple(made), extra


def _key(query: Query) -> tuple[frozenset[str], ...]:
    do, given = ({a.name.text for a in part} for part in (query.do, query.given))
    rules = frozenset(map(policy_text, query.policies))
    return frozenset(n.text for n in query.outcomes), frozenset(do), frozenset(given), rules


def _open(query: Query) -> bool:
    return all(a.value is None for a in (*query.do, *query.given))


def _left_open(query: Query) -> Query:
    do, given = (tuple(Assignment(a.name) for a in part) for part in (query.do, query.given))
    return Query(query.outcomes, do, given, query.span, query.policies)


def _fresh(stem: str, extra: Mapping[str, Query], taken: set[str]) -> str:
    """The estimate's own name for its first query, then numbered ones."""
    name, count = stem, 1
    while name in extra or (name in taken and count > 1):
        count += 1
        name = f"{stem}_{count}"
    return name


# ---- where


def points(estimate: Estimate, data: Callable[[], Columns]) -> tuple[Point, ...]:
    """Each combination of the values of what an estimate leaves open; one empty one where that is nothing.

    Values that the script does not state are all levels, or numbers that the data have.
    Raises ``CausalcError`` where these are too many.
    """
    names = open_variables(estimate.expression)
    values = [estimate.over.get(name) or _usual(name, data()) for name in names]
    count = math.prod(map(len, values))
    if count > MOST_POINTS:
        raise CausalcError(
            f"{estimate.name}: this table would have {count:,} lines; state fewer values: "
            f"over {names[0]} = [...]"
        )
    return tuple(tuple(zip(names, each, strict=True)) for each in itertools.product(*values))


def _usual(name: str, data: Columns) -> tuple[object, ...]:
    import numpy as np

    kind = data.schema[name]
    if kind.discrete:
        return tuple(kind.levels)
    if kind.shape:
        raise CausalcError(
            f"the data give `{name}` as {kind}, which has no levels to go through; set it to a value"
        )
    column = np.asarray(data[name])
    distinct = np.unique(column)
    if len(distinct) > FEW:
        distinct = np.unique(np.quantile(column, SHARES, method="inverted_cdf"))
    return tuple(v.item() for v in distinct)


# ---- values


def evaluate(estimate: Estimate, draw: Draw, schema: Schema, draws: int, at: Point = ()) -> Answer:
    """Compute an estimate at one point from ``draws`` rows of each of its queries.

    Raises ``CausalcError`` where a variable of inferred kind turns out not to have the moment asked for.
    """
    found = _value(estimate.expression, iter(estimate.sources), draw, schema, dict(at))
    error = found.deviation / math.sqrt(draws)
    return Answer(estimate.name, estimate.text, found.value, error, draws, found.notes, at=at)


def _value(
    expression: Expression,
    sources: Iterator[Draws],
    draw: Draw,
    schema: Schema,
    at: Mapping[str, object],
) -> Mean:
    match expression:
        case Literal(number):
            return Mean(float(number), 0.0)
        case Moment():
            source = next(sources)
            values = {**dict(source.values), **{name: at[name] for name in source.open}}
            return moment_of(expression, draw(source.query, values), schema)
        case Arithmetic(sign, left, right):
            a = _value(left, sources, draw, schema, at)
            b = _value(right, sources, draw, schema, at)
            return joined(sign, a, b)
        case _:
            assert_never(expression)


def refitted(answer: Answer, again: Sequence[float]) -> Answer:
    """An answer with the values that refits on resampled rows gave, as an error and a 95 % interval.

    The interval is the value plus and minus so many standard deviations of the refits as Student's t has for
    their number; NaN where a refit came to no number.
    """
    from dataclasses import replace

    import numpy as np

    error = float(np.std(again, ddof=1))
    reach = student(len(again) - 1) * error
    return replace(answer, refit_error=error, interval=(answer.value - reach, answer.value + reach))


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, by bisection of its distribution in closed form."""
    low, high = 1.9, 13.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < 0.95 else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """P(|T| < t): a finite sum of powers of a cosine (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan2(t, math.sqrt(freedom))
    cos, sin = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term, total = (cos, cos) if odd else (1.0, 1.0)
    for j in range(2 + odd, freedom - 1, 2):
        term *= (j - 1) / j * cos * cos
        total += term
    if not odd:
        return sin * total
    return 2 / math.pi * (angle + (sin * total if freedom > 1 else 0.0))
