"""Trained models as torch modules: canonical columns and noise in, canonical columns out, row by row.

They compute what ``Model.sample`` computes with numpy and batches, on tensors alone, so that ``torch.export`` can take
them. Columns have the types that ``Kind`` names; a row of the result depends on the same row of what goes in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from causalc.errors import CausalcError
from causalc.runtime.encode import Encoder
from causalc.runtime.families.table import FittedTable
from causalc.runtime.fitted import Conditional, Rows
from causalc.runtime.noise import Noise

Tensors = Mapping[str, torch.Tensor]


def factor(model: Any) -> Factor:
    """The module of a trained conditional, or of real rows.

    Raises ``CausalcError`` for a model whose draws are no function of tensors (a pretrained pipeline, say).
    """
    if isinstance(model, Rows):
        return RowsFactor(model)
    if isinstance(model, Conditional):
        return ConditionalFactor(model)
    raise CausalcError(f"P({', '.join(model.targets)}): a model of this kind cannot be exported")


class Factor(nn.Module):
    """One model; each kind has both methods of its own. ``noise`` draws what ``forward`` takes beside the columns."""

    targets: tuple[str, ...]

    def noise(self, noise: Noise) -> dict[str, torch.Tensor]:
        """The random numbers of these rows, in the order in which the model draws them."""
        raise NotImplementedError

    def forward(self, columns: Tensors, noise: Tensors) -> dict[str, torch.Tensor]:
        """Columns of the targets, given those of the inputs."""
        raise NotImplementedError


class RowsFactor(Factor):
    """Real rows, drawn with replacement; they become part of what is exported."""

    def __init__(self, model: Rows) -> None:
        super().__init__()
        self.targets = model.targets
        for i, name in enumerate(model.targets):
            self.register_buffer(f"column_{i}", torch.from_numpy(np.array(model.columns[name])))
        weights = model.cumulative
        self.register_buffer(
            "cumulative", None if weights is None else torch.from_numpy(np.array(weights))
        )

    def noise(self, noise: Noise) -> dict[str, torch.Tensor]:
        """A uniform a row."""
        return {"u": torch.from_numpy(noise.uniform())}

    def forward(self, columns: Tensors, noise: Tensors) -> dict[str, torch.Tensor]:
        """The rows that the uniforms point to."""
        total: int = self.get_buffer("column_0").shape[0]
        weights = self.cumulative
        if isinstance(weights, torch.Tensor):
            found = torch.searchsorted(weights, noise["u"] * weights[-1], right=True)
        else:
            found = (noise["u"] * total).long()
        index = found.clamp(max=total - 1)
        return {name: self.get_buffer(f"column_{i}")[index] for i, name in enumerate(self.targets)}


class ConditionalFactor(Factor):
    """A trained conditional: encoders, a chain of links, decoders."""

    def __init__(self, model: Conditional) -> None:
        super().__init__()
        self.targets, self.inputs = model.targets, model.inputs
        self.encoders = nn.ModuleList(Encode(model.encoders[name]) for name in model.inputs)
        self.links = nn.ModuleList(_link(name, fitted) for name, fitted in model.links)
        self.decoders = nn.ModuleList(Decode(model.encoders[name]) for name in model.targets)

    def noise(self, noise: Noise) -> dict[str, torch.Tensor]:
        """The noise of every link; names start with the number of the link."""
        return {
            f"{i}.{name}": values
            for i, link in enumerate(self.links)
            for name, values in link.noise(noise).items()  # type: ignore[operator]
        }

    def forward(self, columns: Tensors, noise: Tensors) -> dict[str, torch.Tensor]:
        """Draw link by link."""
        known = {
            name: encode(columns[name])
            for name, encode in zip(self.inputs, self.encoders, strict=True)
        }
        for i, link in enumerate(self.links):
            mine = {k.partition(".")[2]: v for k, v in noise.items() if k.startswith(f"{i}.")}
            known |= link(known, mine)
        return {
            name: decode(known[name])
            for name, decode in zip(self.targets, self.decoders, strict=True)
        }


def _link(name: str, fitted: Any) -> nn.Module:
    if isinstance(fitted, FittedTable):
        return TableLink(fitted)
    if not hasattr(fitted, "draw"):
        raise CausalcError(f"{fitted.shape}: a model of the family {name} cannot be exported")
    return NeuralLink(fitted)


class NeuralLink(nn.Module):
    """A family that draws on tensors by itself."""

    def __init__(self, fitted: Any) -> None:
        super().__init__()
        self.fitted, self.module = fitted, fitted.module

    def noise(self, noise: Noise) -> dict[str, torch.Tensor]:
        """What the family draws."""
        return {name.strip(): values for name, values in self.fitted.noise(noise).items()}

    def forward(self, known: Tensors, noise: Tensors) -> dict[str, torch.Tensor]:
        """Encoded targets."""
        rows = {f" {name}": values for name, values in noise.items()}
        rows |= {name: known[name] for name, _ in self.fitted.shape.inputs}
        drawn: dict[str, torch.Tensor] = self.fitted.draw(rows)
        return drawn


class TableLink(nn.Module):
    """Conditional probabilities by cell; a cell that was never seen takes a coarser one."""

    def __init__(self, fitted: FittedTable) -> None:
        super().__init__()
        self.levels = [(level.names, level.dims) for level in fitted.levels]
        self.sizes = [(name, len(kind.levels)) for name, kind in fitted.shape.targets]
        for i, level in enumerate(fitted.levels):
            self.register_buffer(f"cells_{i}", torch.from_numpy(np.array(level.cells)))
            self.register_buffer(f"p_{i}", torch.from_numpy(np.array(level.probabilities)))

    def noise(self, noise: Noise) -> dict[str, torch.Tensor]:
        """A uniform a row."""
        return {"u": torch.from_numpy(noise.uniform())}

    def forward(self, known: Tensors, noise: Tensors) -> dict[str, torch.Tensor]:
        """Target codes by inversion."""
        uniform = noise["u"]
        found = self.get_buffer(f"p_{len(self.levels) - 1}")[:1]
        for i in reversed(range(len(self.levels))):
            where, seen = self._find(i, known, uniform)
            found = torch.where(seen[:, None], self.get_buffer(f"p_{i}")[where], found)
        joint = (uniform[:, None] >= found.cumsum(dim=1)[:, :-1]).sum(dim=1)
        codes = {}
        for name, size in reversed(self.sizes):
            codes[name] = joint % size
            joint = joint // size
        return {name: codes[name] for name, _ in self.sizes}

    def _find(
        self, i: int, known: Tensors, uniform: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        keys = torch.zeros_like(uniform, dtype=torch.int64)
        for name, size in zip(*self.levels[i], strict=True):
            keys = keys * size + known[name]
        cells = self.get_buffer(f"cells_{i}")
        where = torch.searchsorted(cells, keys).clamp(max=cells.shape[0] - 1)
        return where, cells[where] == keys


class _Coded(nn.Module):
    """What encoding and decoding share: the state of an ``Encoder`` as buffers of float64."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        if encoder.method not in ("codes", "pixels", "standard", "quantile"):
            raise CausalcError(f"{encoder.kind}: values of this kind cannot be exported")
        self.method, self.kind = encoder.method, encoder.kind
        state = {name: torch.tensor(v, dtype=torch.float64) for name, v in encoder.state}
        if encoder.method == "quantile":
            state |= _line(state["x"], state["z"])
        for name, values in state.items():
            self.register_buffer(name, values)

    def _beyond(
        self, values: torch.Tensor, line: str, low: torch.Tensor, high: torch.Tensor
    ) -> torch.Tensor:
        """What linear tails add outside the knots."""
        knots = self.get_buffer(line)
        below, above = (values - knots[0]).clamp(max=0), (values - knots[-1]).clamp(min=0)
        return below * low + above * high


