"""Small networks shared by the families: features of inputs, and a residual MLP."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from causalc.runtime.encode import unpack
from causalc.runtime.families.protocol import Tensors, Variables
from causalc.runtime.schema import Kind
from causalc.runtime.text_encoder import FrozenReader
from causalc.runtime.text_network import READ, Reader

_WIDEST_ONE_HOT = 64
_EMBEDDING = 32
_PERIODIC_WIDTH = 8  # vectors up to this width get periodic features
FREQUENCIES = (0.5, 1.0, 2.0, 4.0)


def periodic(z: torch.Tensor, frequencies: tuple[float, ...] = FREQUENCIES) -> torch.Tensor:
    """Return ``z`` with sines and cosines of it, ``(n, d)`` to ``(n, d (1 + 2 frequencies))``."""
    angles = (z.unsqueeze(-1) * z.new_tensor(frequencies)).flatten(1)
    return torch.cat([z, angles.sin(), angles.cos()], dim=1)


def smooth(z: torch.Tensor) -> torch.Tensor:
    """Return ``periodic(z)`` with each wave divided by the square of its frequency.

    All waves then bend alike, so a network that learns from few rows bends little where they do not
    ask for it: with even waves its excess loss is two to five times as large.
    """
    frequencies = z.new_tensor(FREQUENCIES)
    angles = z.unsqueeze(-1) * frequencies
    waves = [(wave / frequencies**2).flatten(1) for wave in (angles.sin(), angles.cos())]
    return torch.cat([z, *waves], dim=1)


class Features(nn.Module):
    """Encoded inputs as one float vector a row.

    One-hot codes (embeddings above 64 levels), numbers with smooth waves of them, flat pixels, texts as a
    reader sums them up.
    """

    constant: torch.Tensor

    def __init__(self, inputs: Variables) -> None:
        super().__init__()
        self.inputs = inputs
        self.register_buffer("constant", torch.ones(1, 1), persistent=False)
        self.embeddings = nn.ModuleDict()
        self.readers = nn.ModuleDict()
        self.width = 0
        for i, (_, kind) in enumerate(inputs):
            if kind.discrete and len(kind.levels) > _WIDEST_ONE_HOT:
                self.embeddings[str(i)] = nn.Embedding(len(kind.levels), _EMBEDDING)
            elif kind.name == "text":
                self.readers[str(i)] = FrozenReader(kind) if kind.encoder else Reader(kind)
            self.width += self._width(kind)
        self.width = self.width or 1  # a constant, so that layers without inputs are ordinary

    @staticmethod
    def _width(kind: Kind) -> int:
        if kind.discrete:
            return len(kind.levels) if len(kind.levels) <= _WIDEST_ONE_HOT else _EMBEDDING
        if kind.name == "text":
            return kind.encoder.width if kind.encoder else 2 * READ
        many = kind.name == "image" or kind.width > _PERIODIC_WIDTH
        return kind.width if many else kind.width * (1 + 2 * len(FREQUENCIES))

    def forward(self, inputs: Tensors, n: int) -> torch.Tensor:
        """Return float features ``(n, width)``."""
        parts = [self._feature(i, inputs[name], kind) for i, (name, kind) in enumerate(self.inputs)]
        if parts:
            return torch.cat(parts, dim=1)
        return self.constant.expand(n, 1)

    def _feature(self, i: int, values: torch.Tensor, kind: Kind) -> torch.Tensor:
        if str(i) in self.embeddings:
            embedded: torch.Tensor = self.embeddings[str(i)](values)
            return embedded
        if str(i) in self.readers:
            read: torch.Tensor = self.readers[str(i)](values)
            return read
        if kind.discrete:
            return functional.one_hot(values, len(kind.levels)).float()
        flat = unpack(values).flatten(1)
        wide = kind.name == "image" or kind.width > _PERIODIC_WIDTH
        return flat if wide else smooth(flat)


class Residual(nn.Module):
    """A block ``h + W2 silu(W1 norm(h))``, optionally scaled and shifted by an embedding."""

    def __init__(self, width: int, embedding: int = 0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.modulate = nn.Linear(embedding, 2 * width) if embedding else None
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, h: torch.Tensor, embedding: torch.Tensor | None = None) -> torch.Tensor:
        """Map ``(n, width)`` to the same shape."""
        u, drawing = self.norm(h), not torch.is_grad_enabled()
        if self.modulate is not None and embedding is not None:
            scale, shift = self.modulate(embedding).chunk(2, dim=1)
            u = torch.addcmul(shift, u, scale + 1)
        out: torch.Tensor = self.second(functional.silu(self.first(u), inplace=drawing))
        return out.add_(h) if drawing else h + out


class Perceptron(nn.Module):
    """A residual MLP from ``n_in`` to ``n_out`` numbers whose output starts at its bias."""

    def __init__(self, n_in: int, n_out: int, width: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Linear(n_in, width)
        self.blocks = nn.ModuleList(Residual(width) for _ in range(depth))
        self.last = nn.Linear(width, n_out)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(n, n_in)`` to ``(n, n_out)``."""
        out: torch.Tensor = self.last(self.hidden(x))
        return out

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the last layer sees, ``(n, width)``."""
        h = self.first(x)
        for block in self.blocks:
            h = block(h)
        return functional.silu(h)


def fourier(level: torch.Tensor, count: int) -> torch.Tensor:
    """Return sines and cosines of a noise level in [-2, 2], ``(n,)`` to ``(n, 2 count)``."""
    frequencies = torch.exp(torch.linspace(0, math.log(32.0), count, device=level.device))
    angles = level[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
