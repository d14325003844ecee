"""Stages on other processes: the same bytes, whoever dies, is interrupted or trains beside."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import causalc
from causalc.compiler.view import Spec
from causalc.errors import CausalcError, RunFailed
from causalc.runtime.executors import cluster, execute, processes
from causalc.runtime.executors.protocol import Reply, Task, hand_over, take_over
from causalc.runtime.executors.worker import work
from causalc.runtime.outline import outline
from causalc.runtime.store import Store

ROOT = Path(__file__).parent.parent
KINDS = dict.fromkeys(("Z", "X", "M", "Y"), "binary")
GRAPH = "Z -> X -> M -> Y; Z -> Y; X <-> Y"


def rows(n: int = 400) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    z = rng.integers(0, 2, n)
    x = (rng.random(n) < 0.3 + 0.4 * z).astype(int)
    m = (rng.random(n) < 0.2 + 0.6 * x).astype(int)
    return {"Z": z, "X": x, "M": m, "Y": (rng.random(n) < 0.2 + 0.3 * m + 0.3 * z).astype(int)}


def program(steps: int = 30) -> causalc.Program:
    """M, and Y on generated rows or not: stages that wait for others and stages that do not."""
    few = Spec("softmax", (), (("steps", steps), ("width", 8)))
    models = dict.fromkeys(("X", "M", "Y"), few)
    return causalc.compile("P(Y | do(X))", GRAPH, KINDS, models=models)


def contents(store: Path) -> dict[str, bytes]:
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in sorted(store.glob("[0-9a-f][0-9a-f]/*/**/*"))
        if path.is_file() and path.name != "meta.json"
    }


def soon(what: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


# ---- what waits for what


@pytest.mark.parametrize("path", sorted(ROOT.glob("generated/*.py")), ids=lambda path: path.stem)
def test_an_outline_holds_every_stage_in_order(path: Path) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stages = outline(module.train)
    text = path.read_text()
    assert len(stages) == text.count("run.fit(")
    for stage in stages:
        assert stage.number in stage.calls and stage.number not in stage.after
        assert all(number < stage.number for number in stage.after)
    if "run.reweight(" not in text and "run.generate(" not in text:
        assert not any(stage.after for stage in stages)


def test_stages_wait_for_those_they_are_made_of() -> None:
    def train(data: object, **options: object) -> object:
        run = causalc.runtime.start(causalc.runtime.Schema({}), data, **options)
        rows = run.observed(["A", "B"])
        a = run.fit(["A"], given=[], on=rows, purpose="propensity")  # call 0
        alone = run.fit(["B"], given=[], on=rows)  # 1
        weighted = run.reweight(rows, by=[a])  # 2
        b = run.fit(["B"], given=["A"], on=weighted)  # 3
        some = run.bootstrap(["A"], on=rows)  # 4

        def network(draw):
            (x,) = draw.sample(some, {})
            return {"B": draw.sample(b, {"A": x})[0]}

        made = run.generate(network, ["B"], parents=[])  # 5
        c = run.fit(["B"], given=[], on=made)  # 6
        return run.finish({"c": c, "alone": alone})

    found = {stage.number: stage for stage in outline(train)}
    assert {n: set(stage.after) for n, stage in found.items()} == {
        0: set(),
        1: set(),
        3: {0},
        6: {0, 3},
    }
    assert set(found[3].calls) == {0, 2, 3} and set(found[6].calls) == {0, 2, 3, 4, 5, 6}


def test_a_program_that_reads_its_data_itself_is_refused() -> None:
    def train(data: dict, **options: object) -> object:
        return causalc.runtime.start(causalc.runtime.Schema({}), data["rows"], **options)

    with pytest.raises(CausalcError, match=r"hand `data` to runtime\.start"):
        execute(train, {}, jobs=2)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"jobs": 0}, "jobs=0 must be"),
        ({"jobs": "2"}, "jobs='2' must be"),
        ({"executor": "slurm"}, "choose one of inprocess, processes, ray"),
        ({"executor": "ray", "jobs": 2}, "leave executor='ray' out"),
    ],
)
def test_wrong_choices_are_one_line(wrong: dict, words: str) -> None:
    with pytest.raises(CausalcError, match=words) as caught:
        program().fit(rows(), progress=False, **wrong)
    assert "\n" not in str(caught.value)


# ---- workers


def test_rows_are_handed_over_as_they_are(tmp_path: Path) -> None:
    from causalc.runtime.data import load
    from causalc.runtime.schema import Schema, binary, categorical, image, integer, real, vector

    rng = np.random.default_rng(0)
    schema = Schema(
        {
            "B": binary(),
            "C": categorical("a", "b", "c"),
            "N": integer(),
            "R": real(),
            "V": vector(3),
            "I": image(2, 2, channels=1),
        }
    )
    source = {
        "B": rng.integers(0, 2, 9),
        "C": np.array(list("abcabcabc")),
        "N": rng.integers(-9, 9, 9),
        "R": np.ones(9),
        "V": rng.normal(size=(9, 3)),
        "I": rng.integers(0, 256, (9, 2, 2, 1), dtype=np.uint8),
    }
    there = load(source, schema)
    again = take_over(Path(hand_over(there, tmp_path)))
    assert again.fingerprint() == there.fingerprint() and again.findings == there.findings != ()
    assert again.schema.to_json() == there.schema.to_json()
    assert all(again[name][:].dtype == there[name].dtype for name in schema)


class Beside(ThreadPoolExecutor):
    """An executor of one's own: a worker in this process, one task at a time."""

    def __init__(self) -> None:
        super().__init__(1)

    def submit(self, task: Task) -> Future[Reply]:  # type: ignore[override]
        return super().submit(work, task)