def _line(x: torch.Tensor, z: torch.Tensor) -> dict[str, torch.Tensor]:
    """The distinct knots of a quantile transform with the middle of each, and the slopes of the tails."""
    new = x[1:] != x[:-1]
    end = torch.ones(1, dtype=torch.bool)
    last, first = torch.cat([new, end]), torch.cat([end, new])
    step = max(1, len(x) // 10)
    low = (z[step] - z[0]) / (x[step] - x[0]).clamp(min=1e-12)
    high = (z[-1] - z[-1 - step]) / (x[-1] - x[-1 - step]).clamp(min=1e-12)
    return {"knots": x[last], "middle": (z[last] + z[first]) / 2, "low": low, "high": high}


def _interpolated(values: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Piecewise linear through the knots, constant outside; ``x`` does not decrease."""
    i = torch.searchsorted(x, values).clamp(1, x.shape[0] - 1)
    width = x[i] - x[i - 1]
    share = ((values - x[i - 1]) / torch.where(width > 0, width, 1)).clamp(0, 1)
    return y[i - 1] + (y[i] - y[i - 1]) * share


class Encode(_Coded):
    """Canonical values to what the families see."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """``(n,)`` codes, ``(n, c, h, w)`` pixels or ``(n, d)`` floats."""
        if self.method == "codes":
            return values.long()
        if self.method == "pixels":
            return values.permute(0, 3, 1, 2)
        rows = values.reshape(-1, self.kind.width).double()
        if self.method == "standard":
            return ((rows - self.get_buffer("mean")) / self.get_buffer("scale")).float()
        return self._scores(rows[:, 0])[:, None].float()

    def _scores(self, values: torch.Tensor) -> torch.Tensor:
        """Normal scores: at a knot the middle of its point mass, between two the line that joins them."""
        x, z = self.get_buffer("x"), self.get_buffer("z")
        coded = _interpolated(values, self.get_buffer("knots"), self.get_buffer("middle"))
        i = torch.searchsorted(x, values)
        inside = (i > 0) & (i < x.shape[0]) & (x[i.clamp(max=x.shape[0] - 1)] != values)
        found = torch.where(inside, _interpolated(values, x, z), coded)
        tails = self.get_buffer("low"), self.get_buffer("high")
        return found + self._beyond(values, "x", *tails)


class Decode(_Coded):
    """What the families draw to canonical values."""

    def forward(self, coded: torch.Tensor) -> torch.Tensor:
        """The inverse of ``Encode``."""
        if self.method == "codes":
            return coded
        if self.method == "pixels":
            height, width, channels = self.kind.shape
            pixels = coded.reshape(-1, channels, height, width).permute(0, 2, 3, 1)
            return ((pixels + 1) * 127.5).clamp(0, 255).round().to(torch.uint8)
        rows = coded.reshape(-1, self.kind.width).double()
        if self.method == "standard":
            rows = rows * self.get_buffer("scale") + self.get_buffer("mean")
        else:
            rows = self._values(rows[:, 0])[:, None]
        if self.kind.name == "vector":
            return rows.float()
        return rows[:, 0].round().long() if self.kind.name == "integer" else rows[:, 0]

    def _values(self, scores: torch.Tensor) -> torch.Tensor:
        low, high = (1 / self.get_buffer(name).clamp(min=1e-9) for name in ("low", "high"))
        inner = _interpolated(scores, self.get_buffer("z"), self.get_buffer("x"))
        return inner + self._beyond(scores, "z", low, high)
