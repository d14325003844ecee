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
from causalc.runtime.network import FREQUENCIES, Features, Perceptron, Residual, fourier, periodic
from causalc.runtime.schema import Kind

_PERIODIC_WIDTH = 8
_LEVELS = 16


def slot_width(kind: Kind) -> int:
    """Return how many numbers of x a target takes."""
    return len(kind.levels) if kind.discrete else kind.width


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
        self.context = nn.Linear(2 * _LEVELS + self.features.width, width)
        self.first = nn.Linear(seen + 2 * _LEVELS + self.features.width, width)
        self.blocks = nn.ModuleList(Residual(width, width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, d)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: torch.Tensor, level: torch.Tensor, inputs: Tensors) -> torch.Tensor:
        """Return raw output ``(n, d)`` for ``x`` ``(n, d)`` and ``level`` ``(n,)``."""
        known = torch.cat([fourier(level, _LEVELS), self.features(inputs, len(x))], dim=1)
        seen = periodic(x) if self.fine else x
        embedding = functional.silu(self.context(known))
        h = self.first(torch.cat([seen, known], dim=1))
        for block in self.blocks:
            h = block(h, embedding)
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
        raw: torch.Tensor = self.network.last(self.hidden(inputs, len(x)))
        return raw

    def hidden(self, inputs: Tensors, n: int) -> torch.Tensor:
        """Return what the last layer sees, ``(n, width)``."""
        return self.network.hidden(self.features(inputs, n))