def test_an_executor_of_ones_own_comes_to_the_same_bytes(tmp_path: Path, capsys) -> None:
    here = program().fit(rows(), store=tmp_path / "here", progress=False)
    there = program().fit(rows(), store=tmp_path / "there", executor=Beside())
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert here.models.findings == there.models.findings
    assert here.sample(50, X=1).equals(there.sample(50, X=1))
    assert capsys.readouterr().err.count(": done") == len(outline(program().module.train)) > 1
    assert not list((tmp_path / "there" / "partial").iterdir())


def test_a_worker_that_dies_is_replaced(tmp_path: Path, monkeypatch) -> None:
    begun = []

    class Doomed(processes._Worker):
        def __init__(self) -> None:
            super().__init__()
            begun.append(self.pid)
            if len(begun) == 1:
                os.kill(self.pid, signal.SIGKILL)

    monkeypatch.setattr(processes, "_Worker", Doomed)
    program().fit(rows(), store=tmp_path / "there", jobs=2, progress=False)
    program().fit(rows(), store=tmp_path / "here", progress=False)
    assert len(begun) in (2, 3) and contents(tmp_path / "here") == contents(tmp_path / "there")
    program().fit(rows(), store=tmp_path / "there", jobs=2, progress=False)
    assert len(begun) in (2, 3)  # all was found: no worker is begun


def test_a_stage_that_kills_every_worker_is_given_up(tmp_path: Path, monkeypatch) -> None:
    class Dead(processes._Worker):
        def __init__(self) -> None:
            super().__init__()
            os.kill(self.pid, signal.SIGKILL)

    monkeypatch.setattr(processes, "_Worker", Dead)
    with pytest.raises(RunFailed, match="worker was killed 3 times"):
        program().fit(rows(), store=tmp_path, jobs=2, progress=False)


def test_an_interruption_stops_the_workers_and_keeps_their_states(tmp_path: Path) -> None:
    store = tmp_path / "broken"
    long = program(1_000_000)

    def interrupt() -> None:
        soon(lambda: list(store.glob("partial/*/0.json")))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(
        RunFailed, match=r"^stopped; finished stages are kept, and the states"
    ) as caught:
        long.fit(rows(), store=store, jobs=2, progress=False, save_every=0.5)
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)
    assert list(store.glob("partial/*/0.json")) and not list(store.glob("partial/rows-*"))
    free = [path.stem for path in (store / "locks").iterdir()]
    assert free and all(Store(store)._free(key) for key in free)  # nobody trains any more


def test_what_a_worker_refuses_is_said_as_it_would_be_here(tmp_path: Path) -> None:
    spec = {"Y": Spec("softmax", (), (("steps", 60), ("lr", 1e30)))}
    wild = causalc.compile("P(Y | do(X))", "X -> Y", {"X": "real", "Y": "binary"}, models=spec)
    data = {"X": np.random.default_rng(0).normal(size=300), "Y": rows(300)["Y"]}
    said = []
    for choice in ({"jobs": 1}, {"executor": Beside()}):
        with pytest.raises(CausalcError) as caught:
            wild.fit(data, store=tmp_path / next(iter(choice)), progress=False, **choice)
        said.append((str(caught.value), caught.value.exit_code))
    assert said[0] == said[1] and "learning rate" in said[0][0]


