"""Weighted counts: discrete targets given discrete inputs, with back-off for rare cells.

The conditional of a cell of n (weighted) rows is (counts + s·p') / (n + s), where p' is the same
conditional with the least informative input dropped, and so on down to a uniform distribution.
s is the smoothing in rows: unless it is set, at each depth the least that the likelihood of every
row given the others does not reject, so with rows enough the table is their counts. An unseen cell
takes the finest coarser conditional that was seen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from causalc.errors import CausalcError
from causalc.runtime.families.protocol import Setting, Shape, Tensors, Variables
from causalc.runtime.mass import Mass
from causalc.runtime.noise import Noise
from causalc.runtime.progress import Report
from causalc.runtime.specs import ModelSpec
from causalc.runtime.stored import slices

MOST_OUTCOMES = 4096
_SMOOTHINGS = np.geomspace(0.01, 300, 28)
_REJECTED = 1.92  # half the 95 % point of a chi-square of one degree, in nats


def sizes(variables: Variables) -> tuple[int, ...]:
    """Return the number of levels of each variable."""
    return tuple(len(kind.levels) for _, kind in variables)


def _keys(names: tuple[str, ...], dims: tuple[int, ...], rows: Tensors, n: int) -> np.ndarray:
    keys = np.zeros(n, np.int64)
    for name, size in zip(names, dims, strict=True):
        keys = keys * size + rows[name].cpu().numpy()
    return keys


@dataclass(frozen=True, slots=True)
class _Level:
    """Conditionals given the first inputs of an order: sorted cell keys, one row of p a cell."""

    names: tuple[str, ...]
    dims: tuple[int, ...]
    cells: np.ndarray
    probabilities: np.ndarray

    def find(self, inputs: Tensors, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return each row's cell and whether it was seen."""
        keys = _keys(self.names, self.dims, inputs, n)
        where = np.clip(np.searchsorted(self.cells, keys), 0, len(self.cells) - 1)
        return where, self.cells[where] == keys


@dataclass(frozen=True, slots=True)
class FittedTable:
    """Conditional probabilities by cell, finest conditioning first."""

    shape: Shape
    levels: tuple[_Level, ...]

    def probabilities(self, inputs: Tensors, n: int) -> np.ndarray:
        """Return ``(n, outcomes)`` float64 probabilities of the joint target codes."""
        left = np.ones(n, bool)
        result = np.empty((n, self.levels[0].probabilities.shape[1]))
        for level in self.levels:
            where, seen = level.find(inputs, n)
            take = left & seen
            result[take] = level.probabilities[where[take]]
            left &= ~seen
        return result

    def sample(self, n: int, inputs: Tensors, noise: Noise) -> dict[str, torch.Tensor]:
        """Draw target codes by inversion."""
        cumulative = self.probabilities(inputs, n).cumsum(axis=1)
        cumulative[:, -1] = 1.0
        joint = (noise.uniform()[:, None] >= cumulative).sum(axis=1)
        codes = np.unravel_index(joint, sizes(self.shape.targets))
        names = self.shape.target_names
        return {k: torch.from_numpy(c.astype(np.int64)) for k, c in zip(names, codes, strict=True)}

    def log_prob(self, targets: Tensors, inputs: Tensors) -> torch.Tensor:
        """Return log probabilities of target codes."""
        names = self.shape.target_names
        n = len(targets[names[0]])
        joint = _keys(names, sizes(self.shape.targets), targets, n)
        return torch.from_numpy(np.log(self.probabilities(inputs, n)[np.arange(n), joint]))

    def save(self, folder: Path) -> None:
        """Write the cells and their probabilities."""
        from safetensors.numpy import save_file

        arrays = {}
        for i, level in enumerate(self.levels):
            arrays[f"cells.{i}"] = level.cells
            arrays[f"probabilities.{i}"] = level.probabilities
        order = [list(level.names) for level in self.levels]
        text = json.dumps({"shape": self.shape.to_json(), "levels": order}, indent=1)
        (folder / "config.json").write_text(text)
        save_file(arrays, folder / "table.safetensors")


