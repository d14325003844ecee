"""One training loop for all neural families.

AdamW with warm-up and cosine decay, gradient clipping, an exponential moving average of the
weights, sampling of rows in proportion to their weights, a held-out split fixed by the seed, early
stopping on its weighted loss, and the best averaged weights kept (the latest among equals). On a CPU the result is a
function of the data, the options and the seed.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import nn

from causalc.errors import CausalcError
from causalc.runtime.encode import unpack
from causalc.runtime.families.protocol import Setting, Tensors
from causalc.runtime.noise import derive
from causalc.runtime.progress import Report
from causalc.runtime.specs import ModelSpec

_CHECKS = 30  # held-out evaluations a run
_HELD_OUT = 0.1
_MOST_HELD_OUT = 3000
_ON_DEVICE = 4 << 30  # bytes of rows kept on an accelerator


class Objective(Protocol):
    """A module with a loss; ``train`` changes its parameters in place."""

    def loss(self, batch: Tensors, generator: torch.Generator) -> torch.Tensor:
        """Return the loss of each row of a batch of unpacked tensors, shape ``(rows,)``."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to train."""

    steps: int
    lr: float
    batch: int = 256
    ema: float = 0.0  # 0: chosen from the number of steps
    patience: int = 10  # held-out checks without improvement
    weight_decay: float = 1e-4
    clip: float = 1.0
    precision: str = "float32"

    def override(self, spec: ModelSpec) -> Plan:
        """Return the plan with the options of ``spec`` that were given."""
        given = {name: spec.get(name, getattr(self, name)) for name in self.__dataclass_fields__}
        return Plan(**given)  # type: ignore[arg-type]

    @property
    def decay(self) -> float:
        """The decay of the moving average: a memory of about 3 % of the run by default."""
        return self.ema or 1 - 1 / max(10.0, 0.03 * self.steps)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What training came to: the held-out loss kept, at which step, and the rows held out."""

    loss: float
    step: int
    steps: int
    held_out: torch.Tensor


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make layer initialisation depend on ``seed`` without touching the caller's randomness."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def split(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return indices of training rows and of held-out rows, a function of (n, seed)."""
    order = torch.from_numpy(np.random.default_rng(derive(seed, "split")).permutation(n))
    held = min(_MOST_HELD_OUT, max(1, round(_HELD_OUT * n))) if n > 1 else 0
    return order[held:], order[:held] if held else order


def effective(weights: torch.Tensor | None, n: int) -> float:
    """Return the effective number of rows, (Σw)² / Σw²."""
    return float(n) if weights is None else float(weights.sum() ** 2 / (weights**2).sum())


