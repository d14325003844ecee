"""Observed, reweighted and generated data sets: lazily made, identified by what determines them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from causalc.runtime.data import Columns
from causalc.runtime.store import key_of
from causalc.runtime.stored import Column

if TYPE_CHECKING:
    from causalc.runtime.smoothing import Smoother


@dataclass(slots=True, eq=False)
class Dataset:
    """Rows to fit on. ``identity(names)`` keys them; ``columns`` and ``weights`` make them.

    Rows are made on first use, so a run whose fits are all in the store generates none.
    """

    names: tuple[str, ...]
    identify: Callable[[tuple[str, ...]], object]
    make_columns: Callable[[], Columns]
    make_weights: Callable[[], Column | None]
    smoother: Smoother | None = None
    _columns: Columns | None = field(default=None, repr=False)
    _weights: tuple[Column | None] | None = field(default=None, repr=False)

    def identity(self, names: Sequence[str]) -> str:
        """Return the key of these columns of the data set."""
        return key_of(self.identify(tuple(sorted(names))))

    @property
    def columns(self) -> Columns:
        """The checked columns."""
        if self._columns is None:
            self._columns = self.make_columns()
        return self._columns

    @property
    def weights(self) -> Column | None:
        """Row weights with a mean of one, float64 ``(n,)``, or None where all rows count alike."""
        if self._weights is None:
            self._weights = (self.make_weights(),)
        return self._weights[0]


def observed(columns: Columns, names: tuple[str, ...]) -> Dataset:
    """Return the observed rows; only the columns that a fit uses enter its key."""
    return Dataset(
        names, lambda used: ["observed", columns.fingerprint(used)], lambda: columns, lambda: None
    )


def reweighted(
    base: Dataset,
    keys: Sequence[str],
    options: object,
    weights: Column,
    smoother: Smoother | None = None,
) -> Dataset:
    """Return ``base`` with weights from the propensity models of ``keys``."""

    def identify(used: tuple[str, ...]) -> object:
        return ["reweight", base.identity(used), list(keys), options]

    return Dataset(base.names, identify, lambda: base.columns, lambda: weights, smoother)


def generated(
    names: tuple[str, ...], wiring: object, rows: int, seed: int, make: Callable[[], Columns]
) -> Dataset:
    """Return rows that a network will generate; ``wiring`` is what a ``Trace`` recorded."""
    value: Any = ["generate", wiring, list(names), rows, seed]
    return Dataset(names, lambda used: value, make, lambda: None)
