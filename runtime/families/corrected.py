"""A few numbers: their mixture given the inputs by maximum likelihood, then a correction of its denoiser.

The two are trained one after the other, each until its own held-out loss is settled. The correction
is then scaled by what held-out rows bear out, down to nothing: where a mixture says all that the
rows can tell, a correction would only add its own errors.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from causalc.runtime.denoisers import MixtureDenoiser
from causalc.runtime.encode import unpack
from causalc.runtime.families.layout import join
from causalc.runtime.families.neural import rows_of
from causalc.runtime.families.protocol import Setting, Shape, Tensors
from causalc.runtime.noise import derive
from causalc.runtime.progress import Report
from causalc.runtime.schedule import SIGMA_MIN
from causalc.runtime.specs import ModelSpec
from causalc.runtime.train import density_plan, train

START = 1.0  # noise level from which a few numbers are denoised: their mixture is drawn from there
_SHARE = 0.3  # steps of the correction for each of the mixture
_SURE = 2.0  # standard errors by which a correction must help
_DRAWS = 8  # noise levels for each held-out row


class Likelihood(nn.Module):
    """The objective of the mixture."""

    def __init__(self, shape: Shape, network: MixtureDenoiser) -> None:
        super().__init__()
        self.shape, self.network = shape, network

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return minus the log density of each row."""
        clean = join(self.shape, batch)
        prior, _ = self.network.known(batch, len(clean))
        return -prior.log_density(clean)


class Correction(nn.Module):
    """The objective of the correction; the mixture stands still."""

    def __init__(self, shape: Shape, network: MixtureDenoiser) -> None:
        super().__init__()
        self.shape, self.network = shape, network

    def errors(
        self, batch: Tensors, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the correction and what it should be, ``(n, d)``, at a random noise level each."""
        clean = join(self.shape, batch)
        n, device = len(clean), clean.device
        with torch.no_grad():
            prior, hidden = self.network.known(batch, n)
        order = torch.randperm(n, generator=generator, device=device)
        # One level in each of n strata: less noise in the gradient than n independent ones.
        uniform = (order + torch.rand(n, generator=generator, device=device)) / n
        sigma = (SIGMA_MIN * (START / SIGMA_MIN) ** uniform)[:, None]
        x = clean + sigma * torch.randn(clean.shape, generator=generator, device=device)
        mean, scale, raw = self.network(x, sigma, prior, self.network.embed(hidden))
        return raw.float(), (clean - mean) / scale

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return the squared error of each row, in units of the mixture's posterior scale."""
        found, wanted = self.errors(batch, generator)
        return ((found - wanted) ** 2).mean(dim=1)


def fit_corrected(
    network: MixtureDenoiser,
    shape: Shape,
    rows: Tensors,
    weights: torch.Tensor | None,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> None:
    """Train ``network`` in place."""
    network.span.see(shape.target_names, rows)
    network.effects.learn(shape.target_names, rows, weights)
    plan = density_plan(weights, rows_of(rows)).override(spec)
    second = replace(plan, steps=max(1, round(_SHARE * plan.steps)))
    first_budget, second_budget = _split(setting.budget)
    here = replace(setting, budget=first_budget)
    outcome = train(Likelihood(shape, network), rows, weights, plan, here, report)
    correction, here = Correction(shape, network), replace(setting, budget=second_budget)
    train(correction, rows, weights, second, here, report)
    held = outcome.held_out
    share = borne_out(correction.eval(), rows, weights, held, setting)
    with torch.no_grad():
        network.last.weight.mul_(share)
        network.last.bias.mul_(share)
    network.settle()


def _split(budget: float | None) -> tuple[float | None, float | None]:
    """Return the seconds of either training, in proportion to their steps."""
    if budget is None:
        return None, None
    first = budget / (1 + _SHARE)
    return first, budget - first


@torch.no_grad()
def borne_out(
    correction: Correction,
    rows: Tensors,
    weights: torch.Tensor | None,
    held: torch.Tensor,
    setting: Setting,
) -> float:
    """Return the share of the correction, from 0 to 1, that minimises the loss of held-out rows.

    It is 0 unless the loss falls by two standard errors.
    """
    batch = {name: unpack(values[held].to(setting.device)) for name, values in rows.items()}
    seed = derive(setting.seed, "borne out") % 2**63
    generator = torch.Generator(setting.device).manual_seed(seed)
    pairs = [correction.errors(batch, generator) for _ in range(_DRAWS)]
    found, wanted = (torch.stack(each).double().cpu() for each in zip(*pairs, strict=True))
    mass = torch.ones(len(held)).double() if weights is None else weights[held].double().cpu()
    mass = mass / mass.sum()
    both = ((found * wanted).sum(dim=2).mean(dim=0) * mass).sum()
    alone = ((found**2).sum(dim=2).mean(dim=0) * mass).sum()
    share = float((both / alone.clamp(min=1e-12)).clamp(0, 1))
    gain = (wanted**2 - (wanted - share * found) ** 2).sum(dim=2).mean(dim=0)
    mean = (gain * mass).sum()
    error = (((gain - mean) * mass) ** 2).sum().sqrt()
    return share if mean > _SURE * error else 0.0
