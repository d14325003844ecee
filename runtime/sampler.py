"""Samplers as functions of a denoiser or a velocity. No clipping, no guidance."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

Denoise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def heun(denoise: Denoise, noise: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
    """Integrate dx/dσ = (x − D(x; σ)) / σ from ``sigmas[0]`` to 0 with Heun's rule.

    ``noise`` ``(n, d)`` is standard normal; ``sigmas`` decreases and ends in 0; ``denoise`` takes
    x and a scalar σ. Evaluations: 2 · (len(sigmas) − 1) − 1.
    """
    x = noise * sigmas[0]
    for step, (now, then) in enumerate(itertools.pairwise(sigmas), start=2):
        slope = (x - denoise(x, now)) / now
        guess = x + (then - now) * slope
        if step < len(sigmas):  # not `then > 0`: an export takes no turn that depends on a number
            slope = (slope + (guess - denoise(guess, then)) / then) / 2
            guess = x + (then - now) * slope
        x = guess
    return x


def midpoint(velocity: Denoise, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Integrate dx/dt = v(x, t) over decreasing ``times`` (1 to 0) with the midpoint rule."""
    x = noise
    for now, then in itertools.pairwise(times):
        half = x + (then - now) / 2 * velocity(x, now)
        x = x + (then - now) * velocity(half, (now + then) / 2)
    return x
