"""Runs and draws: stages resumed, batches irrelevant, weights and generated rows right."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from causalc.errors import CausalcError
from causalc.runtime import specs
from causalc.runtime.draw import Draw
from causalc.runtime.fitted import Models
from causalc.runtime.noise import Noise, derive
from causalc.runtime.run import Run
from causalc.runtime.schema import Schema, binary, categorical, image, inferred, real, vector
from causalc.runtime.seal import read_sealed, sealed

SCHEMA = Schema({"Z": categorical("a", "b", "c"), "X": binary(), "Y": categorical(4)})
REALS = Schema({"X": real(), "Y": real()})
QUICK = specs.mixture(steps=20, width=16)


def world(n: int = 4000, seed: int = 0) -> pd.DataFrame:
    """Z -> X, Z -> Y, X -> Y: P(Y=3 | do(X=1)) differs from P(Y=3 | X=1)."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 3, n)
    x = (rng.random(n) < (z + 1) / 4).astype(int)
    y = np.minimum(x + z, 3)
    y = np.where(rng.random(n) < 0.2, rng.integers(0, 4, n), y)
    return pd.DataFrame({"Z": np.array(list("abc"))[z], "X": x, "Y": y})


def start(**options: object) -> Run:
    return Run(SCHEMA, world(), progress=False, **options)


def adjusted() -> np.ndarray:
    """Return the plug-in Σ_z P(z) P(y | x, z), ``(2, 4)``."""
    table = world()
    p = np.zeros((2, 4))
    for _, part in table.groupby("Z"):
        for x in (0, 1):
            y = part.Y[part.X.eq(x)]
            p[x] += len(part) / len(table) * np.bincount(y, minlength=4) / len(y)
    return p


def share(models: Models, name: str, x: int, n: int = 40_000) -> np.ndarray:
    draw = Draw(models, n, seed=1)
    (y,) = draw.sample(models[name], {"X": draw.input("X", x)})
    return np.bincount(y, minlength=4) / n


def weighted(run: Run) -> Models:
    rows = run.observed(["Z", "X", "Y"])
    x = run.fit(["X"], ["Z"], rows, purpose="propensity")
    return run.finish({"y": run.fit(["Y"], ["X"], run.reweight(rows, [x]))})


def generating(run: Run) -> Models:
    rows = run.observed(["Z", "X", "Y"])
    z, x = run.bootstrap(["Z"], rows), run.bootstrap(["X"], rows)
    y = run.fit(["Y"], ["X", "Z"], rows)

    def network(draw):
        (first,), (second,) = draw.sample(z, {}), draw.sample(x, {})
        (third,) = draw.sample(y, {"X": second, "Z": first})
        return {"X": second, "Y": third}

    made = run.generate(network, ["X", "Y"], [z, x, y], rows=100_000)
    return run.finish({"y": run.fit(["Y"], ["X"], made)})


def test_weights_give_the_plug_in_adjustment() -> None:
    run = start()
    models = weighted(run)
    for x in (0, 1):
        # 40,000 draws: the distance has a standard error of about 0.003; smoothing adds 0.002.
        assert np.abs(share(models, "y", x) - adjusted()[x]).sum() / 2 < 0.012
    assert run.diagnostics == [line for line in run.diagnostics if "effective sample size" in line]
    assert len(run.diagnostics) == 1


def test_generated_rows_give_the_plug_in_adjustment() -> None:
    models = generating(start())
    for x in (0, 1):
        assert np.abs(share(models, "y", x) - adjusted()[x]).sum() / 2 < 0.02


def test_nested_weights_multiply() -> None:
    run = start()
    rows = run.observed(["Z", "X", "Y"])
    first = run.reweight(rows, [run.fit(["X"], ["Z"], rows, purpose="propensity")])
    second = run.reweight(first, [run.fit(["X"], ["Z"], first, purpose="propensity")])
    # X no longer depends on Z under the first weights, so the second change next to nothing.
    np.testing.assert_allclose(second.weights, first.weights, rtol=0.02)


