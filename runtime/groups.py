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
from torch.nn import functional

from causalc.runtime.contrast import Tower
from causalc.runtime.families.neural import in_batches, rows_of
from causalc.runtime.families.protocol import Setting, Tensors, Variables
from causalc.runtime.logistic import settle
from causalc.runtime.progress import Report
from causalc.runtime.train import Plan, train
from causalc.runtime.weights import temperature

GROUP = " group"  # a column; no variable has such a name
DROPOUT = 0.5  # of towers: with less they are soon at their best, long before their steps are small
MOST_GROUPS = 64
_ROWS_A_GROUP = 100.0
_MOVES = 25  # of the centres
_PLAN = Plan(steps=500, lr=3e-3, batch=256, weight_decay=1e-2)


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


class Asking(nn.Module):
    """P(group | inputs) by two softmaxes, one on what a contrast's tower says, one on a tower of its own.

    The first is the contrast's own answer (``begin``), the second starts there and learns the groups as classes
    (``learn``). Their errors differ. Logits are averaged: what is then said is as sure as held-out rows bear out, where
    the mean of shares, each of which is, would be less so.
    """

    def __init__(self, inputs: Variables, width: int, rank: int, groups: int) -> None:
        super().__init__()
        self.first = nn.Linear(rank, groups)
        self.tower = Tower(inputs, width, rank, DROPOUT)
        self.last = nn.Linear(rank, groups)

    def forward(
        self, rows: Tensors, n: int, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """Return the second's logits ``(n, groups)``; in training a generator gives jitter and dropout."""
        found: torch.Tensor = self.last(self.tower(rows, n, generator).float())
        return found

    def shares(self, rows: Tensors, said: torch.Tensor) -> torch.Tensor:
        """Return P(group | inputs) ``(n, groups)``, float64; ``said`` ``(n, rank)`` is by the contrast's tower."""
        both = self.first(said).double() + self.forward(rows, said.shape[0]).double()
        return torch.softmax(both / 2, dim=1)

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return the cross-entropy of each row's group."""
        n = rows_of(batch)
        logits = self(batch, n, generator if self.training else None)
        return functional.cross_entropy(logits, batch[GROUP], reduction="none")

    def begin(
        self,
        left: Tower,
        right: torch.Tensor,
        groups: torch.Tensor,
        mass: torch.Tensor,
    ) -> None:
        """Set both to what the towers of a contrast know.

        ``right`` ``(n, rank)`` is what the right one says of the targets, ``groups`` and ``mass`` are ``(n,)``. Its
        product with what ``left`` says is the log ratio of p(y | x) to p(y), so that its mean over a group is a good
        row of the weight.
        """
        self.tower.load_state_dict(left.state_dict())
        right, mass, count = right.double(), mass.double(), self.last.out_features
        shares = torch.zeros(count).double().index_add_(0, groups, mass).clamp(min=1e-9)
        sums = torch.zeros(count, right.shape[1]).double()
        means = sums.index_add_(0, groups, mass[:, None] * right) / shares[:, None]
        bias = (shares / shares.sum()).clamp(min=1e-6).log()
        weight = means / math.sqrt(right.shape[1])
        known = {"weight": weight.float(), "bias": bias.float()}
        self.first.load_state_dict(known)
        self.last.load_state_dict(known)

    def learn(
        self,
        rows: Tensors,
        groups: torch.Tensor,
        mass: torch.Tensor,
        steps: int,
        setting: Setting,
        report: Report,
    ) -> None:
        """Train the second on rows whose ``groups`` ``(n,)`` are known; held-out rows say how far to trust it."""
        told = {**rows, GROUP: groups}
        self.first.requires_grad_(False)
        held = train(self, told, mass, _PLAN.at_most(steps), setting, report).held_out
        self.eval()
        hidden = in_batches(self._hidden, rows, len(groups), torch.device(setting.device))
        self.cpu()
        self.requires_grad_(False)
        logits = settle(self.last, hidden, groups, mass.double(), held, None)
        if logits is not None:
            t = temperature(logits, groups[held], mass[held])
            self.last.weight.div_(t)
            self.last.bias.div_(t)

    def _hidden(self, batch: Tensors) -> torch.Tensor:
        found: torch.Tensor = self.tower(batch, rows_of(batch)).float()
        return found
