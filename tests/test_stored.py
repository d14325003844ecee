"""Tables larger than memory: read part by part, they give what the same table in memory gives."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import causalc
from causalc.errors import CausalcError
from causalc.runtime import batches, specs, stored, written
from causalc.runtime.data import load
from causalc.runtime.draw import Draw
from causalc.runtime.run import Run
from causalc.runtime.schema import Schema, binary, categorical, inferred, real
from causalc.runtime.sources import parts

KINDS = Schema({"X": binary(), "Z": categorical(3), "Y": real()})


def frame(n: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    z = rng.integers(0, 3, n)
    x = (rng.random(n) < (z + 1) / 4).astype(int)
    return pd.DataFrame({"X": x, "Z": z, "Y": x + rng.normal(size=n)})


def in_files(monkeypatch: pytest.MonkeyPatch, part: int = 700) -> None:
    """Take every table for too large, and read it in parts of 700 rows."""
    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    monkeypatch.setattr(stored, "PART", part)


def are_many(monkeypatch: pytest.MonkeyPatch, rows: int = 1000) -> None:
    """Take more than so many rows for too many to compute with at once."""
    monkeypatch.setattr(stored, "MANY", rows)
    monkeypatch.setattr(stored, "SOME", 800)
    monkeypatch.setattr(batches, "_MOST_HELD_OUT", 100)


def put(folder: Path, suffix: str) -> Path:
    path = folder / f"rows{suffix}"
    if suffix == ".csv":
        frame().to_csv(path, index=False)
    elif suffix == ".parquet":
        frame().to_parquet(path, index=False, row_group_size=1000)
    else:
        frame().to_feather(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".feather"])
def test_columns_in_files_are_those_in_memory(tmp_path: Path, monkeypatch, suffix: str) -> None:
    path = put(tmp_path, suffix)
    guessed = Schema({"Y": real(), "X": inferred(), "Z": inferred()})
    whole = load(path, guessed)
    in_files(monkeypatch)
    in_parts = load(path, guessed)
    assert all(isinstance(in_parts[name], stored.Stored) for name in in_parts)
    assert in_parts.schema.to_json() == whole.schema.to_json()
    assert in_parts.fingerprint() == whole.fingerprint() and in_parts.findings == whole.findings
    rows = np.random.default_rng(1).integers(0, whole.rows, 1000)
    for name in whole:
        assert in_parts[name].dtype == whole[name].dtype
        assert (in_parts[name][rows] == whole[name][rows]).all()


def test_reading_in_parts_holds_a_part(tmp_path: Path, monkeypatch) -> None:
    path, rows = tmp_path / "rows.parquet", 400_000
    rng = np.random.default_rng(0)
    whole = pd.DataFrame({"Y": rng.normal(size=rows), "R": rng.normal(size=rows)})
    whole.to_parquet(path, row_group_size=10_000, index=False)
    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    monkeypatch.setattr(stored, "PART", 10_000)
    found = parts(path, Schema({"Y": real(), "R": real()}))
    assert found is not None
    before = pa.total_allocated_bytes()
    most = max(pa.total_allocated_bytes() - before for _ in found.read(["Y", "R"]))
    assert most < whole.memory_usage().sum() / 8


def test_a_bad_row_of_a_later_part_is_named(tmp_path: Path, monkeypatch) -> None:
    table = frame()
    table.loc[2345, "Z"] = 7
    table.to_parquet(tmp_path / "rows.parquet", row_group_size=1000)
    in_files(monkeypatch)
    with pytest.raises(CausalcError, match=r"rows.parquet: Column 'Z', row 2345: 7 is not one of"):
        load(tmp_path / "rows.parquet", KINDS)


def test_training_from_files_gives_the_same_bytes(tmp_path: Path, monkeypatch) -> None:
    def trained(store: Path) -> dict[str, bytes]:
        run = Run(KINDS, path, store=store, progress=False)
        rows = run.observed(list(KINDS))
        z = run.fit(["X"], ["Z"], rows, specs.table())
        y = run.fit(["Y"], ["X"], rows, specs.mixture(steps=20, width=8))
        run.fit(["Z"], ["Y"], rows, specs.softmax(steps=20, width=8))
        real_rows = run.bootstrap(["Z"], rows)

        def network(draw):
            (z_drawn,) = draw.sample(real_rows, {})
            (x,) = draw.sample(z, {"Z": z_drawn})
            return {"X": x, "Y": draw.sample(y, {"X": x})[0]}

        made = run.generate(network, ["X", "Y"], [real_rows, z, y], rows=2000)
        run.fit(["X"], ["Y"], made, specs.softmax(steps=20, width=8))
        return {
            p.relative_to(store).as_posix(): p.read_bytes()
            for p in sorted(store.glob("[0-9a-f][0-9a-f]/*/**/*"))
            if p.is_file() and p.name != "meta.json"
        }

    path = put(tmp_path, ".parquet")
    whole = trained(tmp_path / "whole")
    in_files(monkeypatch, 768)  # parts end where blocks of noise do, or float sums may round apart
    assert trained(tmp_path / "parts") == whole and len(whole) > 8


def test_a_large_draw_is_the_draws_of_its_parts(tmp_path: Path) -> None:
    run = Run(KINDS, frame(), progress=False)
    model = run.fit(["X"], ["Z"], run.observed(list(KINDS)), specs.table())
    models = run.finish({"x": model})

    def drawn(n: int, first: int = 0) -> np.ndarray:
        draw = Draw(models, n, seed=3, first=first)
        return draw.sample(model, {"Z": draw.input("Z", 1)})[0]

    assert (np.concatenate([drawn(300), drawn(700, 300)]) == drawn(1000)).all()


@pytest.mark.parametrize("n", [1, 2, 3, 1000, 4097])
def test_an_order_takes_every_row_once(n: int) -> None:
    order = stored.Order(n, 5)[np.arange(n)]
    assert (np.sort(order) == np.arange(n)).all()


def test_orders_of_many_rows_train_and_resume_alike(monkeypatch) -> None:
    are_many(monkeypatch)
    used, held = batches.split(3000, 1)
    first, second = (batches.batches_of(used, held, None, 64, 1) for _ in range(2))
    seen = np.concatenate([first.next().numpy() for _ in range(2900 // 64)])
    assert len(set(seen)) == len(seen) and not set(seen) & set(held.tolist())
    second.restore(first.state())
    assert all((first.next() == second.next()).all() for _ in range(5))
    run = Run(KINDS, frame(), progress=False)
    model = run.fit(["X"], ["Y"], run.observed(list(KINDS)), specs.softmax(steps=50, width=8))
    assert set(model.targets) == {"X"}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_written_in_parts_is_the_one_written_at_once(
    tmp_path: Path, monkeypatch, suffix: str
) -> None:
    run = Run(KINDS, frame(), progress=False)
    rows = run.observed(list(KINDS))
    x = run.fit(["X"], ["Z"], rows, specs.table())
    y = run.fit(["Y"], ["X"], rows, specs.mixture(steps=5, width=8))
    models = run.finish({"x": x, "y": y})

    def draw(count: int, first: int) -> pd.DataFrame:
        drawn = Draw(models, count, seed=3, first=first)
        (x_drawn,) = drawn.sample(x, {"Z": drawn.input("Z", 2)})
        return drawn.table({"X": x_drawn, "Y": drawn.sample(y, {"X": x_drawn})[0]})

    once, parts = tmp_path / f"once{suffix}", tmp_path / f"parts{suffix}"
    assert written.write_table([draw(2000, 0)], once) == 2000
    monkeypatch.setattr(stored, "PART", 768)  # parts end where blocks of noise do
    assert written.write_table(written.frames(draw, 2000), parts) == 2000
    read = pd.read_csv if suffix == ".csv" else pd.read_parquet
    pd.testing.assert_frame_equal(read(once), read(parts))
    if suffix == ".csv":
        assert once.read_bytes() == parts.read_bytes()


def test_vectors_are_written_as_lists(tmp_path: Path) -> None:
    vectors = np.empty(2, object)
    vectors[:] = [np.array([1.0, 2.0]), np.array([3.0, 4.0])]
    part = pd.DataFrame({"V": vectors, "C": ["a", "b"]})
    written.write_table([part, part], tmp_path / "v.parquet")
    assert [*map(list, pd.read_parquet(tmp_path / "v.parquet").V)] == [[1, 2], [3, 4]] * 2


def test_a_policy_draws_by_the_number_of_the_row(tmp_path: Path) -> None:
    program = causalc.compile(
        "P(Y | do(X ~ bernoulli(0.3)))", "X -> Y", {"X": "binary", "Y": "binary"}
    )
    rng = np.random.default_rng(0)
    sampler = program.fit(
        {"X": rng.integers(0, 2, 300), "Y": rng.integers(0, 2, 300)}, progress=False
    )
    whole = sampler.sample(900, seed=1)
    parts = pd.concat(
        [sampler.sample(300, seed=1, first=300 * i) for i in range(3)], ignore_index=True
    )
    assert whole.equals(parts)
