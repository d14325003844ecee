"""Diffusion of pictures in the latents of an autoencoder that is given by path.

Every picture of the data is coded once, by the mean of its latents, and the denoiser is trained on those numbers as it
would be on pixels: on their principal components where a few carry them. The autoencoder stays as it is; what it loses
of a picture no sample has.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from causalc.errors import CausalcError
from causalc.model_folder import Autoencoder, autoencoder
from causalc.runtime.encode import unpack
from causalc.runtime.families import diffusion
from causalc.runtime.families.protocol import Setting, Shape, Tensors
from causalc.runtime.noise import Noise
from causalc.runtime.pipelines import coder_of, copied
from causalc.runtime.progress import Report
from causalc.runtime.schema import Kind
from causalc.runtime.specs import ModelSpec

_AT_ONCE = 64  # pictures
_FOLDER, _PICTURES = "autoencoder", "pictures.json"


@dataclass(frozen=True, slots=True, eq=False)
class FittedLatent:
    """A diffusion model of latents, and the autoencoder that makes pictures of them."""

    shape: Shape
    inner: diffusion.FittedDiffusion
    about: Autoencoder
    coder: Any

    def sample(self, n: int, inputs: Tensors, noise: Noise) -> dict[str, torch.Tensor]:
        """Draw latents and decode them: pictures ``(n, channels, h, w)`` in about [-1, 1]."""
        (name,) = self.shape.target_names
        latents = self.inner.sample(n, inputs, noise)[name]
        return {name: _applied(self._decoded, latents, self.coder)}

    def _decoded(self, latents: torch.Tensor) -> torch.Tensor:
        pixels: torch.Tensor = self.coder.decode(latents).sample
        return pixels

    def log_prob(self, targets: Tensors, inputs: Tensors) -> torch.Tensor:
        """Raise CausalcError: a diffusion model has no cheap density."""
        return self.inner.log_prob(targets, inputs)

    def save(self, folder: Path) -> None:
        """Write the diffusion model, and the autoencoder beside it."""
        self.inner.save(folder)
        (folder / _PICTURES).write_text(json.dumps(self.shape.to_json()), encoding="utf-8")
        copied(self.about.path, folder / _FOLDER)


def _applied(function: Any, values: torch.Tensor, module: Any) -> torch.Tensor:
    device = next(module.parameters()).device
    with torch.no_grad():
        parts = [
            function(unpack(values[i : i + _AT_ONCE]).to(device)).cpu()
            for i in range(0, len(values), _AT_ONCE)
        ]
    return torch.cat(parts)


def _coded(shape: Shape, about: Autoencoder) -> Shape:
    """Return the shape with the picture's latents in its place. Raises CausalcError where it does not fit."""
    ((name, kind), *others) = shape.targets
    if others or kind.name != "image":
        raise CausalcError(f"{shape}: an autoencoder codes one picture; leave out autoencoder=.")
    height, width, channels = kind.shape
    if channels != about.channels or height % about.factor or width % about.factor:
        raise CausalcError(
            f"{about.path}: codes pictures with {about.channels} channels and sides that {about.factor} divides, "
            f"and {name} is {kind}."
        )
    sides = (height // about.factor, width // about.factor, about.latent)
    return Shape(((name, Kind("image", shape=sides)),), shape.inputs)


def fit(
    shape: Shape,
    rows: Tensors,
    weights: torch.Tensor | None,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> FittedLatent:
    """Code the pictures and train on their latents."""
    path = Path(str(spec.get("autoencoder", "")))
    about = autoencoder(path)
    inner = _coded(shape, about)
    coder = coder_of(path, setting.device)

    def encoded(pixels: torch.Tensor) -> torch.Tensor:
        mean: torch.Tensor = coder.encode(pixels).latent_dist.mode()
        return mean

    (name,) = shape.target_names
    latents = _applied(encoded, rows[name], coder)
    plain = replace(spec, options=tuple(o for o in spec.options if o[0] != "autoencoder"))
    made = diffusion.fit(inner, {**rows, name: latents}, weights, plain, setting, report)
    assert isinstance(made, diffusion.FittedDiffusion)
    return FittedLatent(shape, made, about, coder)


def load(folder: Path, device: str, inner: diffusion.FittedDiffusion) -> FittedLatent:
    """Read what ``FittedLatent.save`` wrote; ``inner`` is the diffusion model of it."""
    shape = Shape.from_json(json.loads((folder / _PICTURES).read_text(encoding="utf-8")))
    about = autoencoder(folder / _FOLDER)
    if _coded(shape, about) != inner.shape:
        raise CausalcError(f"{folder}: the autoencoder is of other pictures.")
    return FittedLatent(shape, inner, about, coder_of(folder / _FOLDER, device))
