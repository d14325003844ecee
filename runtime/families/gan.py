"""Conditional generative adversarial networks: real, integer, vector and image targets jointly.

The critic tells pairs of a real and a generated row apart (Jolicoeur-Martineau 2019) and its slope
at both is penalised, without which the game need not converge (Mescheder et al. 2018). What a critic
says does not rank generators, so held-out rows judge by the energy score, which is proper.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from causalc.errors import CausalcError
from causalc.runtime.encode import unpack
from causalc.runtime.families.layout import join, part, slots_of
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
from causalc.runtime.network import Features, Perceptron
from causalc.runtime.noise import Noise, derive
from causalc.runtime.progress import Report
from causalc.runtime.specs import ModelSpec
from causalc.runtime.train import Plan, effective, seeded, train

_PENALTY = 0.1  # on the squared slope of the critic, halved
_MOMENTUM = 0.5  # with 0.9 the players overshoot: W1 0.92 for 0.16 on a bimodal number, 2,000 rows


class Adversaries(nn.Module):
    """A generator of noise and inputs, and a critic of targets and inputs."""

    def __init__(self, shape: Shape, latent: int, width: int, depth: int) -> None:
        super().__init__()
        self.shape, self.latent, self.d = shape, latent, slots_of(shape)[-1][1]
        self.features = Features(shape.inputs)
        known = self.features.width
        self.generator = Perceptron(latent + known, self.d, width, depth)
        self.critic = Perceptron(self.d + known, 1, width, depth)
        for network in (self.generator, self.critic):
            nn.init.normal_(network.last.weight, std=width**-0.5)

    def generate(self, noise: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Return samples ``(n, d)`` made of noise ``(n, latent)``."""
        found: torch.Tensor = self.generator(torch.cat([noise, features], dim=1)).float()
        return found

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return the sum of both players' losses; of held-out rows their energy score."""
        real = join(self.shape, batch)
        features = self.features(batch, len(real))
        noise = torch.randn((2, len(real), self.latent), generator=generator, device=real.device)
        fake = self.generate(noise[0], features)
        if not self.training:
            again = self.generate(noise[1], features)
            gaps: torch.Tensor = torch.linalg.vector_norm(
                torch.stack([real - fake, again - fake]), dim=2
            )
            return gaps[0] - 0.5 * gaps[1]
        return self._critics(real, fake.detach(), features) + self._generators(real, fake, features)

    def _critics(
        self, real: torch.Tensor, fake: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """Return the critic's loss of each pair, its slopes penalised."""
        known = features.detach()
        both = torch.cat([real, fake]).requires_grad_(True)
        scores = self.critic(torch.cat([both, known.repeat(2, 1)], dim=1)).float()[:, 0]
        (slope,) = torch.autograd.grad(scores.sum(), both, create_graph=True)
        steep = (slope**2).sum(dim=1).view(2, -1).sum(dim=0)
        judged, forged = scores.chunk(2)
        return functional.softplus(forged - judged) + _PENALTY / 2 * steep

    def _generators(
        self, real: torch.Tensor, fake: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """Return the generator's loss of each pair before a critic that stands still."""
        still = {name: values.detach() for name, values in self.critic.named_parameters()}
        both = torch.cat([torch.cat([real, fake]), features.repeat(2, 1)], dim=1)
        judged, forged = functional_call(self.critic, still, (both,)).float()[:, 0].chunk(2)
        return functional.softplus(judged - forged)


@dataclass(frozen=True, slots=True)
class FittedAdversaries:
    """A trained generator; its critic is kept with it."""

    shape: Shape
    module: Adversaries
    size: tuple[int, int, int]

    def sample(self, n: int, inputs: Tensors, noise: Noise) -> dict[str, torch.Tensor]:
        """Generate rows from noise."""
        rows = {name: inputs[name] for name, _ in self.shape.inputs} | self.noise(noise)
        return part(self.shape, in_batches(self._numbers, rows, n, device_of(self.module)))

    def noise(self, noise: Noise) -> dict[str, torch.Tensor]:
        """Return normals, a row."""
        return {" e": torch.from_numpy(noise.normal(self.module.latent))}

    def draw(self, rows: Tensors) -> dict[str, torch.Tensor]:
        """Draw as ``sample`` does, from encoded inputs and ``noise`` in ``rows``."""
        return part(self.shape, self._numbers(rows))

    def _numbers(self, rows: Tensors) -> torch.Tensor:
        given = {name: unpack(rows[name]) for name, _ in self.shape.inputs}
        features = self.module.features(given, rows[" e"].shape[0])
        return self.module.generate(rows[" e"], features)

    def log_prob(self, targets: Tensors, inputs: Tensors) -> torch.Tensor:
        """Raise CausalcError: a generator has no density."""
        raise CausalcError(
            f"{self.shape}: a gan has no density; reweighting needs table(), softmax(), mixture() "
            "or flow() here."
        )

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
) -> FittedAdversaries:
    """Train both players. Raises CausalcError for codes: no slope leads through them."""
    allowed = "numbers, vectors and images, through which a critic's slope reaches the generator,"
    only(shape, "gan", lambda kind: not kind.discrete, allowed)
    d = slots_of(shape)[-1][1]
    latent = whole(spec, "latent", min(64, max(4, 2 * d)))
    size = (latent, whole(spec, "width", 128), whole(spec, "depth", 2))
    with seeded(derive(setting.seed, "init")):
        module = Adversaries(shape, *size)
    few = effective(weights, rows_of(rows)) < 2000
    plan = Plan(steps=1000 if few else 2500, lr=1e-3, momentum=_MOMENTUM).override(spec)
    train(module, rows, weights, plan, setting, report)
    return FittedAdversaries(shape, module.eval(), size)


def load(folder: Path, device: str) -> FittedAdversaries:
    """Read what ``FittedAdversaries.save`` wrote."""
    config = json.loads((folder / "config.json").read_text())
    shape, size = Shape.from_json(config["shape"]), tuple(config["size"])
    module = Adversaries(shape, *size)
    load_state(folder, module, device)
    return FittedAdversaries(shape, module, size)
