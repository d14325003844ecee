"""Density ratios by contrast: which left side belongs to which right side?

Two networks map the left and the right variables of a row to short vectors whose inner product is
trained to pick each row's partner out of a batch (InfoNCE). At the optimum the product is
log p(l | r) / p(l) up to a function of r. That one fact is used twice: to average importance
weights over what a fit cannot see (``smoothing``), and to give an image model features of its
inputs that are sufficient for its target (``images``).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from causalc.runtime.encode import unpack
from causalc.runtime.families.neural import rows_of
from causalc.runtime.families.protocol import Tensors, Variables
from causalc.runtime.network import FREQUENCIES, Features, periodic
from causalc.runtime.outlines import LEADING, Leading, large
from causalc.runtime.schema import Kind

CODES, LOG_P = " codes", " log_p"  # extra columns of a batch; no variable has such a name
_SAMPLE = 10_000
_FILTERS = 32
_SIDE = 8  # pixels that filters are worth
_FAINT = 0.02  # contrast that is none
_DARK = 0.01  # light that is none
_GRAINED = 16  # pixels a side from which grain says what an image is like, and not which one it is
_GLIMPSED = 0.3  # standard deviations of noise on what an image is like as a whole
_FEW = 8  # numbers of a variable that nothing is learnt by heart from
_FEW_WIDTH = 64
_AHEAD = 3.0  # times as fast as the rest is learnt what few numbers say
_FULL_JITTER = 35.0  # the root of the width from which jitter is as large as the signal


def _jitter(width: int) -> float:
    """Return the noise on each of so many pixels of unit scale."""
    return min(1.0, math.sqrt(width) / _FULL_JITTER)


def _pixels(kind: Kind) -> int:
    """Return the number of pixels of an image, whatever its channels."""
    return kind.shape[0] * kind.shape[1]


def evenly_lit(images: torch.Tensor) -> torch.Tensor:
    """Return images ``(n, channels, h, w)`` in [-1, 1] in grey, ``(n, h w)``, each of mean 0 and variance 1.

    An image of one shade stays nearly so.
    """
    grey = images.mean(dim=1).flatten(1)
    grey = grey - grey.mean(dim=1, keepdim=True)
    return grey / (grey.square().mean(dim=1, keepdim=True) + _FAINT**2).sqrt()


def hue_and_light(images: torch.Tensor) -> torch.Tensor:
    """Return each channel's share of the light of images ``(n, channels, h, w)`` in [-1, 1], and its logarithm."""
    light = (images.mean(dim=(2, 3)) + 1) / 2
    total = light.sum(dim=1, keepdim=True)
    return torch.cat([light / (total + _DARK), (total + _DARK).log()], dim=1)


def grain(images: torch.Tensor) -> torch.Tensor:
    """Return how fast grey images ``(n, channels, h, w)`` vary, ``(n, 1)``, whatever their light and contrast.

    It is the logarithm of the mean difference between neighbouring pixels over the standard deviation of all: it
    tells the width of strokes, the sharpness of a photograph, the noise of a scan.
    """
    grey = evenly_lit(images).reshape(-1, *images.shape[2:])
    down, across = grey.diff(dim=1).abs().flatten(1), grey.diff(dim=2).abs().flatten(1)
    near = torch.cat([down, across], dim=1).mean(dim=1)
    return (near + _FAINT).log()[:, None]


def _grained(kind: Kind) -> bool:
    """Whether ``grain`` is seen of an image."""
    return min(kind.shape[:2]) >= _GRAINED