def test_finished_stages_are_found_not_redone(tmp_path: Path, monkeypatch) -> None:
    kept = [model(start(store=tmp_path)) for model in (weighted, generating)]
    lines = start(store=tmp_path)
    weighted(lines)

    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("trained again")

    for name in ("fit_conditional", "fit_propensity"):
        monkeypatch.setattr(f"causalc.runtime.run.{name}", refuse)
    monkeypatch.setattr(Draw, "sample", refuse)
    again = [model(start(store=tmp_path)) for model in (weighted, generating)]
    monkeypatch.undo()
    for old, new in zip(kept, again, strict=True):
        assert old["y"].key == new["y"].key
        assert (share(old, "y", 1) == share(new, "y", 1)).all()
    assert len(lines.diagnostics) == 1
    with pytest.raises(AssertionError, match="trained again"):
        monkeypatch.setattr("causalc.runtime.run.fit_propensity", refuse)
        weighted(start(store=tmp_path, seed=1))


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch) -> None:
    def interrupt(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("causalc.runtime.run.fit_conditional", interrupt)
    with pytest.raises(KeyboardInterrupt):
        weighted(start(store=tmp_path))
    monkeypatch.undo()
    monkeypatch.setattr("causalc.runtime.run.fit_propensity", interrupt)
    models = weighted(start(store=tmp_path))  # the propensity was finished: not fitted again
    monkeypatch.undo()
    assert (share(models, "y", 0) == share(weighted(start()), "y", 0)).all()


def test_keys_follow_what_determines_a_stage() -> None:
    def key(run: Run, targets="Y", given=("X",), columns=("Z", "X", "Y"), **options) -> str:
        return run.fit([targets], list(given), run.observed(list(columns)), **options).key

    run = start()
    base = key(run)
    assert key(start()) == base
    assert key(run, columns=("X", "Y")) == base  # other columns do not matter
    changed = Run(SCHEMA, world().assign(Z="a"), progress=False)
    assert changed.diagnostics[0].startswith("Z is constant") and key(changed) == base
    others = [
        key(start(seed=1)),
        key(run, given=("X", "Z")),
        key(run, model=specs.table(smoothing=2.0)),
        key(run, purpose="propensity"),
        key(Run(SCHEMA, world(seed=1), progress=False)),
    ]
    assert len({base, *others}) == len(others) + 1


def test_a_tampered_stage_is_refused(tmp_path: Path) -> None:
    run = start(store=tmp_path)
    weighted(run)
    for entry in run.store.entries():
        file = next(entry.path.rglob("*.safetensors"))
        file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(CausalcError, match=r"safetensors: changed .*`causalc cache rm"):
        weighted(start(store=tmp_path))


def test_stages_are_json_and_safetensors_with_a_card(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = {"X": rng.normal(size=200), "Y": rng.normal(size=200)}
    run = Run(REALS, data, store=tmp_path, progress=False)
    run.fit(["Y"], ["X"], run.observed(["X", "Y"]), QUICK)
    (entry,) = run.store.entries()
    suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".jsonl", ".safetensors", ".lock"}  # locks are empty
    meta = json.loads((entry.path / "meta.json").read_text())
    assert meta["label"] == "P(Y | X)" and meta["rows"] == 200 and meta["seconds"] > 0
    curve = [json.loads(line) for line in (entry.path / "curve.jsonl").read_text().splitlines()]
    assert curve[-1]["step"] == 20 and math.isfinite(curve[-1]["held_out"])


def mixed() -> Models:
    rng = np.random.default_rng(0)
    n = 300
    schema = Schema({"C": categorical("u", "v"), "R": real(), "V": vector(2), "I": image(4, 4)})
    data = {
        "C": rng.choice(["u", "v"], n),
        "R": rng.normal(size=n),
        "V": rng.normal(size=(n, 2)),
        "I": rng.integers(0, 256, (n, 4, 4), dtype=np.uint8),
    }
    run = Run(schema, data, progress=False)
    rows = run.observed(list(schema))
    tiny = specs.diffusion(steps=3, width=16, evaluations=4)
    return run.finish(
        {
            "c": run.bootstrap(["C"], rows),
            "r": run.fit(["R"], ["C"], rows, QUICK),
            "joint": run.fit(["V", "I"], ["C", "R"], rows, tiny),
        }
    )


def draw_mixed(models: Models, n: int, batch_size: int, seed: int = 5) -> pd.DataFrame:
    draw = Draw(models, n, seed=seed, batch_size=batch_size)
    (c,) = draw.sample(models["c"], {})
    (r,) = draw.sample(models["r"], {"C": c})
    v, i = draw.sample(models["joint"], {"C": c, "R": r})
    return draw.table({"C": c, "R": r, "V": v, "I": i})


def test_samples_ignore_the_batch_size_and_follow_the_seed(tmp_path: Path) -> None:
    models = mixed()
    models.save(tmp_path / "models")
    loaded = Models.load(tmp_path / "models")
    whole = draw_mixed(models, 700, 4096)
    assert list(whole.columns) == ["C", "R", "V", "I"] and set(whole.C) <= {"u", "v"}
    assert whole.I[0].shape == (4, 4, 1) and whole.I[0].dtype == np.uint8
    for other in (
        draw_mixed(models, 700, 99),
        draw_mixed(models, 900, 256).iloc[:700],
        draw_mixed(loaded, 700, 300),
    ):
        assert (other.C == whole.C).all()
        np.testing.assert_allclose(other.R, whole.R, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(np.stack(other.V), np.stack(whole.V), rtol=1e-2, atol=1e-3)
        gap = np.stack(other.I).astype(int) - np.stack(whole.I)
        assert np.abs(gap).max() <= 1
    assert (draw_mixed(models, 700, 4096, seed=6).R != whole.R).all()


def test_saved_models_are_checked(tmp_path: Path) -> None:
    models = weighted(start())
    folder = tmp_path / "m"
    models.save(folder)
    models.save(folder)  # again, into the same place
    found = Models.load(folder)
    assert dict(found.schema) == dict(SCHEMA) and found.findings == models.findings
    file = next(folder.rglob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(CausalcError, match="changed since"):
        Models.load(folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    for bad in (lambda: models.save(tmp_path / "other"), lambda: Models.load(tmp_path / "other")):
        with pytest.raises(CausalcError, match="not"):
            bad()
    index = read_sealed(folder / "models.json")
    index["models"]["y"] = "../other"
    (folder / "models.json").write_text(sealed(index))
    with pytest.raises(CausalcError, match="outside"):
        Models.load(folder)


def test_bootstrap_draws_joint_rows_by_weight() -> None:
    run = start()
    rows = run.observed(["Z", "X", "Y"])
    pairs = run.bootstrap(["Z", "X"], rows).sample(40_000, {}, Noise(0, "k", 0, 40_000))
    found = np.bincount(pairs[0] * 2 + pairs[1], minlength=6) / 40_000
    real_rows = run.columns
    expected = np.bincount(real_rows["Z"] * 2 + real_rows["X"], minlength=6) / real_rows.rows
    np.testing.assert_allclose(found, expected, atol=0.012)  # five standard errors
    kernel = run.reweight(rows, [run.fit(["X"], ["Z"], rows, purpose="propensity")])
    z, x = run.bootstrap(["Z", "X"], kernel).sample(40_000, {}, Noise(0, "k", 0, 40_000))
    for level in range(3):  # under the weights X does not depend on Z
        assert x[z == level].mean() == pytest.approx(x.mean(), abs=0.025)


INPUTS = Schema({"C": categorical("u", "v"), "R": real(), "V": vector(2), "I": image(4, 4)})


def drawing(n: int = 3) -> Draw:
    return Draw(Models({}, INPUTS, 0), n)


def test_inputs_are_scalars_or_arrays() -> None:
    draw = drawing()
    assert draw.input("C", "v").tolist() == [1, 1, 1]
    assert draw.input("C", ["u", "v", "u"]).tolist() == [0, 1, 0]
    assert draw.input("R", 2).tolist() == [2.0, 2.0, 2.0]
    assert draw.input("R", pd.Series([1.0, 2.0, 3.0])).tolist() == [1.0, 2.0, 3.0]
    assert draw.input("V", [1.0, 2.0]).tolist() == [[1.0, 2.0]] * 3
    assert draw.input("V", np.zeros((3, 2))).shape == (3, 2)
    assert draw.input("I", np.ones((4, 4))).shape == (3, 4, 4, 1)
    assert draw.input("I", np.ones((3, 4, 4))).max() == 255


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("C", "w", "'w' is not one of its levels"),
        ("C", ["u", "v"], "shape \\(2,\\), expected one categorical.* or 3 of them"),
        ("C", None, "C: give a value"),
        ("C", ["u", None, "v"], "row 1: None is not one of its levels"),
        ("R", float("nan"), "not a finite number"),
        ("R", [1.0, float("inf"), 2.0], "row 1: inf"),
        ("R", "high", "expected real"),
        ("V", [1.0, 2.0, 3.0], r"expected \(3, 2\)"),
        ("I", np.ones((5, 5)), r"expected one image\(4, 4, 1\) or 3 of them"),
        ("I", np.ones((3, 5, 4)), r"expected \(4, 4, 1\)"),
        ("V", [[1.0], [1.0, 2.0], [0.0]], "mixes shapes"),
        ("Q", 1, "no variable 'Q'"),
    ],
)
def test_bad_inputs_are_refused_in_one_line(name: str, value: object, words: str) -> None:
    with pytest.raises(CausalcError, match=words) as caught:
        drawing().input(name, value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "9"])
def test_bad_numbers_of_samples_are_refused(n: object) -> None:
    with pytest.raises(CausalcError, match="whole number above 0"):
        Draw(Models({}, INPUTS, 0), n)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: start(seed=1.5), "seed"),
        (lambda: start(budget=0), "budget"),
        (lambda: start(truncate=0.5), "truncate"),
        (lambda: start(device="warp"), "device 'warp'"),
        (lambda: Run(SCHEMA, world(1), progress=False), "too few"),
        (lambda: start().observed(["Q"]), "no variable 'Q'"),
        (lambda: start().fit(["Y"], ["X"], start().observed(["Y"])), "no column 'X'"),
        (lambda: start().generate(lambda draw: {}, ["Y"], []), "returns no column 'Y'"),
        (lambda: Draw(None, 5).sample(mixed()["r"], {}), "input 'C' is missing"),
    ],
)
def test_faults_of_use_are_one_line(make, words: str) -> None:
    with pytest.raises(CausalcError, match=words):
        make()


