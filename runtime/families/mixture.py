"""Mixture density network: one real, integer or vector target, any inputs.

Ten Gaussians by default, with weights, means and covariances that depend on the inputs. For a
vector the covariance is full: the network gives a triangular factor of the precision.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from causalc.errors import CausalcError
from causalc.runtime.families.neural import (
    codes_at,
    device_of,
    in_batches,
    load_state,
    only,
    rows_of,
    save_module,
    whole,
)
from causalc.runtime.families.protocol import Setting, Shape, Tensors
from causalc.runtime.main_effects import MainEffects
from causalc.runtime.network import Features, Perceptron
from causalc.runtime.noise import Noise, derive
from causalc.runtime.progress import Report
from causalc.runtime.span import Span
from causalc.runtime.specs import ModelSpec
from causalc.runtime.train import density_plan, seeded, train

WIDEST = 32
_LOG_ROOT = 0.5 * math.log(2 * math.pi)


class Mixture(nn.Module):
    """Inputs to the parameters of a Gaussian mixture over ``d`` numbers."""

    def __init__(self, shape: Shape, components: int, width: int, depth: int) -> None:
        super().__init__()
        ((self.target, kind),) = shape.targets
        self.d, self.components = kind.width, components
        self.features = Features(shape.inputs)
        self.off = self.d * (self.d - 1) // 2
        out = components * (1 + 2 * self.d + self.off)
        self.network = Perceptron(self.features.width, out, width, depth)
        self.effects, self.span = MainEffects(shape.inputs, self.d), Span(self.d)
        with torch.no_grad():
            means = self.network.last.bias[components : components * (1 + self.d)]
            means.copy_(torch.linspace(-1.5, 1.5, components).repeat_interleave(self.d))
            if self.d > 1:
                means.copy_(torch.randn_like(means))

    def parameters_of(self, inputs: Tensors) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return log weights ``(n, K)``, means ``(n, K, d)`` and a whitening factor.

        The factor is lower triangular with positive diagonal, ``(n, K, d, d)``: it maps a gap from
        the mean to standard normals.
        """
        n, k, d = rows_of(inputs), self.components, self.d
        raw = self.network(self.features(inputs, n)).float()
        logits, means, scales, off = raw.split([k, k * d, k * d, k * self.off], dim=1)
        factor = torch.diag_embed(1 / self.span.deviations(scales.view(n, k, d)))
        if self.off:
            i, j = torch.tril_indices(d, d, -1, device=raw.device)
            factor[:, :, i, j] = off.view(n, k, self.off)
        means = self.span.means(self.effects(inputs, n)[:, None] + means.view(n, k, d))
        return torch.log_softmax(logits, dim=1), means, factor

    def log_density(self, batch: Tensors) -> torch.Tensor:
        """Return the log density of the target in ``batch``, shape ``(n,)``."""
        log_weights, means, factor = self.parameters_of(batch)
        gap = batch[self.target][:, None, :] - means
        if self.d == 1:
            root = factor[..., 0]
            standard = gap * root
        else:
            root = factor.diagonal(dim1=2, dim2=3)
            standard = torch.einsum("nkij,nkj->nki", factor, gap)
        parts = (root.log() - 0.5 * standard**2 - _LOG_ROOT).sum(dim=2)
        return torch.logsumexp(log_weights + parts, dim=1)

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return minus the log density of each row."""
        return -self.log_density(batch)


@dataclass(frozen=True, slots=True)
class FittedMixture:
    """A trained mixture density network."""

    shape: Shape
    module: Mixture
    size: tuple[int, int, int]

    def _inputs(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        return {name: inputs[name] for name, _ in self.shape.inputs}

    def sample(self, n: int, inputs: Tensors, noise: Noise) -> dict[str, torch.Tensor]:
        """Draw a component, then from it; ``(n, d)`` floats."""
        rows = self._inputs(inputs) | self.noise(noise)
        return {
            self.shape.target_names[0]: in_batches(self._numbers, rows, n, device_of(self.module))
        }

    def noise(self, noise: Noise) -> dict[str, torch.Tensor]:
        """Return a uniform and ``d`` normals a row."""
        uniform = torch.from_numpy(noise.uniform())
        return {" u": uniform, " e": torch.from_numpy(noise.normal(self.module.d))}

    def draw(self, rows: Tensors) -> dict[str, torch.Tensor]:
        """Draw as ``sample`` does, from encoded inputs and ``noise`` in ``rows``."""
        return {self.shape.target_names[0]: self._numbers(rows)}

    def _numbers(self, rows: Tensors) -> torch.Tensor:
        log_weights, means, factor = self.module.parameters_of(rows)
        k = codes_at(rows[" u"], log_weights.double().exp())
        each = torch.arange(k.shape[0], device=k.device)
        spread = torch.linalg.solve_triangular(factor[each, k], rows[" e"][:, :, None], upper=False)
        drawn: torch.Tensor = means[each, k] + spread[:, :, 0]
        return drawn

    def log_prob(self, targets: Tensors, inputs: Tensors) -> torch.Tensor:
        """Return log densities of encoded targets."""
        name = self.shape.target_names[0]
        rows = self._inputs(inputs) | {name: targets[name]}
        found = in_batches(
            self.module.log_density, rows, len(targets[name]), device_of(self.module)
        )
        return found.double()

    def save(self, folder: Path) -> None:
        """Write configuration and weights."""
        config = {"shape": self.shape.to_json(), "size": list(self.size)}
        save_module(folder, self.module, config)


def fit(
    shape: Shape,
    rows: Tensors,
    weights: torch.Tensor | None,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> FittedMixture:
    """Train by maximum likelihood. Raises CausalcError for targets it cannot model."""
    allowed = "real, integer and vector variables"
    only(shape, "mixture", lambda kind: kind.scalar or kind.name == "vector", allowed)
    if shape.targets[0][1].width > WIDEST:
        raise CausalcError(
            f"{shape}: mixture() takes vectors up to {WIDEST} wide; use diffusion()."
        )
    size = (whole(spec, "components", 10), whole(spec, "width", 128), whole(spec, "depth", 2))
    with seeded(derive(setting.seed, "init")):
        module = Mixture(shape, *size)
    module.span.see(shape.target_names, rows)
    module.effects.learn(shape.target_names, rows, weights)
    plan = density_plan(weights, rows_of(rows)).override(spec)
    train(module, rows, weights, plan, setting, report)
    module.eval()
    return FittedMixture(shape, module, size)


def load(folder: Path, device: str) -> FittedMixture:
    """Read what ``FittedMixture.save`` wrote."""
    config = json.loads((folder / "config.json").read_text())
    shape, size = Shape.from_json(config["shape"]), tuple(config["size"])
    module = Mixture(shape, *size)
    load_state(folder, module, device)
    return FittedMixture(shape, module, size)
