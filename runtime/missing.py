"""Rows without a value: refused, dropped, or given a level of their own, as the kind of each variable says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from causalc.errors import CausalcError
from causalc.runtime.schema import MISSING, Kind, Schema

MARKS = frozenset(("", "NA", "N/A", "NaN", "nan", "NULL", "null"))  # as csv files have them

Kept = np.ndarray | None  # which rows of a part are kept; None: all


@dataclass(slots=True)
class Gaps:
    """What was missing in a table, gathered part by part."""

    schema: Schema
    rows: int = 0
    dropped: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def settle(self, part: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], Kept]:
        """Return the next part with a value in every place, and which of its rows are kept.

        What stands in a row that is dropped means nothing. Raises CausalcError where a value is
        missing of a variable whose kind refuses that.
        """
        first, made, kept = self.rows, dict(part), None
        self.rows += len(next(iter(part.values())))
        for name, values in part.items():
            kind = self.schema[name]
            gone = absent(values) | _marked(values, kind)
            if not gone.any():
                continue
            if kind.missing == "refuse":
                refuse(name, values, first)
            self.counts[name] += int(gone.sum())
            made[name] = _filled(values, gone, kind)
            if kind.missing == "drop":
                kept = ~gone if kept is None else _both(kept, ~gone)
        self.dropped += 0 if kept is None else int((~kept).sum())
        return made, kept

    def findings(self) -> Iterator[str]:
        """Yield a line for each variable that lacked values. Raises CausalcError where no row is left."""
        if self.dropped == self.rows > 0:
            names = ", ".join(sorted(self.counts))
            raise CausalcError(
                f"Every row lacks a value of {names}: none is left (missing = drop)."
            )
        for name, count in self.counts.items():
            about = f"{name} has no value in {count:,} of {self.rows:,} rows"
            if self.schema[name].missing == "drop":
                yield (
                    f"{about}: they were dropped. Answers are right if values are missing completely at random, "
                    "and biased if what makes them missing has to do with the variables."
                )
            else:
                yield (
                    f"{about}: that is the level {MISSING!r}. Confounding by the values that are missing remains "
                    "where the level does not tell them."
                )


def _marked(values: np.ndarray, kind: Kind) -> np.ndarray | bool:
    """Return which labels stand for no value: the usual marks, where they are no levels."""
    if kind.missing == "refuse" or not kind.discrete or values.dtype.kind != "O":
        return False
    marks = MARKS.difference(level for level in kind.levels if isinstance(level, str))
    return np.array([isinstance(value, str) and value in marks for value in values], bool)


def _both(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    if len(one) != len(other):
        raise CausalcError(f"Columns differ in length ({len(one)} and {len(other)}).")
    return np.asarray(one & other)


def _filled(values: np.ndarray, gone: np.ndarray, kind: Kind) -> np.ndarray:
    """Return values with MISSING, or any value of the kind, where they are missing."""
    word: object = 0.0
    if kind.name == "text":
        word = ""
    elif kind.levels:
        word = MISSING if kind.missing == "level" else kind.levels[0]
    made = values.astype(object if isinstance(word, str) else values.dtype)
    if values.ndim == 1 and values.dtype.kind == "O" and kind.name == "vector":
        made[gone] = [np.zeros(kind.shape)] * int(gone.sum())
        return made
    made[gone] = word
    return made


def absent(values: np.ndarray) -> np.ndarray:
    """Return which rows have no value: None or not a number, in any place of an array."""
    if values.dtype.kind == "f":
        flat = np.isnan(values).reshape(len(values), -1)
        return np.asarray(flat.any(axis=1))
    if values.dtype.kind == "O":
        return np.array([v is None or (isinstance(v, float) and v != v) for v in values], bool)
    return np.zeros(len(values), bool)


def refuse(name: str, values: np.ndarray, first: int = 0) -> None:
    """Raise CausalcError if a value is missing; ``first`` is the number of the first row."""
    missing = absent(values)
    if missing.any():
        raise CausalcError(
            f"Column {name!r} has {int(missing.sum())} missing values, the first in row "
            f"{first + int(missing.argmax())} (counted from 0): fill them in, or declare what becomes of such "
            "rows, as in `real(missing=drop)`."
        )