_WAITING = 1 << 20  # counts of parts that wait to be joined


@dataclass(frozen=True, slots=True)
class _Counts:
    """Rows that agree in every code and in weight, counted once.

    ``rows`` are their codes, ``mass`` is the weight of one of them and ``times`` how many there are. Many weighted
    rows need agree in their codes alone: they stand as so many rows of one weight as have their Σw and Σw².
    """

    rows: dict[str, torch.Tensor]
    mass: np.ndarray
    times: np.ndarray

    @staticmethod
    def of(shape: Shape, rows: Tensors, weights: torch.Tensor | None) -> _Counts:
        """Count rows, part by part."""
        distinct = _alike if isinstance(weights, Mass) else _distinct
        variables = (*shape.inputs, *shape.targets)
        names, dims = tuple(name for name, _ in variables), sizes(variables)
        counted: _Weighted = np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64)
        waiting: list[_Weighted] = []
        for part in slices(len(rows[names[0]])):
            here = {name: rows[name][part] for name in names}
            keys = _keys(names, dims, here, len(here[names[0]]))
            ones = np.ones(len(keys), np.int64)
            mass = ones.astype(np.float64) if weights is None else weights[part].cpu().numpy()
            waiting.append(distinct(keys, mass, ones))
            if sum(len(one[0]) for one in waiting) > max(_WAITING, len(counted[0])):
                counted, waiting = distinct(*_joined([counted, *waiting])), []
        keys, mass, times = distinct(*_joined([counted, *waiting]))
        codes = zip(names, np.unravel_index(keys, dims), strict=True)
        return _Counts({k: torch.from_numpy(c.astype(np.int64)) for k, c in codes}, mass, times)


_Weighted = tuple[np.ndarray, np.ndarray, np.ndarray]  # keys, mass, times


def _joined(parts: list[_Weighted]) -> _Weighted:
    keys, mass, times = (np.concatenate(each) for each in zip(*parts, strict=True))
    return keys, mass, times


def _alike(keys: np.ndarray, mass: np.ndarray, times: np.ndarray) -> _Weighted:
    """Return the distinct keys in order, each with rows of one weight that keep its Σw and Σw²."""
    found, at = np.unique(keys, return_inverse=True)
    first, second = (np.bincount(at, times * power, len(found)) for power in (mass, mass**2))
    one = np.divide(second, first, out=np.ones(len(found)), where=first > 0)
    return found, one, first / one


def _distinct(keys: np.ndarray, mass: np.ndarray, times: np.ndarray) -> _Weighted:
    """Return the distinct pairs of key and mass in order, and the sum of the times of each."""
    even = bool((mass == mass[:1]).all())
    order = np.argsort(keys, kind="stable") if even else np.lexsort((mass, keys))
    keys, mass = keys[order], mass[order]
    new = np.ones(len(keys), bool)
    new[1:] = (keys[1:] != keys[:-1]) | (mass[1:] != mass[:-1])
    first = np.flatnonzero(new)
    total = np.add.reduceat(times[order], first) if len(first) else times
    return keys[first], mass[first], total


def _information(codes: np.ndarray, size: int, target: np.ndarray, weights: np.ndarray) -> float:
    """Return the mutual information of an input and the target, in nats."""
    outcomes = int(target.max()) + 1
    joint = np.bincount(codes * outcomes + target, weights, size * outcomes)
    p = joint.reshape(size, outcomes) / joint.sum()
    independent = p.sum(1, keepdims=True) * p.sum(0, keepdims=True)
    seen = p > 0
    return float((p[seen] * np.log(p[seen] / independent[seen])).sum())


