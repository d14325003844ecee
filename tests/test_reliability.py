"""Runs that survive: interrupted anywhere, they go on to the same bytes; what cannot be done is said in a line."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from causalc.errors import CausalcError, RunFailed
from causalc.runtime import specs
from causalc.runtime import train as training
from causalc.runtime.run import Run
from causalc.runtime.schema import Schema, binary, categorical, image, real, vector

KINDS = Schema(
    {"X": binary(), "Z": categorical(3), "Y": real(), "V": vector(2), "I": image(8, 8, 1)}
)


def data(n: int = 300) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    z = rng.integers(0, 3, n)
    x = (rng.random(n) < (z + 1) / 4).astype(int)
    pixels = rng.integers(0, 256, (n, 8, 8, 1), dtype=np.uint8)
    return {"X": x, "Z": z, "Y": x + rng.normal(size=n), "V": rng.normal(size=(n, 2)), "I": pixels}


class Killed(BaseException):
    """Stands for kill -9: nothing on the way out may save anything."""


def steps(monkeypatch: pytest.MonkeyPatch, at: int | None, act) -> list[int]:
    """Call ``act`` at the ``at``-th step from now on, of whichever training call; count all steps."""
    real_step, taken = training._step, [0]

    def step(*arguments: object) -> torch.Tensor:
        taken[0] += 1
        if taken[0] == at:
            act()
        return real_step(*arguments)

    monkeypatch.setattr(training, "_step", step)
    return taken


def contents(folder: Path) -> dict[str, bytes]:
    """All files of finished stages but those that tell the time."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.glob("[0-9a-f][0-9a-f]/*/**/*"))
        if path.is_file() and path.name != "meta.json"
    }


STAGES = {
    "softmax": (["X"], ["Z"], specs.softmax(steps=40, width=16), "sample"),
    "mixture": (["Y"], ["X"], specs.mixture(steps=40, width=16), "sample"),
    "vector": (["V"], ["X"], specs.mixture(steps=40, width=16), "sample"),
    "propensity": (["X"], ["Z", "Y"], specs.softmax(steps=20, width=16), "propensity"),
    "density": (["Y"], ["Z"], specs.mixture(steps=15, width=16), "propensity"),
    "diffusion": (["Y"], ["X"], specs.diffusion(steps=40, width=16), "sample"),
    "code": (["Z"], ["X"], specs.diffusion(steps=40, width=16), "sample"),
    "image": (["I"], ["X"], specs.diffusion(steps=12, width=16, backbone="mlp"), "sample"),
}


def fit(store: Path, stage: str, save_every: float = 0.0) -> None:
    targets, given, spec, purpose = STAGES[stage]
    run = Run(KINDS, data(), store=store, progress=False, save_every=save_every)
    run.fit(targets, given, run.observed(list(KINDS)), spec, purpose)


