"""Runs that survive: interrupted anywhere, they go on to the same bytes; what cannot be done is said in a line."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import causalc
import causalc.compiler.view
from causalc import cli
from causalc.errors import CausalcError, RunFailed
from causalc.runtime import command, specs
from causalc.runtime import train as training
from causalc.runtime.program import Query
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
        RunFailed,
        match=r"^P\(Y \| X\): stopped at step 17 of 40; finished .* kept, and the state of this one; .* goes on",
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


# ---- guards


def test_a_row_that_makes_training_diverge_is_named() -> None:
    rows = data()
    rows["V"] = rows["V"].copy()
    rows["V"][17] = 3e37
    run = Run(KINDS, rows, progress=False)
    with pytest.raises(CausalcError, match=r"P\(Y \| V\): .*lr.*V is \[.*\] in row 17 ") as caught:
        # A huge step makes the far row a certain divergence.
        run.fit(["Y"], ["V"], run.observed(["Y", "V"]), specs.mixture(steps=60, lr=1e9))
    assert "\n" not in str(caught.value)


def test_a_learning_rate_that_makes_training_diverge_is_named() -> None:
    run = Run(KINDS, data(), progress=False)
    with pytest.raises(CausalcError, match=r"smaller lr .*learning rate is the likely cause"):
        run.fit(["Y"], ["X"], run.observed(["Y", "X"]), specs.mixture(steps=60, lr=1e30))


def csv(path: Path, n: int = 300, **columns: object) -> Path:
    pd.DataFrame({name: data(n)[name] for name in ("X", "Z", "Y")} | columns).to_csv(
        path, index=False
    )
    return path


SCALARS = Schema({"X": binary(), "Z": categorical(4), "Y": real()})


def test_a_data_file_that_changed_under_a_cached_model_is_said(tmp_path: Path) -> None:
    def diagnostics(n: int) -> list[str]:
        path = csv(tmp_path / "d.csv", n)
        run = Run(SCALARS, path, store=tmp_path / "store", progress=False)
        run.fit(["X"], ["Z"], run.observed(["X", "Z"]))
        return [line for line in run.diagnostics if "changed" in line]

    assert diagnostics(300) == [] and diagnostics(300) == []
    (line,) = diagnostics(200)
    assert "d.csv has changed since P(X | Z)" in line and "causalc cache rm" in line
    assert diagnostics(200) == []


def test_levels_never_seen_and_equal_columns_are_said(tmp_path: Path) -> None:
    rows = {name: data()[name] for name in ("X", "Z", "Y")}
    run = Run(SCALARS, rows, progress=False)
    assert any("Z never takes the value 3 in the data" in line for line in run.diagnostics)
    twice = Schema({"A": real(), "B": real()})
    run = Run(twice, {"A": rows["Y"], "B": rows["Y"]}, progress=False)
    assert any("A and B are the same column" in line for line in run.diagnostics)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("X,Z,Y\n1,0,0.5\n0,,1.5\n", "1 missing values, the first in row 1"),
        ("X,Z,Y,X\n1,0,0.5,1\n", "appears more than once"),
        ("X,Z,Y\n1,9,0.5\n", "row 0: 9 is not one of its levels"),
        ("X,Z,Y\n1,1,inf\n", "not a finite number"),
        ("X,Y\n1,1\n", "lack the column 'Z'"),
        ("X,Z,Y\n", "holds no rows"),
        ("", "cannot be read"),
        ("X,Z,Y\n1,2\n", "cannot be read"),
        ("\x00\x01\xff", "cannot be read|lack"),
    ],
)
def test_faults_of_a_file_name_the_file(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CausalcError, match=words) as caught:
        Run(SCALARS, path, progress=False)
    assert "d.csv" in str(caught.value) and "\n" not in str(caught.value)


# ---- inputs of a sampler


class Hostile:
    """An object whose conversion raises something of its own."""

    def __array__(self, *arguments: object, **options: object) -> np.ndarray:
        raise RuntimeError("no")


WRONG = {
    "B": [None, "yes", 2, -1, 0.5, float("nan"), 1j, [1, 0], [2] * 5, [None] * 5, {}, object()],
    "C": [None, "d", 0, [], ["a"] * 4, ["a", "b", "c", "d", "a"], [["a"]] * 5, b"a", {"a"}],
    "R": [None, "x", float("nan"), float("inf"), 10**400, 1e308, 1j, [0.0] * 6, [[1], [1, 2]]],
    "N": [None, "x", 0.5, float("nan"), 2**64, 1e308, [1.5] * 5, np.array(["2020"], "M8[D]")],
    "V": [None, 1.0, [1.0], [1.0, 2.0, 3.0], "ab", [[1.0, float("nan")]] * 5, np.zeros((5, 3))],
    "I": [None, 1, np.full((4, 4), 300), np.full((4, 4), -1), np.zeros((4, 5)), "file.png"],
}


@pytest.fixture(scope="module")
def sampler():
    kinds = {
        "B": "binary",
        "C": 'categorical("a", "b", "c")',
        "R": "real",
        "N": "integer",
        "V": "vector(2)",
        "I": "image(4, 4, channels=1)",
        "Y": "real",
    }
    rng = np.random.default_rng(0)
    n = 100
    rows = {
        "B": rng.integers(0, 2, n),
        "C": np.array(list("abc"))[rng.integers(0, 3, n)],
        "R": rng.normal(size=n),
        "N": rng.integers(0, 100, n),
        "V": rng.normal(size=(n, 2)),
        "I": rng.integers(0, 256, (n, 4, 4, 1), dtype=np.uint8),
        "Y": rng.normal(size=n),
    }
    graph = "B -> Y; C -> Y; R -> Y; N -> Y; V -> Y; I -> Y"
    spec = {"Y": causalc.compiler.view.Spec("mixture", (), (("steps", 5), ("width", 8)))}
    program = causalc.compile("P(Y | do(B, C, R, N, V, I))", graph, kinds, models=spec)
    return program.fit(rows, progress=False)


RIGHT = {"B": 1, "C": "a", "R": 0.5, "N": 3, "V": [0.0, 1.0], "I": np.zeros((4, 4))}


def test_right_inputs_are_taken(sampler) -> None:
    assert len(sampler.sample(5, **RIGHT)) == 5
    many = {name: [value] * 5 for name, value in RIGHT.items()}
    assert sampler.sample(5, **many).Y.equals(sampler.sample(5, **RIGHT).Y)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_inputs_are_one_line_naming_the_input(sampler, name: str) -> None:
    more = [Hostile(), lambda: 1, np.zeros((5, 0)), torch.zeros(5, dtype=torch.complex64)]
    for value in [*WRONG[name], *more, pd.DataFrame({"a": [1] * 5}), [pd.NA] * 5]:
        with pytest.raises(CausalcError) as caught:
            sampler.sample(5, **{**RIGHT, name: value})
        message = str(caught.value)
        assert "\n" not in message and len(message) < 400, message
        assert name in message or "standard deviations" in message, message


@pytest.mark.parametrize(
    "wrong",
    [
        *({"n": n} for n in (0, -1, 1.5, "5", None, True, 10**15, 10**30)),
        *({"seed": seed} for seed in ("a", None, 1.5, [1], True)),
        *({"batch_size": size} for size in (0, "a", True, 1.5)),
        *({"query": query} for query in ("nope", 5, ["query"])),
        {"Q": 1},
        {"device": "cpu"},
    ],
)
def test_wrong_arguments_are_one_line(sampler, wrong: dict[str, object]) -> None:
    with pytest.raises(CausalcError) as caught:
        sampler.sample(**{"n": 5, **RIGHT, **wrong})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", RIGHT)
def test_a_missing_input_is_named(sampler, name: str) -> None:
    with pytest.raises(CausalcError, match=f"needs a value for `{name}`"):
        sampler.sample(5, **{k: v for k, v in RIGHT.items() if k != name})


# ---- a generated program's main

PROGRAM = Path(__file__).parent.parent / "generated" / "frontdoor.py"


def program(*arguments: str, data: str = "d.csv", folder: Path) -> tuple[int, str]:
    """Run the committed front-door program in ``folder``; its exit code and what it said on stderr."""
    command = [sys.executable, str(PROGRAM), data, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "X=1", "--out", "nowhere/o.csv"], "there is no folder nowhere"),
        (["--set", "X=1", "--out", "."], "this is a folder"),
        ([], "give a value for `X`"),
        (["--set", "X"], "error: "),
        (["--set", "Q=1"], "the inputs of this query are: X"),
        (["--set", "X=7"], "not one of its levels"),
        (["--set", "X=1", "-n", "0"], "at least one"),
        (["--set", "X=1", "-n", "five"], "invalid"),
        (["--set", "X=1", "--seed", "x"], "invalid int"),
        (["--set", "X=1", "--query", "nope"], "invalid choice"),
        (["--set", "X=1", "--store", "d.csv"], "must be a folder"),
        (["--set", "X=1", "-n", str(10**15)], "more rows than"),
    ],
)
def test_a_program_refuses_in_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.integers(0, 2, 200) for name in ("X", "M", "Y")})
    frame.to_csv(tmp_path / "d.csv", index=False)
    code, said = program(*arguments, folder=tmp_path)
    lines = [line for line in said.splitlines() if "error:" in line]
    assert code in (1, 2) and len(lines) == 1 and re.search(words, lines[0]), said


@pytest.mark.parametrize("name", ["none.csv", ".", "d.txt"])
def test_a_program_names_data_it_cannot_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "d.txt").write_text("X")
    code, said = program("--set", "X=1", data=name, folder=tmp_path)
    assert code == 1 and said.startswith("error: ") and said.count("\n") == 1, said


@pytest.mark.parametrize("code", ["generated", "script"])
def test_between_stages_an_interruption_says_the_same(monkeypatch, capsys, code: str) -> None:
    def interrupted(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        if code == "generated":
            monkeypatch.setattr(sys, "argv", ["program.py", "rows.csv"])
            command.main("", interrupted, {"effect": Query(interrupted, {})})
        else:
            monkeypatch.setattr(cli.cli, "main", interrupted)
            cli.main(["train", "a.causal"])
    line = capsys.readouterr().err
    assert ended.value.code == 3
    assert line == "error: stopped; finished stages are kept; the same command goes on\n"
