"""Canonical columns to tensors and back, with a state that is JSON.

Codes stay codes (``int64``; of texts ``int32``); images are ``uint8`` tensors ``(n, channels, h, w)`` until ``unpack``
makes them floats in [-1, 1]; numbers and vectors become floats of about unit scale, either
standardised or through a quantile transform with exact inverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import torch

from causalc.errors import CausalcError
from causalc.runtime.schema import Kind
from causalc.runtime.stored import Column, Uniforms, some

_KNOTS = 201
_ATOM = 0.02  # a value in at least this share of the rows is a point mass
_FURTHEST = 1e12  # standard deviations, of any use and of float32
_TAIL = 4.5  # excess kurtosis from which auto prefers quantiles


@dataclass(frozen=True, slots=True)
class Encoder:
    """How one variable becomes a tensor. ``state`` holds numbers by name, JSON as it stands.

    ``method`` is "codes", "tokens", "pixels", "standard" or "quantile".
    """

    kind: Kind
    method: str
    state: tuple[tuple[str, tuple[float, ...]], ...] = ()

    @property
    def width(self) -> int:
        """Numbers that one encoded value takes."""
        return self.kind.width

    def encode(self, values: np.ndarray, uniform: np.ndarray | None = None) -> torch.Tensor:
        """Return the tensor of canonical ``values``: shape ``(n,)`` codes, ``(n, c, h, w)`` or
        ``(n, d)``, d = 1 for numbers, the most tokens for texts.

        With ``uniform`` (floats in [0, 1), one a row) integers and point masses are spread over
        their interval, as a density model needs of its targets; ``decode`` undoes it exactly.
        """
        if self.method == "codes":
            return torch.from_numpy(np.array(values, np.int64))
        if self.method == "tokens":
            return torch.from_numpy(np.array(values, np.int32))
        if self.method == "pixels":
            return torch.from_numpy(np.array(values.transpose(0, 3, 1, 2), np.uint8, order="C"))
        rows = values.reshape(len(values), -1).astype(np.float64)
        if self.kind.name == "integer" and uniform is not None and self.method == "standard":
            rows = rows + (uniform[:, None] - 0.5)
        state = dict(self.state)
        if self.method == "standard":
            coded = (rows - np.array(state["mean"])) / np.array(state["scale"])
        else:
            coded = _forward(rows[:, 0], uniform, state)[:, None]
        far = ~(np.abs(coded) < _FURTHEST).all(axis=1)
        if far.any():
            row = int(far.argmax())
            raise CausalcError(
                f"{self.kind}: the value {rows[row].tolist()} (row {row}) lies more than {_FURTHEST:g} standard "
                "deviations off the data this model was trained on; nothing can be said there."
            )
        return torch.from_numpy(coded.astype(np.float32))

    def decode(self, tensor: torch.Tensor) -> np.ndarray:
        """Return canonical values, the inverse of ``encode`` (and of ``unpack`` for images)."""
        array = tensor.detach().cpu().numpy()
        if self.method == "codes":
            return array.astype(np.int64)
        if self.method == "tokens":
            return array.astype(np.int32)
        if self.method == "pixels":
            height, width, channels = self.kind.shape
            pixels = array.reshape(len(array), channels, height, width).transpose(0, 2, 3, 1)
            if pixels.dtype != np.uint8:
                pixels = np.rint(np.clip((pixels + 1) * 127.5, 0, 255))
            return np.ascontiguousarray(pixels, dtype=np.uint8)
        coded = array.reshape(len(array), -1).astype(np.float64)
        state = dict(self.state)
        if self.method == "standard":
            rows = coded * np.array(state["scale"]) + np.array(state["mean"])
        else:
            rows = _backward(coded[:, 0], state)[:, None]
        return self._shaped(rows)

    def _shaped(self, rows: np.ndarray) -> np.ndarray:
        if self.kind.name == "vector":
            return rows.astype(np.float32)
        flat = rows[:, 0]
        return np.rint(flat).astype(np.int64) if self.kind.name == "integer" else flat

    @property
    def faulty(self) -> bool:
        """Whether the state is not one that ``fit_encoder`` gives for the kind."""
        wanted = {"image": ("pixels",), "text": ("tokens",), "vector": ("standard",)}.get(
            self.kind.name, ("codes",) if self.kind.discrete else ("standard", "quantile")
        )
        state = {name: np.array(values, np.float64) for name, values in self.state}
        if self.method not in wanted or not all(np.isfinite(v).all() for v in state.values()):
            return True
        if self.method == "standard":
            shapes = {name: values.shape for name, values in state.items()}
            return shapes != dict.fromkeys(("mean", "scale"), (self.kind.width,)) or bool(
                (state["scale"] <= 0).any()
            )
        if self.method != "quantile":
            return bool(state)
        if set(state) != {"x", "z"} or not 2 <= len(state["x"]) == len(state["z"]):
            return True
        return bool((np.diff(state["x"]) < 0).any() or (np.diff(state["z"]) <= 0).any())

    def to_json(self) -> dict[str, object]:
        """Return the encoder as a JSON value; ``from_json`` is the inverse."""
        state = {name: list(values) for name, values in self.state}
        return {"kind": self.kind.to_json(), "method": self.method, "state": state}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Encoder:
        """Read an encoder written by ``to_json``."""
        state = tuple((name, tuple(values)) for name, values in value["state"].items())
        return Encoder(Kind.from_json(value["kind"]), str(value["method"]), state)


class Encoded:
    """A column that is encoded where it is read: ``encoded[slice or row numbers]`` is a tensor.

    Stands for the tensor of all rows where that would be large; ``chosen`` are the rows it is of.
    """

    device = torch.device("cpu")

    def __init__(
        self,
        values: Column,
        encoder: Encoder,
        uniform: Uniforms | None = None,
        chosen: np.ndarray | None = None,
    ) -> None:
        self._values, self._encoder, self._uniform = values, encoder, uniform
        self._chosen = chosen

    def __len__(self) -> int:
        return len(self._values if self._chosen is None else self._chosen)

    def __getitem__(self, rows: slice | torch.Tensor) -> torch.Tensor:
        at = self._rows(rows)
        uniform = None if self._uniform is None else self._uniform[at]
        return self._encoder.encode(self._values[at], uniform)

    def only(self, rows: torch.Tensor) -> Encoded:
        """Return the column of these rows."""
        chosen = self._rows(rows)
        assert not isinstance(chosen, slice)
        return Encoded(self._values, self._encoder, self._uniform, chosen)

    def _rows(self, rows: slice | torch.Tensor) -> slice | np.ndarray:
        at = rows if isinstance(rows, slice) else rows.numpy()
        return at if self._chosen is None else self._chosen[at]


def unpack(tensor: torch.Tensor) -> torch.Tensor:
    """Return images as floats in [-1, 1]; anything else unchanged."""
    return tensor.to(torch.float32) / 127.5 - 1 if tensor.dtype == torch.uint8 else tensor


def fit_encoder(values: Column, kind: Kind, transform: str = "auto") -> Encoder:
    """Choose and fit the encoder of a canonical column.

    ``transform`` is "standard", "quantile" or "auto": quantiles where point masses or heavy tails
    make them pay. It concerns real and integer variables only.
    """
    if kind.discrete:
        return Encoder(kind, "codes")
    if kind.name in ("image", "text"):
        return Encoder(kind, "pixels" if kind.name == "image" else "tokens")
    if len(values) == 0:
        raise CausalcError("There are no rows to learn from.")
    values = values[some(len(values), 0)]
    rows = values.reshape(len(values), -1).astype(np.float64)
    if kind.name == "integer" and transform == "auto":
        transform = "standard" if not _heavy(rows[:, 0]) else "quantile"
    if kind.name == "real" and transform == "auto":
        pays = _heavy(rows[:, 0]) or len(_atoms(rows[:, 0])) > 0
        transform = "quantile" if pays else "standard"
    if kind.scalar and transform == "quantile" and rows.min() < rows.max():
        return Encoder(kind, "quantile", _knots(rows[:, 0], kind))
    scale = rows.std(axis=0)
    scale = np.where(scale > 1e-12 * (1 + np.abs(rows).max(axis=0)), scale, 1.0)
    state = (("mean", tuple(rows.mean(axis=0).tolist())), ("scale", tuple(scale.tolist())))
    return Encoder(kind, "standard", state)


def _heavy(values: np.ndarray) -> bool:
    spread = values.std()
    if spread == 0:
        return False
    return bool((((values - values.mean()) / spread) ** 4).mean() - 3 > _TAIL)


def _atoms(values: np.ndarray) -> np.ndarray:
    distinct, counts = np.unique(values, return_counts=True)
    return np.asarray(distinct[counts >= max(10, _ATOM * len(values))])


def _knots(values: np.ndarray, kind: Kind) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """Fit a piecewise linear map from values to normal scores; point masses take an interval.

    Knots are (x, z) pairs, both non-decreasing; two knots with equal x bound a point mass.
    """
    ordered = np.sort(values)
    n = len(ordered)
    if kind.name == "integer":
        atoms = np.unique(ordered) if len(np.unique(ordered)) <= _KNOTS else _atoms(values)
    else:
        atoms = _atoms(values)
    grid = np.unique(ordered[np.linspace(0, n - 1, min(_KNOTS, n)).astype(int)])
    points: list[tuple[float, float]] = []
    for x in np.unique(np.concatenate([grid, atoms])):
        low = np.searchsorted(ordered, x, "left")
        high = np.searchsorted(ordered, x, "right")
        ends = (low, high) if x in atoms else ((low + high) / 2,)
        points += [(float(x), (float(end) + 0.5) / (n + 1)) for end in ends]
    normal = NormalDist()
    scores = np.maximum.accumulate([normal.inv_cdf(p) for _, p in points])
    scores = scores + np.arange(len(scores)) * 1e-9  # strictly increasing
    return (("x", tuple(x for x, _ in points)), ("z", tuple(scores.tolist())))


def _forward(
    values: np.ndarray, uniform: np.ndarray | None, state: Mapping[str, tuple[float, ...]]
) -> np.ndarray:
    x, z = np.array(state["x"]), np.array(state["z"])
    keep = np.append(x[1:] != x[:-1], True)
    first = np.append(True, x[1:] != x[:-1])
    coded = np.interp(values, x[keep], (z[keep] + z[first]) / 2)
    between = np.searchsorted(x, values, "left")
    inside = (between > 0) & (between < len(x)) & (x[np.minimum(between, len(x) - 1)] != values)
    i = np.clip(between, 1, len(x) - 1)
    width = np.where(x[i] > x[i - 1], x[i] - x[i - 1], 1)
    line = z[i - 1] + (z[i] - z[i - 1]) * (values - x[i - 1]) / width
    coded = np.where(inside, line, coded)
    if uniform is not None:
        low, high = (
            torch.special.ndtr(torch.from_numpy(z[ends])).numpy() for ends in (first, keep)
        )
        where = np.clip(np.searchsorted(x[keep], values), 0, keep.sum() - 1)
        exact = x[keep][where] == values
        share = torch.from_numpy(low[where] + uniform * (high[where] - low[where]))
        spread = np.clip(torch.special.ndtri(share).numpy(), z[first][where], z[keep][where])
        coded = np.where(exact, spread, coded)
    return np.asarray(coded + _beyond(values, x[0], x[-1], *_slopes(x, z)))


def _slopes(x: np.ndarray, z: np.ndarray) -> tuple[float, float]:
    """Return slopes of the linear tails: those of the outer tenth of the knots."""
    step = max(1, len(x) // 10)
    low = (z[step] - z[0]) / max(x[step] - x[0], 1e-12)
    high = (z[-1] - z[-1 - step]) / max(x[-1] - x[-1 - step], 1e-12)
    return float(low), float(high)


def _beyond(values: np.ndarray, first: float, last: float, low: float, high: float) -> np.ndarray:
    return np.asarray(np.minimum(values - first, 0) * low + np.maximum(values - last, 0) * high)


def _backward(coded: np.ndarray, state: Mapping[str, tuple[float, ...]]) -> np.ndarray:
    x, z = np.array(state["x"]), np.array(state["z"])
    low, high = _slopes(x, z)
    inner = np.interp(coded, z, x)
    return np.asarray(inner + _beyond(coded, z[0], z[-1], 1 / max(low, 1e-9), 1 / max(high, 1e-9)))