def fit(
    shape: Shape,
    rows: Tensors,
    weights: torch.Tensor | None,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> FittedTable:
    """Count. Raises CausalcError where a variable is not discrete or the joint target too wide."""
    outcomes = _outcomes(shape)
    chosen = float(spec.get("smoothing", 0.0))  # type: ignore[arg-type]
    found = _Counts.of(shape, rows, weights)
    rows, mass = found.rows, found.mass * found.times
    n = len(mass)
    target = _keys(shape.target_names, sizes(shape.targets), rows, n)
    gain = {
        name: _information(rows[name].cpu().numpy(), len(kind.levels), target, mass)
        for name, kind in shape.inputs
    }
    order = sorted(shape.inputs, key=lambda item: (-gain[item[0]], item[0]))
    levels: list[_Level] = []
    for depth in range(len(order) + 1):
        used = tuple(name for name, _ in order[:depth])
        dims = sizes(tuple(order[:depth]))
        cells, index, first = _cells(_keys(used, dims, rows, n))
        counts = np.bincount(index * outcomes + target, mass, len(cells) * outcomes)
        counts = counts.reshape(len(cells), outcomes)
        if levels:
            where, _ = levels[-1].find(
                {k: rows[k][torch.from_numpy(first)] for k in used}, len(cells)
            )
            prior = levels[-1].probabilities[where]
        else:
            prior = np.full((1, outcomes), 1 / outcomes)
        smoothing = chosen or _least(counts, prior, (index, target), found)
        total = counts.sum(axis=1, keepdims=True) + smoothing
        levels.append(_Level(used, dims, cells, (counts + smoothing * prior) / total))
    return FittedTable(shape, tuple(reversed(levels)))


def _least(
    counts: np.ndarray, prior: np.ndarray, at: tuple[np.ndarray, np.ndarray], rows: _Counts
) -> float:
    """Return the least smoothing whose leave-one-out likelihood is not rejected against the best.

    ``at`` is the cell and the outcome of each of ``rows``.
    """
    mass = rows.mass * rows.times
    same = counts[at] - rows.mass
    others = counts.sum(axis=1)[at[0]] - rows.mass
    expected = np.broadcast_to(prior, counts.shape)[at]
    scores = [
        mass @ np.log((same.clip(min=0) + s * expected) / (others.clip(min=0) + s))
        for s in _SMOOTHINGS
    ]
    good = np.array(scores) >= max(scores) - _REJECTED
    return float(_SMOOTHINGS[int(np.argmax(good))])


def _cells(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cells, first, index = np.unique(keys, return_index=True, return_inverse=True)
    return cells, index.reshape(-1), first


def _outcomes(shape: Shape) -> int:
    for name, kind in (*shape.targets, *shape.inputs):
        if not kind.discrete:
            raise CausalcError(
                f"{shape}: table() counts discrete variables and {name} is {kind}; "
                "use softmax(), mixture() or diffusion()."
            )
    outcomes = int(np.prod(sizes(shape.targets)))
    cells = np.prod([float(s) for s in sizes((*shape.inputs, *shape.targets))])
    if outcomes > MOST_OUTCOMES or cells > 2**62:
        raise CausalcError(f"{shape}: too many levels for table(); use softmax().")
    return outcomes


def load(folder: Path, device: str) -> FittedTable:
    """Read what ``FittedTable.save`` wrote."""
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    shape = Shape.from_json(config["shape"])
    arrays = load_file(folder / "table.safetensors")
    kinds, outcomes = dict(shape.inputs), int(np.prod(sizes(shape.targets)))
    levels = []
    for i, names in enumerate(config["levels"]):
        dims = sizes(tuple((name, kinds[name]) for name in names))
        levels.append(
            _Level(tuple(names), dims, arrays[f"cells.{i}"], arrays[f"probabilities.{i}"])
        )
        if _unsound(levels[-1], outcomes):
            raise CausalcError(f"{folder}: its cells are not those of a table.")
    if not levels or levels[-1].names:  # the last one serves inputs that were never seen
        raise CausalcError(f"{folder}: its cells are not those of a table.")
    return FittedTable(shape, tuple(levels))


def _unsound(level: _Level, outcomes: int) -> bool:
    cells, p = level.cells, level.probabilities
    if cells.ndim != 1 or len(cells) == 0 or cells.dtype != np.int64 or p.dtype != np.float64:
        return True
    if p.shape != (len(cells), outcomes) or (np.diff(cells) <= 0).any():
        return True
    return not np.allclose(p.sum(axis=1), 1) or bool((p < 0).any())
