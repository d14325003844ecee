"""Targets of a conditional side by side as one float vector a row, and apart again."""

from __future__ import annotations

import torch
from torch.nn import functional

from causalc.runtime.families.protocol import Shape, Tensors
from causalc.runtime.precondition import Slots


def slots_of(shape: Shape) -> Slots:
    """Return where each target lies in x, and whether as a one-hot code."""
    slots, start = [], 0
    for _, kind in shape.targets:
        stop = start + (len(kind.levels) if kind.discrete else kind.width)
        slots.append((start, stop, kind.discrete))
        start = stop
    return tuple(slots)


def join(shape: Shape, batch: Tensors) -> torch.Tensor:
    """Lay the targets of an unpacked batch side by side, ``(n, d)``."""
    parts = []
    for name, kind in shape.targets:
        values = batch[name]
        if kind.discrete:
            parts.append(functional.one_hot(values, len(kind.levels)).float())
        else:
            parts.append(values.flatten(1))
    return torch.cat(parts, dim=1)


def part(shape: Shape, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Undo ``join``: codes by the largest entry, images ``(n, c, h, w)``."""
    found = {}
    for (name, kind), (start, stop, code) in zip(shape.targets, slots_of(shape), strict=True):
        values = x[:, start:stop]
        if code:
            values = values.argmax(dim=1)
        elif kind.name == "image":
            height, width, channels = kind.shape
            values = values.reshape(-1, channels, height, width)
        found[name] = values
    return found
