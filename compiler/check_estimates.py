"""The checks of ``estimate``: each moment must come to a number, or to one for each value of what is left open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

from causalc.compiler import estimate_messages as e
from causalc.compiler.check_policies import check_policies
from causalc.compiler.check_questions import check_names
from causalc.compiler.check_values import check_value
from causalc.compiler.checked import CheckedEstimate
from causalc.compiler.kinds import Kind, plain
from causalc.compiler.scope import Scope
from causalc.grammar.printer import name_text
from causalc.grammar.tree import (
    Arithmetic,
    Assignment,
    Call,
    EstimateStatement,
    Expression,
    Literal,
    Moment,
    Predicate,
    Sequence,
    Sweep,
    Value,
)

MOST_POINTS = 1000


def check_estimate(statement: EstimateStatement, scope: Scope) -> CheckedEstimate:
    """Check the moments of an estimate and the values of what it leaves open."""
    found = list(moments(statement.expression))
    if not found:
        scope.say(e.NothingEstimated(statement.expression.span))
    for moment in found:
        check_names(moment.query, scope)
        check_policies(moment.policies, scope)
        for assignment in (*moment.do, *moment.given):
            _check_fixed(assignment, scope)
        for predicate in moment.predicates:
            _check_predicate(moment.function, predicate, scope)
    over = _swept(statement, scope)
    points = prod(len(values) for values in over.values())
    if points > MOST_POINTS:
        scope.say(e.TooManyPoints(statement.over[0].span, points, MOST_POINTS))
    return CheckedEstimate(statement.name.text, statement.expression, statement.span, over)


def open_variables(expression: Expression) -> tuple[str, ...]:
    """The do and condition variables that the moments of an expression leave open, each once."""
    found = (a for x in moments(expression) for a in (*x.do, *x.given))
    return tuple(dict.fromkeys(a.name.text for a in found if a.value is None))


# ---- the values of what is left open


def _swept(statement: EstimateStatement, scope: Scope) -> Mapping[str, tuple[object, ...]]:
    """For each variable of ``over`` its values; none where every level is meant."""
    known = open_variables(statement.expression)
    scope.once("the variable", (s.name for s in statement.over), "swept over")
    found: dict[str, tuple[object, ...]] = {}
    for sweep in statement.over:
        if sweep.name.text not in known:
            if scope.is_known(sweep.name):
                scope.say(e.NotOpen(sweep.name.span, sweep.name.text, known))
        elif values := _values(sweep, scope):
            found[sweep.name.text] = values
    return found


def _values(sweep: Sweep, scope: Scope) -> tuple[object, ...]:
    written = sweep.values
    match written:
        case None:
            return ()
        case Sequence(items) if items:
            for item in items:
                if not scope.is_parameter(item):
                    check_value(sweep.name.text, item, scope)
            return tuple(plain(item) for item in items if isinstance(item, Literal))
        case Call("grid", args):
            return _grid(sweep, args, scope)
    scope.say(e.NoValues(written.span, name_text(sweep.name)))
    return ()


def _grid(sweep: Sweep, args: tuple[Value, ...], scope: Scope) -> tuple[object, ...]:
    """``count`` numbers from ``low`` to ``high``, both among them; whole where all of them are."""
    match [a.value for a in args if isinstance(a, Literal)]:
        case [int() | float() as low, int() | float() as high, int() as count]:
            sound = low < high and 2 <= count <= MOST_POINTS
        case _:
            sound = False
    if not sound:
        assert sweep.values is not None
        scope.say(e.WrongGrid(sweep.values.span, MOST_POINTS))
        return ()
    made = [low + (high - low) * i / (count - 1) for i in range(count)]
    values = tuple(round(v) if v == round(v) and isinstance(low, int) else v for v in made)
    for value in values:
        before = len(scope.found)
        check_value(sweep.name.text, Literal(value, args[0].span), scope)
        if len(scope.found) > before:
            break
    return values


# ---- moments


def moments(expression: Expression) -> Iterator[Moment]:
    """The moments of an expression, from left to right."""
    match expression:
        case Moment():
            yield expression
        case Arithmetic(_, left, right):
            yield from moments(left)
            yield from moments(right)
        case Literal():
            pass


def _check_fixed(assignment: Assignment, scope: Scope) -> None:
    value, kind = assignment.value, scope.kinds.get(assignment.name.text)
    if value is None:
        if kind is not None and kind.name in ("image", "vector", "text"):
            name = name_text(assignment.name)
            scope.say(e.FreeInEstimate(assignment.span, name, str(kind)))
    elif not scope.is_parameter(value):
        check_value(assignment.name.text, value, scope)


def _check_predicate(function: str, predicate: Predicate, scope: Scope) -> None:
    name, kind = predicate.name, scope.kinds.get(predicate.name.text)
    if predicate.value is None or predicate.comparison is None:
        if kind is not None and not _has_mean(kind):
            scope.say(e.NoMean(name.span, function, name.text, str(kind)))
        return
    if scope.is_parameter(predicate.value):
        return
    if kind is not None and predicate.comparison not in _comparisons(kind):
        scope.say(e.NotComparable(predicate.span, name.text, str(kind), predicate.comparison))
    else:
        check_value(name.text, predicate.value, scope)


def _has_mean(kind: Kind) -> bool:
    if kind.levels is not None:
        numbers = all(isinstance(level, int) for level in kind.levels)
        return numbers and kind.name != "categorical"
    return kind.name in ("integer", "real")


def _comparisons(kind: Kind) -> tuple[str, ...]:
    order = ("<", "<=", ">", ">=")
    match kind.name:
        case "binary" | "categorical":
            return ("==", "!=")
        case "ordinal" | "integer":
            return ("==", "!=", *order)
        case "real":
            return order
        case _:
            return ()
