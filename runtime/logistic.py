"""Finish a classifier: its last layer fitted to all rows at once, by Newton-like steps.

Stochastic steps leave an error of the size of their noise, and held-out rows unused. The last layer alone is a
convex problem, so both can be mended: minimise the mean cross-entropy of softmax(W h) over all rows, plus
ridge/2 |W - W0|² with W0 the layer that training left. Where inputs are codes with few combinations this fits
every cell's shares exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from causalc.runtime.families.neural import rows_of
from causalc.runtime.families.protocol import Shape, Tensors
from causalc.runtime.stored import many, some
from causalc.runtime.train import effective

_RIDGES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
_MOST_ROWS = 200_000
_STEPS = 100
_LEAST = 1e-7  # keeps the logits of levels never seen finite
_COLLINEAR = 1e-9  # directions of less relative variance are rounding errors
_WORTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # rows
_BORNE_OUT = 2.0  # nats by which held-out rows must favour more than the least
_ROWS_A_NUMBER = (
    10  # cells with so many rows for every probability on average need no held-out rows to say so
)


def finish(
    last: nn.Linear,
    hidden: torch.Tensor,
    shape: Shape,
    rows: Tensors,
    weights: torch.Tensor | None,
    held: torch.Tensor,
) -> torch.Tensor | None:
    """Fit ``last``, which sees ``hidden`` ``(n, width)``, in place; rows are those of the one target and the inputs.

    Returns honest logits of the held-out rows, float64: those of a layer fitted without them. None where every
    combination of inputs has been given its very shares: no temperature makes these better.
    """
    codes, held = rows[shape.target_names[0]].cpu(), held.cpu()
    mass = torch.ones(len(codes)).double() if weights is None else weights.cpu()
    cells = _cells(shape, {name: rows[name] for name, _ in shape.inputs}, len(codes))
    start = torch.cat([last.weight, last.bias[:, None]], 1).detach().cpu().double()
    part, every = layers(hidden, codes, mass, held, start, cells)
    with torch.no_grad():
        last.weight.copy_(every[:, :-1])
        last.bias.copy_(every[:, -1])
    return None if part is None else hidden[held].double() @ part[:, :-1].T + part[:, -1]


def standing(
    rows: Tensors, weights: torch.Tensor | None, held: torch.Tensor, seed: int
) -> tuple[Tensors, torch.Tensor | None, torch.Tensor]:
    """Return rows that tell a last layer as much as all do, their weights, and which of them are held out.

    They are all rows, or some of many with every held-out one; in memory either way.
    """
    n = rows_of(rows)
    if many(n):
        chosen = torch.from_numpy(np.union1d(some(n, seed), held))
        rows = {name: values[chosen] for name, values in rows.items()}
        weights = None if weights is None else weights[chosen]
        held = torch.searchsorted(chosen, held)
    return {name: values[:] for name, values in rows.items()}, weights, held


def _cells(shape: Shape, inputs: Tensors, n: int) -> torch.Tensor | None:
    """Return a number for each combination of codes, or None where an input is not a code."""
    if not all(kind.discrete for _, kind in shape.inputs):
        return None
    if not inputs:
        return torch.zeros(n, dtype=torch.long)
    stacked = torch.stack([values.cpu() for values in inputs.values()], 1)
    _, number = torch.unique(stacked, dim=0, return_inverse=True)
    return torch.as_tensor(number)


def layers(
    hidden: torch.Tensor,
    codes: torch.Tensor,
    mass: torch.Tensor,
    held: torch.Tensor,
    start: torch.Tensor,
    cells: torch.Tensor | None,
) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Return two layers ``(levels, width + 1)``, bias last: from the rows not held out, and from all.

    ``hidden`` ``(n, width)`` is what the layer sees, ``codes`` ``(n,)`` are targets, ``mass`` ``(n,)`` weights,
    ``held`` indices of held-out rows, ``start`` the trained layer. ``cells`` ``(n,)`` numbers the combinations
    of inputs where they repeat. The ridge is the one that predicts the held-out rows best (none of them: both
    layers are ``start``). Where cells hold rows enough, on average, they are matched instead, by all rows: there is
    no first layer. A cell that was hardly seen may matter much where its variables are drawn apart, so that what
    ``start`` says of it counts too, for as many rows as predicts the held-out ones best, if they tell clearly.
    """
    use = torch.ones(len(codes), dtype=torch.bool)
    use[held] = False
    if int(use.sum()) == 0:
        return start, start
    every = _Sums.of(hidden, codes, mass, cells, len(start))
    some = _Sums.of(hidden, codes, mass * use, cells, len(start))
    told_apart = len(every.counts) <= hidden.shape[1]
    if cells is not None and told_apart and every.counts.numel() * _ROWS_A_NUMBER <= int(use.sum()):
        rows = effective(mass * use, len(use))
        worth = some.worth(start, rows, cells[held], codes[held], mass[held])
        return None, every.match(start, every.shrunk(start, worth, effective(mass, len(use))))
    at = _Sums.of(hidden[held], codes[held], mass[held], None, len(start))
    best, least, ridge, layer = start, float(at.cross_entropy(start)), math.inf, start
    for tried in _RIDGES:
        layer = some.fit(start, tried, layer)
        if (loss := float(at.cross_entropy(layer))) < least:
            best, least, ridge = layer, loss, tried
    return best, every.fit(start, ridge, best) if ridge < math.inf else start


