"""Principal components of flat images and vectors: pixels that move together are one number."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from causalc.runtime import spectrum
from causalc.runtime.encode import unpack

KEPT = 0.94  # share of the variance that the components keep
_ENOUGH = 0.85  # what the most components must keep, where those that keep more are too many
_MOST = 256
_FINER, _FINEST = 0.99, 512
_LARGEST = 1 << 18  # numbers in an image: beyond, too few rows would be looked at
_SAMPLE = 10_000
FEW_COMPONENTS = 64  # up to so many, all are made of unit variance


@dataclass(frozen=True, slots=True)
class Components:
    """Principal components of flat images: ``centre`` ``(d,)``, orthonormal ``basis`` ``(d, k)``
    and the standard deviation ``scale`` ``(k,)`` of each, in falling order."""

    centre: torch.Tensor
    basis: torch.Tensor
    scale: torch.Tensor

    @property
    def unit(self) -> torch.Tensor:
        """What codes are divided by, ``(k,)``: a few components each by their own standard deviation.

        Many keep their sizes, of unit variance on average: noise then hides the details first, and a
        denoiser has few of them to tell apart at each level.
        """
        if len(self.scale) <= FEW_COMPONENTS:
            return self.scale
        return self.scale.square().mean().sqrt().expand(len(self.scale))


@dataclass(frozen=True, slots=True)
class Decomposed:
    """The leading components of so many ``rows`` of images, at most 512, and the ``total`` variance."""

    every: Components
    total: float
    rows: int

    def first(self, k: int) -> Components:
        """Return the ``k`` largest, fewer where there are fewer or a quarter of the rows are."""
        k = min(k, len(self.every.scale), self.rows // 4)
        basis = self.every.basis[:, :k].contiguous()
        return Components(self.every.centre, basis, self.every.scale[:k])

    def lost(self, k: int) -> float:
        """Return the share of the variance that the ``k`` largest do not keep."""
        return 1 - float(self.every.scale[:k].double().square().sum()) / self.total

    def needed(self, share: float) -> int:
        """Return how many keep a share of the variance, or how many there are."""
        kept = self.every.scale.double().square().cumsum(0) / self.total
        return min(int((kept < share).sum()) + 1, len(kept))

    def kept(self) -> Components | None:
        """Return the fewest that keep 94 % of the variance, at most 256.

        None where 256 keep less than 85 % or rows are too few: such images are left as pixels.
        """
        k = min(self.needed(KEPT), _MOST)
        share = float(self.every.scale[:k].double().square().sum()) / self.total
        return self.first(k) if share >= _ENOUGH and k <= self.rows // 4 else None

    def finer(self) -> Components:
        """Return those that keep 99 %, at most 512."""
        return self.first(self.needed(_FINER))


def decomposed(images: torch.Tensor, weights: torch.Tensor | None = None) -> Decomposed | None:
    """Return the components of ``images`` ``(n, …)``; None where there is no variance, or the images are large."""
    found = leading(images, _FINEST, weights)
    if found is None:
        return None
    every, total = found
    return Decomposed(every, total, min(len(images), _rows(images)))


def leading(
    images: torch.Tensor, most: int, weights: torch.Tensor | None = None
) -> tuple[Components, float] | None:
    """Return the ``most`` largest components of ``images`` ``(n, …)``, and the variance of all together.

    None where there is no variance, or the images are large. A function of the first rows, at most 10,000.
    """
    if images[:1].numel() > _LARGEST or len(images) < 2:
        return None
    some, mass = _sample(images, weights)
    every, total = _components(some.flatten(1), mass, most)
    return (every, total) if total > 0 else None


def of_channels(images: torch.Tensor, weights: torch.Tensor | None = None) -> Decomposed:
    """Return the components of the single channels of ``images`` ``(n, channels, h, w)``, taken alike.

    The centre is that of all channels ``(channels h w,)``. For images that can be ``decomposed``.
    """
    some, mass = _sample(images, weights)
    channels = some.shape[1]
    centre = (mass[:, :, None] * some.flatten(2)).sum(dim=0)
    each = (some.flatten(2) - centre).flatten(0, 1)
    share = mass.repeat_interleave(channels, dim=0) / channels
    every, total = _components(each, share, _FINEST)
    return Decomposed(replace(every, centre=centre.flatten().float()), total, len(each))


def _sample(
    images: torch.Tensor, weights: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first images, float64, and the share of each ``(n, 1)``."""
    rows = _rows(images)
    some = unpack(images[:rows]).double()
    mass = torch.ones(len(some)) if weights is None else weights[:rows].cpu()
    return some, (mass / mass.sum()).double()[:, None]


def _components(rows: torch.Tensor, mass: torch.Tensor, most: int) -> tuple[Components, float]:
    """Return the ``most`` largest components of flat ``rows``, and the variance of all together."""
    centre = (mass * rows).sum(dim=0)
    values, vectors, total = spectrum.leading(rows - centre, mass, most)
    basis, scale = vectors[:, :most].float(), values[:most].sqrt().float()
    # Signs are open: fix them, so that a refit elsewhere codes images alike.
    basis = basis * torch.sign(basis.gather(0, basis.abs().argmax(0, keepdim=True)))
    return Components(centre.float(), basis.contiguous(), scale), float(total)


def _rows(images: torch.Tensor) -> int:
    return spectrum.rows_for(images[:1].numel(), _SAMPLE)