def train(
    module: nn.Module,
    rows: Tensors,
    weights: torch.Tensor | None,
    plan: Plan,
    setting: Setting,
    report: Report,
) -> Outcome:
    """Train ``module`` (an ``Objective``) on encoded rows and leave its best weights in it.

    Raises CausalcError when the loss or the weights stop being finite.
    """
    n = len(next(iter(rows.values())))
    used, held = split(n, setting.seed)
    rows = _place(rows, setting.device)
    batches = _batches(used, weights, plan.batch, setting.seed)
    generator = torch.Generator(setting.device).manual_seed(derive(setting.seed, "noise") % 2**63)
    module.to(setting.device).train()
    average = _Average(module, plan.decay)
    optimiser = _optimiser(module, plan, setting)
    watch = _Watch(average.module, _held(rows, held, setting), weights, held, plan, setting, report)
    start, every, step = time.monotonic(), max(1, plan.steps // _CHECKS), 0
    while step < plan.steps and not watch.stopped:
        done = _done(step, plan.steps, start, setting.budget)
        if done >= 1 and step:
            report.findings.append(_budget_line(step, plan.steps, setting.budget))
            break
        for group in optimiser.param_groups:
            group["lr"] = plan.lr * _pace(done)
        loss = _step(module, optimiser, _take(rows, next(batches), setting), plan, generator)
        average.update()
        step += 1
        if step % every == 0 or step == plan.steps:
            watch.check(step, loss, done)
    if watch.kept_step == 0:
        watch.check(step, loss, 1.0)
    module.load_state_dict(watch.kept)
    report.update(1.0, f"loss {watch.kept_loss:.4f}")
    return Outcome(watch.kept_loss, watch.kept_step, step, held)


def _optimiser(module: nn.Module, plan: Plan, setting: Setting) -> torch.optim.Optimizer:
    fused = torch.device(setting.device).type in ("cpu", "cuda")
    return torch.optim.AdamW(
        module.parameters(),
        lr=plan.lr,
        betas=(0.9, 0.99),
        weight_decay=plan.weight_decay,
        fused=fused,
    )


def _done(step: int, steps: int, start: float, budget: float | None) -> float:
    spent = (time.monotonic() - start) / budget if budget else 0.0
    return max(step / steps, spent)


def _budget_line(step: int, steps: int, budget: float | None) -> str:
    return (
        f"training stopped after {step} of {steps} steps: the budget of {budget:g} s was spent; "
        "raise budget=, or set steps= for a shorter schedule."
    )


def _pace(done: float) -> float:
    """Return the learning rate's share: warm-up over 3 % of the run, then a cosine to 1 %."""
    return min(1.0, (done + 1e-3) / 0.03) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


class _Average:
    """A copy of a module whose parameters follow the original's exponential moving average."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = copy.deepcopy(module).eval()
        self._shadow: list[torch.Tensor] = list(self.module.parameters())
        self._current: list[torch.Tensor] = list(module.parameters())
        self._decay, self._step = decay, 0

    @torch.no_grad()
    def update(self) -> None:
        # Early averages forget faster, or the random start would linger for the whole run.
        share = 1 - min(self._decay, (1 + self._step) / (10 + self._step))
        torch._foreach_lerp_(self._shadow, self._current, share)
        self._step += 1


def _place(rows: Tensors, device: str) -> Tensors:
    total = sum(values.numel() * values.element_size() for values in rows.values())
    if device == "cpu" or total > _ON_DEVICE:
        return rows
    return {name: values.to(device) for name, values in rows.items()}


def _take(rows: Tensors, index: torch.Tensor, setting: Setting) -> Tensors:
    return {
        name: unpack(values[index.to(values.device)].to(setting.device))
        for name, values in rows.items()
    }


def _held(rows: Tensors, held: torch.Tensor, setting: Setting) -> list[Tensors]:
    return [_take(rows, part, setting) for part in torch.split(held, 1024)]


def _batches(
    used: torch.Tensor, weights: torch.Tensor | None, batch: int, seed: int
) -> Iterator[torch.Tensor]:
    """Yield row indices for ever: permutations, or draws in proportion to the weights."""
    rng = np.random.default_rng(derive(seed, "batches"))
    index = used.numpy()
    size = min(batch, len(index))
    if weights is not None:
        cumulative = np.cumsum(weights.cpu().numpy()[index])
        while True:
            u = (np.arange(size) + rng.random(size)) / size  # stratified: fewer repeats
            found = np.searchsorted(cumulative, u * cumulative[-1], "right")
            yield torch.from_numpy(index[np.minimum(found, len(index) - 1)])
    while True:
        order = rng.permutation(index)
        for start in range(0, len(order) - size + 1, size):
            yield torch.from_numpy(order[start : start + size])


def _cast(device: str, precision: str) -> torch.autocast:
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16")


def _step(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Tensors,
    plan: Plan,
    generator: torch.Generator,
) -> torch.Tensor:
    with _cast(generator.device.type, plan.precision):
        loss: torch.Tensor = module.loss(batch, generator).mean()  # type: ignore[operator]
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(list(module.parameters()), plan.clip)
    optimiser.step()
    return loss.detach()


class _Watch:
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
        weights: torch.Tensor | None,
        held: torch.Tensor,
        plan: Plan,
        setting: Setting,
        report: Report,
    ) -> None:
        self.module, self.batches, self.plan = module, batches, plan
        self.setting, self.report = setting, report
        mass = torch.ones(len(held)) if weights is None else weights[held].double()
        self.mass = (mass / mass.sum()).to(setting.device, torch.float64)
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
            raise CausalcError(
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
        generator = torch.Generator(self.setting.device).manual_seed(7)
        with _cast(self.setting.device, self.plan.precision):
            losses = [self.module.loss(batch, generator) for batch in self.batches]  # type: ignore[operator]
        return torch.cat([part.double() for part in losses])
