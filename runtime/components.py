"""Principal components of flat images and vectors: pixels that move together are one number."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from causalc.runtime import spectrum
from causalc.runtime.encode import unpack

_KEPT = 0.94  # share of the variance that the components keep
_ENOUGH = 0.85  # what the most components must keep, where those that keep more are too many
_MOST = 256
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


def components(images: torch.Tensor, weights: torch.Tensor | None = None) -> Components | None:
    """Return the fewest components that keep 94 % of the variance of ``images`` ``(n, …)``, at most 256.

    None where 256 keep less than 85 %, rows are too few or the images are large: those are left as pixels.
    """
    found = leading(images, _MOST, weights)
    if found is None:
        return None
    every, total = found
    share = every.scale.double().square().cumsum(0) / total
    k = min(int((share < _KEPT).sum()) + 1, len(share))
    if share[k - 1] < _ENOUGH or k > min(len(images), _rows(images)) // 4:
        return None
    return Components(every.centre, every.basis[:, :k].contiguous(), every.scale[:k])


def leading(
    images: torch.Tensor, most: int, weights: torch.Tensor | None = None
) -> tuple[Components, float] | None:
    """Return the ``most`` largest components of ``images`` ``(n, …)``, and the variance of all together.

    None where there is no variance, or the images are large. A function of the first rows, at most 10,000.
    """
    if images[:1].numel() > _LARGEST or len(images) < 2:
        return None
    rows = _rows(images)
    some = unpack(images[:rows]).flatten(1).double()
    mass = torch.ones(len(some)) if weights is None else weights[:rows].cpu()
    mass = (mass / mass.sum()).double()[:, None]
    centre = (mass * some).sum(dim=0)
    values, vectors, total = spectrum.leading(some - centre, mass, most)
    if not float(total) > 0:
        return None
    basis, scale = vectors[:, :most].float(), values[:most].sqrt().float()
    # Signs are open: fix them, so that a refit elsewhere codes images alike.
    basis = basis * torch.sign(basis.gather(0, basis.abs().argmax(0, keepdim=True)))
    return Components(centre.float(), basis.contiguous(), scale), float(total)


def _rows(images: torch.Tensor) -> int:
    return spectrum.rows_for(images[:1].numel(), _SAMPLE)
