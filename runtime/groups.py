"""Groups of images that say the same of the inputs: P(y | x) = sum over g of P(g | x) P(y | g, x), exactly.

Whatever function of y the group g is, that holds. Here it is the nearest of a few centres of what a tower of the
targets says of them (``contrast``), so that little of what y has to do with x is left within a group. What must be
decided of an image, such as which of ten digits it shows, is then decided by a softmax, whose errors are small and
can be made honest; a denoiser that starts from noise would at times end between two of them.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from causalc.runtime.contrast import Tower
from causalc.runtime.families.protocol import Tensors
from causalc.runtime.logistic import layers

MOST_GROUPS = 64
_ROWS_A_GROUP = 100.0
_MOVES = 25  # of the centres


def number_of_groups(effective: float) -> int:
    """Return how many groups so many effective rows can tell apart; 0 rather than one."""
    count = min(MOST_GROUPS, int(effective / _ROWS_A_GROUP))
    return count if count > 1 else 0


class Grouping(nn.Module):
    """The group of each image: the nearest of ``centres`` ``(groups, rank)`` to what ``tower`` says of it."""

    basis: torch.Tensor
    centres: torch.Tensor

    def __init__(self, tower: Tower, basis: torch.Tensor, centres: torch.Tensor) -> None:
        super().__init__()
        self.tower = tower.requires_grad_(False)
        self.register_buffer("basis", basis)
        self.register_buffer("centres", centres)

    @torch.no_grad()
    def forward(self, rows: Tensors, n: int) -> torch.Tensor:
        """Return the number of the group of each row, ``(n,)``."""
        return nearest(self.tower(rows, n).float() @ self.basis, self.centres)


def nearest(points: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Return the index of the nearest of ``centres`` ``(k, d)`` to each of ``points`` ``(n, d)``."""
    return (centres.square().sum(dim=1) - 2 * points @ centres.T).argmin(dim=1)


def central(points: torch.Tensor, mass: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Return ``count`` centres of ``points`` ``(n, d)`` of weights ``mass`` ``(n,)``, by k-means.

    It starts from points drawn far apart (Arthur & Vassilvitskii 2007).
    """
    generator = torch.Generator().manual_seed(seed % 2**63)
    mass = mass.float()
    centres = points[torch.multinomial(mass, 1, generator=generator)]
    far = (points - centres).square().sum(dim=1)
    for _ in range(count - 1):
        # Where all points are centres already, any will do.
        one = points[torch.multinomial(far * mass + 1e-12, 1, generator=generator)]
        far = torch.minimum(far, (points - one).square().sum(dim=1))
        centres = torch.cat([centres, one])
    for _ in range(_MOVES):
        found = nearest(points, centres)
        held = torch.zeros(count).index_add_(0, found, mass)[:, None]
        sums = torch.zeros_like(centres).index_add_(0, found, mass[:, None] * points)
        centres = torch.where(held > 0, sums / held.clamp(min=1e-12), centres)
    return centres


def asked_for(
    left: torch.Tensor,
    right: torch.Tensor,
    groups: torch.Tensor,
    count: int,
    mass: torch.Tensor,
    held: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight ``(count, rank)`` and bias ``(count,)`` of the softmax of ``groups`` ``(n,)`` given ``left``.

    ``left`` and ``right`` ``(n, rank)`` are what the towers say of the inputs and of the targets. Their product is
    the log ratio of p(y | x) to p(y), so that the mean of ``right`` over a group is a good row of the weight to begin
    with. ``held`` are the rows that say how far to trust the others.
    """
    mass = mass.double()
    shares = torch.zeros(count).double().index_add_(0, groups, mass).clamp(min=1e-9)
    sums = torch.zeros(count, right.shape[1]).double()
    means = sums.index_add_(0, groups, mass[:, None] * right.double()) / shares[:, None]
    bias = (shares / shares.sum()).clamp(min=1e-6).log()
    start = torch.cat([means / math.sqrt(right.shape[1]), bias[:, None]], dim=1)
    _, found = layers(left, groups, mass, held, start, None)
    return found[:, :-1].float(), found[:, -1].float()
