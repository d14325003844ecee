"""Large images and vectors by their leading principal components, for networks that read them.

A network that reads thousands of pixels learns single ones by heart; what many pixels agree on is in a few
components.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from causalc.runtime.components import leading
from causalc.runtime.encode import unpack
from causalc.runtime.families.protocol import Tensors, Variables
from causalc.runtime.network import Features
from causalc.runtime.schema import Kind

_WIDE = 512  # numbers in an image or vector beyond which its leading components stand for it
LEADING = 128


def large(kind: Kind) -> bool:
    """Whether its leading components stand for a variable."""
    return kind.name in ("image", "vector") and kind.width > _WIDE


class Leading(nn.Module):
    """Flat pixels ``(n, d)`` to their leading principal components ``(n, 128)``, of unit variance on average.

    Their own scales are kept, so that noise of one size hides the details before the outlines.
    """

    centre: torch.Tensor
    basis: torch.Tensor

    def __init__(self, d: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(d))
        self.register_buffer("basis", torch.zeros(d, LEADING))

    def standardise(self, images: torch.Tensor) -> float:
        """Set the basis from encoded images; return what it makes of noise of unit size on pixels of unit scale."""
        found = leading(images, LEADING)
        if found is None:
            return 0.0
        one, total = found
        shrunk = math.sqrt(LEADING / float(one.scale.square().sum()))
        self.centre.copy_(one.centre)
        self.basis[:, : one.basis.shape[1]] = shrunk * one.basis
        return shrunk * math.sqrt(total / len(one.centre))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the components."""
        return (pixels - self.centre) @ self.basis


class Outlines(nn.Module):
    """Encoded inputs as one float vector a row: ``Features``, but for large ones their leading components."""

    def __init__(self, inputs: Variables) -> None:
        super().__init__()
        small = tuple(v for v in inputs if not large(v[1]))
        self.large = tuple(name for name, kind in inputs if large(kind))
        self.features = Features(small) if small or not self.large else None
        self.leading = nn.ModuleList(Leading(kind.width) for _, kind in inputs if large(kind))
        self.width = (self.features.width if self.features else 0) + LEADING * len(self.large)

    def standardise(self, rows: Tensors) -> None:
        """Set the components from encoded rows."""
        for name, project in zip(self.large, self.leading, strict=True):
            project.standardise(rows[name])  # type: ignore[operator]

    def forward(self, rows: Tensors, n: int) -> torch.Tensor:
        """Return float features ``(n, width)``."""
        parts = [self.features(rows, n)] if self.features else []
        for name, project in zip(self.large, self.leading, strict=True):
            parts.append(project(unpack(rows[name]).flatten(1)))
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
