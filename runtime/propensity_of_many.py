"""Propensities and weights of rows too many for memory: every column of them is made part by part, in a file.

The same as of fewer rows but for this: the fold of a row is a hash of its number, and fold models are trained
on all rows with those of the fold at weight 0; calibration looks at rows drawn at random; log P of every level
is not kept, so weights are not averaged over what a fit does not see (see ``smoothing``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from causalc.runtime import weights as weighting
from causalc.runtime.crossfit import FOLDS, Task, fold_name, scores
from causalc.runtime.data import Columns
from causalc.runtime.families.protocol import Shape, Tensors
from causalc.runtime.fitting import mass
from causalc.runtime.mass import Mass
from causalc.runtime.noise import derive
from causalc.runtime.stored import Column, Stored, Uniforms, computed, row_numbers, slices, some

if TYPE_CHECKING:
    from causalc.runtime.propensity import Propensity

_Read = Callable[[slice], np.ndarray]


def fit(
    tasks: Sequence[Task], columns: Columns, shape: Shape, scratch: Path | None
) -> tuple[Stored, Stored]:
    """Return log p and log q of each row, float64 in files in ``scratch``."""
    links = [_Link(task, columns, scratch) for task in tasks]
    log_p = _sum([link.log_p() for link in links], scratch)
    if all(kind.discrete for _, kind in shape.targets):
        read = marginal(columns, shape.target_names, tasks[0].weights)
        return log_p, computed(columns.rows, read, scratch)
    return log_p, _sum([link.log_q for link in links], scratch)


def _sum(parts: list[Stored], scratch: Path | None) -> Stored:
    if len(parts) == 1:
        return parts[0]
    return computed(len(parts[0]), lambda at: np.sum([one[at] for one in parts], axis=0), scratch)


class _Link:
    """One link of a propensity of many rows."""

    def __init__(self, task: Task, columns: Columns, scratch: Path | None) -> None:
        self.task, self.columns, self.scratch = task, columns, scratch
        ((self.target, self.kind), *_) = task.shape.targets
        self.sample = some(columns.rows, derive(task.setting.seed, "calibration"))
        self.weights = None if task.weights is None else task.weights[self.sample]

    def log_p(self) -> Stored:
        """Return log p: in sample for a table, else out of fold and calibrated."""
        task = self.task
        if task.spec.family == "table":
            fitted = task.train(task.shape, task.rows, mass(task.weights), "all rows")
            return self._file(lambda part: scores(fitted, *_at(task.rows, part)))
        folds = _Folds(task, self.columns.rows)
        if not self.kind.discrete:
            return self._density(folds)
        t, e = weighting.calibrated(folds(self.sample), self._codes(self.sample), self.weights)
        task.tell_tail(e)

        def log_p(part: slice) -> np.ndarray:
            every, codes = weighting.apply_calibration(folds(part), t, e), self._codes(part)
            return np.asarray(every[np.arange(len(codes)), codes])

        return self._file(log_p)

    def _density(self, folds: _Folds) -> Stored:
        _, e = weighting.defensive(folds(self.sample), self.log_q[self.sample], self.weights)
        self.task.tell_tail(e)
        return self._file(lambda part: weighting.mix(folds(part), self.log_q[part], e))

    @cached_property
    def log_q(self) -> Stored:
        """The log marginal of the link's targets."""
        task = self.task
        if self.kind.discrete:
            return self._file(marginal(self.columns, task.shape.target_names, task.weights))
        shape = Shape(task.shape.targets, ())
        alone = task.train(shape, task.rows, mass(task.weights), "marginal")
        return self._file(lambda part: scores(alone, *_at(task.rows, part)))

    def _codes(self, at: slice | np.ndarray) -> np.ndarray:
        return self.columns[self.target][at]

    def _file(self, read: _Read) -> Stored:
        return computed(self.columns.rows, read, self.scratch)


class _Folds:
    """Models of all folds; called with a slice or row numbers it returns the scores of each row out of fold."""

    def __init__(self, task: Task, rows: int) -> None:
        self._rows, self._task = rows, task
        self._uniform = Uniforms(rows, derive(task.setting.seed, "folds"))
        weights = mass(task.weights) or Mass(rows, lambda at: np.ones(len(row_numbers(at, rows))))
        self._models = [
            task.train(task.shape, task.rows, weights.among(self._outside(k)), fold_name(k))
            for k in range(FOLDS)
        ]

    def _fold(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray((self._uniform[rows] * FOLDS).astype(np.int8))

    def _outside(self, k: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda rows: self._fold(rows) != k

    def __call__(self, at: slice | np.ndarray) -> np.ndarray:
        fold = self._fold(row_numbers(at, self._rows))
        rows, _ = _at(self._task.rows, at)
        found: list[np.ndarray] = []
        for k, model in enumerate(self._models):
            held = torch.from_numpy(np.flatnonzero(fold == k))
            found.append(scores(model, {v: column[held] for v, column in rows.items()}, len(held)))
        every = np.concatenate(found)
        every[np.argsort(fold, kind="stable")] = every.copy()
        return every


def _at(rows: Tensors, at: slice | np.ndarray) -> tuple[Tensors, int]:
    """Return some of the rows, and how many they are."""
    index = at if isinstance(at, slice) else torch.from_numpy(at)
    found = {name: column[index] for name, column in rows.items()}
    return found, len(next(iter(found.values())))


def marginal(columns: Columns, names: Sequence[str], weights: Column | None = None) -> _Read:
    """Return what reads the log of the joint (weighted) share of each row's combination of codes."""
    sizes = tuple(len(columns.schema[name].levels) for name in names)

    def cells(part: slice) -> np.ndarray:
        return np.ravel_multi_index([columns[name][part] for name in names], sizes)

    shares = np.zeros(int(np.prod(sizes)))
    for part in slices(columns.rows):
        mass_here = None if weights is None else weights[part]
        shares += np.bincount(cells(part), mass_here, len(shares))
    with np.errstate(divide="ignore"):  # combinations that no row has
        log_shares = np.log(shares / shares.sum())
    return lambda part: log_shares[cells(part)]


def weights_of(
    columns: Columns,
    by: Sequence[Propensity],
    base: Column | None,
    most: float | None,
    scratch: Path | None,
) -> Stored:
    """Return weights ``base · q / p`` with a mean of one, none above ``most`` times it, in a file in ``scratch``.

    Where to cut them is judged by rows drawn at random.
    """
    fixed = [name for model in by for name in model.targets]
    log_q: list[_Read] = [model.log_q.__getitem__ for model in by]
    if all(model.discrete for model in by):
        log_q = [marginal(columns, fixed, base)]

    def log_ratio(at: slice) -> np.ndarray:
        log_p = np.sum([model.log_p[at] for model in by], axis=0)
        return np.asarray(np.sum([read(at) for read in log_q], axis=0) - log_p)

    rows, sizes = columns.rows, [*slices(columns.rows)]
    top = max(float(log_ratio(part).max()) for part in sizes)

    def plain(at: slice) -> np.ndarray:
        return np.asarray(np.exp(log_ratio(at) - top) * (1.0 if base is None else base[at]))

    found = computed(rows, plain, scratch)
    cut = np.inf if most is None else weighting.bound(found[some(rows, 0)], most)
    total = sum(float(np.minimum(found[part], cut).sum()) for part in sizes)
    return computed(rows, lambda part: np.minimum(found[part], cut) * (rows / total), scratch)