def test_a_generated_program_takes_jobs(tmp_path: Path) -> None:
    import pandas as pd

    pd.DataFrame({name: rows()[name] for name in ("X", "M", "Y")}).to_csv(
        tmp_path / "d.csv", index=False
    )
    command = [sys.executable, str(ROOT / "generated" / "frontdoor.py"), "d.csv", "--set", "X=1"]
    done = subprocess.run([*command, "--jobs", "2"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.count(": done") == 2, done.stderr
    spec = importlib.util.spec_from_file_location("frontdoor", command[1])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    models = module.train(tmp_path / "d.csv", store=tmp_path / "here", progress=False)
    assert contents(tmp_path / "here") == contents(tmp_path / ".causalc")
    assert done.stdout == module.sample(models, 1000, X=1).head(20).to_string() + "\n"


# ---- two runs on one store


@pytest.mark.parametrize("choice", [{}, {"executor": Beside()}], ids=["here", "executor"])
def test_what_another_run_trains_is_left_to_it_while_others_wait(
    tmp_path: Path, choice: dict
) -> None:
    program().fit(rows(), store=tmp_path / "whole", progress=False)
    keys = {entry.key for entry in Store(tmp_path / "whole").entries()}
    assert len(keys) > 1
    first = outline(program().module.train)[0].label
    held = next(e.key for e in Store(tmp_path / "whole").entries() if e.label.startswith(first))
    store = Store(tmp_path / "shared")
    with store.claim(held):  # as another process would that trains it
        done = threading.Thread(
            target=program().fit,
            args=(rows(),),
            kwargs={"store": tmp_path / "shared", "progress": False, **choice},
        )
        done.start()
        soon(lambda: len(store.entries()) == len(keys) - 1)
        assert held not in {entry.key for entry in store.entries()}
    done.join()
    assert contents(tmp_path / "whole") == contents(tmp_path / "shared")


# ---- Ray


def test_without_ray_the_remedy_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(CausalcError, match=r"pip install causalc\[cluster\]"):
        cluster.Ray()


def test_one_module_alone_imports_ray_and_when_it_is_asked_for() -> None:
    found = [path.name for path in ROOT.glob("runtime/**/*.py") if "import ray" in path.read_text()]
    assert found == ["cluster.py"] and "\nimport ray" not in Path(cluster.__file__).read_text()


@pytest.mark.slow
def test_a_cluster_of_two_nodes_comes_to_the_same_bytes_though_a_worker_is_killed() -> None:
    pytest.importorskip("ray", reason="Ray is an extra: `make cluster` installs it and runs this")
    command = [sys.executable, str(ROOT / "benchmarks" / "cluster.py"), "--kill", "--steps", "200"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "same bytes as in process: True" in done.stdout, done.stderr


# ---- several processes train one stage


@pytest.mark.slow
def test_two_processes_together_reach_the_loss_of_one(tmp_path: Path) -> None:
    import pandas as pd

    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, 1000)
    pd.DataFrame({"X": x, "Y": x + rng.normal(size=1000)}).to_csv(tmp_path / "d.csv", index=False)
    few = {"Y": Spec("mixture", (), (("steps", 90), ("width", 16)))}
    made = causalc.compile("P(Y | do(X))", "X -> Y", {"X": "binary", "Y": "real"}, models=few)
    made.write(tmp_path / "program.py")
    made.fit(tmp_path / "d.csv", store=tmp_path / "one", progress=False)
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    command = [*launcher, "program.py", "d.csv", "--set", "X=1", "--store", "two"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 21  # one of the two draws
    one, two = (
        [json.loads(line) for line in path.read_text().splitlines()]
        for store in ("one", "two")
        for path in (tmp_path / store).glob("*/*/curve.jsonl")
    )
    assert [p["step"] for p in one] == [p["step"] for p in two] and len(one) == 30
    # Each step is of the whole batch, half of it in each process: losses of batches are of halves and differ,
    # weights and what is held out agree up to the rounding of sums.
    assert any(abs(p["loss"] - q["loss"]) > 1e-3 for p, q in zip(one, two, strict=True))
    assert all(abs(p["held_out"] - q["held_out"]) < 1e-3 for p, q in zip(one, two, strict=True))