@dataclass(frozen=True, slots=True)
class _Sums:
    """Rows that share what the layer sees, ``(cells, width)`` and ``(cells, levels)`` weights adding up to 1.

    ``offset`` ``(cells, levels)`` is added to the logits.
    """

    hidden: torch.Tensor
    counts: torch.Tensor
    offset: torch.Tensor

    @staticmethod
    def of(
        hidden: torch.Tensor,
        codes: torch.Tensor,
        mass: torch.Tensor,
        cells: torch.Tensor | None,
        levels: int,
    ) -> _Sums:
        """Collect rows, by cell where cells are given; at most 200,000 of them otherwise."""
        if cells is None:
            few = slice(0, _MOST_ROWS)
            seen = hidden[few]
            counts = functional.one_hot(codes[few], levels).double() * mass[few, None]
        else:
            count = int(cells.max()) + 1
            first = torch.empty(count, dtype=torch.long)
            first[cells] = torch.arange(len(cells))  # any row of the cell will do
            seen = hidden[first]
            counts = torch.zeros(count * levels, dtype=torch.float64)
            counts = counts.index_add_(0, cells * levels + codes, mass).view(count, levels)
        ones = torch.ones(len(seen), 1, dtype=torch.float64)
        seen = torch.cat([seen.double(), ones], 1)
        return _Sums(seen, counts / counts.sum(), torch.zeros_like(counts))

    def cross_entropy(self, layer: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy of a layer ``(levels, width)``."""
        logits = self.hidden @ layer.T + self.offset
        found: torch.Tensor = -(self.counts * torch.log_softmax(logits, 1)).sum()
        return found

    def shrunk(self, start: torch.Tensor, worth: float, rows: float) -> torch.Tensor:
        """Return the shares of each cell ``(cells, levels)``, those that ``start`` gives it counting as ``worth`` rows
        for each level beside its own; all cells hold so many effective ``rows``."""
        given = torch.softmax(self.hidden @ start.T, 1)
        seen = rows * self.counts + worth * len(start) * given
        return seen / seen.sum(1, keepdim=True)

    def worth(
        self,
        start: torch.Tensor,
        rows: float,
        cells: torch.Tensor,
        codes: torch.Tensor,
        mass: torch.Tensor,
    ) -> float:
        """Return what rows of weights ``mass`` in ``cells``, each ``(n,)``, say is best for ``shrunk``.

        It is the least unless they clearly favour more.
        """
        share = mass / mass.sum().clamp(min=1e-12)
        scores = [
            float((share * self.shrunk(start, worth, rows)[cells, codes].log()).sum())
            for worth in _WORTHS
        ]
        best = max(scores)
        clear = effective(mass, len(mass)) * (best - scores[0]) >= _BORNE_OUT
        return _WORTHS[scores.index(best)] if clear else _WORTHS[0]

    def match(self, start: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """Return the layer under which every cell has its ``shares``, as far as its features tell cells apart.

        Steps are taken from ``start`` in a basis in which the features of cells, each counted once, are
        uncorrelated: a rare cell is reached as soon as a common one.
        """
        values, vectors = torch.linalg.eigh(self.hidden.T @ self.hidden)
        kept = values > _COLLINEAR * values.max()
        basis = vectors[:, kept] / values[kept].sqrt()
        even = shares / len(shares)
        there = _Sums(self.hidden @ basis, even, self.hidden @ start.T)
        nothing = torch.zeros(len(start), basis.shape[1], dtype=torch.float64)
        found: torch.Tensor = start + there.fit(nothing, _LEAST, nothing) @ basis.T
        return found

    def fit(self, start: torch.Tensor, ridge: float, warm: torch.Tensor) -> torch.Tensor:
        """Minimise the cross-entropy plus ridge/2 |layer - start|², beginning at ``warm``."""
        with torch.enable_grad():
            layer = warm.clone().requires_grad_(True)
            solver = torch.optim.LBFGS(
                [layer],
                max_iter=_STEPS,
                history_size=20,
                line_search_fn="strong_wolfe",
                tolerance_grad=1e-9,
                tolerance_change=1e-12,
            )

            def closure() -> torch.Tensor:
                solver.zero_grad()
                loss = self.cross_entropy(layer) + ridge / 2 * ((layer - start) ** 2).sum()
                loss.backward()  # type: ignore[no-untyped-call]
                return loss

            solver.step(closure)  # type: ignore[no-untyped-call]
        return layer.detach()