def refuse() -> None:
    raise Killed


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("every", [0.0, 0.02])
def test_a_killed_stage_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch, stage: str, every: float
) -> None:
    taken = steps(monkeypatch, None, refuse)
    fit(tmp_path / "whole", stage, 1e9)
    count = taken[0]
    monkeypatch.undo()
    for at in (count // 5, count // 2):
        steps(monkeypatch, at, refuse)
        with pytest.raises(Killed):
            fit(tmp_path / "broken", stage, every)
        monkeypatch.undo()
    taken = steps(monkeypatch, None, refuse)
    fit(tmp_path / "broken", stage)
    if every == 0:  # the state was kept before each step: no step is taken twice
        assert taken[0] == count - (count // 5 - 1) - (count // 2 - 1)
    assert contents(tmp_path / "whole") == contents(tmp_path / "broken")
    assert not list((tmp_path / "broken" / "partial").iterdir())


def test_weighted_rows_go_on_too(tmp_path: Path, monkeypatch) -> None:
    def weighted(store: Path) -> None:
        run = Run(KINDS, data(), store=store, progress=False, save_every=0)
        rows = run.observed(["X", "Z", "Y"])
        x = run.fit(["X"], ["Z"], rows, specs.softmax(steps=10, width=8), "propensity")
        run.fit(["Y"], ["X"], run.reweight(rows, [x]), specs.mixture(steps=30, width=8))

    weighted(tmp_path / "whole")
    for at in (7, 25, 11):
        steps(monkeypatch, at, refuse)
        with pytest.raises(Killed):
            weighted(tmp_path / "broken")
        monkeypatch.undo()
    weighted(tmp_path / "broken")
    assert contents(tmp_path / "whole") == contents(tmp_path / "broken")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_the_next_step_and_keeps_the_state(
    tmp_path: Path, monkeypatch, number: int
) -> None:
    fit(tmp_path / "whole", "mixture")
    before = signal.getsignal(number)
    taken = steps(monkeypatch, 17, lambda: os.kill(os.getpid(), number))
    with pytest.raises(
        RunFailed, match=r"^P\(Y \| X\): stopped at step 17 of 40: .* goes on"
    ) as caught:
        fit(tmp_path / "broken", "mixture", 1e9)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 3
    assert signal.getsignal(number) == before and taken[0] == 17
    fit(tmp_path / "broken", "mixture", 1e9)
    assert taken[0] == 40
    assert contents(tmp_path / "whole") == contents(tmp_path / "broken")


@pytest.mark.parametrize("name", ["0.json", "0-*.safetensors"])
def test_a_damaged_state_is_set_aside_and_said(
    tmp_path: Path, monkeypatch, capsys, name: str
) -> None:
    fit(tmp_path / "whole", "mixture")
    steps(monkeypatch, 17, refuse)
    with pytest.raises(Killed):
        fit(tmp_path / "broken", "mixture")
    monkeypatch.undo()
    (path,) = (tmp_path / "broken" / "partial").glob(f"*/{name}")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    targets, given, spec, purpose = STAGES["mixture"]
    run = Run(KINDS, data(), store=tmp_path / "broken", save_every=0)
    run.fit(targets, given, run.observed(list(KINDS)), spec, purpose)
    assert capsys.readouterr().err.count("trained from its start") == 1
    assert contents(tmp_path / "whole") == contents(tmp_path / "broken")


def test_another_plan_does_not_take_the_state_over(tmp_path: Path, monkeypatch) -> None:
    from causalc.runtime.checkpoint import Checkpoints

    states = Checkpoints(tmp_path, 0)
    call = states.call({"rows": 3})
    assert call.keep(({"step": 1}, {"w": torch.ones(2)}))
    assert Checkpoints(tmp_path).call({"rows": 3}).found().value == {"step": 1}
    assert Checkpoints(tmp_path).call({"rows": 4}).found() is None


def test_a_batch_too_large_is_halved_and_said_once(tmp_path: Path, monkeypatch) -> None:
    real_step, sizes = training._step, []

    def step(module, optimiser, batch, plan, generator) -> torch.Tensor:
        sizes.append(len(batch["Y"]))
        if sizes[-1] > 50:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real_step(module, optimiser, batch, plan, generator)

    monkeypatch.setattr(training, "_step", step)
    run = Run(KINDS, data(), store=tmp_path, progress=False)
    targets, given, spec, purpose = STAGES["mixture"]
    run.fit(targets, given, run.observed(list(KINDS)), spec, purpose)
    assert sizes[:4] == [256, 128, 64, 32] and set(sizes[3:]) == {32}
    assert len([line for line in run.diagnostics if "halved" in line]) == 1


def test_other_errors_of_torch_are_not_taken_for_lack_of_memory(monkeypatch) -> None:
    def step(*arguments: object) -> torch.Tensor:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(training, "_step", step)
    with pytest.raises(RuntimeError, match="shapes differ"):
        fit(None, "mixture")


def test_a_save_interval_must_be_a_number_of_seconds() -> None:
    with pytest.raises(CausalcError, match="save_every"):
        fit(None, "mixture", -1.0)
