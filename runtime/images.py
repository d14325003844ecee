"""Denoisers of small images: principal components of the target, learnt features of the inputs.

Two things let a small network learn a conditional of images in a minute on one CPU core:

- The target is coded by its principal components: a dozen pixels that move together are one
  number to learn. A few are made of unit variance each, so that noise meets them alike.
- The inputs pass through a tower trained beforehand to tell which target belongs to which inputs
  (``contrast``): its outputs are sufficient for the target, and the denoiser need not discover
  from a noisy loss what its inputs show. They are measured in nats, so that what says little of
  the target stays small. The tower stays as it is while the denoiser trains. A few codes need none:
  one-hot they are sufficient as they stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn
from torch.nn import functional

from causalc.runtime.components import Components
from causalc.runtime.contrast import Contrast, Tower
from causalc.runtime.families.neural import rows_of, whole
from causalc.runtime.families.protocol import Setting, Shape, Tensors, Variables
from causalc.runtime.network import Features, fourier
from causalc.runtime.noise import derive
from causalc.runtime.progress import Report
from causalc.runtime.specs import ModelSpec
from causalc.runtime.train import Plan, seeded, train

RANK = 32
_LEVELS = 16
_SAMPLE = 10_000
TOWER = 256
_DROPOUT = 0.4
_JITTER = 0.1  # nats: noise on the features in training, so that no row is told from its like
_PLAN = Plan(steps=3000, lr=8e-3, batch=256, weight_decay=1e-2)


def few_codes(inputs: Variables) -> bool:
    """Whether all inputs are discrete, with so few levels together that no tower could say it shorter."""
    return all(k.discrete for _, k in inputs) and sum(len(k.levels) for _, k in inputs) <= RANK


def nats(codes: torch.Tensor) -> torch.Tensor:
    """Return the basis ``(rank, rank)`` in which distances of left features are in nats.

    log p(r | l) - log p(r | l') is (l - l') code(r) / sqrt(rank) up to a constant. Its standard
    deviation over the right sides, whose ``codes`` ``(n, rank)`` are given, is |(l - l') basis|.
    """
    spread, axes = torch.linalg.eigh(torch.cov(codes.T.double()) / codes.shape[1])
    basis: torch.Tensor = (axes * spread.clamp(min=0).sqrt() @ axes.T).float()
    return basis


class Gated(nn.Module):
    """A block ``h + W3 (silu(W1 norm(h)) * W2 norm(h))``: pictures are products, of a shape with a
    colour and a brightness, which sums of sigmoids learn slowly."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, 2 * width)
        self.second = nn.Linear(width, width)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Map ``(n, width)`` to the same shape."""
        gate, value = self.first(self.norm(h)).chunk(2, dim=1)
        out: torch.Tensor = h + self.second(functional.silu(gate) * value)
        return out


class ComponentDenoiser(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Gated residual blocks on the principal components of one image, given features of the inputs.

    ``encode`` and ``decode`` take flat pixels in [-1, 1] to components and back. ``tower_width`` is
    the width of the tower; at 0 the inputs are taken as they are.
    """

    centre: torch.Tensor
    basis: torch.Tensor
    scale: torch.Tensor
    feature_centre: torch.Tensor
    feature_basis: torch.Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        shape: Mapping[str, Any],
        latent: int,
        width: int = 256,
        depth: int = 3,
        tower_width: int = TOWER,
    ) -> None:
        super().__init__()
        known = Shape.from_json(shape)
        ((_, kind),) = known.targets
        self.latent = latent
        self.register_buffer("centre", torch.zeros(kind.width))
        self.register_buffer("basis", torch.zeros(kind.width, latent))
        self.register_buffer("scale", torch.ones(latent))
        self.register_buffer("feature_centre", torch.zeros(RANK))
        self.register_buffer("feature_basis", torch.eye(RANK))
        towered = tower_width > 0 and bool(known.inputs)
        self.tower = Tower(known.inputs, tower_width, RANK) if towered else None
        self.codes = Features(known.inputs) if known.inputs and not towered else None
        features = self.codes.width if self.codes else RANK
        self.first = nn.Linear(latent, width)
        self.level = nn.Linear(2 * _LEVELS, width)
        self.given = nn.Linear(features, width) if known.inputs else None
        self.shifts = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.blocks = nn.ModuleList(Gated(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, latent)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return components ``(n, latent)`` in units of ``scale``."""
        return (pixels - self.centre) @ self.basis / self.scale

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return flat pixels ``(n, d)``, the inverse of ``encode`` on its range."""
        return (z * self.scale) @ self.basis.T + self.centre

    def seen(self, inputs: Tensors, n: int) -> torch.Tensor | None:
        """Return the features ``(n, rank)`` of the inputs, None if there are none: codes one-hot, or what a
        tower says; then two rows a distance d apart differ by d nats in what they say of a typical target."""
        if self.codes is not None:
            one_hot: torch.Tensor = self.codes(inputs, n)
            return one_hot
        if self.tower is None:
            return None
        with torch.no_grad():
            found: torch.Tensor = self.tower(inputs, n)
        return (found.float() - self.feature_centre) @ self.feature_basis

    def forward(
        self,
        x: torch.Tensor,
        level: torch.Tensor,
        inputs: Tensors,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Return raw output ``(n, latent)`` for ``x`` ``(n, latent)`` and ``level`` ``(n,)``.

        In training a generator gives the noise on the features.
        """
        embedding = self.level(fourier(level, _LEVELS))
        features = self.seen(inputs, x.shape[0])
        if features is not None and self.given is not None:
            if self.tower is not None and self.training and generator is not None:
                noise = torch.randn(features.shape, generator=generator, device=x.device)
                features = features + _JITTER * noise
            embedding = embedding + self.given(features)
        h = self.first(x) + embedding
        embedding = functional.silu(embedding)
        for shift, block in zip(self.shifts, self.blocks, strict=True):
            h = block(h + shift(embedding))
        raw: torch.Tensor = self.last(functional.silu(self.norm(h)))
        return raw

    def prepare(
        self,
        shape: Shape,
        rows: Tensors,
        found: Components,
        weights: torch.Tensor | None,
        spec: ModelSpec,
        setting: Setting,
        report: Report,
    ) -> None:
        """Take over the components and train the tower if there is one, for no more steps than ``spec`` gives
        the denoiser.

        Call once, before training.
        """
        self.centre.copy_(found.centre)
        self.basis.copy_(found.basis)
        self.scale.copy_(found.unit)
        if self.tower is None:
            return
        with seeded(derive(setting.seed, "contrast")):
            contrast = Contrast(shape.inputs, shape.targets, TOWER, RANK, dropout=_DROPOUT)
        contrast.standardise(rows)
        plan = replace(_PLAN, steps=min(_PLAN.steps, whole(spec, "steps", _PLAN.steps)))
        train(contrast, rows, weights, plan, setting, report)
        contrast.eval()
        some = {name: values[:_SAMPLE].to(setting.device) for name, values in rows.items()}
        with torch.no_grad():
            features = contrast.left(some, rows_of(some)).cpu()
            codes = contrast.right(some, rows_of(some)).cpu()
        self.tower.load_state_dict(contrast.left.cpu().state_dict())
        self.tower.requires_grad_(False)
        self.feature_centre.copy_(features.mean(dim=0))
        self.feature_basis.copy_(nats(codes))
