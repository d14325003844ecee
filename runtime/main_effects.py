"""What each input alone says of the mean of a few numbers: a sum of functions of one input each.

A program draws inputs apart that the rows hold together (w1 and w2 of the napkin, x' and m of the
front door), so its models are asked where few rows are. What a network says there is little better
than a guess, whereas in a sum (an additive model; Hastie and Tibshirani 1986) each function is known
from all rows. Where the rows do not say that inputs act together, the sum is therefore taken first, and
the network learns what is left and the shape around the mean.

A function of a number is a natural cubic spline, straight beyond its outer knots, its curvature
penalised as generalised cross-validation says (Craven and Wahba 1979); of a code, a table.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import nn

from causalc.runtime.encode import unpack
from causalc.runtime.families.neural import rows_of
from causalc.runtime.families.protocol import Tensors, Variables
from causalc.runtime.mass import Mass
from causalc.runtime.schema import Kind
from causalc.runtime.stored import some
from causalc.runtime.train import effective

_KNOTS = 16
_OUTER = 10  # rows beyond the knot at either end, and more where that is further out than
_FURTHEST = 3.0  # standard deviations of a normal
_MOST = 512  # columns of a design
_ROWS, _WORK = 50_000, 5e9  # most rows of it, and multiplications
_AT_ONCE = 4096  # rows
_CURVATURES = tuple(10.0**k for k in range(-8, 3))  # penalties, for each row
_PAIRS = tuple(10.0**k for k in range(-5, 1))
_RIDGE = 1.0  # rows that say that there is no effect
_SURE = 1.0  # standard errors by which inputs must be seen to act together


class MainEffects(nn.Module):
    """Encoded inputs to the mean of ``d`` numbers, ``(n, d)``: 0 until ``learn`` has found otherwise."""

    knots: torch.Tensor
    pieces: torch.Tensor
    levels: torch.Tensor
    constant: torch.Tensor

    def __init__(self, inputs: Variables, d: int) -> None:
        super().__init__()
        self.numbers = tuple(name for name, kind in inputs if _numeric(kind))
        self.codes = tuple((name, len(kind.levels)) for name, kind in inputs if kind.discrete)
        p = sum(kind.width for name, kind in inputs if name in self.numbers)
        levels = sum(count for _, count in self.codes)
        counted = len(self.numbers) + len(self.codes) == len(inputs)
        if (
            not counted or p * _KNOTS + levels > _MOST
        ):  # images, texts and what is wide are the network's alone
            self.numbers, self.codes, p, levels = (), (), 0, 0
        self.register_buffer("knots", torch.linspace(-2, 2, _KNOTS).repeat(p, 1))
        self.register_buffer("pieces", torch.zeros(p, _KNOTS + 1, 4, d))
        self.register_buffer("levels", torch.zeros(levels, d))
        self.register_buffer("constant", torch.zeros(d))

    def forward(self, inputs: Tensors, n: int) -> torch.Tensor:
        """Return the mean of each row, ``(n, d)``."""
        total = self.constant.expand(n, -1)
        if self.numbers:
            z = self.side_by_side(inputs)
            total = total + spline(z, self.knots, self.pieces).sum(dim=0)
        start = 0
        for name, count in self.codes:
            total = total + self.levels[inputs[name] + start]
            start += count
        return total

    def side_by_side(self, inputs: Tensors) -> torch.Tensor:
        """Return the numbers among the inputs, ``(n, p)``."""
        return torch.cat([unpack(inputs[name]).flatten(1) for name in self.numbers], dim=1)

    @torch.no_grad()
    def learn(
        self, targets: tuple[str, ...], rows: Tensors, weights: torch.Tensor | Mass | None
    ) -> None:
        """Set all functions from encoded rows, unless these say that inputs act together."""
        if not self.numbers and not self.codes:
            return
        design = _Design(self, targets, rows, weights)
        alone = design.alone()
        if design.seen_together(alone):
            return
        values, levels = torch.split(alone.found, [self.knots.numel(), len(self.levels)])
        self.knots.copy_(design.knots)
        self.pieces.copy_(cubics(design.knots, values.view(*self.knots.shape, len(self.constant))))
        self.levels.copy_(levels)
        self.constant.copy_(alone.constant)


def _numeric(kind: Kind) -> bool:
    return kind.scalar or kind.name == "vector"


@dataclass(frozen=True, slots=True)
class _Fit:
    """Coefficients ``(columns, d)`` and ``(d,)``, how strongly they were penalised, and the squared error of each
    row by a fit without it, ``(n,)``."""

    found: torch.Tensor
    constant: torch.Tensor
    strength: float
    errors: torch.Tensor


class _Design:
    """What the rows say as columns: cardinal splines of each number, levels of each code; and products of pairs."""

    def __init__(
        self,
        effects: MainEffects,
        targets: tuple[str, ...],
        rows: Tensors,
        weights: torch.Tensor | Mass | None,
    ) -> None:
        columns = effects.knots.numel() + len(effects.levels)
        at = torch.from_numpy(some(rows_of(rows), 0))
        most = min(len(at), _ROWS, int(_WORK / columns**2))
        at = at[torch.linspace(0, len(at) - 1, most).long()]
        self.y = torch.cat([unpack(rows[name][at]).flatten(1) for name in targets], 1).double()
        w = torch.ones(len(at)).double() if weights is None else weights[at].double()
        self.w = w * (effective(w, len(w)) / w.sum())
        used = {name: rows[name][at] for name in effects.numbers}
        self.z = effects.side_by_side(used).double() if used else self.y[:, :0]
        codes = [nn.functional.one_hot(rows[name][at], k).double() for name, k in effects.codes]
        self.knots = torch.stack([_knots(z) for z in self.z.T]) if used else effects.knots.double()
        self.columns = torch.cat([*self._splines(), *codes], dim=1)
        self.shapes, self.codes = self._shapes(), [one - one.mean(dim=0) for one in codes]
        self.curvature = torch.zeros(columns, columns).double()
        for j, bending in enumerate(_bending(self.knots)):
            part = slice(j * _KNOTS, (j + 1) * _KNOTS)
            self.curvature[part, part] = bending.T @ _curvature(self.knots[j]) @ bending

    def _splines(self) -> list[torch.Tensor]:
        """Return the spline through 1 at one knot and 0 at all others, for every knot, of each number."""
        unit = torch.eye(_KNOTS).double().expand(len(self.knots), -1, -1)
        pieces = cubics(self.knots, unit)
        parts = [spline(z, self.knots, pieces) for z in torch.split(self.z, _AT_ONCE)]
        return [*torch.cat(parts, dim=1)]

    def _shapes(self) -> list[torch.Tensor]:
        """Return what products are made of: of each number ``(n, 2)``, straight and bent, of unit variance."""
        if not len(self.knots):
            return []
        z = torch.clamp(self.z, self.knots[:, 0], self.knots[:, -1])
        each = torch.stack([z, (z - z.mean(dim=0)) ** 2], dim=2)
        each = each - each.mean(dim=0)
        return [*(each / each.std(dim=0, correction=0).clamp(min=1e-6)).transpose(0, 1)]

    def alone(self, every: int = 1) -> _Fit:
        """Return the fit of one function of each input, of the curvature that is best, on ``every`` so many-th row."""
        columns, y, w = (each[::every] for each in (self.columns, self.y, self.w))
        return _best(columns, y, w, 0.0, self.curvature, _CURVATURES)

    def seen_together(self, alone: _Fit) -> bool:
        """Whether rows say that inputs act together: products of two make a fit clearly better, or cannot be tried."""
        straight = [shape[:, :1] for shape in self.shapes]  # few columns: the sharper question
        tried = [straight, self.shapes] if straight else [[]]
        return any(self._better([*shapes, *self.codes], alone) for shapes in tried)

    def _better(self, parts: list[torch.Tensor], alone: _Fit) -> bool:
        """Whether products of these, two by two, make a fit clearly better."""
        widths = [part.shape[1] for part in parts]
        old, pairs = self.columns.shape[1], [*itertools.combinations(range(len(widths)), 2)]
        new = old + sum(widths[a] * widths[b] for a, b in pairs)
        if not pairs or new > _MOST:
            return bool(pairs)
        every = math.ceil(len(self.y) * new**2 / _WORK)
        alone = alone if every == 1 else self.alone(every)
        columns, y, w, *parts = (each[::every] for each in (self.columns, self.y, self.w, *parts))
        products = [(parts[a][:, :, None] * parts[b][:, None, :]).flatten(1) for a, b in pairs]
        curved = nn.functional.pad(self.curvature, (0, new - old, 0, new - old))
        shrunk = torch.diag((torch.arange(new) >= old).double())
        both = _best(
            torch.cat([columns, *products], dim=1), y, w, alone.strength * curved, shrunk, _PAIRS
        )
        gain, share = alone.errors - both.errors, w / w.sum()
        mean = share @ gain
        return bool(mean > _SURE * (share * (gain - mean)).norm())


def _best(
    columns: torch.Tensor,
    y: torch.Tensor,
    w: torch.Tensor,
    fixed: torch.Tensor | float,
    penalty: torch.Tensor,
    strengths: tuple[float, ...],
) -> _Fit:
    """Return the penalised fit whose strength, for each row, is best by generalised cross-validation."""
    n = w.sum()
    middle, height = (w @ columns) / n, (w @ y) / n
    columns, y = columns - middle, y - height
    weighted = columns.T * w
    gram, right = weighted @ columns, weighted @ y
    total = (w @ y.square()).sum()
    base = gram + n * fixed + _RIDGE * torch.eye(len(gram)).double()

    def scored(strength: float) -> tuple[float, float, torch.Tensor, torch.Tensor]:
        factor = torch.linalg.cholesky(base + n * strength * penalty)
        found = torch.cholesky_solve(right, factor)
        freedom = torch.cholesky_solve(gram, factor).trace()
        left = total - (found * (2 * right - gram @ found)).sum()
        score = float(left / (1 - freedom / n).clamp(min=1e-3) ** 2)
        return score, strength, found, factor

    _, strength, found, factor = min(map(scored, strengths), key=lambda fit: fit[0])
    half = torch.linalg.solve_triangular(factor, columns.T, upper=False)
    leverage = (w * half.square().sum(dim=0) + w / n).clamp(max=0.999)
    errors = ((y - columns @ found) / (1 - leverage)[:, None]).square().sum(dim=1)
    return _Fit(found, height - middle @ found, strength, errors)


def _knots(z: torch.Tensor) -> torch.Tensor:
    """Return quantiles of ``z`` ``(n,)``, ``(K,)``; where few values differ, more of them beyond the last."""
    outer = torch.special.ndtri(torch.tensor(1 - min(0.1, _OUTER / len(z))).double())
    line = torch.linspace(-1, 1, _KNOTS).double() * outer.clamp(max=_FURTHEST)
    places = torch.special.ndtr(line) * (len(z) - 1)
    distinct = torch.unique(z.sort().values[places.round().long()])
    step = float(distinct[-1] - distinct[0]) / max(1, len(distinct) - 1)
    beyond = torch.arange(1, _KNOTS - len(distinct) + 1) * (step or 1.0)
    return torch.cat([distinct, distinct[-1] + beyond])


def cubics(knots: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return the natural splines through ``values`` ``(p, K, d)`` at ``knots`` ``(p, K)``, piece by piece.

    Each of the ``(p, K + 1, 4, d)`` is a cubic in the distance from the knot before; the outer ones are straight.
    """
    bends = _bending(knots) @ values
    steps = knots.diff(dim=1)[:, :, None]
    rise = values.diff(dim=1) / steps
    slopes = rise - steps * (2 * bends[:, :-1] + bends[:, 1:]) / 6
    last = rise[:, -1:] + steps[:, -1:] * (bends[:, -2:-1] + 2 * bends[:, -1:]) / 6
    nought = torch.zeros_like(values[:, :1])
    return torch.stack(
        [
            torch.cat([values[:, :1], values], dim=1),
            torch.cat([slopes[:, :1], slopes, last], dim=1),
            torch.cat([nought, bends[:, :-1] / 2, nought], dim=1),
            torch.cat([nought, bends.diff(dim=1) / (6 * steps), nought], dim=1),
        ],
        dim=2,
    )


