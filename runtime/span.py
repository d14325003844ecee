"""Where the normal components of a mixture may lie, and how wide they may be: what the rows' range allows.

Where inputs go together as no row has them, what a network says of a component grows without end:
of 10,000 draws one then lay 200 times as far out as any row, and moved the mean by a fifth of a
standard deviation. Within the data the limits are out of reach.
"""

from __future__ import annotations

import torch
from torch import nn

from causalc.runtime.encode import unpack
from causalc.runtime.families.neural import rows_of
from causalc.runtime.families.protocol import Tensors
from causalc.runtime.stored import some

_NARROWEST = 5e-3  # standard deviation of a component, on data of unit scale
_WIDEST = 0.25  # of the range
_BEYOND = 0.5  # of the range, on either side


class Span(nn.Module):
    """The lowest and the highest of each of ``d`` numbers, ``(d,)``; until they are seen, -4 and 4."""

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, d: int) -> None:
        super().__init__()
        self.register_buffer("low", torch.full((d,), -4.0))
        self.register_buffer("high", torch.full((d,), 4.0))

    def see(self, names: tuple[str, ...], rows: Tensors) -> None:
        """Set both from encoded rows of these variables, side by side."""
        at = torch.from_numpy(some(rows_of(rows), 0))
        seen = torch.cat([unpack(rows[name][at]).flatten(1) for name in names], dim=1)
        self.low.copy_(seen.amin(dim=0))
        self.high.copy_(seen.amax(dim=0))

    def means(self, raw: torch.Tensor) -> torch.Tensor:
        """Return means ``(..., d)``: as they are, unless further out than half the range."""
        beyond = _BEYOND * (self.high - self.low)
        return raw.clamp(self.low - beyond, self.high + beyond)

    def deviations(self, raw: torch.Tensor) -> torch.Tensor:
        """Return standard deviations ``(..., d)``, at most a quarter of the range."""
        # A soft floor under the standard deviation, or a point mass drives the density to infinity.
        return _NARROWEST + _WIDEST * (self.high - self.low) * raw.sigmoid()
