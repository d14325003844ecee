"""The training loop: deterministic, weighted, stopped early, guarded."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from causalc.errors import CausalcError
from causalc.runtime import specs
from causalc.runtime import train as loop
from causalc.runtime.batches import split
from causalc.runtime.checkpoint import Checkpoints
from causalc.runtime.families.protocol import Setting
from causalc.runtime.progress import Report
from causalc.runtime.train import Plan, effective, seeded, train

HERE = Setting(0, "cpu")


class Mean(nn.Module):
    """One number fitted by least squares: the optimum is the (weighted) mean."""

    def __init__(self, start: float = 0.0) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([start]))

    def loss(self, batch, generator: torch.Generator) -> torch.Tensor:
        return (batch["y"][:, 0] - self.value) ** 2


class Line(nn.Module):
    """A wide network that memorises a few rows."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(200, 256), nn.ReLU(), nn.Linear(256, 1))

    def loss(self, batch, generator: torch.Generator) -> torch.Tensor:
        return (self.net(batch["x"])[:, 0] - batch["y"][:, 0]) ** 2


def rows(n: int = 2000, seed: int = 0) -> dict[str, torch.Tensor]:
    return {
        "y": torch.from_numpy(np.random.default_rng(seed).normal(size=(n, 1)).astype(np.float32))
    }


PLAN = Plan(steps=300, lr=0.05, batch=64)


def test_the_split_is_fixed_and_exhaustive() -> None:
    used, held = split(1000, 3)
    assert sorted(torch.cat([used, held]).tolist()) == list(range(1000)) and len(held) == 100
    assert (split(1000, 3)[1] == held).all() and (split(1000, 4)[1] != held).any()


def test_the_same_seed_gives_the_same_bits() -> None:
    found = []
    for seed in (0, 0, 1):
        with seeded(seed):
            module = Line()
        data = {"x": torch.randn(300, 200, generator=torch.Generator().manual_seed(0)), **rows(300)}
        torch.rand(1)  # the caller's own randomness must not matter
        train(module, data, None, Plan(30, 0.01), Setting(seed, "cpu"), Report())
        found.append(torch.cat([p.detach().flatten() for p in module.parameters()]))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_training_leaves_the_callers_randomness_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with seeded(1):
        torch.rand(10)
    train(Mean(), rows(), None, Plan(5, 0.01), HERE, Report())
    assert torch.equal(torch.rand(3), expected)


def test_weights_move_the_optimum() -> None:
    data = rows()
    weights = torch.where(data["y"][:, 0] > 0, 3.0, 1.0).double()
    plain, weighted = Mean(), Mean()
    train(plain, data, None, PLAN, HERE, Report())
    train(weighted, data, weights, PLAN, HERE, Report())
    # E[y] = 0, and E[w y] / E[w] = sqrt(2/π) / 2 = 0.399; standard error 0.03 with 1,800 rows.
    assert plain.value.item() == pytest.approx(0, abs=0.12)
    assert weighted.value.item() == pytest.approx(math.sqrt(2 / math.pi) / 2, abs=0.12)


def test_training_stops_early_and_keeps_the_best() -> None:
    generator = torch.Generator().manual_seed(0)
    data = {
        "x": torch.randn(400, 200, generator=generator),
        "y": torch.randn(400, 1, generator=generator),
    }
    with seeded(0):
        module = Line()
    report = Report()
    outcome = train(module, data, None, Plan(2000, 0.01, batch=32, patience=5), HERE, report)
    held = [point["held_out"] for point in report.curve]
    assert outcome.steps < 2000 and outcome.loss in held and outcome.loss < held[-1]
    spread = 2.0 / 40**0.5  # of a mean over forty held-out rows: "not significantly worse"
    assert min(held) <= outcome.loss < min(held) + spread
    _, index = split(400, HERE.seed)
    batch = {name: values[index] for name, values in data.items()}
    again = module.loss(batch, torch.Generator()).mean().item()
    assert again == pytest.approx(outcome.loss, rel=1e-5)


@pytest.mark.parametrize("start", [float("nan"), 1e30])
def test_divergence_is_named(start: float) -> None:
    with pytest.raises(CausalcError, match=r"diverged.* at step .*smaller lr"):
        train(Mean(start), rows(), None, PLAN, HERE, Report())


def test_a_budget_ends_training_and_says_so() -> None:
    report = Report()
    setting = Setting(0, "cpu", budget=0.2)
    outcome = train(Mean(), rows(), None, Plan(10**7, 0.05), setting, report)
    assert outcome.steps < 10**6
    assert len(report.findings) == 1 and "budget of 0.2 s" in report.findings[0]


@pytest.mark.parametrize("n", [2, 3, 11])
def test_few_rows_train(n: int) -> None:
    module = Mean()
    outcome = train(module, rows(n), None, Plan(20, 0.05), HERE, Report())
    assert math.isfinite(outcome.loss) and math.isfinite(module.value.item())


def test_options_override_the_plan() -> None:
    plan = PLAN.override(specs.mixture(steps=7, lr=0.5, batch=3))
    assert (plan.steps, plan.lr, plan.batch, plan.patience) == (7, 0.5, 3, PLAN.patience)
    assert Plan(1000, 0.1, ema=0.5).decay == 0.5 and 0.9 <= Plan(1000, 0.1).decay < 0.98


def test_effective_rows() -> None:
    assert effective(None, 7) == 7
    assert effective(torch.tensor([1.0, 1.0, 0.0, 0.0]), 4) == 2


def test_plain_lines_without_a_terminal_and_silence_when_quiet() -> None:
    stream = io.StringIO()
    loud, quiet = Report(quiet=False, stream=stream), Report(quiet=True, stream=stream)
    for report in (loud, quiet):
        with report.stage("P(Y | X) mixture"):
            report.update(0.5, "loss 1.0")
            report.update(1.0, "loss 0.5")
    assert stream.getvalue() == "P(Y | X) mixture: 100% loss 0.5\n"


def test_a_bar_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    report = Report(quiet=False, stream=stream)
    with report.stage("P(Y | X) mixture"):
        report.update(1.0, "loss 0.5")
    assert "P(Y | X) mixture" in stream.getvalue() and "100%" in stream.getvalue()


def test_a_budget_is_turned_into_steps_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, step = [0], loop._fitting_step

    def dies_at_60(*given: object) -> torch.Tensor:
        taken[0] += 1
        if taken[0] == 60:
            raise OSError("killed")
        return step(*given)  # type: ignore[arg-type]

    def run() -> tuple[int, list[str]]:
        report = Report()
        setting = Setting(0, "cpu", budget=100.0, checkpoints=Checkpoints(tmp_path, 0.0))
        return train(Mean(), rows(), None, Plan(500, 0.05), setting, report).steps, report.findings

    monkeypatch.setattr(loop, "_fitting_step", dies_at_60)
    monkeypatch.setattr(
        loop, "_FOR_STEPS", 1e-9
    )  # so little that the steps taken are all it pays for
    monkeypatch.setattr(loop, "_TIMED", 59)
    with pytest.raises(OSError, match="killed"):
        run()
    monkeypatch.setattr(loop, "_TIMED", 70)  # a second measurement would come to 70
    steps, findings = run()
    assert steps == 60 and len(findings) == 1 and "pays for 60 of 500 steps" in findings[0]
