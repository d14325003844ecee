"""``estimate`` statements: the queries whose samples answer them, and their values with standard errors.

Every moment of an estimate is a mean over draws, so an estimate is a smooth function of means, and its
Monte-Carlo error follows from the row-wise influence of each draw (the delta method). Moments of one estimate
are drawn with the same noise, which the influence accounts for: a contrast is paired, row by row.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

from causalc.compiler.check_questions import moments
from causalc.compiler.checked import CheckedEstimate
from causalc.compiler.kinds import plain
from causalc.errors import CausalcError
from causalc.grammar.printer import expression_text, policy_text, predicate_text
from causalc.grammar.tree import (
    Arithmetic,
    Assignment,
    Expression,
    Literal,
    Moment,
    Predicate,
    Query,
)

if TYPE_CHECKING:
    import numpy as np

    from causalc.runtime.schema import Kind, Schema

Column = Any
Table = Mapping[str, Column]
Draw = Callable[[str, Mapping[str, object]], Table]
"""Samples of a query by name, given the values of its open variables: one column a variable."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Where the samples for a moment come from: a query, and the values of its open variables."""

    query: str
    values: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate and, for each of its moments from left to right, where its samples come from."""

    name: str
    expression: Expression
    sources: tuple[Draws, ...]

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
    refits on resampled rows, where these were asked for.
    """

    name: str
    text: str
    value: float
    error: float
    draws: int
    notes: tuple[str, ...] = ()
    refit_error: float | None = None

    def to_json(self) -> dict[str, object]:
        """As JSON has it: null where there is no number."""
        return {
            "name": self.name,
            "expression": self.text,
            "value": _finite(self.value),
            "monte_carlo_standard_error": _finite(self.error),
            "refit_standard_error": _finite(self.refit_error),
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
            sources.append(Draws(named[_key(query)], given))
        made.append(Estimate(estimate.name, estimate.expression, tuple(sources)))
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


# ---- values


@dataclass(frozen=True, slots=True)
class _Mean:
    """A number computed from draws, and the influence of every draw on it, ``(n,)`` or zero."""

    value: float
    influence: np.ndarray | float
    notes: tuple[str, ...] = ()


def evaluate(estimate: Estimate, draw: Draw, schema: Schema, draws: int) -> Answer:
    """Compute an estimate from ``draws`` rows of each of its queries.

    Raises ``CausalcError`` where a variable of inferred kind turns out not to have the moment asked for.
    """
    found = _value(estimate.expression, iter(estimate.sources), draw, schema)
    error = _deviation(found.influence) / math.sqrt(draws)
    return Answer(estimate.name, estimate.text, found.value, error, draws, found.notes)


def _value(expression: Expression, sources: Iterator[Draws], draw: Draw, schema: Schema) -> _Mean:
    match expression:
        case Literal(number):
            return _Mean(float(number), 0.0)
        case Moment():
            source = next(sources)
            return _moment(expression, draw(source.query, dict(source.values)), schema)
        case Arithmetic(sign, left, right):
            a = _value(left, sources, draw, schema)
            b = _value(right, sources, draw, schema)
            return _joined(sign, a, b)
        case _:
            assert_never(expression)


def _joined(sign: str, a: _Mean, b: _Mean) -> _Mean:
    notes = tuple(dict.fromkeys((*a.notes, *b.notes)))
    match sign:
        case "+":
            return _Mean(a.value + b.value, a.influence + b.influence, notes)
        case "-":
            return _Mean(a.value - b.value, a.influence - b.influence, notes)
        case "*":
            influence = a.influence * b.value + b.influence * a.value
            return _Mean(a.value * b.value, influence, notes)
    if b.value == 0:
        return _Mean(math.nan, math.nan, (*notes, "the divisor came out as 0: no number"))
    ratio = a.value / b.value
    return _Mean(ratio, (a.influence - b.influence * ratio) / b.value, notes)


def _moment(moment: Moment, table: Table, schema: Schema) -> _Mean:
    import numpy as np

    if moment.function == "Pr":
        events = [_event(p, table[p.name.text], schema[p.name.text]) for p in moment.predicates]
        hits = np.logical_and.reduce(events)
        return _Mean(float(hits.mean()), hits - hits.mean(), _rare(moment, hits))
    (predicate,) = moment.predicates
    name = predicate.name.text
    values = _numbers(moment.function, name, table[name], schema[name])
    if moment.function == "E":
        return _Mean(float(values.mean()), values - values.mean())
    squares = (values - values.mean()) ** 2
    variance = float(values.var(ddof=1)) if len(values) > 1 else math.nan
    return _Mean(variance, squares - squares.mean())


def _rare(moment: Moment, hits: np.ndarray) -> tuple[str, ...]:
    """What 0 of n, or n of n, says: the standard error is 0 there and says nothing (rule of three)."""
    n, count = len(hits), int(hits.sum())
    if 0 < count < n:
        return ()
    event = ", ".join(map(predicate_text, moment.predicates))
    side = f"below {3 / n:.2g}" if count == 0 else f"above 1 - {3 / n:.2g}"
    return (f"{count:,} of {n:,} draws have {event}: its probability is {side} (95 %)",)


def _numbers(function: str, name: str, column: Column, kind: Kind) -> np.ndarray:
    import numpy as np

    if kind.shape or any(isinstance(level, str) for level in kind.levels):
        event = f"Pr(`{name}` == ... | ...)"
        raise CausalcError(
            f"{function}({name}) needs numbers, and the data give `{name}` as {kind}; "
            + ("sample the query and measure the samples" if kind.shape else f"ask for {event}")
        )
    return np.asarray(column, dtype=np.float64)


COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _event(predicate: Predicate, column: Column, kind: Kind) -> np.ndarray:
    """Which rows meet a predicate; levels are compared by their order where they have one."""
    import numpy as np

    name, sign = predicate.name.text, predicate.comparison
    assert sign is not None and predicate.value is not None
    value = plain(predicate.value)
    text = predicate_text(predicate)
    if not kind.discrete:
        if kind.shape or isinstance(value, str):
            raise CausalcError(
                f"`{text}`: the data give `{name}` as {kind}, compared with no such value"
            )
        if kind.name == "real" and sign in ("==", "!="):
            raise CausalcError(
                f"`{text}`: the data give `{name}` as real, which equals no value exactly; use <= or >="
            )
        return np.asarray(COMPARE[sign](np.asarray(column, dtype=np.float64), value))
    if value not in kind.levels:
        levels = ", ".join(map(repr, kind.levels[:12]))
        raise CausalcError(f"`{text}`: {value!r} is not a level of `{name}`; its levels: {levels}")
    ordered = kind.name == "ordinal" or not isinstance(kind.levels[0], str)
    if sign not in ("==", "!=") and not ordered:
        raise CausalcError(
            f"`{text}`: the levels of `{name}` have no order; write == or !=, or declare it ordinal(...)"
        )
    if kind.name != "ordinal":
        return np.asarray(COMPARE[sign](np.asarray(column), value))
    code = {level: i for i, level in enumerate(kind.levels)}
    codes = np.array([code[level] for level in column])
    return np.asarray(COMPARE[sign](codes, code[value]))


def _deviation(influence: np.ndarray | float) -> float:
    return influence if isinstance(influence, float) else float(influence.std(ddof=1))


# ---- presentation


def table_of(answers: Sequence[Answer]) -> str:
    """Estimates as aligned text, with what the error is and what it is not."""
    refits = any(a.refit_error is not None for a in answers)
    rows = [("estimate", "value", "± sampling", *(("± refits",) if refits else ()), "")]
    for a in answers:
        values = (a.value, a.error, *((a.refit_error,) if refits else ()))
        rows.append((a.name, *(_number(value, a.error) for value in values), a.text))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines += [f"{a.name}: {note}" for a in answers for note in a.notes]
    return "\n".join([*lines, *_caveats(answers[0].draws, refits)])


def _caveats(draws: int, refits: bool) -> tuple[str, ...]:
    sampling = (
        f"± sampling: Monte-Carlo standard error of {draws:,} draws from the trained models alone;"
    )
    if refits:
        return (
            sampling,
            "± refits: standard deviation over models refitted to resampled rows, sampling included.",
        )
    return (
        sampling,
        "it leaves out the error of the models and of finite data: train { bootstrap = 20 } adds that.",
    )


def _number(value: float | None, error: float) -> str:
    """A number to the second digit of its error, and an error to two digits."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "undefined"
    if not (math.isfinite(error) and error > 0):
        return f"{value:.5g}"
    return f"{value:,.{max(0, 1 - math.floor(math.log10(error)))}f}"