def spline(z: torch.Tensor, knots: torch.Tensor, pieces: torch.Tensor) -> torch.Tensor:
    """Return ``cubics`` at ``z`` ``(n, p)``, ``(p, n, d)``; ``knots`` ``(p, K)`` rise."""
    p, k = knots.shape
    z = z.T.contiguous()
    at = torch.searchsorted(knots, z)
    starts = torch.cat([knots[:, :1], knots], dim=1)
    gap = (z - starts.gather(1, at))[:, :, None]
    at = at + (k + 1) * torch.arange(p, device=z.device)[:, None]
    one, two, three, four = pieces.flatten(0, 1)[at].unbind(dim=2)
    out: torch.Tensor = torch.addcmul(one, gap, torch.addcmul(two, gap, three + gap * four))
    return out


def _bending(knots: torch.Tensor) -> torch.Tensor:
    """Return what makes second derivatives of values at ``knots`` ``(p, K)``, ``(p, K, K)``; 0 at the ends."""
    each = []
    for h in knots.diff(dim=1):
        left, right = torch.eye(_KNOTS).double(), torch.zeros(_KNOTS, _KNOTS).double()
        for i in range(1, _KNOTS - 1):
            left[i, i - 1 : i + 2] = torch.stack([h[i - 1], 2 * (h[i - 1] + h[i]), h[i]])
            right[i, i - 1], right[i, i + 1] = 6 / h[i - 1], 6 / h[i]
            right[i, i] = -right[i, i - 1] - right[i, i + 1]
        each.append(torch.linalg.solve(left, right))
    return torch.stack(each) if each else knots.new_zeros(0, _KNOTS, _KNOTS)


def _curvature(knots: torch.Tensor) -> torch.Tensor:
    """Return the matrix ``(K, K)`` whose form of second derivatives at ``knots`` is the integral of their square."""
    h = knots.diff()
    main = torch.zeros(_KNOTS).double()
    main[:-1] += h / 3
    main[1:] += h / 3
    return torch.diag(main) + torch.diag(h / 6, 1) + torch.diag(h / 6, -1)
