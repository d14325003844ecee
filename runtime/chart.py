"""Coordinates on the curved surface near which small images lie.

Handwritten digits in any colour are products of a shape, a colour and a brightness: no flat space of few
dimensions holds them, a curved one does. A chart starts from the leading principal components and learns what
two small networks add to them: of the image to its coordinates, and of the coordinates to the image. In training
coordinates carry noise, so that near ones mean like images: what a sampler gets a little wrong stays an image.
A flat chart is the components alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional

from causalc.runtime.components import KEPT, Components, Decomposed
from causalc.runtime.encode import unpack
from causalc.runtime.families.neural import in_batches, rows_of, whole
from causalc.runtime.families.protocol import Setting, Tensors
from causalc.runtime.noise import derive
from causalc.runtime.progress import Report
from causalc.runtime.specs import ModelSpec
from causalc.runtime.train import Plan, seeded, train

_IMAGE, _COMPONENTS = " image", " components"  # columns; no variable has such a name
FLAT = 32  # components that need no bending: as few as a curved surface would take
_MOST = 24  # coordinates
_PLAIN = 64  # components: images of more are wider networks' business
_NOISE = 0.1  # on coordinates of about unit variance
_PRIOR = 3e-3  # the share of the variance that coordinates of unit variance are worth
_WORTH = 2  # times as many components must lose more
_SAMPLE = 20_000
_LONGER = 3000  # steps, where there are more
_PLAN = Plan(steps=800, lr=3e-3, batch=256, weight_decay=1e-2)


class Gated(nn.Module):
    """A block ``h + W3 (silu(W1 norm(h)) * W2 norm(h))``: pictures are products, of a shape with a
    colour and a brightness, which sums of sigmoids learn slowly."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, 2 * width)
        self.second = nn.Linear(width, width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Map ``(n, width)`` to the same shape."""
        gate, value = self.first(self.norm(h)).chunk(2, dim=1)
        out: torch.Tensor = h + self.second(functional.silu(gate) * value)
        return out


class Bend(nn.Module):
    """What a network adds to a linear map, ``(n, left)`` to ``(n, right)``: nothing at first."""

    def __init__(self, left: int, right: int, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(left, width)
        self.block = Gated(width)
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, right)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the addition."""
        h = self.block(self.first(x))
        out: torch.Tensor = self.last(functional.silu(self.norm(h)))
        return out


class Chart(nn.Module):
    """Flat pixels in [-1, 1] ``(n, d)`` to coordinates ``(n, latent)`` of about unit variance, and back.

    ``components`` are kept of the pixels; at ``width`` 0 they are the coordinates, each over its ``unit``.
    """

    centre: torch.Tensor
    basis: torch.Tensor
    unit: torch.Tensor
    size: torch.Tensor
    shift: torch.Tensor
    spread: torch.Tensor

    def __init__(self, d: int, latent: int, components: int, width: int) -> None:
        super().__init__()
        self.latent = latent
        self.register_buffer("centre", torch.zeros(d))
        self.register_buffer("basis", torch.zeros(d, components))
        self.register_buffer("unit", torch.zeros(latent))
        self.register_buffer("size", torch.zeros(()))
        self.register_buffer("shift", torch.zeros(latent))
        self.register_buffer("spread", torch.ones(latent))
        self.bend = Bend(components, latent, width) if width else None
        self.back = Bend(latent, components, width) if width else None

    def take(self, found: Components) -> Chart:
        """Take over principal components, and return this."""
        self.centre.copy_(found.centre)
        self.basis.copy_(found.basis)
        self.unit.copy_((found.unit if self.bend is None else found.scale)[: self.latent])
        self.size.copy_(found.scale.square().mean().sqrt())
        return self

    def components(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return principal components ``(n, components)``."""
        return (pixels - self.centre) @ self.basis

    def _coordinates(self, c: torch.Tensor) -> torch.Tensor:
        z = c[:, : self.latent] / self.unit
        return z if self.bend is None else z + self.bend(c / self.size).float()

    def _back(self, z: torch.Tensor) -> torch.Tensor:
        if self.back is None:
            return z * self.unit
        c: torch.Tensor = self.size * self.back(z).float()
        return c + functional.pad(z * self.unit, (0, c.shape[1] - self.latent))

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return coordinates ``(n, latent)``."""
        return (self._coordinates(self.components(pixels)) - self.shift) / self.spread

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return pixels ``(n, d)``."""
        return self._back(z * self.spread + self.shift) @ self.basis.T + self.centre

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return the squared error of each row's components, as a share of the variance."""
        known = batch.get(_COMPONENTS)
        c = self.components(batch[_IMAGE].flatten(1)) if known is None else known
        z = self._coordinates(c)
        if not self.training:
            return self._lost(z, c)
        noise = torch.randn(z.shape, generator=generator, device=z.device)
        return self._lost(z + _NOISE * noise, c) + _PRIOR * z.square().mean(dim=1)

    def _lost(self, z: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return (self._back(z) - c).square().mean(dim=1) / self.size.square()


@dataclass(frozen=True, slots=True)
class Charted:
    """A chart, the sizes it is made with, and the standard deviation of each coordinate ``(latent,)``."""

    chart: Chart
    sizes: Mapping[str, int]
    scale: torch.Tensor

    @property
    def curved(self) -> bool:
        """Whether coordinates are more than components."""
        return self.chart.bend is not None


def charted(
    images: torch.Tensor,
    found: Decomposed,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> Charted | None:
    """Return a chart of ``images`` ``(n, channels, h, w)``; None where few components do not carry them.

    It is flat where these are very few, or where held-out rows do not bear a curved one out: it must lose less
    of the variance than twice as many flat coordinates would.
    """
    kept = found.kept()
    if kept is None:
        return None
    count = len(kept.scale)
    sizes = {"latent": count, "components": count, "chart_width": 0}
    flat = Charted(_made(len(kept.centre), sizes).take(kept), sizes, kept.scale / kept.unit)
    return flat if count <= FLAT else _curved(images, found, spec, setting, report) or flat


def _curved(
    images: torch.Tensor,
    found: Decomposed,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> Charted | None:
    finer, kept = found.finer(), found.needed(KEPT)
    latent = min(_MOST, kept // 2)
    width, steps = (256, _PLAN.steps) if kept <= _PLAIN else (512, _LONGER)
    sizes = {"latent": latent, "components": len(finer.scale), "chart_width": width}
    with seeded(derive(setting.seed, "chart")):
        chart = _made(len(finer.centre), sizes).take(finer)
    plan = replace(_PLAN, steps=steps).at_most(whole(spec, "steps", steps))
    device = torch.device(setting.device)
    outcome = train(chart.to(device), _seen(chart, images, device), None, plan, setting, report)
    variance = finer.scale.square()
    if outcome.loss >= float(variance[_WORTH * latent :].sum() / variance.sum()):
        return None

    def coordinates(batch: Tensors) -> torch.Tensor:
        return chart.encode(unpack(batch[_IMAGE]).flatten(1))

    some = {_IMAGE: images[:_SAMPLE]}
    z = in_batches(coordinates, some, rows_of(some), device)
    chart.cpu().eval()
    chart.shift.copy_(z.mean(dim=0))
    chart.spread.copy_(z.std(dim=0).clamp(min=1e-3))
    return Charted(chart, sizes, torch.ones(latent))


def _seen(chart: Chart, images: torch.Tensor, device: torch.device) -> Tensors:
    """Return what a chart learns from: components, worked out once where the images are in memory."""
    rows = {_IMAGE: images}
    if not isinstance(images, torch.Tensor):
        return rows

    def components(batch: Tensors) -> torch.Tensor:
        return chart.components(unpack(batch[_IMAGE]).flatten(1))

    return {_COMPONENTS: in_batches(components, rows, len(images), device)}


def _made(d: int, sizes: Mapping[str, int]) -> Chart:
    return Chart(d, sizes["latent"], sizes["components"], sizes["chart_width"])
