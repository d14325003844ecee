"""Neural spline flows by zuko: real, integer and vector targets jointly, any inputs.

A monotone map of the targets, given the inputs, to standard normals: rational-quadratic splines
inside [-5, 5] and the identity outside. One pass gives densities, one pass back gives samples.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from zuko.flows import NSF

from causalc.errors import CausalcError
from causalc.runtime.families.layout import join, part
from causalc.runtime.families.neural import (
    device_of,
    in_batches,
    load_state,
    only,
    rows_of,
    save_module,
    whole,
)
from causalc.runtime.families.protocol import Setting, Shape, Tensors
from causalc.runtime.network import Features
from causalc.runtime.noise import Noise, derive
from causalc.runtime.progress import Report
from causalc.runtime.specs import ModelSpec
from causalc.runtime.train import density_plan, seeded, train

WIDEST = 64


class Flow(nn.Module):
    """Inputs to a density over ``d`` numbers. Several numbers take three autoregressive layers."""

    def __init__(self, shape: Shape, bins: int, width: int, depth: int) -> None:
        super().__init__()
        self.shape = shape
        self.d = sum(kind.width for _, kind in shape.targets)
        self.features = Features(shape.inputs)
        self.flow = NSF(
            self.d,
            self.features.width,
            bins=bins,
            transforms=1 if self.d == 1 else 3,
            hidden_features=[width] * depth,
            activation=nn.SiLU,
        )

    def log_density(self, batch: Tensors) -> torch.Tensor:
        """Return the log density of the targets in ``batch``, shape ``(n,)``."""
        features = self.features(batch, rows_of(batch))
        found: torch.Tensor = self.flow(features).log_prob(join(self.shape, batch))
        return found

    def push(self, noise: torch.Tensor, inputs: Tensors) -> torch.Tensor:
        """Return samples ``(n, d)`` made of standard normals ``(n, d)``."""
        features = self.features(inputs, noise.shape[0])
        found: torch.Tensor = self.flow(features).transform.inv(noise)
        return found

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return minus the log density of each row."""
        return -self.log_density(batch).float()


@dataclass(frozen=True, slots=True)
class FittedFlow:
    """A trained spline flow."""

    shape: Shape
    module: Flow
    size: tuple[int, int, int]

    def sample(self, n: int, inputs: Tensors, noise: Noise) -> dict[str, torch.Tensor]:
        """Push standard normals through the inverse of the flow."""
        rows = {name: inputs[name] for name, _ in self.shape.inputs} | self.noise(noise)
        return part(self.shape, in_batches(self._numbers, rows, n, device_of(self.module)))

    def noise(self, noise: Noise) -> dict[str, torch.Tensor]:
        """Return ``d`` normals a row."""
        return {" e": torch.from_numpy(noise.normal(self.module.d))}

    def draw(self, rows: Tensors) -> dict[str, torch.Tensor]:
        """Draw as ``sample`` does, from encoded inputs and ``noise`` in ``rows``."""
        return part(self.shape, self._numbers(rows))

    def _numbers(self, rows: Tensors) -> torch.Tensor:
        return self.module.push(rows[" e"], rows)

    def log_prob(self, targets: Tensors, inputs: Tensors) -> torch.Tensor:
        """Return log densities of encoded targets."""
        rows = {name: inputs[name] for name, _ in self.shape.inputs}
        rows |= {name: targets[name] for name in self.shape.target_names}
        return in_batches(
            self.module.log_density, rows, rows_of(rows), device_of(self.module)
        ).double()

    def save(self, folder: Path) -> None:
        """Write configuration and weights."""
        save_module(folder, self.module, {"shape": self.shape.to_json(), "size": list(self.size)})


def fit(
    shape: Shape,
    rows: Tensors,
    weights: torch.Tensor | None,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> FittedFlow:
    """Train by maximum likelihood. Raises CausalcError for targets it cannot model."""
    allowed = "real, integer and vector variables, whose densities a smooth map can give,"
    only(shape, "flow", lambda kind: kind.scalar or kind.name == "vector", allowed)
    if sum(kind.width for _, kind in shape.targets) > WIDEST:
        raise CausalcError(f"{shape}: flow() takes {WIDEST} numbers at most; use diffusion().")
    size = (whole(spec, "bins", 8), whole(spec, "width", 128), whole(spec, "depth", 2))
    with seeded(derive(setting.seed, "init")):
        module = Flow(shape, *size)
    plan = density_plan(weights, rows_of(rows)).override(spec)
    train(module, rows, weights, plan, setting, report)
    return FittedFlow(shape, module.eval(), size)


def load(folder: Path, device: str) -> FittedFlow:
    """Read what ``FittedFlow.save`` wrote."""
    config = json.loads((folder / "config.json").read_text())
    shape, size = Shape.from_json(config["shape"]), tuple(config["size"])
    module = Flow(shape, *size)
    load_state(folder, module, device)
    return FittedFlow(shape, module, size)