def test_kinds_may_be_inferred() -> None:
    run = Run(Schema({name: inferred() for name in SCHEMA}), world(), progress=False)
    assert dict(run.schema) == {
        "Z": categorical("a", "b", "c"),
        "X": binary(),
        "Y": categorical(0, 1, 2, 3),
    }


def test_noise_is_keyed_by_seed_factor_and_row() -> None:
    whole = Noise(1, "0", 0, 700)
    first, second = whole.normal(2), whole.uniform()
    part = Noise(1, "0", 300, 600)
    assert (part.normal(2) == first[300:600]).all() and (part.uniform() == second[300:600]).all()
    assert (Noise(2, "0", 0, 700).normal(2) != first).all()
    assert (Noise(1, "1", 0, 700).normal(2) != first).all()
    assert derive(1, "a") != derive(1, "b") and 0 <= derive(1, "a") < 2**63


def test_noise_is_that_of_each_row_however_many_threads_fill_it() -> None:
    before, drawn = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        noise = Noise(3, "k", 100, 70_000)
        drawn.append((noise.normal(2), noise.uniform(), noise.normal()))
    torch.set_num_threads(before)
    for one, other in zip(*drawn, strict=True):
        np.testing.assert_array_equal(one, other)
    part = Noise(3, "k", 40_000, 40_005)
    np.testing.assert_array_equal(part.normal(2), drawn[0][0][39_900:39_905])
    np.testing.assert_array_equal(part.uniform(), drawn[0][1][39_900:39_905])
