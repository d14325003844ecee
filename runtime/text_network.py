"""Networks for texts: a reader that sums a text up in a vector, and a transformer that writes one.

Both take codes ``(n, tokens)``, 0 behind the end (see ``tokens``).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from causalc.runtime.schema import Kind
from causalc.runtime.tokens import END

READ = 64  # width of a reader
_HEAD = 32  # width of an attention head

Cache = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of every block, each ``(n, heads, places, head width)``."""


class Reader(nn.Module):
    """A text as one vector ``(n, 2 READ)``: what its phrases say at most, and on average.

    Convolutions over tokens see phrases of seven tokens, wherever they stand.
    """

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.embedding = nn.Embedding(max(1, len(kind.levels)), READ)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.near = nn.Conv1d(READ, READ, 3, padding=1)
        self.far = nn.Conv1d(READ, READ, 3, padding=2, dilation=2)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Map codes ``(n, tokens)`` to ``(n, 2 READ)``."""
        codes = codes[:, : _longest(codes)]
        there = (codes != END)[:, None, :].float()
        h = self.embedding(codes).transpose(1, 2) * there
        h = (h + functional.silu(self.near(h))) * there
        h = (h + functional.silu(self.far(h))) * there
        mean = h.sum(dim=2) / there.sum(dim=2).clamp(min=1)
        # Places behind the end count as 0 in the maximum, whether or not there are any.
        return torch.cat([h.amax(dim=2).clamp(min=0), mean], dim=1)


def _longest(codes: torch.Tensor) -> int:
    """Return the length of the longest text, at least 1: what follows says nothing."""
    return max(1, int((codes != END).sum(dim=1).max())) if len(codes) else 1


class Block(nn.Module):
    """Attention and two layers, each on a norm that the context scales and shifts."""

    def __init__(self, width: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = max(1, width // _HEAD), causal
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.modulate = nn.Linear(width, 4 * width)
        self.attend = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.first = nn.Linear(width, 4 * width)
        self.second = nn.Linear(4 * width, width)
        for layer in (self.modulate, self.join, self.second):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        h: torch.Tensor,
        context: torch.Tensor,
        cache: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Map ``h`` ``(n, places, width)`` to the same shape, given ``context`` ``(n, 1, width)``.

        With a cache ``h`` holds the one place that follows those in it; the cache that includes it is
        returned.
        """
        a, b, c, d = self.modulate(context).chunk(4, dim=2)
        q, k, v = map(self._split, self.attend(self.norms[0](h) * (1 + a) + b).chunk(3, dim=2))
        if cache is not None:
            k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)
        causal = self.causal and cache is None
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        h = h + self.join(seen.transpose(1, 2).flatten(2))
        u = self.norms[1](h) * (1 + c) + d
        return h + self.second(functional.silu(self.first(u))), (k, v)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        n, places, width = x.shape
        return x.view(n, places, self.heads, width // self.heads).transpose(1, 2)


class Writer(nn.Module):
    """A transformer over the places of a text, given a vector of what is known.

    ``causal``: the logits at a place depend on the tokens before it alone, else on all tokens that
    are not ``mask``, one more than the vocabulary has.
    """

    def __init__(self, kind: Kind, known: int, width: int, depth: int, causal: bool) -> None:
        super().__init__()
        (self.places,), self.size = kind.shape, len(kind.levels)
        self.mask, self.causal = self.size, causal
        self.embedding = nn.Embedding(self.size + 1, width)
        self.place = nn.Parameter(0.02 * torch.randn(self.places, width))
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.context = nn.Sequential(nn.Linear(known, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(Block(width, causal) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, self.size)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def known(self, features: torch.Tensor) -> torch.Tensor:
        """Return the context ``(n, 1, width)`` of features ``(n, known)``."""
        found: torch.Tensor = self.context(features)[:, None]
        return found

    def forward(self, codes: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Return logits ``(n, places, size)``; in a causal writer those at a place are of its own
        token, given the ones before it."""
        if self.causal:
            start = torch.full_like(codes[:, :1], self.mask)
            codes = torch.cat([start, codes[:, :-1]], dim=1)
        h = self.embedding(codes) + self.place[: codes.shape[1]] + context
        for block in self.blocks:
            h, _ = block(h, context)
        out: torch.Tensor = self.last(self.norm(h))
        return out

    def step(
        self, previous: torch.Tensor, place: int, context: torch.Tensor, cache: Cache
    ) -> torch.Tensor:
        """Return logits ``(n, size)`` at ``place`` given the ``previous`` token ``(n,)``.

        ``cache`` holds all before, and is extended; it starts empty, with the mask as token.
        """
        h = self.embedding(previous)[:, None] + self.place[place] + context
        for i, block in enumerate(self.blocks):
            if place == 0:
                h, fresh = block(h, context)
                cache.append(fresh)
            else:
                h, cache[i] = block(h, context, cache[i])
        out: torch.Tensor = self.last(self.norm(h))[:, 0]
        return out
