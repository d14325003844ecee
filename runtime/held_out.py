"""The held-out loss while a model trains: which weights to keep, and when to stop."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import nn

from causalc.errors import CausalcError
from causalc.runtime.families.protocol import Tensors
from causalc.runtime.progress import Report


class Diverged(CausalcError):
    """The loss is not finite."""


class Limits(Protocol):
    """What of a training plan matters here."""

    @property
    def lr(self) -> float: ...
    @property
    def patience(self) -> int: ...
    @property
    def precision(self) -> str: ...


def cast(device: str, precision: str) -> torch.autocast:
    """The context in which losses are computed."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16")


class HeldOut:
    """Held-out loss of the averaged weights: which to keep, and whether to stop.

    Kept are the latest weights that are not significantly worse than the best seen: by more than
    one standard error of the row-wise difference. The learning rate falls throughout, so among
    equals the latest are the least noisy; picking the lowest of many noisy figures would keep
    half-trained weights.
    """

    def __init__(
        self,
        module: nn.Module,
        batches: list[Tensors],
        mass: torch.Tensor,
        plan: Limits,
        device: str,
        report: Report,
    ) -> None:
        self.module, self.batches, self.plan = module, batches, plan
        self.device, self.report = device, report
        self.mass = (mass / mass.sum()).to(device, torch.float64)
        self.lowest: torch.Tensor | None = None
        self.kept_loss, self.kept_step, self.stale = math.inf, 0, 0
        self.kept = {k: v.clone() for k, v in module.state_dict().items()}

    @property
    def stopped(self) -> bool:
        return self.stale >= self.plan.patience

    def check(self, step: int, loss: torch.Tensor, done: float) -> None:
        losses = self._losses()
        held = float((losses * self.mass).sum())
        if not (math.isfinite(held) and math.isfinite(float(loss))):
            raise Diverged(
                f"Training diverged: the loss is {float(loss):g} at step {step}, held out {held:g}. "
                f"Use a smaller lr (it is {self.plan.lr:g}) or a larger batch, and check the data "
                "for extreme values (transform='quantile' tames them)."
            )
        self.report.curve.append({"step": step, "loss": float(loss), "held_out": held})
        self.report.update(done, f"loss {held:.4f}")
        self.stale += 1
        if self._as_good(losses):
            self.kept_loss, self.kept_step, self.stale = held, step, 0
            self.kept = {k: v.clone() for k, v in self.module.state_dict().items()}

    def _as_good(self, losses: torch.Tensor) -> bool:
        """Compare with the lowest losses so far, which these replace if they are lower."""
        if self.lowest is None:
            self.lowest = losses
            return True
        worse = losses - self.lowest
        gap = float((worse * self.mass).sum())
        if gap <= 0:
            self.lowest = losses
            return True
        return gap <= float((((worse - gap) * self.mass) ** 2).sum().sqrt())

    @torch.no_grad()
    def _losses(self) -> torch.Tensor:
        # The same noise at every check, or the comparison would be between draws of noise.
        generator = torch.Generator(self.device).manual_seed(7)
        with cast(self.device, self.plan.precision):
            losses = [self.module.loss(batch, generator) for batch in self.batches]  # type: ignore[operator]
        return torch.cat([part.double() for part in losses])
