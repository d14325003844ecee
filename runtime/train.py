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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import nn

from causalc.runtime.batches import Batches, BatchesOfMany, batches_of, held_rows, split, take
from causalc.runtime.checkpoint import Call, Point, State, Stopped
from causalc.runtime.encode import Encoded
from causalc.runtime.families.protocol import Setting, Tensors
from causalc.runtime.held_out import HeldOut, cast
from causalc.runtime.interrupt import listening, stopped
from causalc.runtime.mass import Mass
from causalc.runtime.noise import derive
from causalc.runtime.progress import Report
from causalc.runtime.specs import ModelSpec
from causalc.runtime.team import team

_CHECKS = 30  # held-out evaluations a run
_PRIOR_ROWS = 5000.0
_TIMED = 20  # steps by which the time of all is judged
_FOR_STEPS = 0.9  # of a budget; the rest is for held-out checks
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
    momentum: float = 0.9

    def override(self, spec: ModelSpec) -> Plan:
        """Return the plan with the options of ``spec`` that were given."""
        given = {name: spec.get(name, getattr(self, name)) for name in self.__dataclass_fields__}
        return Plan(**given)  # type: ignore[arg-type]

    def at_most(self, steps: int) -> Plan:
        """Return the plan for no more than so many steps."""
        return replace(self, steps=min(self.steps, steps))

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


def effective(weights: torch.Tensor | None, n: int) -> float:
    """Return the effective number of rows, (Σw)² / Σw²."""
    if isinstance(weights, Mass):
        return weights.effective
    return float(n) if weights is None else float(weights.sum() ** 2 / (weights**2).sum())


def density_plan(weights: torch.Tensor | None, n: int) -> Plan:
    """Return the plan of a network that gives a density of numbers, by its effective rows.

    Weights decay as if by a prior worth a fixed number of rows, the same for any ``n``.
    """
    rows = effective(weights, n)
    steps = int(min(3000, max(600, 8 * rows**0.5)))
    return Plan(steps=steps, lr=5e-3, weight_decay=min(1.0, _PRIOR_ROWS / rows))


def train(
    module: nn.Module,
    rows: Tensors,
    weights: torch.Tensor | None,
    plan: Plan,
    setting: Setting,
    report: Report,
) -> Outcome:
    """Train ``module`` (an ``Objective``) on encoded rows and leave its best weights in it.

    Where the setting has checkpoints, training goes on from the state found there, to the very same
    weights. Raises Diverged when the loss stops being finite and Stopped at a signal.
    """
    n = len(next(iter(rows.values())))
    used, held = split(n, setting.seed)
    rows = _place(rows, setting.device)
    batches = batches_of(used, held, weights, plan.batch, setting.seed)
    rank = team().rank
    noise = derive(setting.seed, "noise", rank) if rank else derive(setting.seed, "noise")
    generator = torch.Generator(setting.device).manual_seed(noise % 2**63)
    module.to(setting.device).train()
    average = _Average(module, plan.decay)
    optimiser = _optimiser(module, plan, setting)
    mass = torch.ones(len(held)) if weights is None else weights[held].double()
    watch = HeldOut(
        average.module, held_rows(rows, held, setting), mass, plan, setting.device, report
    )
    training = _Training(module, average, optimiser, batches, generator, watch, report, plan.steps)
    call = _call(training, plan, setting, n)
    point = call.found() if call else None
    if point is not None:
        training.restore(point)
        if rank:  # the state is that of the first process: other rows want other noise
            generator.manual_seed(derive(noise, training.step) % 2**63)
    if point is None or not point.done:
        training.stepped = team().averaging(module)
        with listening() as asked:
            _steps(training, rows, plan, setting, call, asked)
    module.load_state_dict(watch.kept)
    report.update(1.0, f"loss {watch.kept_loss:.4f}")
    if call is not None:
        call.end(training.result())
    return Outcome(watch.kept_loss, watch.kept_step, training.step, held)


