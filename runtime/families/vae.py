"""Conditional variational autoencoders: targets of every kind jointly, given inputs of every kind.

p(y | x) is the mean over z ~ N(0, 1) of p(y | z, x): given z, numbers and pixels are normal with
scales of their own, codes independent. Trained on the importance-weighted bound (Burda et al. 2016)
with a few z a row, which keeps the encoder's shape from biasing the decoder much.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from causalc.errors import CausalcError
from causalc.runtime.encode import unpack
from causalc.runtime.families.layout import join, part, slots_of
from causalc.runtime.families.neural import (
    device_of,
    in_batches,
    load_state,
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

_DRAWS = 8  # z a row in the bound; 1 where an image is among the targets
_LOG_ROOT = 0.5 * math.log(2 * math.pi)


class Autoencoder(nn.Module):
    """Encoder, decoder and their bound; ``size`` is latent numbers, width and depth."""

    def __init__(self, shape: Shape, latent: int, width: int, depth: int) -> None:
        super().__init__()
        self.shape, self.slots, self.latent = shape, slots_of(shape), latent
        self.d = self.slots[-1][1]
        self.draws = 1 if any(kind.name == "image" for _, kind in shape.targets) else _DRAWS
        self.features = Features(shape.inputs)
        known = self.features.width
        self.encoder = Perceptron(self.d + known, 2 * latent, width, depth)
        self.decoder = Perceptron(latent + known, 2 * self.d, width, depth)

    def decode(self, z: torch.Tensor, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return means of numbers or logits of codes, and log scales of numbers, each ``(n, d)``."""
        out = self.decoder(torch.cat([z, features], dim=1)).float()
        centre, scale = out.split(self.d, dim=1)
        return centre, scale.clamp(-5, 3)

    def log_likelihood(
        self, x: torch.Tensor, z: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """Return log p(x | z, inputs) of each row, ``x`` ``(n, d)`` from ``join``."""
        centre, scale = self.decode(z, features)
        total = x.new_zeros(len(x))
        for start, stop, code in self.slots:
            at = slice(start, stop)
            if code:
                total = total + (torch.log_softmax(centre[:, at], 1) * x[:, at]).sum(dim=1)
            else:
                gap = (x[:, at] - centre[:, at]) * torch.exp(-scale[:, at])
                total = total - (0.5 * gap**2 + scale[:, at] + _LOG_ROOT).sum(dim=1)
        return total

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return minus the importance-weighted bound of each row."""
        clean = join(self.shape, batch)
        features = self.features(batch, len(clean))
        mean, scale = self.encoder(torch.cat([clean, features], 1)).float().chunk(2, dim=1)
        n, s = len(clean), self.draws
        noise = torch.randn((s, n, self.latent), generator=generator, device=clean.device)
        deviation = scale.clamp(-6, 3).exp()
        z = mean + deviation * noise
        ratio = (0.5 * noise**2 - 0.5 * z**2).sum(2) + deviation.log().sum(1)  # log p(z) / q(z)
        seen = (clean.repeat(s, 1), z.reshape(s * n, -1), features.repeat(s, 1))
        bound = torch.logsumexp(self.log_likelihood(*seen).reshape(s, n) + ratio, dim=0)
        return math.log(s) - bound

    def draw(
        self, z: torch.Tensor, noise: torch.Tensor, uniform: torch.Tensor, inputs: Tensors
    ) -> torch.Tensor:
        """Return samples ``(n, d)``; pixels are their means, as noise on them is no part of a picture."""
        centre, scale = self.decode(z, self.features(inputs, z.shape[0]))
        parts, codes = [], 0
        for (_, kind), (start, stop, code) in zip(self.shape.targets, self.slots, strict=True):
            at = slice(start, stop)
            if code:
                below = torch.softmax(centre[:, at].double(), 1).cumsum(1)
                k = (uniform[:, codes : codes + 1] >= below[:, :-1]).sum(1)
                parts.append(nn.functional.one_hot(k, stop - start).to(centre))
                codes += 1
            elif kind.name == "image":
                parts.append(centre[:, at])
            else:
                parts.append(centre[:, at] + scale[:, at].exp() * noise[:, at])
        return torch.cat(parts, dim=1)


@dataclass(frozen=True, slots=True)
class FittedAutoencoder:
    """A trained conditional autoencoder."""

    shape: Shape
    module: Autoencoder
    size: tuple[int, int, int]

    def sample(self, n: int, inputs: Tensors, noise: Noise) -> dict[str, torch.Tensor]:
        """Draw z from its prior, then the targets given z and the inputs."""
        rows = {name: inputs[name] for name, _ in self.shape.inputs} | self.noise(noise)
        return part(self.shape, in_batches(self._numbers, rows, n, device_of(self.module)))

    def noise(self, noise: Noise) -> dict[str, torch.Tensor]:
        """Return normals for z and the targets, and a uniform for each code, a row."""
        codes = max(1, sum(code for _, _, code in self.module.slots))
        normals = noise.normal(self.module.latent + self.module.d)
        return {" e": torch.from_numpy(normals), " u": torch.from_numpy(noise.uniform(codes))}

    def draw(self, rows: Tensors) -> dict[str, torch.Tensor]:
        """Draw as ``sample`` does, from encoded inputs and ``noise`` in ``rows``."""
        return part(self.shape, self._numbers(rows))

    def _numbers(self, rows: Tensors) -> torch.Tensor:
        z, e = rows[" e"].tensor_split([self.module.latent], dim=1)
        given = {name: unpack(rows[name]) for name, _ in self.shape.inputs}
        return self.module.draw(z, e, rows[" u"], given)

    def log_prob(self, targets: Tensors, inputs: Tensors) -> torch.Tensor:
        """Raise CausalcError: an autoencoder bounds its density and cannot give it."""
        raise CausalcError(
            f"{self.shape}: a vae only bounds its density; reweighting needs table(), softmax(), "
            "mixture() or flow() here."
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
) -> FittedAutoencoder:
    """Train on all targets jointly."""
    image = any(kind.name == "image" for _, kind in shape.targets)
    latent = 16 if image else min(8, 1 + slots_of(shape)[-1][1])
    width = whole(spec, "width", 256 if image else 128)
    size = (whole(spec, "latent", latent), width, whole(spec, "depth", 2))
    with seeded(derive(setting.seed, "init")):
        module = Autoencoder(shape, *size)
    few = effective(weights, rows_of(rows)) < 2000
    plan = Plan(steps=1000 if few else 2500, lr=1e-3 if image else 3e-3).override(spec)
    train(module, rows, weights, plan, setting, report)
    return FittedAutoencoder(shape, module.eval(), size)


def load(folder: Path, device: str) -> FittedAutoencoder:
    """Read what ``FittedAutoencoder.save`` wrote."""
    config = json.loads((folder / "config.json").read_text())
    shape, size = Shape.from_json(config["shape"]), tuple(config["size"])
    module = Autoencoder(shape, *size)
    load_state(folder, module, device)
    return FittedAutoencoder(shape, module, size)
