"""A diffusers pipeline from a folder, as a conditional distribution of pictures.

The loop is ours, the networks and the scheduler are those of the folder. Pictures that a row is given are laid beside
the noise (with an autoencoder: their latents, as InstructPix2Pix does), discrete inputs make one class, the first
counting most. There is no guidance: a scale other than 1 would draw from another distribution. The starting noise and
the scheduler's own are keyed by row, so a row does not depend on the batch but for the rounding of float sums.
"""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from causalc.errors import CausalcError
from causalc.model_folder import WEIGHTS, Described, described, inspected
from causalc.runtime.bounds import compare
from causalc.runtime.encode import unpack
from causalc.runtime.families.neural import device_of
from causalc.runtime.families.protocol import Setting, Shape, Tensors
from causalc.runtime.noise import Noise
from causalc.runtime.progress import Report
from causalc.runtime.train import Plan, train

_AT_ONCE = 64  # rows


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """The parts of a pipeline, evaluating; ``shape`` has its inputs in the order in which it reads them."""

    shape: Shape
    about: Described
    unet: Any
    coder: Any | None
    scheduler: Any
    evaluations: int

    def draw(self, inputs: Mapping[str, np.ndarray], n: int, noise: Noise) -> np.ndarray:
        """Draw pictures ``(n, h, w, channels)`` uint8 given canonical input columns."""
        start = noise.normal(*self._latent_shape())
        seeds = (noise.uniform() * 2.0**53).astype(np.int64)
        parts = []
        for first in range(0, n, _AT_ONCE):
            rows = slice(first, min(first + _AT_ONCE, n))
            given = {name: inputs[name][rows] for name, _ in self.shape.inputs}
            parts.append(self._made(torch.from_numpy(start[rows]), seeds[rows].tolist(), given))
        return np.concatenate(parts)

    def _latent_shape(self) -> tuple[int, int, int]:
        height, width, _ = self.about.size
        factor = 2 ** (len(self.coder.config.block_out_channels) - 1) if self.coder else 1
        return int(self.unet.config.out_channels), height // factor, width // factor

    @torch.no_grad()
    def _made(
        self, start: torch.Tensor, seeds: list[int], given: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        device = device_of(self.unet)
        scheduler = type(self.scheduler).from_config(self.scheduler.config)  # it counts steps
        scheduler.set_timesteps(self.evaluations)
        own = {}
        if "generator" in inspect.signature(scheduler.step).parameters:
            own["generator"] = [torch.Generator().manual_seed(seed) for seed in seeds]
        x = start.to(device) * float(getattr(scheduler, "init_noise_sigma", 1.0))
        beside, code = self._given(given, device)
        for t in scheduler.timesteps:
            scaled = getattr(scheduler, "scale_model_input", lambda sample, t: sample)(x, t)
            seen = scaled if beside is None else torch.cat([scaled, beside], dim=1)
            raw = self.unet(seen, t, class_labels=code).sample
            x = scheduler.step(raw, t, x, **own).prev_sample
        pixels = ((self._decoded(x).float() + 1) * 127.5).clamp(0, 255).round().to(torch.uint8)
        return np.asarray(pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy())

    def _given(
        self, given: Mapping[str, np.ndarray], device: torch.device
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        tensors = {
            name: torch.from_numpy(np.ascontiguousarray(values)).to(device)
            for name, values in given.items()
        }
        pictures = {
            name: tensors[name].permute(0, 3, 1, 2)
            for name, kind in self.shape.inputs
            if kind.name == "image"
        }
        return self.beside(pictures), self.code(tensors)

    def beside(self, pictures: Tensors) -> torch.Tensor | None:
        """Return what pictures ``(n, c, h, w)`` lay beside the noise."""
        parts = [
            self.coded(unpack(pictures[name]))
            for name, kind in self.shape.inputs
            if kind.name == "image"
        ]
        return torch.cat(parts, dim=1) if parts else None

    def code(self, codes: Tensors) -> torch.Tensor | None:
        """Return the class ``(n,)`` that the discrete inputs make together."""
        total: torch.Tensor | None = None
        for name, kind in self.shape.inputs:
            if kind.discrete:
                total = codes[name] + (0 if total is None else total * len(kind.levels))
        return total

    def coded(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return pictures in [-1, 1] as the network sees them: latents where there is an autoencoder."""
        if self.coder is None:
            return pixels
        mode: torch.Tensor = self.coder.encode(pixels).latent_dist.mode()
        shift = self.coder.config.shift_factor or 0.0
        scaled: torch.Tensor = (mode - shift) * self.coder.config.scaling_factor
        return scaled

    def _decoded(self, x: torch.Tensor) -> torch.Tensor:
        if self.coder is None:
            return x
        shift = self.coder.config.shift_factor or 0.0
        pixels: torch.Tensor = self.coder.decode(
            x / self.coder.config.scaling_factor + shift
        ).sample
        return pixels

    def save(self, folder: Path) -> None:
        """Write the pipeline as it is now into ``folder``, which may exist and is empty."""
        copied(self.about.path, folder)
        self.unet.save_pretrained(folder / "unet", safe_serialization=True)


def copied(source: Path, folder: Path) -> None:
    """Copy the files of a model's folder."""
    for name, file in inspected(source).items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def load(path: Path, shape: Shape, evaluations: int, device: str) -> Pipeline:
    """Read a pipeline. Raises CausalcError unless its weights fill the networks that its JSON describes."""
    import diffusers

    about = described(path)
    unet = _evaluating(diffusers.UNet2DModel, path / "unet", device)
    coder = coder_of(path / "vqvae", device) if about.latent else None
    settings = json.loads((path / "scheduler" / "scheduler_config.json").read_text("utf-8"))
    scheduler = getattr(diffusers, settings["_class_name"]).from_config(settings)
    return Pipeline(shape, about, unet, coder, scheduler, evaluations)


def coder_of(folder: Path, device: str) -> Any:
    """Read an autoencoder. Raises CausalcError unless its weights fill the network that its JSON describes."""
    import diffusers

    return _evaluating(diffusers.AutoencoderKL, folder, device)


def _evaluating(maker: Any, folder: Path, device: str) -> Any:
    options = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    compare(lambda: maker.from_config(options), folder / WEIGHTS["pipeline"])
    made = maker.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return made.requires_grad_(False).to(device).eval()


# ---- training goes on


class Tuning(nn.Module):
    """The objective of a pipeline's network on rows of one's own: the noise it was trained to tell."""

    def __init__(self, pipeline: Pipeline, target: str) -> None:
        super().__init__()
        import diffusers

        if not hasattr(pipeline.scheduler, "alphas_cumprod"):
            raise CausalcError(
                f"{pipeline.about}: its scheduler is of flow matching, whose training does not go on here; "
                "leave out steps= to use the model as it is."
            )
        self._whole = (pipeline, target)  # a tuple: the autoencoder is no parameter of ours
        self.network = pipeline.unet.requires_grad_(True)
        self.noising: Any = diffusers.DDPMScheduler.from_config(  # type: ignore[no-untyped-call]
            pipeline.scheduler.config
        )

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return the squared error of each row at a random time."""
        pipeline, target = self._whole
        with torch.no_grad():
            clean, beside = pipeline.coded(batch[target]), pipeline.beside(batch)
        n, device = len(clean), clean.device
        count = self.noising.config.num_train_timesteps
        t = torch.randint(count, (n,), generator=generator, device=device)
        noise = torch.randn(clean.shape, generator=generator, device=device)
        x = self.noising.add_noise(clean, noise, t)
        seen = x if beside is None else torch.cat([x, beside], dim=1)
        raw = self.network(seen, t, class_labels=pipeline.code(batch)).sample
        match self.noising.config.prediction_type:
            case "v_prediction":
                wanted = self.noising.get_velocity(clean, noise, t)
            case "sample":
                wanted = clean
            case _:
                wanted = noise
        errors: torch.Tensor = ((raw.float() - wanted) ** 2).flatten(1).mean(dim=1)
        return errors


def tune(pipeline: Pipeline, rows: Tensors, plan: Plan, setting: Setting, report: Report) -> None:
    """Go on training the network of a pipeline, all of its weights, on encoded rows."""
    objective = Tuning(pipeline, pipeline.shape.target_names[0])
    train(objective, rows, None, plan, setting, report)
    pipeline.unet.requires_grad_(False).eval()
