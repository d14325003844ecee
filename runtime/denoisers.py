"""Denoisers as diffusers models: configuration and weights in one folder, safetensors only.

A denoiser is called with the scaled noisy targets x ``(n, d)``, the noise level ``(n,)`` and the
encoded inputs, and returns raw output ``(n, d)`` (see ``precondition``). Targets are laid side by
side: numbers and vectors as they are, codes one-hot, images as flat pixels (channels first).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn
from torch.nn import functional

from causalc.runtime.families.protocol import Shape, Tensors
from causalc.runtime.main_effects import MainEffects
from causalc.runtime.network import FREQUENCIES, Features, Perceptron, Residual, fourier, periodic
from causalc.runtime.precondition import Prior, level
from causalc.runtime.schema import Kind
from causalc.runtime.span import Span

_PERIODIC_WIDTH = 8
_LEVELS = 16
_EMBEDDED = 64  # numbers that a noise level becomes


def slot_width(kind: Kind) -> int:
    """Return how many numbers of x a target takes."""
    return len(kind.levels) if kind.discrete else kind.width


class Modulated(nn.Module):
    """A block ``h + W2 silu(W1 norm(h) + given)`` whose norm is scaled and shifted by the noise level.

    What the inputs give is the same at every level, so it is computed once a draw; where all rows are at one
    level, that scales and shifts at no cost.
    """

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        self.level = nn.Linear(levels, 2 * width)
        self.given = nn.Linear(width, width)
        self.first = nn.Linear(width, width, bias=False)
        self.second = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.second.weight)

    def forward(self, h: torch.Tensor, level: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        """Map ``h`` ``(n, width)`` to the same shape, in place while drawing.

        ``level`` embeds the noise level of each row, or ``(1, levels)`` of all; ``given`` ``(n, width)`` is
        ``self.given`` of the inputs' embedding.
        """
        scale, shift = self.level(level).chunk(2, dim=1)
        scale = scale + 1
        if level.shape[0] == 1:
            u = functional.layer_norm(h, h.shape[1:], scale[0], shift[0])
        else:
            u = torch.addcmul(shift, functional.layer_norm(h, h.shape[1:]), scale)
        seen = torch.addmm(given, u, self.first.weight.T)
        if torch.is_grad_enabled() or torch.is_autocast_enabled(h.device.type):
            return torch.addmm(h, functional.silu(seen), self.second.weight.T)
        return torch.addmm(h, functional.silu(seen, inplace=True), self.second.weight.T, out=h)


class ResidualDenoiser(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """A residual MLP modulated by the noise level and the inputs; the default for every kind."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, shape: Mapping[str, Any], width: int = 128, depth: int = 3) -> None:
        super().__init__()
        known = Shape.from_json(shape)
        d = sum(slot_width(kind) for _, kind in known.targets)
        self.fine = all(not k.discrete and k.name != "image" for _, k in known.targets)
        self.fine = self.fine and d <= _PERIODIC_WIDTH
        self.features = Features(known.inputs)
        seen = d * (1 + 2 * len(FREQUENCIES)) if self.fine else d
        self.level = nn.Linear(2 * _LEVELS, _EMBEDDED)
        self.context = nn.Linear(self.features.width, width)
        self.first = nn.Linear(seen + 2 * _LEVELS + self.features.width, width)
        self.blocks = nn.ModuleList(Modulated(width, _EMBEDDED) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, d)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def known(self, inputs: Tensors, n: int) -> list[torch.Tensor]:
        """Return what the inputs alone add to the first layer and to each block, each ``(n, width)``."""
        features, count = self.features(inputs, n), self.features.width
        first = functional.linear(features, self.first.weight[:, -count:], self.first.bias)
        context = functional.silu(self.context(features))
        return [first, *(block.given(context) for block in self.blocks)]  # type: ignore[operator]

    def forward(
        self, x: torch.Tensor, level: torch.Tensor, known: list[torch.Tensor]
    ) -> torch.Tensor:
        """Return raw output ``(n, d)`` for ``x`` ``(n, d)`` and ``level``, ``(n,)`` or ``(1,)`` for all rows.

        ``known`` is computed once however many evaluations follow.
        """
        waves, (first, *added) = fourier(level, _LEVELS), known
        seen = periodic(x) if self.fine else x
        on_x, on_waves, _ = self.first.weight.split(
            [seen.shape[1], 2 * _LEVELS, self.features.width], dim=1
        )
        h = torch.addmm(first + functional.linear(waves, on_waves), seen, on_x.T)
        embedding = functional.silu(self.level(waves))
        for block, given in zip(self.blocks, added, strict=True):
            h = block(h, embedding, given)
        raw: torch.Tensor = self.last(functional.silu(self.norm(h)))
        return raw


