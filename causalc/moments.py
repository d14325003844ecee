"""The moments of draws, and what a sum, a product or a ratio of them makes of their errors.

Every moment is a mean over draws, or a root of one, so an estimate is a smooth function of means, and its
Monte-Carlo error follows from the row-wise influence of each draw (the delta method).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from causalc.compiler.kinds import plain
from causalc.errors import CausalcError
from causalc.grammar.printer import predicate_text
from causalc.grammar.tree import Moment, Predicate

if TYPE_CHECKING:
    import numpy as np

    from causalc.runtime.schema import Kind, Schema

Column = Any
Table = Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Mean:
    """A number computed from draws, and the influence of every draw on it, ``(n,)`` or zero."""

    value: float
    influence: np.ndarray | float
    notes: tuple[str, ...] = ()

    @property
    def deviation(self) -> float:
        """The standard deviation of the influence; over the root of ``n`` it is the standard error."""
        found = self.influence
        return found if isinstance(found, float) else float(found.std(ddof=1))


def joined(sign: str, a: Mean, b: Mean) -> Mean:
    """Two numbers from the same draws added, subtracted, multiplied or divided."""
    notes = tuple(dict.fromkeys((*a.notes, *b.notes)))
    match sign:
        case "+":
            return Mean(a.value + b.value, a.influence + b.influence, notes)
        case "-":
            return Mean(a.value - b.value, a.influence - b.influence, notes)
        case "*":
            influence = a.influence * b.value + b.influence * a.value
            return Mean(a.value * b.value, influence, notes)
    if b.value == 0:
        return Mean(math.nan, math.nan, (*notes, "the divisor came out as 0: no number"))
    ratio = a.value / b.value
    return Mean(ratio, (a.influence - b.influence * ratio) / b.value, notes)


def moment_of(moment: Moment, table: Table, schema: Schema) -> Mean:
    """A moment of the rows of a table. Raises ``CausalcError`` where the variable's kind has no such moment."""
    import numpy as np

    if moment.function == "Pr":
        events = [_event(p, table[p.name.text], schema[p.name.text]) for p in moment.predicates]
        hits = np.logical_and.reduce(events)
        return Mean(float(hits.mean()), hits - hits.mean(), _rare(moment, hits))
    (predicate,) = moment.predicates
    name = predicate.name.text
    values = _numbers(moment.function, name, table[name], schema[name])
    if moment.function in ("Median", "Quantile"):
        return _quantile(values, 0.5 if moment.share is None else float(moment.share.value))
    if moment.function == "E":
        return Mean(float(values.mean()), values - values.mean())
    squares = (values - values.mean()) ** 2
    variance = float(values.var(ddof=1)) if len(values) > 1 else math.nan
    return Mean(variance, squares - squares.mean())


def _quantile(values: np.ndarray, share: float) -> Mean:
    """The least value that a share of the draws does not exceed.

    Its influence is that of the share below it over the density there, which the spread of the quantiles
    close by gives (Hall and Sheather's width); at a value that many draws share, it is none.
    """
    import numpy as np

    n = len(values)
    width = min(n ** (-1 / 3), share / 2, (1 - share) / 2)
    low, found, high = np.quantile(
        values, [share - width, share, share + width], method="inverted_cdf"
    )
    below = (values <= found) - np.mean(values <= found)
    return Mean(float(found), -below * float(high - low) / (2 * width))


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
