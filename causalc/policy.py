"""Policies: how an intervention sets a variable, at random or by a rule, from variables that it does not move.

``do(X ~ bernoulli(0.3))`` draws X; ``do(X = threshold(Z, 3))`` computes it. A policy is data from a small closed set,
so that the compiler prints it, a program samples it and a table of it is exact. Both halves of the package read this
file; numpy loads on first use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from causalc.errors import CausalcError

if TYPE_CHECKING:
    import numpy as np

Leaf = int | float | str | bool
Columns = Mapping[str, Any]
"""One array of labels a variable, all of one length."""


@dataclass(frozen=True, slots=True)
class ByLevel:
    """``table(Z, {0: f, 1: g})``: for each level of Z what to take."""

    variable: str
    cases: tuple[tuple[Leaf, Function], ...]


@dataclass(frozen=True, slots=True)
class Threshold:
    """``threshold(Z, at)``: ``above`` where Z >= at, else ``below``."""

    variable: str
    at: float
    below: Function = 0
    above: Function = 1


@dataclass(frozen=True, slots=True)
class Linear:
    """``linear(intercept, Z = slope, ...)``."""

    intercept: float
    slopes: tuple[tuple[str, float], ...]


Function = Leaf | ByLevel | Threshold | Linear


@dataclass(frozen=True, slots=True)
class Bernoulli:
    """The second of two levels with probability ``p``, else the first."""

    p: Function


@dataclass(frozen=True, slots=True)
class Categorical:
    """Each level with its probability; levels that are not named have none."""

    cases: tuple[tuple[Leaf, Function], ...]


@dataclass(frozen=True, slots=True)
class Normal:
    """A normal number; on a table, whose values are few, in proportion to the density at them."""

    mean: Function
    sd: Function


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every level alike, or a number between ``low`` and ``high``; whole numbers include both ends."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Exactly:
    """The value of a function: ``do(X = f(Z))``; on a table the nearest level."""

    value: Function


Rule = Bernoulli | Categorical | Normal | Uniform | Exactly


@dataclass(frozen=True, slots=True)
class Policy:
    """``variable`` follows ``rule`` whatever used to cause it; ``text`` is how the query writes it."""

    variable: str
    rule: Rule
    text: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """The variables that the rule reads, each once."""
        return tuple(dict.fromkeys(reads(self.rule)))


def reads(part: object) -> list[str]:
    """The variables in a rule or a function, from left to right."""
    if isinstance(part, ByLevel):
        return [part.variable, *(v for _, f in part.cases for v in reads(f))]
    if isinstance(part, Threshold):
        return [part.variable, *reads(part.below), *reads(part.above)]
    if isinstance(part, Linear):
        return [name for name, _ in part.slopes]
    if isinstance(part, Categorical):
        return [v for _, f in part.cases for v in reads(f)]
    if isinstance(part, Bernoulli | Normal | Exactly):
        return [v for field in fields(part) for v in reads(getattr(part, field.name))]
    return []


# ---- values


def value(function: Function, columns: Columns, n: int) -> np.ndarray:
    """A function at ``n`` rows, as objects; raises ``CausalcError`` for a level without a case."""
    import numpy as np

    match function:
        case ByLevel(variable, cases):
            column, made = columns[variable], np.empty(n, object)
            left = np.ones(n, bool)
            for level, inner in cases:
                here = np.asarray([_same(level, label) for label in column], bool) & left
                made[here] = value(inner, columns, n)[here]
                left &= ~here
            if left.any():
                label = column[int(np.argmax(left))]
                raise CausalcError(f"policy: table({variable}, ...) has no case for {label!r}")
            return made
        case Threshold(variable, at, below, above):
            high = _numbers(columns[variable], variable) >= at
            made = np.where(high, value(above, columns, n), value(below, columns, n))
            return made
        case Linear(intercept, slopes):
            total = np.full(n, float(intercept))
            for name, slope in slopes:
                total += slope * _numbers(columns[name], name)
            return total.astype(object)
        case _:
            made = np.empty(n, object)
            made[:] = function
            return made


def probabilities(
    rule: Rule, levels: Sequence[object], columns: Columns, n: int, variable: str
) -> np.ndarray:
    """P(level | columns), ``(n, levels)``; raises ``CausalcError`` where the rule gives none."""
    import numpy as np

    match rule:
        case Bernoulli(p):
            if len(levels) != 2:
                raise CausalcError(
                    f"policy: bernoulli needs two levels, and `{variable}` has {len(levels)}: "
                    "use categorical({level: probability, ...})"
                )
            high = _shares(value(p, columns, n), variable)
            return np.stack([1 - high, high], axis=1)
        case Categorical(cases):
            made = np.zeros((n, len(levels)))
            for level, share in cases:
                made[:, _find(level, levels, variable)] += _shares(
                    value(share, columns, n), variable
                )
            if not np.allclose(made.sum(axis=1), 1.0, atol=1e-9):
                raise CausalcError(f"policy: the probabilities of `{variable}` do not sum to 1")
            return made
        case Normal(mean, sd):
            middle, spread = value(mean, columns, n).astype(float), _spread(sd, columns, n)
            z = (_numbers(levels, variable)[None, :] - middle[:, None]) / spread[:, None]
            density = np.exp(-0.5 * (z**2 - (z**2).min(axis=1, keepdims=True)))
            return np.asarray(density / density.sum(axis=1, keepdims=True))
        case Uniform(low, high):
            inside = np.ones(len(levels), bool)
            if low is not None and high is not None:
                numbers = _numbers(levels, variable)
                inside = (numbers >= low) & (numbers <= high)
            if not inside.any():
                raise CausalcError(
                    f"policy: no level of `{variable}` lies in uniform({low}, {high})"
                )
            return np.tile(inside / inside.sum(), (n, 1))
        case Exactly(function):
            made = np.zeros((n, len(levels)))
            for i, wanted in enumerate(value(function, columns, n)):
                made[i, _find(wanted, levels, variable, nearest=True)] = 1.0
            return made


def table(
    policy: Policy, levels: Sequence[object], inputs: Mapping[str, Sequence[object]]
) -> np.ndarray:
    """P(variable | inputs): one axis an input, in the order of ``policy.inputs``, then the variable's."""
    import numpy as np

    names = policy.inputs
    sizes = tuple(len(inputs[name]) for name in names)
    places = np.indices(sizes).reshape(len(sizes), -1) if sizes else np.zeros((0, 1), int)
    columns = {v: [inputs[v][i] for i in at] for v, at in zip(names, places, strict=True)}
    n = math.prod(sizes)
    made = probabilities(policy.rule, levels, columns, n, policy.variable)
    return made.reshape(*sizes, len(levels))