class CodeDenoiser(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """For one code: its posterior given noisy x needs only log p(k | inputs), at every noise level.

    So the network is a function of the inputs alone (see ``precondition``).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, shape: Mapping[str, Any], width: int = 128, depth: int = 2) -> None:
        super().__init__()
        known = Shape.from_json(shape)
        ((_, kind),) = known.targets
        self.features = Features(known.inputs)
        self.network = Perceptron(self.features.width, slot_width(kind), width, depth)

    def forward(self, x: torch.Tensor, level: torch.Tensor, inputs: Tensors) -> torch.Tensor:
        """Return log p(k | inputs) up to a constant, ``(n, d)``."""
        raw: torch.Tensor = self.network.last(self.hidden(inputs, x.shape[0]))
        return raw

    def hidden(self, inputs: Tensors, n: int) -> torch.Tensor:
        """Return what the last layer sees, ``(n, width)``."""
        return self.network.hidden(self.features(inputs, n))


class MixtureDenoiser(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """For a few numbers: the denoiser of a mixture that depends on the inputs, and its correction.

    ``known`` is a function of the inputs alone, computed once however many evaluations follow. The
    correction is a small network of noisy x, its noise level and what is known.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        shape: Mapping[str, Any],
        width: int = 128,
        depth: int = 2,
        components: int = 10,
        small: int = 64,
    ) -> None:
        super().__init__()
        known = Shape.from_json(shape)
        self.d, self.components = sum(kind.width for _, kind in known.targets), components
        self.features = Features(known.inputs)
        self.network = Perceptron(self.features.width, components * (1 + 2 * self.d), width, depth)
        with torch.no_grad():
            means = self.network.last.bias[components : components * (1 + self.d)]
            line = torch.linspace(-1.5, 1.5, components)
            means.copy_(line if self.d == 1 else torch.randn_like(means))
        self.effects, self.span = MainEffects(known.inputs, self.d), Span(self.d)
        self.context = nn.Linear(width, small)
        self.first = nn.Linear(self.d * (3 + 2 * len(FREQUENCIES)) + 2 * _LEVELS, small)
        self.block = Residual(small, small)
        self.norm = nn.LayerNorm(small)
        self.last = nn.Linear(small, self.d)
        self.exact = False
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def settle(self) -> None:
        """Note whether there is no correction, once its weights are what they will be."""
        self.exact = not bool(self.last.weight.any() or self.last.bias.any())

    def known(self, inputs: Tensors, n: int) -> tuple[Prior, torch.Tensor]:
        """Return the mixture given the inputs, and what the correction sees of them ``(n, width)``."""
        hidden = self.network.hidden(self.features(inputs, n))
        k, d = self.components, self.d
        logits, means, scales = self.network.last(hidden).float().split([k, k * d, k * d], dim=1)
        deviation = self.span.deviations(scales.view(n, k, d))
        means = self.effects(inputs, n)[:, None] + means.view(n, k, d)
        prior = Prior(torch.log_softmax(logits, dim=1), self.span.means(means), deviation**2)
        return prior, hidden

    def forward(
        self, x: torch.Tensor, sigma: torch.Tensor, prior: Prior, context: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the mixture's mean of the clean numbers, the scale of what is left, and the correction
        in its units, each ``(n, d)``; ``x`` ``(n, d)``, ``sigma`` ``(n, 1)``, ``context`` from ``embed``.
        """
        mean, scale = prior.posterior(x, sigma)
        near = x / (1 + sigma**2).sqrt()
        seen = [periodic(near), mean - near, scale, fourier(level(sigma[:, 0]), _LEVELS)]
        h = self.first(torch.cat(seen, dim=1)) + context
        h = self.block(h, functional.silu(context))
        return mean, scale, self.last(functional.silu(self.norm(h)))

    def embed(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the context ``(n, small)`` of the correction."""
        context: torch.Tensor = self.context(hidden)
        return context