def _steps(
    training: _Training,
    rows: Tensors,
    plan: Plan,
    setting: Setting,
    call: Call | None,
    asked: Callable[[], bool],
) -> None:
    """Take the steps that are left. Raises Stopped, with the state kept, once ``asked`` to stop."""
    watch = training.watch
    start = time.monotonic() - training.spent
    while training.step < training.steps and not watch.stopped:
        training.spent, stop = team().agreed(time.monotonic() - start, float(asked()))
        if setting.budget is not None and training.step >= _TIMED and not training.timed:
            _afford(training, setting.budget)
        if call is not None and (stop or call.owner.due):
            kept = team().rank > 0 or call.keep(training.state())
            if stop:
                raise _stopped(training.step, training.steps, kept)
        elif call is None and stop:
            raise KeyboardInterrupt
        done = training.step / training.steps
        for group in training.optimiser.param_groups:
            group["lr"] = plan.lr * _pace(done)
        loss = training.loss = _fitting_step(training, rows, plan, setting)
        training.average.update()
        training.step += 1
        every = max(1, training.steps // _CHECKS)
        if training.step % every == 0 or training.step == training.steps:
            watch.check(training.step, loss, done)
    if watch.kept_step == 0:
        watch.check(training.step, training.loss, 1.0)


def _afford(training: _Training, budget: float) -> None:
    """Set how many steps a budget of seconds pays for, once, by the time that the first ones took.

    From here on the steps alone decide: a run that is interrupted goes on to the same weights.
    """
    training.timed = True
    paid = int(budget / (training.spent / training.step) * _FOR_STEPS)
    most = max(training.step + 1, paid)
    if most < training.steps:
        training.report.findings.append(
            f"the budget of {budget:g} s pays for {most} of {training.steps} steps here; "
            "raise budget= for all of them, or set steps= to choose."
        )
        training.steps = most


def _stopped(step: int, steps: int, kept: bool) -> Stopped:
    state = ", and the state of this one" if kept else ", the state of this one could not be"
    return Stopped(stopped(f" at step {step} of {steps}", state))


def _call(training: _Training, plan: Plan, setting: Setting, n: int) -> Call | None:
    """Begin the call in the checkpoints of its stage, known by all that its state must agree with."""
    if setting.checkpoints is None:
        return None
    sizes = {name: list(values.shape) for name, values in training.module.state_dict().items()}
    about = {"plan": asdict(plan), "seed": setting.seed, "device": setting.device, "rows": n}
    return setting.checkpoints.call({**about, "sizes": sizes})


def _fitting_step(training: _Training, rows: Tensors, plan: Plan, setting: Setting) -> torch.Tensor:
    """Take one step, with half as many rows from here on wherever they do not fit into memory."""
    while True:
        before = training.generator.get_state()
        try:
            batch = take(rows, team().share(training.batches.next()), setting)
            return _step(training.stepped, training.optimiser, batch, plan, training.generator)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error) or training.batches.size <= 1 or team().size > 1:
                raise
        training.optimiser.zero_grad(set_to_none=True)
        training.generator.set_state(before)
        if not training.batches.halved:
            training.report.findings.append(
                f"a batch of {training.batches.size} rows does not fit into memory: it was halved until it did; "
                "set batch= to choose it, or use a smaller model."
            )
        training.batches.halve()


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, on any device."""
    text = str(error)
    return (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "not enough memory" in text
        or "out of memory" in text
    )


@dataclass(slots=True)
class _Training:
    """All that changes from step to step; ``state`` and ``restore`` are inverse."""

    module: nn.Module
    average: _Average
    optimiser: torch.optim.Optimizer
    batches: Batches | BatchesOfMany
    generator: torch.Generator
    watch: HeldOut
    report: Report
    steps: int
    timed: bool = False  # whether a budget has set the steps
    step: int = 0
    spent: float = 0.0  # seconds
    loss: torch.Tensor = field(default_factory=lambda: torch.tensor(math.inf))
    stepped: Any = None  # the module, as steps are taken of it
    first: tuple[int, int] = (0, 0)  # where the report's curve and findings of this call begin

    def __post_init__(self) -> None:
        self.first = (len(self.report.curve), len(self.report.findings))

    def _said(self) -> dict[str, Any]:
        curve, findings = self.first
        return {"curve": self.report.curve[curve:], "findings": self.report.findings[findings:]}

    def result(self) -> State:
        """The state once all is done: the weights kept."""
        watch = self.watch
        value = {"step": self.step, "spent": self.spent, **self._said()}
        value |= {"kept_loss": watch.kept_loss, "kept_step": watch.kept_step}
        return value, _under("kept", watch.kept)

    def state(self) -> State:
        """The state between two steps."""
        value, tensors = self.result()
        value |= {
            "steps": self.steps,
            "timed": self.timed,
            "stale": self.watch.stale,
            "average": self.average.step,
            "batches": self.batches.state(),
            "scored": self.watch.lowest is not None,
        }
        tensors |= _under("module", self.module.state_dict())
        tensors |= _under("average", self.average.module.state_dict())
        tensors |= {"loss": self.loss, "generator": self.generator.get_state()}
        if self.watch.lowest is not None:
            tensors["lowest"] = self.watch.lowest
        for i, moments in self.optimiser.state_dict()["state"].items():
            tensors |= _under(f"optimiser.{i}", moments)
        return value, tensors

    def restore(self, point: Point) -> None:
        """Take a state over."""
        value, tensors, watch = point.value, point.tensors, self.watch
        self.step, self.spent = int(value["step"]), float(value["spent"])
        self.report.curve += value["curve"]
        self.report.findings += value["findings"]
        watch.kept_loss, watch.kept_step = float(value["kept_loss"]), int(value["kept_step"])
        kept = _over("kept", tensors)
        watch.kept = {k: v.to(watch.kept[k].device) for k, v in kept.items()}
        if point.done:
            return
        self.steps, self.timed = int(value["steps"]), bool(value["timed"])
        watch.stale, self.average.step = int(value["stale"]), int(value["average"])
        self.batches.restore(value["batches"])
        device = self.generator.device
        self.module.load_state_dict(_over("module", tensors))
        self.average.module.load_state_dict(_over("average", tensors))
        self.loss = tensors["loss"].to(device)
        self.generator.set_state(tensors["generator"])
        watch.lowest = tensors["lowest"].to(device) if value["scored"] else None
        whole = self.optimiser.state_dict()
        count = sum(len(group["params"]) for group in whole["param_groups"])
        found = {i: _over(f"optimiser.{i}", tensors) for i in range(count)}
        whole["state"] = {i: moments for i, moments in found.items() if moments}
        self.optimiser.load_state_dict(whole)


def _under(name: str, tensors: Tensors) -> dict[str, torch.Tensor]:
    return {f"{name}/{key}": value for key, value in tensors.items()}


def _over(name: str, tensors: Tensors) -> dict[str, torch.Tensor]:
    mark = f"{name}/"
    return {k.removeprefix(mark): v for k, v in tensors.items() if k.startswith(mark)}


def _optimiser(module: nn.Module, plan: Plan, setting: Setting) -> torch.optim.Optimizer:
    fused = torch.device(setting.device).type in ("cpu", "cuda")
    matrices = [p for p in module.parameters() if p.ndim >= 2]
    others = [
        p for p in module.parameters() if p.ndim < 2
    ]  # where values lie is no business of a prior
    groups: list[dict[str, Any]] = [
        {"params": matrices},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups,
        lr=plan.lr,
        betas=(plan.momentum, 0.99),
        weight_decay=plan.weight_decay,
        fused=fused,
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
        self._decay, self.step = decay, 0

    @torch.no_grad()
    def update(self) -> None:
        # Early averages forget faster, or the random start would linger for the whole run.
        share = 1 - min(self._decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self._shadow, self._current, share)
        self.step += 1


def _place(rows: Tensors, device: str) -> Tensors:
    if any(isinstance(values, Encoded) for values in rows.values()):
        return rows
    total = sum(values.numel() * values.element_size() for values in rows.values())
    if device == "cpu" or total > _ON_DEVICE:
        return rows
    return {name: values.to(device) for name, values in rows.items()}


def _step(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Tensors,
    plan: Plan,
    generator: torch.Generator,
) -> torch.Tensor:
    with cast(generator.device.type, plan.precision):
        loss: torch.Tensor = module.loss(batch, generator).mean()  # type: ignore[operator]
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(list(module.parameters()), plan.clip)
    optimiser.step()
    return loss.detach()
