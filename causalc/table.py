"""Exact probability tables: what the exact backend computes with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from causalc.errors import CausalcError
from causalc.policy import Policy
from causalc.policy import table as tabulated

Array = NDArray[np.float64]


class TableError(CausalcError):
    """A table that does not fit what is asked of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Probabilities over named variables: float64 ``array``, one axis a variable in ``variables``' order.

    ``levels`` optionally names the values along a variable's axis; without it they are 0, 1, 2, ...
    Raises ``TableError`` for a shape that does not fit, negative or non-finite entries.
    """

    variables: tuple[str, ...]
    array: Array
    levels: Mapping[str, Sequence[object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        array = np.asarray(self.array, dtype=np.float64)
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "variables", tuple(self.variables))
        if array.ndim != len(self.variables):
            raise TableError(
                f"the array has {array.ndim} axes for {len(self.variables)} variables; give one axis a variable"
            )
        if len(set(self.variables)) != len(self.variables):
            raise TableError("a variable is named twice in the table")
        if not np.isfinite(array).all() or (array < -1e-12).any():
            raise TableError(
                "the table has negative or non-finite entries; they must be probabilities"
            )
        for name, labels in self.levels.items():
            if name in self.variables and len(labels) != self.size(name):
                raise TableError(
                    f"`{name}` has {len(labels)} levels for an axis of length {self.size(name)}"
                )

    def size(self, name: str) -> int:
        """The number of values of the variable ``name``. Raises ``TableError`` for an unknown one."""
        if name not in self.variables:
            raise TableError(f"the table lacks `{name}`; it has {', '.join(self.variables)}")
        return int(self.array.shape[self.variables.index(name)])

    def position(self, name: str, value: object) -> int:
        """Where ``value`` lies on the axis of ``name``: its level, or an index where there are no levels.

        Raises ``TableError`` for an unknown name or a value that the variable does not take.
        """
        labels = list(self.levels.get(name, range(self.size(name))))
        if value in labels:
            return labels.index(value)
        shown = ", ".join(map(repr, labels[:10]))
        raise TableError(f"`{name}` has no value {value!r}; it takes {shown}")

    def over(self, names: Iterable[str]) -> Array:
        """The marginal over ``names``: float64, axes in that order. Raises ``TableError`` for an unknown name."""
        names = tuple(names)
        missing = [name for name in names if name not in self.variables]
        if missing:
            raise TableError(
                f"the table lacks `{missing[0]}`; it has {', '.join(self.variables)}: "
                "give the joint table of all observed variables"
            )
        kept = [i for i, name in enumerate(self.variables) if name in names]
        dropped = tuple(i for i in range(self.array.ndim) if i not in kept)
        reduced: Array = np.asarray(self.array.sum(axis=dropped))
        present = [self.variables[i] for i in kept]
        return reduced.transpose([present.index(name) for name in names])

    def __repr__(self) -> str:
        sizes = " x ".join(f"{name}:{self.size(name)}" for name in self.variables)
        return f"Table({sizes})"


def needed(given: object) -> None:
    """Raise ``TableError`` where something else than a table is given."""
    if not isinstance(given, Table):
        kind = type(given).__name__
        raise TableError(
            f"a causalc.Table is needed, not a {kind}: Table(variables, array), the probabilities of all observed "
            "variables with one axis each"
        )


def of_policy(joint: Table, policy: Policy) -> Array:
    """A policy as a table: axes are what it reads, then its variable.

    Raises ``CausalcError`` where the levels of ``joint`` do not fit it.
    """
    names = (*policy.inputs, policy.variable)
    joint.over(names)  # says which are missing
    levels = {name: list(joint.levels.get(name, range(joint.size(name)))) for name in names}
    return np.asarray(tabulated(policy, levels[policy.variable], levels), dtype=np.float64)


Fill = np.random.Generator
"""Source of the arbitrary values that stand where a table determines none, that is for 0 / 0."""


def conditional(joint: Array, given: int, fill: Fill) -> Array:
    """P(rest | first ``given`` axes); where the condition has no mass, an arbitrary distribution."""
    axes = tuple(range(given, joint.ndim))
    total = joint.sum(axis=axes, keepdims=True)
    if not (total > 0).all():
        joint = np.where(total > 0, joint, fill.uniform(0.5, 1.5, joint.shape))
        total = joint.sum(axis=axes, keepdims=True)
    result: Array = np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
    return result


def determined(joint: Table, compute: Callable[[Fill], Table]) -> Table:
    """The result of ``compute``, provided that it depends on no 0 / 0 of the table.

    A table with zeros is computed with twice, with different arbitrary values in the undefined places.
    Raises ``TableError`` where the two differ: positivity fails where it matters.
    """
    result = compute(np.random.default_rng(0))
    if (joint.array == 0).any():
        other = compute(np.random.default_rng(1))
        if not np.allclose(result.array, other.array, rtol=0, atol=1e-9):
            raise TableError(
                "positivity fails: the table gives probability 0 to values that the estimand conditions on, "
                "so it does not determine the answer; restrict the query to values that occur together"
            )
    return result


def contract(operands: Sequence[tuple[Array, Sequence[str]]], keep: Sequence[str]) -> Array:
    """Sum of products over named axes: the product of ``operands`` with all but ``keep`` summed out."""
    label: dict[str, int] = {}
    arguments: list[object] = []
    for array, names in operands:
        arguments += [array, [label.setdefault(name, len(label)) for name in names]]
    for name in keep:
        if name not in label:
            raise AssertionError(f"{name} is on no operand")
    if not operands:
        return np.ones(())
    path = "greedy" if len(operands) > 2 else False
    return np.asarray(np.einsum(*arguments, [label[name] for name in keep], optimize=path))  # type: ignore[call-overload]


def answer(
    joint: Table,
    array: Array,
    names: Sequence[str],
    free: Sequence[str],
    outcomes: Sequence[str],
    fixed: Mapping[str, object],
) -> Table:
    """Lay a result out over ``free`` then ``outcomes``: fixed axes sliced, idle ones broadcast, mass checked.

    Raises ``TableError`` where a slice does not sum to 1, that is where positivity fails.
    """
    names = list(names)
    for name, value in fixed.items():
        if name in names:
            array = np.take(array, joint.position(name, value), axis=names.index(name))
            names.remove(name)
    order = (*free, *outcomes)
    present = [name for name in order if name in names]
    array = array.transpose([names.index(name) for name in present])
    shape = tuple(joint.size(name) if name in names else 1 for name in order)
    array = np.broadcast_to(array.reshape(shape), tuple(joint.size(name) for name in order)).copy()
    total = array.sum(axis=tuple(range(len(free), len(order))))
    if not np.allclose(total, 1.0, atol=1e-6):
        raise TableError(
            "positivity fails: the table gives probability 0 to a combination of values that the estimand "
            "conditions on; the answer is not determined there"
        )
    levels = {name: joint.levels[name] for name in order if name in joint.levels}
    return Table(order, array, levels)
