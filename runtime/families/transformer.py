"""Transformers that write texts: from left to right, or by masked diffusion in any order.

``order="left"`` models each token given those before it: it has exact probabilities. ``order="any"``
is diffusion with an absorbing state: any subset of tokens is masked and predicted from the rest, the
continuous-time bound of which is a mean over the number masked (no noise level is needed: what is
masked says it).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from causalc.errors import CausalcError
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
from causalc.runtime.text_network import Cache, Writer
from causalc.runtime.text_sampler import unmask, write
from causalc.runtime.tokens import END
from causalc.runtime.train import Plan, effective, seeded, train

ORDERS = ("left", "any")
_ROWS = 512  # drawn at once: what a cache holds of each grows with its length


class Author(nn.Module):
    """Inputs and a text to logits of its tokens; the objective that ``train`` minimises."""

    def __init__(self, shape: Shape, width: int, depth: int, order: str) -> None:
        super().__init__()
        ((self.target, kind),) = shape.targets
        self.features, self.order = Features(shape.inputs), order
        self.writer = Writer(kind, self.features.width, width, depth, order == "left")

    def context(self, inputs: Tensors) -> torch.Tensor:
        """Return what is known, ``(n, 1, width)``."""
        return self.writer.known(self.features(inputs, rows_of(inputs)))

    def log_probability(self, batch: Tensors) -> torch.Tensor:
        """Return the log probability of each text, up to its end; of order "left" only."""
        codes = batch[self.target].long()
        past = ((codes == END).cumsum(dim=1) > 1).float()  # the end itself is to be predicted
        codes = codes[:, : max(1, int((1 - past).sum(dim=1).max()))]
        logits = self.writer(codes, self.context(batch)).float()
        losses = functional.cross_entropy(logits.transpose(1, 2), codes, reduction="none")
        return -(losses * (1 - past[:, : codes.shape[1]])).sum(dim=1)

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return minus the log probability of each row, or a draw of its upper bound."""
        if self.order == "left":
            return -self.log_probability(batch)
        codes = batch[self.target].long()
        (n, places), device = codes.shape, codes.device
        # Of each row so many places are masked, in equal strata: less noise than independent draws.
        stratum = torch.randperm(n, generator=generator, device=device)
        share = (stratum + torch.rand(n, generator=generator, device=device)) / n
        count = 1 + (share * places).long().clamp(max=places - 1)[:, None]
        order = torch.rand(codes.shape, generator=generator, device=device)
        masked = order.argsort(dim=1).argsort(dim=1) < count
        seen = codes.masked_fill(masked, self.writer.mask)
        logits = self.writer(seen, self.context(batch)).float()
        losses = functional.cross_entropy(logits.transpose(1, 2), codes, reduction="none")
        return (losses * masked).sum(dim=1) * (places / count[:, 0])


@dataclass(frozen=True, slots=True)
class FittedTransformer:
    """A trained writer; ``evaluations`` of the network draw a text in any order."""

    shape: Shape
    module: Author
    size: tuple[int, int]
    evaluations: int

    def _inputs(self, inputs: Tensors) -> dict[str, torch.Tensor]:
        return {name: inputs[name] for name, _ in self.shape.inputs}

    def sample(self, n: int, inputs: Tensors, noise: Noise) -> dict[str, torch.Tensor]:
        """Draw codes ``(n, places)``, int32."""
        writer = self.module.writer
        rows = self._inputs(inputs) | {" u": torch.from_numpy(noise.uniform(writer.places))}
        if not writer.causal:
            rows[" o"] = torch.from_numpy(noise.uniform(writer.places))
        drawn = in_batches(self._draw, rows, n, device_of(self.module), _ROWS)
        return {self.shape.target_names[0]: drawn.reshape(n, writer.places).to(torch.int32)}

    def _draw(self, batch: Tensors) -> torch.Tensor:
        writer, context = self.module.writer, self.module.context(batch)
        if not writer.causal:

            def denoise(codes: torch.Tensor) -> torch.Tensor:
                found: torch.Tensor = writer(codes, context)
                return found

            return unmask(denoise, batch[" o"], batch[" u"], writer.mask, self.evaluations)
        cache: Cache = []

        def step(previous: torch.Tensor, place: int) -> torch.Tensor:
            return writer.step(previous, place, context, cache)

        return write(step, batch[" u"], writer.mask)

    def log_prob(self, targets: Tensors, inputs: Tensors) -> torch.Tensor:
        """Return log probabilities. Raises CausalcError for order "any", which has but a bound."""
        if not self.module.writer.causal:
            raise CausalcError(
                f"{self.shape}: masked diffusion has no probabilities; reweighting needs "
                'transformer(order="left") here.'
            )
        name = self.shape.target_names[0]
        rows = self._inputs(inputs) | {name: targets[name]}
        n, device = len(targets[name]), device_of(self.module)
        return in_batches(self.module.log_probability, rows, n, device, _ROWS).double()

    def save(self, folder: Path) -> None:
        """Write configuration and weights."""
        config = {
            "shape": self.shape.to_json(),
            "size": list(self.size),
            "order": self.module.order,
            "evaluations": self.evaluations,
        }
        save_module(folder, self.module, config)


def fit(
    shape: Shape,
    rows: Tensors,
    weights: torch.Tensor | None,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> FittedTransformer:
    """Train on texts. Raises CausalcError for targets of another kind."""
    only(shape, "transformer", lambda kind: kind.name == "text", "texts")
    size = (whole(spec, "width", 128), whole(spec, "depth", 2))
    order = str(spec.get("order", "left"))
    if size[0] % 32 and size[0] > 32:
        raise CausalcError(f"{shape}: the width of a transformer is a multiple of 32.")
    with seeded(derive(setting.seed, "init")):
        module = Author(shape, *size, order)
    few = effective(weights, rows_of(rows)) < 2000
    plan = Plan(steps=1000 if few else 2000, lr=2e-3, batch=64, weight_decay=1e-2).override(spec)
    train(module, rows, weights, plan, setting, report)
    module.eval()
    ((_, kind),) = shape.targets
    return FittedTransformer(shape, module, size, whole(spec, "evaluations", kind.width))


def load(folder: Path, device: str) -> FittedTransformer:
    """Read what ``FittedTransformer.save`` wrote. Raises CausalcError for an unknown order."""
    config = json.loads((folder / "config.json").read_text())
    shape, (width, depth) = Shape.from_json(config["shape"]), config["size"]
    if config["order"] not in ORDERS:
        raise CausalcError(f"Unknown order {config['order']!r}: use {' or '.join(ORDERS)}.")
    module = Author(shape, width, depth, config["order"])
    load_state(folder, module, device)
    return FittedTransformer(shape, module, (width, depth), int(config["evaluations"]))
