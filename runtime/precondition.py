"""From a raw network to a denoiser, D(x; σ) = E[x₀ | x₀ + σ ε = x], as pure functions.

Numbers follow EDM (Karras et al. 2022): with data of scale s the network sees x of unit scale and
predicts a mixture of noise and data that has unit scale at every σ. Codes are one-hot vectors;
there the posterior over levels is softmax(log p(k | rest) + x_k / σ²), so the second term is
supplied in closed form and the network only learns the first.
"""

from __future__ import annotations

import torch
from torch.nn import functional

Slots = tuple[tuple[int, int, bool], ...]  # (start, stop, whether a one-hot code) in x


def scale_in(x: torch.Tensor, sigma: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Return ``x`` ``(n, d)`` scaled to unit variance; ``sigma`` ``(n, 1)``, ``data`` ``(d,)``."""
    return x / (sigma**2 + data**2).sqrt()


def level(sigma: torch.Tensor) -> torch.Tensor:
    """Return the noise level a network sees, ``log(σ) / 4``, shape of ``sigma``."""
    return sigma.log() / 4


def target(
    clean: torch.Tensor, x: torch.Tensor, sigma: torch.Tensor, data: torch.Tensor
) -> torch.Tensor:
    """Return what the network should output for numbers: unit variance at every σ."""
    total = (sigma**2 + data**2).sqrt()
    return (clean - data**2 / total**2 * x) * total / (sigma * data)


def denoise(
    raw: torch.Tensor, x: torch.Tensor, sigma: torch.Tensor, data: torch.Tensor, slots: Slots
) -> torch.Tensor:
    """Return the denoised ``(n, d)`` from a network's raw output for noisy ``x``."""
    total = (sigma**2 + data**2).sqrt()
    clean = data**2 / total**2 * x + sigma * data / total * raw
    parts = []
    for start, stop, code in slots:
        if code:
            logits = posterior(raw[:, start:stop], x[:, start:stop], sigma)
            parts.append(torch.softmax(logits, dim=1))
        else:
            parts.append(clean[:, start:stop])
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def posterior(raw: torch.Tensor, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Return logits of the level given noisy one-hot ``x``: network plus closed-form evidence."""
    return raw + x / sigma**2


def losses(
    raw: torch.Tensor,
    clean: torch.Tensor,
    x: torch.Tensor,
    sigma: torch.Tensor,
    data: torch.Tensor,
    slots: Slots,
) -> torch.Tensor:
    """Return the loss of each row: mean squares over numbers, cross-entropy for each code."""
    wanted = target(clean, x, sigma, data)
    total = raw.new_zeros(len(raw))
    for start, stop, code in slots:
        part = slice(start, stop)
        if code:
            logits = posterior(raw[:, part], x[:, part], sigma)
            total = total + functional.cross_entropy(logits, clean[:, part], reduction="none")
        else:
            total = total + ((raw[:, part] - wanted[:, part]) ** 2).mean(dim=1)
    return total
