"""Samplers of texts, as functions of the network and of uniform numbers.

``write`` goes from left to right. ``unmask`` runs absorbing-state (masked) diffusion backwards: all
places start masked, and at each of a fixed number of steps an equal share of them, in random order,
takes the value that the denoiser draws. With as many steps as places no two are drawn at once, and
the law is exactly the denoiser's; with fewer, places of one step are drawn as if independent.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from causalc.runtime.tokens import END

Step = Callable[[torch.Tensor, int], torch.Tensor]
"""The previous tokens ``(n,)`` and the place to logits ``(n, size)``."""

Denoise = Callable[[torch.Tensor], torch.Tensor]
"""Codes ``(n, places)``, some masked, to logits ``(n, places, size)``."""


def invert(logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Draw codes from logits ``(..., size)`` by inversion of ``uniform`` ``(...)``."""
    p = torch.softmax(logits.double(), dim=-1).cumsum(dim=-1)
    p[..., -1] = 1.0
    return (uniform.to(p)[..., None] >= p).sum(dim=-1)


def write(step: Step, uniform: torch.Tensor, start: int) -> torch.Tensor:
    """Draw codes ``(n, places)`` from left to right, END from the first END on.

    ``uniform`` ``(n, places)``; ``start`` stands for the token before the first.
    """
    n, places = uniform.shape
    codes = torch.full((n, places), END, dtype=torch.int32, device=uniform.device)
    previous = torch.full((n,), start, dtype=torch.int64, device=uniform.device)
    ended = torch.zeros(n, dtype=torch.bool, device=uniform.device)
    for place in range(places):
        drawn = invert(step(previous, place), uniform[:, place]).masked_fill(ended, END)
        codes[:, place] = drawn
        ended |= drawn == END
        if ended.all():
            break
        previous = drawn
    return codes


def unmask(
    denoise: Denoise, order: torch.Tensor, uniform: torch.Tensor, mask: int, steps: int
) -> torch.Tensor:
    """Draw codes ``(n, places)`` in ``steps`` evaluations of the denoiser.

    ``order`` ``(n, places)`` are uniform numbers, whose ranks say when a place is drawn, ``uniform``
    those of its value.
    """
    places = order.shape[1]
    rank = order.argsort(dim=1).argsort(dim=1)
    codes = torch.full(order.shape, mask, dtype=torch.int64, device=order.device)
    steps = min(steps, places)
    for step in range(steps):
        first, stop = places * step // steps, places * (step + 1) // steps
        drawn = invert(denoise(codes), uniform)
        codes = torch.where((rank >= first) & (rank < stop), drawn, codes)
    return ended(codes)


def ended(codes: torch.Tensor) -> torch.Tensor:
    """Return int32 codes with everything behind the first END set to END."""
    past = (codes == END).cumsum(dim=1) > 0
    return codes.masked_fill(past, END).to(torch.int32)
