"""From a raw network to a denoiser, D(x; σ) = E[x₀ | x₀ + σ ε = x], as pure functions.

Numbers follow EDM (Karras et al. 2022): with data of scale s the network sees x of unit scale and
predicts a mixture of noise and data that has unit scale at every σ. Codes are one-hot vectors;
there the posterior over levels is softmax(log p(k | rest) + x_k / σ²), so the second term is
supplied in closed form and the network only learns the first. Likewise a few numbers: a mixture of
Gaussians given the inputs has a denoiser in closed form, and a network learns what is left in units
of the mixture's posterior standard deviation. EDM's is the case of one Gaussian for all inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from causalc.runtime.families.neural import codes_at

Slots = tuple[tuple[int, int, bool], ...]  # (start, stop, whether a one-hot code) in x

_LEAST = 0.125  # of the posterior scale of one unit Gaussian: a mixture may be surer than it should


@dataclass(frozen=True, slots=True)
class Prior:
    """Mixtures of K diagonal Gaussians over d numbers: ``log_weights`` ``(n, K)``, the others ``(n, K, d)``."""

    log_weights: torch.Tensor
    means: torch.Tensor
    variances: torch.Tensor

    def detach(self) -> Prior:
        """Return the same mixtures as constants."""
        return Prior(self.log_weights.detach(), self.means.detach(), self.variances.detach())

    def log_parts(self, x: torch.Tensor, sigma: torch.Tensor | float) -> torch.Tensor:
        """Return ``(n, K)`` log joint densities of component and ``x`` ``(n, d)`` under noise ``sigma``."""
        total = self.variances + _last(sigma) ** 2
        gap = (x[:, None] - self.means) ** 2 / total
        parts = -0.5 * (gap + total.log() + math.log(2 * math.pi)).sum(dim=2)
        return self.log_weights + parts

    def log_density(self, x: torch.Tensor) -> torch.Tensor:
        """Return log densities ``(n,)`` of noiseless ``x`` ``(n, d)``."""
        return torch.logsumexp(self.log_parts(x, 0.0), dim=1)

    def posterior(self, x: torch.Tensor, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean of the clean numbers given noisy ``x`` ``(n, d)``, and the scale of what is left.

        ``sigma`` is ``(n, 1)``; both results are ``(n, d)``. The scale is the posterior standard
        deviation, kept above an eighth of what it is for one unit Gaussian.
        """
        share = torch.softmax(self.log_parts(x, sigma), dim=1)[:, :, None]
        noise = _last(sigma) ** 2
        kept = self.variances / (self.variances + noise)
        centres = self.means + kept * (x[:, None] - self.means)
        mean = (share * centres).sum(dim=1)
        spread = (share * (kept * noise + (centres - mean[:, None]) ** 2)).sum(dim=1)
        least = _LEAST**2 * sigma**2 / (1 + sigma**2)
        return mean, (spread + least).sqrt()

    def draw(self, uniform: torch.Tensor, noise: torch.Tensor, sigma: float) -> torch.Tensor:
        """Return samples ``(n, d)`` of the mixtures under noise ``sigma``, by uniforms and normals."""
        k = codes_at(uniform, self.log_weights.double().exp())
        each = torch.arange(k.shape[0], device=k.device)
        return self.means[each, k] + (self.variances[each, k] + sigma**2).sqrt() * noise


def _last(sigma: torch.Tensor | float) -> torch.Tensor | float:
    return sigma[:, None] if isinstance(sigma, torch.Tensor) else sigma


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
