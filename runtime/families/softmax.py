"""A network with a softmax output: one discrete target, any inputs.

Its last layer is finished on all rows at once (see ``logistic``) and calibrated on held-out ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from causalc.runtime.families.neural import (
    codes_at,
    device_of,
    in_batches,
    in_distinct_batches,
    load_state,
    only,
    rows_of,
    save_module,
    whole,
)
from causalc.runtime.families.protocol import Setting, Shape, Tensors
from causalc.runtime.logistic import finish, standing
from causalc.runtime.network import Perceptron
from causalc.runtime.noise import Noise, derive
from causalc.runtime.outlines import Outlines
from causalc.runtime.progress import Report
from causalc.runtime.specs import ModelSpec
from causalc.runtime.train import Plan, effective, seeded, train
from causalc.runtime.weights import temperature


class Classifier(nn.Module):
    """Inputs to logits over the target's levels."""

    def __init__(self, shape: Shape, width: int, depth: int) -> None:
        super().__init__()
        ((self.target, kind),) = shape.targets
        self.features = Outlines(shape.inputs)
        self.network = Perceptron(self.features.width, len(kind.levels), width, depth)

    def logits(self, inputs: Tensors) -> torch.Tensor:
        """Return ``(n, levels)`` logits."""
        found: torch.Tensor = self.network.last(self.hidden(inputs))
        return found

    def hidden(self, inputs: Tensors) -> torch.Tensor:
        """Return what the last layer sees, ``(n, width)``."""
        return self.network.hidden(self.features(inputs, rows_of(inputs)))

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return the cross-entropy of each row."""
        return functional.cross_entropy(self.logits(batch), batch[self.target], reduction="none")


@dataclass(frozen=True, slots=True)
class FittedSoftmax:
    """A trained classifier whose logits are divided by a held-out temperature."""

    shape: Shape
    module: Classifier
    size: tuple[int, int]
    temperature: float

    def logits(self, inputs: Tensors, n: int) -> torch.Tensor:
        """Return ``(n, levels)`` float64 logits, uncalibrated."""
        device = device_of(self.module)
        return in_distinct_batches(self.module.logits, inputs, self.shape, n, device).double()

    def sample(self, n: int, inputs: Tensors, noise: Noise) -> dict[str, torch.Tensor]:
        """Draw codes by inversion."""
        codes = self._codes(self.logits(inputs, n), self.noise(noise)[" u"])
        return {self.shape.target_names[0]: codes}

    def noise(self, noise: Noise) -> dict[str, torch.Tensor]:
        """Return a uniform a row."""
        return {" u": torch.from_numpy(noise.uniform())}

    def draw(self, rows: Tensors) -> dict[str, torch.Tensor]:
        """Draw as ``sample`` does, from encoded inputs and ``noise`` in ``rows``."""
        logits = self.module.logits(rows).double()
        return {self.shape.target_names[0]: self._codes(logits, rows[" u"])}

    def _codes(self, logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        return codes_at(uniform, torch.softmax(logits / self.temperature, dim=1))

    def log_prob(self, targets: Tensors, inputs: Tensors) -> torch.Tensor:
        """Return log probabilities of target codes."""
        codes = targets[self.shape.target_names[0]].cpu()
        p = torch.log_softmax(self.logits(inputs, len(codes)) / self.temperature, dim=1)
        return p.gather(1, codes[:, None])[:, 0]

    def save(self, folder: Path) -> None:
        """Write configuration and weights."""
        config = {
            "shape": self.shape.to_json(),
            "size": list(self.size),
            "temperature": self.temperature,
        }
        save_module(folder, self.module, config)


def fit(
    shape: Shape,
    rows: Tensors,
    weights: torch.Tensor | None,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> FittedSoftmax:
    """Train, then choose the temperature on the held-out rows."""
    only(shape, "softmax", lambda kind: bool(kind.discrete), "discrete variables")
    size = (whole(spec, "width", 128), whole(spec, "depth", 2))
    with seeded(derive(setting.seed, "init")):
        module = Classifier(shape, *size)
    module.features.standardise(rows)
    n = rows_of(rows)
    plan = Plan(steps=600 if effective(weights, n) < 2000 else 1500, lr=3e-3).override(spec)
    outcome = train(module, rows, weights, plan, setting, report)
    module.eval()
    rows, weights, held = standing(rows, weights, outcome.held_out.cpu(), setting.seed)
    inputs = {name: rows[name] for name, _ in shape.inputs}
    hidden = in_batches(module.hidden, inputs, rows_of(rows), device_of(module))
    logits = finish(module.network.last, hidden, shape, rows, weights, held)
    if logits is None:
        return FittedSoftmax(shape, module, size, 1.0)
    mass = None if weights is None else weights.cpu()[held]
    found = temperature(logits, rows[module.target].cpu()[held], mass)
    return FittedSoftmax(shape, module, size, found)


def load(folder: Path, device: str) -> FittedSoftmax:
    """Read what ``FittedSoftmax.save`` wrote."""
    config = json.loads((folder / "config.json").read_text())
    shape, size = Shape.from_json(config["shape"]), tuple(config["size"])
    module = Classifier(shape, *size)
    load_state(folder, module, device)
    return FittedSoftmax(shape, module, size, float(config["temperature"]))
