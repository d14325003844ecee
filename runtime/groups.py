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
from causalc.runtime.families.protocol import Tensors, Variables

GROUP = " group"  # a column; no variable has such a name
DROPOUT = 0.5  # of towers: with less they are soon at their best, long before their steps are small
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

    def __init__(self, targets: Variables, width: int, rank: int, groups: int) -> None:
        super().__init__()
        self.tower = Tower(targets, width, rank)
        self.register_buffer("basis", torch.eye(rank))
        self.register_buffer("centres", torch.zeros(groups, rank))

    def take(self, tower: Tower, basis: torch.Tensor, centres: torch.Tensor) -> None:
        """Take over a tower of the targets, the basis ``(rank, rank)`` in which its distances count, and centres."""
        self.tower.load_state_dict(tower.state_dict())
        self.basis.copy_(basis)
        self.centres.copy_(centres)
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, rows: Tensors, n: int) -> torch.Tensor:
        """Return the number of the group of each row, ``(n,)``."""
        return nearest(self._points(rows, n), self.centres)

    @torch.no_grad()
    def astray(self, rows: Tensors, group: torch.Tensor) -> torch.Tensor:
        """Return by how much another centre is nearer than that of the row's ``group`` ``(n,)``: 0 if none is."""
        far = distances(self._points(rows, group.shape[0]), self.centres)
        return far.gather(1, group[:, None])[:, 0] - far.min(dim=1).values

    def _points(self, rows: Tensors, n: int) -> torch.Tensor:
        seen: torch.Tensor = self.tower(rows, n)
        return seen.float() @ self.basis


def distances(points: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Return squared distances of ``points`` ``(n, d)`` to ``centres`` ``(k, d)``, less a number for each row."""
    return centres.square().sum(dim=1) - 2 * points @ centres.T


def nearest(points: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Return the index of the nearest of ``centres`` ``(k, d)`` to each of ``points`` ``(n, d)``."""
    return distances(points, centres).argmin(dim=1)


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


@torch.no_grad()
def ask(asked: nn.Linear, right: torch.Tensor, groups: torch.Tensor, mass: torch.Tensor) -> None:
    """Set ``asked``, by which P(group | inputs) is the softmax of what a contrast's left tower says.

    ``right`` ``(n, rank)`` is what the right tower says of the targets, ``groups`` and ``mass`` are ``(n,)``. Its
    product with what the left one says is the log ratio of p(y | x) to p(y), so that its mean over a group is a
    row of the weight. Nothing is learnt here, and so nothing by heart.
    """
    right, mass, count = right.double(), mass.double(), asked.out_features
    shares = torch.zeros(count).double().index_add_(0, groups, mass).clamp(min=1e-9)
    sums = torch.zeros(count, right.shape[1]).double()
    means = sums.index_add_(0, groups, mass[:, None] * right) / shares[:, None]
    asked.weight.copy_(means / math.sqrt(right.shape[1]))
    asked.bias.copy_((shares / shares.sum()).clamp(min=1e-6).log())
    asked.requires_grad_(False)