class Strokes(nn.Module):
    """Grey pixels ``(n, h w)`` to what small filters find in each part of them, ``(n, width)``.

    A stroke is then told wherever it lies; a network of single pixels has to learn it in every place.
    """

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.sides = sides = kind.shape[:2]
        channels, filters = 1, []
        while min(sides) >= _SIDE:
            filters.append(nn.Conv2d(channels, _FILTERS, 4, stride=2))
            channels, sides = _FILTERS, ((sides[0] - 2) // 2, (sides[1] - 2) // 2)
        self.filters = nn.ModuleList(filters)
        self.width = channels * sides[0] * sides[1] if filters else 0

    def forward(self, grey: torch.Tensor) -> torch.Tensor:
        """Return flat maps, none of a small image; each layer of filters halves height and width."""
        if not self.filters:
            return grey[:, :0]
        x = grey.reshape(-1, 1, *self.sides)
        for layer in self.filters:
            x = functional.silu(layer(x))
        return x.flatten(1)


class Few(nn.Module):
    """The few numbers that tell no row from its like, to ``(n, rank)``: codes, numbers, hue, light and grain of an
    image.

    They can do without dropout, which drowns what says little: with one half of it a tower told a digit better, and
    forgot of what colour it was.
    """

    centre: torch.Tensor
    scale: torch.Tensor

    def __init__(self, variables: Variables, rank: int) -> None:
        super().__init__()
        self.lit = tuple(v for v in variables if v[1].name == "image")
        few = (v for v in variables if v[1].discrete or v[1].scalar or v[1].name == "vector")
        self.few = tuple(v for v in few if v[1].width <= _FEW)
        self.features = Features(self.few)
        seen = sum(kind.shape[2] + 1 + _grained(kind) for _, kind in self.lit)
        n = seen * (1 + 2 * len(FREQUENCIES)) + (self.features.width if self.few else 0)
        self.register_buffer("centre", torch.zeros(seen))
        self.register_buffer("scale", torch.ones(seen))
        self.layers = (
            nn.Sequential(nn.Linear(n, _FEW_WIDTH), nn.SiLU(), nn.Linear(_FEW_WIDTH, rank))
            if n
            else None
        )

    def standardise(self, rows: Tensors) -> None:
        """Set centre and scale from encoded rows."""
        if self.lit:
            seen = self._seen({name: rows[name][:_SAMPLE] for name, _ in self.lit})
            self.centre.copy_(seen.mean(dim=0))
            self.scale.copy_(seen.std(dim=0).clamp(min=_FAINT))

    def _seen(self, rows: Tensors) -> torch.Tensor:
        parts = []
        for name, kind in self.lit:
            images = unpack(rows[name])
            parts += [hue_and_light(images), *([grain(images)] if _grained(kind) else [])]
        return torch.cat(parts, dim=1)

    def forward(
        self, rows: Tensors, n: int, generator: torch.Generator | None = None
    ) -> torch.Tensor | None:
        """Return ``(n, rank)``, None where there are none; jittered where a generator is given."""
        if self.layers is None:
            return None
        parts = [self.features(rows, n)] if self.few else []
        if self.lit:
            seen = (self._seen(rows) - self.centre) / self.scale
            parts.append(periodic(jittered(seen, _GLIMPSED, generator)))
        found: torch.Tensor = self.layers(torch.cat(parts, dim=1))
        return found


class Tower(nn.Module):
    """Encoded variables to a vector of ``rank`` numbers, standardised and jittered in training.

    Pixels are centred and divided by one scale for all. Beside them an image is seen in grey at unit
    contrast (``evenly_lit``), so that a shape need not be learnt anew for every colour and light, and
    through small filters (``Strokes``), so that it need not be for every place.
    Large images pass through their leading principal components (``Leading``); only filters see their
    pixels. Training adds normal noise whose size grows with the root of the number of pixels, so that
    what many pixels agree on stays legible and what one pixel says cannot be memorised. What ``Few``
    numbers say is added.
    """

    centre: torch.Tensor
    scale: torch.Tensor
    jitter: torch.Tensor

    def __init__(self, variables: Variables, width: int, rank: int, dropout: float = 0.0) -> None:
        super().__init__()
        small = tuple(v for v in variables if not large(v[1]))
        self.large = tuple(v for v in variables if large(v[1]))
        self.features, self.dropout = Features(small), dropout
        self.leading = nn.ModuleList(Leading(kind.width) for _, kind in self.large)
        self.narrow = self.features.width if small or not self.large else 0
        n = self.narrow + LEADING * len(self.large)
        for name, value in (("centre", 0.0), ("scale", 1.0), ("jitter", 0.0)):
            self.register_buffer(name, torch.full((n,), value))
        self.lit = tuple(v for v in variables if v[1].name == "image")
        self.strokes = nn.ModuleList(Strokes(kind) for _, kind in self.lit)
        grey = sum(_pixels(kind) for _, kind in self.lit if not large(kind))
        found = sum(strokes.width for strokes in self.strokes)  # type: ignore[misc]
        sizes = (n + grey + found, width, width, rank)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.few = Few(variables, rank)

    def standardise(self, rows: Tensors) -> None:
        """Set centre, scale and jitter from encoded rows."""
        self.few.standardise(rows)
        start = 0
        for name, kind in self.features.inputs:
            one = Features(((name, kind),)).width
            part = slice(start, start + one)
            start += one
            if kind.name == "image" or kind.name == "vector":
                some = unpack(rows[name][:_SAMPLE]).flatten(1)
                if some.shape[1] == one:
                    self.centre[part] = some.mean(dim=0)
                    self.scale[part] = (some - some.mean(dim=0)).std().clamp(min=1e-3)
                self.jitter[part] = _jitter(kind.width)
        start = self.narrow
        for (name, kind), project in zip(self.large, self.leading, strict=True):
            shrunk = project.standardise(rows[name])  # type: ignore[operator]
            self.jitter[start : start + LEADING] = _jitter(kind.width) * shrunk
            start += LEADING

    def _numbers(self, rows: Tensors, n: int) -> torch.Tensor:
        parts = [self.features(rows, n)] if self.narrow else []
        for (name, _), project in zip(self.large, self.leading, strict=True):
            parts.append(project(unpack(rows[name]).flatten(1)))
        return (torch.cat(parts, dim=1) - self.centre) / self.scale

    def _seen(
        self, rows: Tensors, n: int, generator: torch.Generator | None
    ) -> Iterator[torch.Tensor]:
        """Yield what the layers see, jittered where a generator is given."""
        yield jittered(self._numbers(rows, n), self.jitter, generator)
        for (name, kind), strokes in zip(self.lit, self.strokes, strict=True):
            grey = jittered(evenly_lit(unpack(rows[name])), _jitter(_pixels(kind)), generator)
            if not large(kind):
                yield grey
            yield strokes(grey)

    def forward(
        self, rows: Tensors, n: int, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Return ``(n, rank)``; jittered where a generator is given."""
        x = torch.cat([*self._seen(rows, n, generator)], dim=1)
        for layer in self.layers[:-1]:
            x = dropped(functional.silu(layer(x)), self.dropout, generator)
        out: torch.Tensor = self.layers[-1](x)
        few = self.few(rows, n, generator)
        return out if few is None else out + _AHEAD * few


def jittered(
    x: torch.Tensor, size: torch.Tensor | float, generator: torch.Generator | None
) -> torch.Tensor:
    """Return ``x`` with normal noise of ``size`` where there is a generator."""
    if generator is None:
        return x
    return x + size * torch.randn(x.shape, generator=generator, device=x.device)


def dropped(x: torch.Tensor, share: float, generator: torch.Generator | None) -> torch.Tensor:
    """Return ``x`` with a ``share`` of its numbers set to 0 and the rest scaled up to keep means.

    Unchanged without a generator. Other than torch's own, this draws from a generator of ours.
    """
    if generator is None or share == 0:
        return x
    kept = torch.rand(x.shape, generator=generator, device=x.device) >= share
    return x * kept / (1 - share)


class Contrast(nn.Module):
    """A left and a right tower, and the objective that ``train`` minimises.

    With ``offset`` a batch carries log P(v = k | left) as ``LOG_P`` ``(n, K)`` and v as ``CODES``
    ``(n,)``: that part of the ratio is then known and the towers learn the rest.
    """

    def __init__(
        self,
        left: Variables,
        right: Variables,
        width: int = 256,
        rank: int = 16,
        offset: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.left = Tower(left, width, rank, dropout)
        self.right = Tower(right, width, rank, dropout)
        self.offset, self.rank = offset, rank

    def standardise(self, rows: Tensors) -> None:
        """Set the scales of both towers from encoded rows."""
        self.left.standardise(rows)
        self.right.standardise(rows)

    def scores(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return the log ratio of every pair, ``(right rows, left rows)``."""
        return right @ left.T / math.sqrt(self.rank)

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return the cross-entropy of finding each row's partner among the batch."""
        n = rows_of(batch)
        noise = generator if self.training else None
        scores = self.scores(self.left(batch, n, noise), self.right(batch, n, noise)).float()
        partner = torch.arange(n, device=scores.device)
        if self.offset:
            scores = scores + batch[LOG_P][:, batch[CODES]].T
            return functional.cross_entropy(scores, partner, reduction="none")
        forth = functional.cross_entropy(scores, partner, reduction="none")
        return (forth + functional.cross_entropy(scores.T, partner, reduction="none")) / 2
