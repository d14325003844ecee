"""Coordinates on the curved surface near which small images lie.

Handwritten digits in any colour are products of a shape, a colour and a brightness: no flat space of few
dimensions holds them, a curved one does. A curved chart starts from the leading principal components and has two
small networks add to them: of the image to its coordinates, and of the coordinates to the image. In training
(``charting``) coordinates carry noise, so that near ones mean like images: what a sampler gets a little wrong stays
an image. A flat chart is the components alone.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from causalc.runtime.components import Components
from causalc.runtime.families.protocol import Tensors
from causalc.runtime.schema import Kind

IMAGE, COMPONENTS = " image", " components"  # columns of a batch; no variable has such a name
_DEPTH = 2  # blocks
_NOISE = 0.1  # on coordinates of about unit variance
_BEYOND = 0.05  # of what lies beyond black and white is seen in training
_PLACES = 1024  # compared at a time
_PRIOR = 3e-3  # the share of the variance that coordinates of unit variance are worth


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
        self.blocks = nn.ModuleList(Gated(width) for _ in range(_DEPTH))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, right)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the addition."""
        h = self.first(x)
        for block in self.blocks:
            h = block(h)
        out: torch.Tensor = self.last(functional.silu(self.norm(h)))
        return out


def apart(x: torch.Tensor, parts: int) -> torch.Tensor:
    """Return ``x`` ``(n, parts d)`` as ``(n, parts, d)``."""
    return x.reshape(x.shape[0], parts, -1)


class Products(nn.Module):
    """``Bend`` to as many shapes of ``k`` components as there are channels, which are mixed to channels.

    A shape is then learnt once for all colours, and of what colour it is apart from it. At first each channel
    is its own shape, of nothing.
    """

    def __init__(self, left: int, channels: int, k: int, width: int) -> None:
        super().__init__()
        self.channels, self.shapes = channels, channels * k
        self.bend = Bend(left, self.shapes + channels**2, width)
        with torch.no_grad():
            self.bend.last.bias[self.shapes :] = torch.eye(channels).flatten()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(n, left)`` to ``(n, channels k)``."""
        shapes, shares = self.bend(x).split([self.shapes, self.channels**2], dim=1)
        mixed: torch.Tensor = apart(shares, self.channels) @ apart(shapes, self.channels)
        return mixed.flatten(1)


class Chart(nn.Module):
    """Flat pixels in [-1, 1] ``(n, d)`` to coordinates ``(n, latent)``, and back: principal components, each
    over its ``unit``."""

    centre: torch.Tensor
    basis: torch.Tensor
    unit: torch.Tensor

    def __init__(self, d: int, latent: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(d))
        self.register_buffer("basis", torch.zeros(d, latent))
        self.register_buffer("unit", torch.zeros(latent))

    def take(self, found: Components) -> Chart:
        """Take over principal components, and return this."""
        self.centre.copy_(found.centre)
        self.basis.copy_(found.basis)
        self.unit.copy_(found.unit)
        return self

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return coordinates ``(n, latent)``."""
        return (pixels - self.centre) @ self.basis / self.unit

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return pixels ``(n, d)``."""
        return (z * self.unit) @ self.basis.T + self.centre


class Curved(nn.Module):
    """Flat pixels in [-1, 1] ``(n, channels d)`` to coordinates ``(n, latent)`` of unit variance, and back.

    Each channel has ``k`` components of one ``basis`` ``(d, k)``; ``axes`` ``(channels k, latent)`` lead from all
    of them to what the coordinates are before they are bent. ``variance`` is the mean of all pixels'.
    """

    centre: torch.Tensor
    basis: torch.Tensor
    axes: torch.Tensor
    unit: torch.Tensor
    size: torch.Tensor
    shift: torch.Tensor
    spread: torch.Tensor
    variance: torch.Tensor

    def __init__(self, kind: Kind, latent: int, k: int, width: int) -> None:
        super().__init__()
        height, across, channels = kind.shape
        self.channels, count = channels, channels * k
        self.register_buffer("centre", torch.zeros(kind.width))
        self.register_buffer("basis", torch.zeros(height * across, k))
        self.register_buffer("axes", torch.zeros(count, latent))
        self.register_buffer("unit", torch.zeros(latent))
        self.register_buffer("size", torch.zeros(()))
        self.register_buffer("shift", torch.zeros(latent))
        self.register_buffer("spread", torch.ones(latent))
        self.register_buffer("variance", torch.ones(()))
        self.bend = Bend(count, latent, width)
        self.back = Products(latent, channels, k, width)

    def components(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the components of all channels ``(n, channels k)``."""
        return (apart(pixels - self.centre, self.channels) @ self.basis).flatten(1)

    def coordinates(self, c: torch.Tensor) -> torch.Tensor:
        """Return the coordinates of components ``c``, not yet of unit variance."""
        bent: torch.Tensor = self.bend(c / self.size).float()
        return c @ self.axes / self.unit + bent

    def _back(self, z: torch.Tensor) -> torch.Tensor:
        bent: torch.Tensor = self.back(z).float()
        return (z * self.unit) @ self.axes.T + self.size * bent

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return coordinates ``(n, latent)``."""
        return (self.coordinates(self.components(pixels)) - self.shift) / self.spread

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return pixels ``(n, channels d)``, all within [-1, 1]."""
        return self._unbounded(z * self.spread + self.shift).flatten(1).clamp(-1, 1)

    def _unbounded(self, z: torch.Tensor, at: slice | torch.Tensor = slice(None)) -> torch.Tensor:
        """Return pixels ``at`` some places, all by default, ``(n, channels, places)``: what is meant to be black
        or white may lie far beyond."""
        parts = apart(self._back(z), self.channels)
        return parts @ self.basis[at].T + self.centre.view(self.channels, -1)[:, at]

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return the squared error of each row's pixels within [-1, 1], as a share of their ``variance``.

        Beyond black is black: so edges may be steep and grounds empty, which of a few hundred components they
        are not. In training a little of what lies beyond counts as an error, lest wrong pixels stay there. Of
        large images some places are compared, each time others.
        """
        images, known = apart(batch[IMAGE].flatten(1), self.channels), batch.get(COMPONENTS)
        z = self.coordinates(self.components(images.flatten(1)) if known is None else known)
        at: slice | torch.Tensor = slice(None)
        if images.shape[2] > _PLACES:
            at = torch.randperm(images.shape[2], generator=generator, device=z.device)[:_PLACES]
        if not self.training:
            return self._lost(self._unbounded(z, at).clamp(-1, 1), images[:, :, at])
        noise = torch.randn(z.shape, generator=generator, device=z.device)
        pixels = self._unbounded(z + _NOISE * noise, at)
        seen = torch.lerp(pixels.clamp(-1, 1), pixels, _BEYOND)
        return self._lost(seen, images[:, :, at]) + _PRIOR * z.square().mean(dim=1)

    def _lost(self, pixels: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        return (pixels - images).square().flatten(1).mean(dim=1) / self.variance


def chart_of(kind: Kind, latent: int, components: int, width: int) -> Chart | Curved:
    """Return the chart of such images, before it is learnt: flat at ``width`` 0, and otherwise of so many
    ``components`` a channel."""
    return Curved(kind, latent, components, width) if width else Chart(kind.width, latent)