def draw(
    policy: Policy,
    levels: Sequence[object] | None,
    whole: bool,
    columns: Columns,
    uniform: np.ndarray,
    normal: np.ndarray,
) -> np.ndarray:
    """Values of the variable, one a row of noise; ``levels`` are those of a discrete variable."""
    import numpy as np

    n, rule = len(uniform), policy.rule
    if levels is not None and not isinstance(rule, Exactly):
        share = probabilities(rule, levels, columns, n, policy.variable)
        at = (uniform[:, None] >= share.cumsum(axis=1)[:, :-1]).sum(axis=1)
        made = np.empty(n, object)
        made[:] = [levels[i] for i in at]
        return made
    match rule:
        case Exactly(function):
            return value(function, columns, n)
        case Normal(mean, sd) if not whole:
            middle: np.ndarray = value(mean, columns, n).astype(float)
            return np.asarray(middle + _spread(sd, columns, n) * normal)
        case Uniform(low, high) if low is not None and high is not None:
            if whole:
                return np.asarray(
                    math.ceil(low) + np.floor(uniform * (math.floor(high) - math.ceil(low) + 1))
                )
            return np.asarray(low + uniform * (high - low))
        case Categorical(cases):
            return draw(policy, [level for level, _ in cases], whole, columns, uniform, normal)
        case Bernoulli():
            return draw(policy, [0, 1], whole, columns, uniform, normal)
    raise CausalcError(f"policy: `{policy.text}` gives no values that `{policy.variable}` can take")


def _same(level: object, label: object) -> bool:
    if isinstance(label, str) or isinstance(level, str):
        return isinstance(label, str) and label == level
    return bool(label == level)


def _find(wanted: object, levels: Sequence[object], variable: str, nearest: bool = False) -> int:
    for i, level in enumerate(levels):
        if _same(wanted, level):
            return i
    numbers = [x for x in (wanted, *levels) if isinstance(x, int | float)]
    if nearest and len(numbers) == len(levels) + 1:
        return min(range(len(levels)), key=lambda i: abs(numbers[i + 1] - numbers[0]))
    shown = ", ".join(map(repr, levels[:10]))
    raise CausalcError(f"policy: `{variable}` has no level {wanted!r}; it takes {shown}")


def _numbers(labels: Sequence[object], variable: str) -> np.ndarray:
    import numpy as np

    try:
        return np.asarray(labels).astype(float)
    except (TypeError, ValueError):
        raise CausalcError(f"policy: the values of `{variable}` are not numbers") from None


def _shares(values: np.ndarray, variable: str) -> np.ndarray:
    shares: np.ndarray = values.astype(float)
    if not ((shares >= 0) & (shares <= 1)).all():
        worst = shares[(shares < 0) | (shares > 1)][0]
        raise CausalcError(f"policy: a probability of `{variable}` would be {worst:g}")
    return shares


def _spread(sd: Function, columns: Columns, n: int) -> np.ndarray:
    spread: np.ndarray = value(sd, columns, n).astype(float)
    if not (spread > 0).all():
        raise CausalcError("policy: the standard deviation of normal(mean, sd) must be above 0")
    return spread
