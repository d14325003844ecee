"""Diffusion models: targets of every kind, alone or jointly, given inputs of every kind.

The denoiser is trained at log-normal noise levels under EDM preconditioning. It is sampled along
the flow-matching path with the midpoint rule, or along EDM's with Heun's (``method="edm"``): the
same denoiser, but with its exact form for two narrow Gaussians the first is off by W1 0.017 and
0.006 after 10 and 20 evaluations, the second by 0.20 and 0.04 after 15 and 23. Samples are never
clipped and conditioning is exact: no guidance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from causalc.errors import CausalcError
from causalc.runtime.charting import Charted, charted
from causalc.runtime.components import FEW_COMPONENTS
from causalc.runtime.denoisers import CodeDenoiser, MixtureDenoiser, ResidualDenoiser
from causalc.runtime.encode import unpack
from causalc.runtime.families.corrected import START, fit_corrected
from causalc.runtime.families.layout import join, part, slots_of
from causalc.runtime.families.neural import (
    device_of,
    in_batches,
    in_distinct_batches,
    rows_of,
    whole,
)
from causalc.runtime.families.protocol import Fitted, Setting, Shape, Tensors
from causalc.runtime.groups import GROUP, Grouping, number_of_groups
from causalc.runtime.images import TOWER, ImageDenoiser, few_codes
from causalc.runtime.logistic import finish, standing
from causalc.runtime.noise import Noise, derive
from causalc.runtime.precondition import denoise, level, losses, posterior, scale_in
from causalc.runtime.progress import Report
from causalc.runtime.sampler import Denoise, heun, midpoint
from causalc.runtime.schedule import (
    SIGMA_MAX,
    karras,
    linear,
    scheduler_config,
    training_sigma,
)
from causalc.runtime.specs import ModelSpec
from causalc.runtime.train import Plan, effective, seeded, train

# The closed list of denoisers that a saved folder may name.
DENOISERS = {
    "ResidualDenoiser": "causalc.runtime.denoisers",
    "CodeDenoiser": "causalc.runtime.denoisers",
    "MixtureDenoiser": "causalc.runtime.denoisers",
    "ImageDenoiser": "causalc.runtime.images",
}
_CODE_SCALE = 0.5
_CLEAN, _FEATURES = " clean", " features"  # columns; no variable has such a name
_AT_ONCE = 1024  # rows
_FEW = 8  # numbers that a mixture is learned of
_TRIES = 4  # at an image of the group that was drawn


def denoiser_for(
    shape: Shape,
    spec: ModelSpec,
    chart: Mapping[str, int] | None = None,
    effective: float = 0.0,
) -> tuple[str, dict[str, Any]]:
    """Return the class name and configuration of the denoiser for a conditional of so many effective rows.

    ``chart`` are the sizes of the chart of an image.
    """
    if chart is not None:
        wide = chart["chart_width"] or (256 if chart["latent"] <= FEW_COMPONENTS else 384)
        size = {"width": whole(spec, "width", wide), "depth": whole(spec, "depth", 3)}
        size["tower_width"] = 0 if few_codes(shape.inputs) else TOWER
        towered = size["tower_width"] > 0 and bool(shape.inputs)
        size["groups"] = number_of_groups(effective) if towered else 0
        return "ImageDenoiser", {"shape": shape.to_json(), **chart, **size}
    image = any(kind.name == "image" for _, kind in shape.targets)
    lone = len(shape.targets) == 1 and shape.targets[0][1].discrete
    size = {
        "width": whole(spec, "width", 384 if image else 128),
        "depth": whole(spec, "depth", 4 if image else 2),
    }
    numbers = all(kind.scalar or kind.name == "vector" for _, kind in shape.targets)
    few = numbers and sum(kind.width for _, kind in shape.targets) <= _FEW
    name = "CodeDenoiser" if lone else "MixtureDenoiser" if few else "ResidualDenoiser"
    return name, {"shape": shape.to_json(), **size}


def _class(name: str) -> Any:
    if name not in DENOISERS:
        raise CausalcError(f"Unknown denoiser {name!r}: use one of {', '.join(DENOISERS)}.")
    return getattr(import_module(DENOISERS[name]), name)


class Preconditioned(nn.Module):
    """A denoiser network with its data scale; the objective that ``train`` minimises."""

    data: torch.Tensor

    def __init__(
        self,
        shape: Shape,
        network: nn.Module,
        scale: torch.Tensor,
    ) -> None:
        super().__init__()
        self.shape, self.slots, self.network = shape, slots_of(shape), network
        self.register_buffer("data", scale)
        image = any(kind.name == "image" for _, kind in shape.targets)
        self.mean, self.spread = (-1.0, 1.4) if image else (-1.0, 1.6)
        self.coded = isinstance(network, ImageDenoiser)
        if self.coded:
            self.slots, self.mean = ((0, len(scale), False),), 0.0

    def raw(
        self,
        x: torch.Tensor,
        sigma: torch.Tensor,
        inputs: Tensors,
        group: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Return the network's output for noisy ``x`` at ``sigma`` ``(n, 1)``, of ``group`` ``(n,)`` if told."""
        network: Any = self.network
        if self.coded:
            features = (
                inputs.get(_FEATURES) if _CLEAN in inputs else network.seen(inputs, x.shape[0])
            )
            inputs = network.known(features, group, generator)
        elif isinstance(network, ResidualDenoiser):
            inputs = network.known(inputs, x.shape[0])
        out: torch.Tensor = network(scale_in(x, sigma, self.data), level(sigma[:, 0]), inputs)
        return out.float()

    def denoiser(self, inputs: Tensors, n: int) -> Denoise:
        """Return the function of x ``(n, d)`` and a scalar σ that denoises rows with these inputs."""
        network: Any = self.network
        if isinstance(network, ResidualDenoiser):
            return self.knowing(network, network.known(inputs, n))
        if isinstance(network, ImageDenoiser):
            return self.knowing(network, network.known(network.seen(inputs, n)))

        def each(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            levels = sigma.expand(x.shape[0], 1)
            return denoise(self.raw(x, levels, inputs), x, levels, self.data, self.slots)

        return each

    def knowing(self, network: Any, known: Any) -> Denoise:
        """Return the denoiser by a ``network`` that is given what is ``known`` of the inputs of all rows."""

        def once(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            one = sigma.view(1, 1)
            raw = network(scale_in(x, one, self.data), level(one[0]), known)
            return denoise(raw.float(), x, one, self.data, self.slots)

        return once

    @torch.no_grad()
    def told(self, batch: Tensors) -> dict[str, torch.Tensor]:
        """Return what an image's denoiser learns from: coordinates, features of the inputs, and groups."""
        network: Any = self.network
        pixels = join(self.shape, batch)
        found = {_CLEAN: network.chart.encode(pixels)}
        features = network.seen(batch, len(pixels))
        found |= {} if features is None else {_FEATURES: features}
        if network.grouping is None:
            return found
        return found | {GROUP: network.grouping(batch, len(pixels))}

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return the denoising loss of each row at a random noise level."""
        batch = self.told(batch) if self.coded and _CLEAN not in batch else batch
        clean = batch[_CLEAN] if self.coded else join(self.shape, batch)
        group = batch.get(GROUP)
        n, device = len(clean), clean.device
        order = torch.randperm(n, generator=generator, device=device)
        # One level in each of n strata: less noise in the gradient than n independent ones.
        uniform = (order + torch.rand(n, generator=generator, device=device)) / n
        sigma = training_sigma(uniform, self.mean, self.spread)[:, None]
        x = clean + sigma * torch.randn(clean.shape, generator=generator, device=device)
        raw = self.raw(x, sigma, batch, group, generator)
        return losses(raw, clean, x, sigma, self.data, self.slots)


@dataclass(frozen=True, slots=True)
class FittedDiffusion:
    """A trained denoiser with how it is sampled."""

    shape: Shape
    module: Preconditioned
    name: str
    method: str
    evaluations: int

    def sample(self, n: int, inputs: Tensors, noise: Noise) -> dict[str, torch.Tensor]:
        """Integrate from noise to data."""
        rows = {name: inputs[name] for name, _ in self.shape.inputs} | self.noise(noise)
        if isinstance(self.module.network, CodeDenoiser):
            rows[" p"] = _shares(self.module.network, self.shape, inputs, n)
        return part(self.shape, in_batches(self._numbers, rows, n, device_of(self.module)))

    def noise(self, noise: Noise) -> dict[str, torch.Tensor]:
        """Return what each row starts from: normals, and a uniform for a mixture or a group."""
        network, d = self.module.network, self.module.slots[-1][1]
        grouped = isinstance(network, ImageDenoiser) and network.groups > 0
        size = (_TRIES, d) if grouped else (d,)
        start = {" e": torch.from_numpy(noise.normal(*size))}
        if isinstance(network, MixtureDenoiser) or grouped:
            start[" u"] = torch.from_numpy(noise.uniform())
        return start

    def draw(self, rows: Tensors) -> dict[str, torch.Tensor]:
        """Draw as ``sample`` does, from encoded inputs and ``noise`` in ``rows``."""
        return part(self.shape, self._numbers(rows))

    def _numbers(self, rows: Tensors) -> torch.Tensor:
        network = self.module.network
        given = {name: unpack(rows[name]) for name, _ in self.shape.inputs}
        if isinstance(network, MixtureDenoiser):
            return self._correct(network, rows[" u"], rows[" e"], given)
        if isinstance(network, ImageDenoiser) and network.grouping is not None:
            return self._of_groups(network, network.grouping, rows, given)
        n = rows[" e"].shape[0]
        denoised = _of_shares(rows[" p"]) if " p" in rows else self.module.denoiser(given, n)
        found = self._integrate(denoised, rows[" e"], SIGMA_MAX)
        return network.chart.decode(found) if self.module.coded else found  # type: ignore[operator, union-attr]

    def _of_groups(
        self, network: ImageDenoiser, grouping: Grouping, rows: Tensors, given: Tensors
    ) -> torch.Tensor:
        """Draw a group for each row, and images until one is of that group.

        P(y | g, x) is 0 for an image of another group; a denoiser knows that only roughly. Where all tries go
        astray, the one that does least is kept.
        """
        starts = rows[" e"]
        said = network.said(given, starts.shape[0])
        group = network.drawn(rows[" u"], said)
        known: Any = network.known(network.features(said), group)

        def tried(start: torch.Tensor, at: Any) -> tuple[torch.Tensor, torch.Tensor]:
            denoised = self.module.knowing(network, known[at])
            found = network.chart.decode(self._integrate(denoised, start[at], SIGMA_MAX))
            return found, grouping.astray(part(self.shape, found.clamp(-1, 1)), group[at])

        first, *others = starts.unbind(dim=1)
        images, astray = tried(first, slice(None))
        # How many rows are left may not depend on them in an export.
        exported = torch.compiler.is_exporting()
        for start in others:
            left = slice(None) if exported else torch.nonzero(astray)[:, 0]
            if isinstance(left, torch.Tensor) and len(left) == 0:
                break
            found, far = tried(start, left)
            taken = far < astray[left]
            images[left] = torch.where(taken[:, None], found, images[left])
            astray[left] = torch.where(taken, far, astray[left])
        return images

    def denoise(self, x: torch.Tensor, sigma: torch.Tensor, inputs: Tensors) -> torch.Tensor:
        """Return E[clean | clean + sigma * noise = x], ``(n, d)``, over all groups of an image.

        ``x`` ``(n, d)`` are targets laid side by side (see ``join``) or an image's components, ``sigma``
        ``(n,)`` noise levels above 0, ``inputs`` encoded.
        """
        given = {name: unpack(inputs[name]) for name, _ in self.shape.inputs}
        network, each = self.module.network, sigma[:, None]
        if isinstance(network, MixtureDenoiser):
            prior, hidden = network.known(given, x.shape[0])
            mean, scale, raw = network(x, each, prior, network.embed(hidden))
            corrected: torch.Tensor = mean + scale * raw
            return corrected
        raw = self.module.raw(x, each, given)
        return denoise(raw, x, each, self.module.data, self.module.slots)

    def _correct(
        self, network: MixtureDenoiser, uniform: torch.Tensor, noise: torch.Tensor, inputs: Tensors
    ) -> torch.Tensor:
        """Draw from the mixture under noise of level ``START``, and denoise from there.

        Without a correction the end of that path is known: draws of the noiseless mixture.
        """
        prior, hidden = network.known(inputs, noise.shape[0])
        if network.exact:
            return prior.draw(uniform, noise, 0.0)
        context = network.embed(hidden)

        def denoised(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            mean, scale, raw = network(x, sigma.expand(x.shape[0], 1), prior, context)
            corrected: torch.Tensor = mean + scale * raw
            return corrected

        return self._integrate(denoised, prior.draw(uniform, noise, START) / START, START)

    def _integrate(self, denoised: Denoise, start: torch.Tensor, highest: float) -> torch.Tensor:
        """Denoise ``start``, noisy targets at noise level ``highest`` divided by it."""
        if self.method == "edm":
            count = max(2, (self.evaluations + 1) // 2)
            return heun(denoised, start, karras(count, highest=highest).to(start))

        def velocity(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            sigma = (time / (1 - time)).clamp(max=SIGMA_MAX)
            return (x - denoised(x * (1 + sigma), sigma)) / time

        times = linear(max(1, self.evaluations // 2)).to(start)
        if highest < SIGMA_MAX:  # noise of level s is met at time s / (1 + s)
            times = times * (highest / (1 + highest))
            start = start * times[0]
        return midpoint(velocity, start, times)

    def compile(self) -> None:
        """Have torch compile the network on an accelerator, in place; its first draws are slow."""
        if device_of(self.module).type == "cuda":
            self.module.network.compile()

    def log_prob(self, targets: Tensors, inputs: Tensors) -> torch.Tensor:
        """Raise CausalcError: a diffusion model has no cheap density."""
        raise CausalcError(
            f"{self.shape}: a diffusion model has no density; reweighting needs table(), softmax() "
            "or mixture() here."
        )

    def save(self, folder: Path) -> None:
        """Write the denoiser as diffusers does, the scheduler's configuration and our own."""
        scale = [float(value) for value in self.module.data.cpu()]
        config = {
            "shape": self.shape.to_json(),
            "denoiser": self.name,
            "method": self.method,
            "evaluations": self.evaluations,
            "data_scale": scale,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        self.module.network.save_pretrained(folder / "denoiser")  # type: ignore[operator]
        (folder / "scheduler").mkdir()
        scheduler = json.dumps(scheduler_config(self.method, scale[0]), indent=1)
        (folder / "scheduler" / "scheduler_config.json").write_text(scheduler)


def _of_shares(logits: torch.Tensor) -> Denoise:
    """Return the denoiser of a lone code whose shares ``logits`` ``(n, levels)`` gives."""
    return lambda x, sigma: torch.softmax(posterior(logits, x, sigma), dim=1)


def _charted(
    shape: Shape,
    rows: Tensors,
    weights: torch.Tensor | None,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> Charted | None:
    """Return a chart where the one target is an image that a few components can carry."""
    ((name, kind), *others) = shape.targets
    if others or kind.name != "image" or spec.get("backbone", "auto") != "auto":
        return None
    return charted(rows[name], kind, weights, spec, setting, report)


def _worked_out(module: Preconditioned, rows: Tensors, setting: Setting) -> Tensors:
    """Return all that an image's denoiser learns from, once for every row; rows too many for memory as they are."""
    if not all(isinstance(values, torch.Tensor) for values in rows.values()):
        return rows
    module.to(setting.device)
    parts: dict[str, list[torch.Tensor]] = {}
    for start in range(0, rows_of(rows), _AT_ONCE):
        batch = {name: values[start : start + _AT_ONCE] for name, values in rows.items()}
        batch = {name: unpack(values.to(setting.device)) for name, values in batch.items()}
        for name, values in module.told(batch).items():
            parts.setdefault(name, []).append(values.cpu())
    return {name: torch.cat(values) for name, values in parts.items()}


def _scale(shape: Shape, rows: Tensors) -> torch.Tensor:
    parts = []
    for name, kind in shape.targets:
        if kind.discrete:
            parts.append(torch.full((len(kind.levels),), _CODE_SCALE))
        else:
            some = unpack(rows[name][:20_000]).flatten(1).float()
            one = some.std().clamp(min=0.05)
            parts.append(one.expand(kind.width))
    return torch.cat(parts)


def fit(
    shape: Shape,
    rows: Tensors,
    weights: torch.Tensor | None,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> Fitted:
    """Train a denoiser for all targets jointly; in the latents of an autoencoder where one is named."""
    if spec.get("autoencoder", ""):
        from causalc.runtime.families import latent

        return latent.fit(shape, rows, weights, spec, setting, report)
    found = _charted(shape, rows, weights, spec, setting, report)
    counted = effective(weights, rows_of(rows))
    name, config = denoiser_for(shape, spec, None if found is None else found.sizes, counted)
    with seeded(derive(setting.seed, "init")):
        network = _class(name)(**config)
    scale = _scale(shape, rows)
    if found is not None:
        network.prepare(shape, rows, found.chart, weights, spec, setting, report)
        scale = found.scale
    module = Preconditioned(shape, network, scale)
    if isinstance(network, MixtureDenoiser):
        fit_corrected(network, shape, rows, weights, spec, setting, report)
        return FittedDiffusion(
            shape, module.to(setting.device).eval(), name, *_sampling(spec, name)
        )
    image = any(kind.name == "image" for _, kind in shape.targets)
    few = counted < 2000
    steps = 6000 if image else 1500 if few else 3000
    plan = Plan(steps=steps, lr=1e-3 if image else 5e-3)
    if found is not None:
        plan = Plan(steps=_steps(found, few), lr=3e-3, weight_decay=1e-2)
        rows = _worked_out(module, rows, setting)
    if name == "CodeDenoiser":  # a function of the inputs alone: half the steps do
        plan = Plan(steps=600 if few else 1500, lr=3e-3)
    plan = plan.override(spec)
    outcome = train(module, rows, weights, plan, setting, report)
    module.eval()
    if isinstance(network, CodeDenoiser):
        rows, weights, held = standing(rows, weights, outcome.held_out, setting.seed)
        hidden = _hidden(network, shape, rows)
        finish(network.network.last, hidden, shape, rows, weights, held)
    return FittedDiffusion(shape, module, name, *_sampling(spec, name))


def _steps(found: Charted, few: bool) -> int:
    """Return for how long an image's denoiser is trained, half as long on few rows."""
    if found.curved:
        steps = 3000 if found.sizes["chart_width"] <= 256 else 5000
    else:
        steps = 3000 if len(found.scale) <= FEW_COMPONENTS else 6000
    return steps // 2 if few else steps


def _hidden(network: CodeDenoiser, shape: Shape, rows: Tensors) -> torch.Tensor:
    def seen(batch: Tensors) -> torch.Tensor:
        given = {name: unpack(batch[name]) for name, _ in shape.inputs}
        return network.hidden(given, rows_of(batch))

    inputs = {name: rows[name] for name, _ in shape.inputs}
    return in_batches(seen, inputs, rows_of(rows), device_of(network))


def _shares(network: CodeDenoiser, shape: Shape, inputs: Tensors, n: int) -> torch.Tensor:
    """Return log p(k | inputs) up to a constant, ``(n, levels)``: the same at every noise level."""

    def seen(batch: Tensors) -> torch.Tensor:
        given = {name: unpack(batch[name]) for name, _ in shape.inputs}
        logits: torch.Tensor = network.network.last(network.hidden(given, rows_of(batch)))
        return logits.float()

    return in_distinct_batches(seen, inputs, shape, n, device_of(network))


def _sampling(spec: ModelSpec, name: str) -> tuple[str, int]:
    method = str(spec.get("method", "flow"))
    enough = 10 if name == "MixtureDenoiser" and method == "flow" else 24
    return method, whole(spec, "evaluations", enough)


def load(folder: Path, device: str) -> Fitted:
    """Read what ``FittedDiffusion.save`` wrote."""
    config = json.loads((folder / "config.json").read_text())
    shape = Shape.from_json(config["shape"])
    network = _class(config["denoiser"]).from_pretrained(
        folder / "denoiser", local_files_only=True, use_safetensors=True
    )
    if isinstance(network, MixtureDenoiser):
        network.settle()
    module = Preconditioned(shape, network, torch.tensor(config["data_scale"]))
    module.to(device).eval()
    method, evaluations = str(config["method"]), int(config["evaluations"])
    found = FittedDiffusion(shape, module, config["denoiser"], method, evaluations)
    if not (folder / "autoencoder").is_dir():
        return found
    from causalc.runtime.families import latent

    return latent.load(folder, device, found)
