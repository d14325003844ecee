"""Denoisers of small images: principal components of the target, learnt features of the inputs.

Three things let a small network learn a conditional of images in a minute on one CPU core:

- The target is coded by coordinates on the surface near which its images lie (``chart``): what
  remains to be learnt is a few dozen numbers of unit variance, and whatever they are is an image.
- The inputs pass through a tower trained beforehand to tell which target belongs to which inputs
  (``contrast``): its outputs are sufficient for the target, and the denoiser need not discover
  from a noisy loss what its inputs show. They are measured in nats, so that what says little of
  the target stays small. The tower stays as it is while the denoiser trains. A few codes need none:
  one-hot they are sufficient as they stand.
- The same training gives groups of targets that say alike of the inputs (``groups``). A sample's group
  is drawn first, by a softmax on the tower, and the denoiser is told it.
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

from causalc.runtime.chart import Chart, Curved, Gated, chart_of
from causalc.runtime.contrast import Contrast, Tower
from causalc.runtime.families.neural import codes_at, in_batches, rows_of, whole
from causalc.runtime.families.protocol import Setting, Shape, Tensors, Variables
from causalc.runtime.groups import DROPOUT, Grouping, ask, central, nearest
from causalc.runtime.network import Features, fourier
from causalc.runtime.noise import derive
from causalc.runtime.progress import Report
from causalc.runtime.specs import ModelSpec
from causalc.runtime.train import Plan, seeded, train

RANK = 32
_LEVELS = 16
_SAMPLE = 20_000
TOWER = 256
_UNTOLD = 0.1  # share of the rows whose group a denoiser is not told in training
_JITTER = 0.1  # nats: noise on the features in training, so that no row is told from its like
_PLAN = Plan(steps=4000, lr=8e-3, batch=256, weight_decay=1e-2)


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


class ImageDenoiser(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Gated residual blocks on the coordinates of one image in its ``chart``, given features of the inputs.

    ``tower_width`` is the width of the tower; at 0 the inputs are taken as they are. ``groups`` is the
    number of groups of targets; at 0 there are none. The denoiser is told the group of nine rows in ten,
    and with the group left out it is the denoiser of all.
    """

    feature_centre: torch.Tensor
    feature_basis: torch.Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        shape: Mapping[str, Any],
        latent: int,
        components: int,
        chart_width: int = 0,
        width: int = 256,
        depth: int = 3,
        tower_width: int = TOWER,
        groups: int = 0,
    ) -> None:
        super().__init__()
        known = Shape.from_json(shape)
        ((_, kind),) = known.targets
        self.latent = latent
        self.chart = chart_of(kind, latent, components, chart_width)
        self.register_buffer("feature_centre", torch.zeros(RANK))
        self.register_buffer("feature_basis", torch.eye(RANK))
        towered = tower_width > 0 and bool(known.inputs)
        self.tower = Tower(known.inputs, tower_width, RANK) if towered else None
        self.codes = Features(known.inputs) if known.inputs and not towered else None
        features = self.codes.width if self.codes else RANK
        self.first = nn.Linear(latent, width)
        self.level = nn.Linear(2 * _LEVELS, width)
        self.given = nn.Linear(features, width) if known.inputs else None
        self.groups = groups if towered else 0
        self.asked = nn.Linear(RANK, self.groups) if self.groups else None
        self.group = nn.Embedding(self.groups + 1, width) if self.groups else None
        told = (known.targets, tower_width, RANK, self.groups)
        self.grouping = Grouping(*told) if self.groups else None
        self.shifts = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.blocks = nn.ModuleList(Gated(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, latent)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def seen(self, inputs: Tensors, n: int) -> torch.Tensor | None:
        """Return the features ``(n, rank)`` of the inputs, None if there are none: codes one-hot, or what a
        tower says; then two rows a distance d apart differ by d nats in what they say of a typical target."""
        if self.codes is not None:
            one_hot: torch.Tensor = self.codes(inputs, n)
            return one_hot
        return None if self.tower is None else self.features(self.said(inputs, n))

    @torch.no_grad()
    def said(self, inputs: Tensors, n: int) -> torch.Tensor:
        """Return what the tower says of the inputs, ``(n, rank)``, where there is one."""
        assert self.tower is not None
        found: torch.Tensor = self.tower(inputs, n)
        return found.float()

    def features(self, said: torch.Tensor) -> torch.Tensor:
        """Return what the tower ``said`` in nats, ``(n, rank)``."""
        return (said - self.feature_centre) @ self.feature_basis

    def drawn(self, uniform: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
        """Return a group for each row by uniforms ``(n,)``, where there are groups."""
        assert self.asked is not None
        return codes_at(uniform, torch.softmax(self.asked(said).double(), dim=1))

    def known(
        self,
        features: torch.Tensor | None,
        group: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor | None:
        """Return what features that were ``seen``, and the group where it is told, add to every embedding.

        It is ``(n, width)``. In training a generator gives the noise on the features, and which groups are not told.
        """
        if features is None or self.given is None:
            return None
        noisy, n = self.training and generator is not None, features.shape[0]
        if self.tower is not None and noisy:
            noise = torch.randn(features.shape, generator=generator, device=features.device)
            features = features + _JITTER * noise
        context: torch.Tensor = self.given(features)
        if self.group is None:
            return context
        told = torch.full((n,), self.groups, device=features.device) if group is None else group
        if noisy:
            hidden = torch.rand(n, generator=generator, device=features.device) < _UNTOLD
            told = torch.where(hidden, self.groups, told)
        context = context + self.group(told)
        return context

    def forward(
        self, x: torch.Tensor, level: torch.Tensor, known: torch.Tensor | None
    ) -> torch.Tensor:
        """Return raw output ``(n, latent)`` for ``x`` ``(n, latent)`` and ``level``, ``(n,)`` or ``(1,)`` for
        all rows. ``known`` is computed once however many evaluations follow.
        """
        embedding = self.level(fourier(level, _LEVELS))
        if known is not None:
            embedding = embedding + known
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
        chart: Chart | Curved,
        weights: torch.Tensor | None,
        spec: ModelSpec,
        setting: Setting,
        report: Report,
    ) -> None:
        """Take over the chart and train the tower if there is one, for no more steps than ``spec`` gives
        the denoiser; if there are groups, find them and how to ask for them. Call once, before training.
        """
        self.chart = chart.requires_grad_(False)
        if self.tower is None:
            return
        with seeded(derive(setting.seed, "contrast")):
            contrast = Contrast(shape.inputs, shape.targets, TOWER, RANK, dropout=DROPOUT)
        contrast.standardise(rows)
        plan = _PLAN.at_most(whole(spec, "steps", _PLAN.steps))
        if weights is not None:
            # Heavy rows are few: what pictures show is learnt of all rows first.
            first, plan = _before(plan)
            train(contrast, rows, None, first, setting, report)
        train(contrast, rows, weights, plan, setting, report)
        contrast.eval()
        some = {name: values[:_SAMPLE] for name, values in rows.items()}
        mass = torch.ones(rows_of(some)) if weights is None else weights[:_SAMPLE]
        left, right = (_of(tower, some, setting) for tower in (contrast.left, contrast.right))
        self.tower.load_state_dict(contrast.left.cpu().state_dict())
        self.tower.requires_grad_(False)
        self.feature_centre.copy_(left.mean(dim=0))
        self.feature_basis.copy_(nats(right))
        if self.asked is None or self.grouping is None:
            return
        basis = nats(left)
        centres = central(right @ basis, mass, self.groups, derive(setting.seed, "groups"))
        groups = nearest(right @ basis, centres)
        ask(self.asked, right, groups, mass)
        self.grouping.take(contrast.right.cpu(), basis, centres)


def _before(plan: Plan) -> tuple[Plan, Plan]:
    """Return what to do of a plan on rows as they come, and under their weights."""
    first = max(1, 2 * plan.steps // 3)
    later = replace(plan, steps=max(1, plan.steps - first), lr=plan.lr / 4)
    return replace(plan, steps=first), later


def _of(tower: Tower, rows: Tensors, setting: Setting) -> torch.Tensor:
    """Return what a tower says of encoded rows, ``(n, rank)``."""

    def seen(batch: Tensors) -> torch.Tensor:
        found: torch.Tensor = tower(batch, rows_of(batch)).float()
        return found

    return in_batches(seen, rows, rows_of(rows), torch.device(setting.device))
