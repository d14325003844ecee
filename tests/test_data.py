"""Reading data: any container gives the same checked columns; faults are named."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from PIL import Image

from causalc.errors import CausalcError
from causalc.runtime.data import labels, load
from causalc.runtime.image_files import folder
from causalc.runtime.schema import (
    Schema,
    binary,
    categorical,
    image,
    inferred,
    integer,
    ordinal,
    real,
    vector,
)

SCHEMA = Schema({"g": categorical("a", "b", "c"), "x": real(), "k": integer(), "t": binary()})


def frame(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "g": rng.choice(["a", "b", "c"], n),
            "x": rng.normal(size=n),
            "k": rng.integers(0, 99, n),
            "t": rng.integers(0, 2, n),
        }
    )


def containers(base: Path) -> dict[str, object]:
    table = frame()
    arrow = pa.Table.from_pandas(table)
    table.to_csv(base / "d.csv", index=False)
    pa.parquet.write_table(arrow, base / "d.parquet")
    pa.feather.write_feather(arrow, base / "d.feather")
    with pa.ipc.new_stream(base / "d.arrow", arrow.schema) as sink:
        sink.write_table(arrow)
    (base / "parts").mkdir()
    pa.parquet.write_table(arrow.slice(0, 20), base / "parts" / "0.parquet")
    pa.parquet.write_table(arrow.slice(20), base / "parts" / "1.parquet")
    coded = table.assign(g=table.g.astype("category"), t=table.t.astype(bool))
    return {
        "frame": table,
        "columns in another order": table[["t", "k", "x", "g"]],
        "category and bool": coded,
        "nullable": table.convert_dtypes(),
        "arrow": arrow,
        "mapping": {name: table[name].to_numpy() for name in table},
        "lists": {name: table[name].tolist() for name in table},
        "csv": base / "d.csv",
        "parquet": str(base / "d.parquet"),
        "feather": base / "d.feather",
        "arrow stream": base / "d.arrow",
        "folder": base / "parts",
    }


def test_every_container_gives_the_same_columns_and_fingerprint(tmp_path: Path) -> None:
    prints = {name: load(data, SCHEMA).fingerprint() for name, data in containers(tmp_path).items()}
    assert len(set(prints.values())) == 1, prints
    columns = load(tmp_path / "d.csv", SCHEMA)
    assert {name: values.dtype.str[1:] for name, values in columns.items()} == {
        "g": "i8",
        "x": "f8",
        "k": "i8",
        "t": "i8",
    }
    assert labels(columns["g"], SCHEMA["g"]).tolist() == frame().g.tolist()


def test_fingerprint_follows_values_names_and_kinds() -> None:
    base = load(frame(), SCHEMA)
    other = frame()
    other.loc[5, "x"] += 1e-9
    changed = load(other, SCHEMA)
    assert changed.fingerprint() != base.fingerprint()
    assert changed.fingerprint(("g", "k")) == base.fingerprint(("k", "g"))
    reordered = load(frame().iloc[::-1], SCHEMA)
    assert reordered.fingerprint() != base.fingerprint()
    ordered = Schema({**SCHEMA, "g": ordinal("a", "b", "c")})
    assert load(frame(), ordered).fingerprint() != base.fingerprint()


def test_columns_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        load(frame(), SCHEMA)["x"][0] = 1.0


def spoil(column: str, row: int, value: object) -> pd.DataFrame:
    table = frame().astype({column: object})
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (frame().rename(columns={"x": "X"}), r"lack the column 'x' \(did you mean 'X'"),
        (spoil("x", 7, None), "'x' has 1 missing values, the first in row 7"),
        (spoil("g", 4, None), "'g' has 1 missing values, the first in row 4"),
        (spoil("g", 9, "d"), r"'g', row 9: 'd' is not one of its levels \('a', 'b', 'c'\)"),
        (spoil("g", 9, "A"), "did you mean 'a'"),
        (spoil("t", 3, 2), "'t', row 3: 2 is not one of its levels"),
        (spoil("x", 2, float("inf")), "'x', row 2: inf is not a finite"),
        (spoil("x", 2, "one"), "expected real"),
        (spoil("k", 1, 2.5), "'k', row 1: 2.5 is not a whole number"),
        ({"g": ["a"], "x": [1.0, 2.0], "k": [1], "t": [0]}, "differ in length"),
        ({"g": "a", "x": 1.0, "k": 1, "t": 0}, "one value a row"),
        (3, "Cannot read data from int"),
        ("no/such.csv", "no such file"),
    ],
)
def test_faults_are_named(data: object, words: str) -> None:
    with pytest.raises(CausalcError, match=words):
        load(data, SCHEMA)


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"not parquet")
    (tmp_path / "x.xlsx").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for name, words in (
        ("x.parquet", "cannot be read"),
        ("x.xlsx", "expected a"),
        ("empty", "holds no"),
    ):
        with pytest.raises(CausalcError, match=words):
            load(tmp_path / name, SCHEMA)


def test_constant_columns_are_found() -> None:
    columns = load(frame().assign(t=1), SCHEMA)
    assert len(columns.findings) == 1 and columns.findings[0].startswith("t is constant")


def test_arrays_in_columns() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (5, 4, 3, 1), dtype=np.uint8)
    schema = Schema({"v": vector(2), "im": image(4, 3)})
    vectors = rng.normal(size=(5, 2)).astype(np.float32)
    whole = load({"v": vectors, "im": pixels}, schema)
    boxed = load(pd.DataFrame({"v": list(vectors), "im": list(pixels)}), schema)
    flat = load({"v": vectors, "im": pixels[..., 0] / 255}, schema)
    assert whole.fingerprint() == boxed.fingerprint() == flat.fingerprint()
    guessed = load({"v": vectors, "im": pixels}, Schema({"v": inferred(), "im": inferred()}))
    assert dict(guessed.schema) == dict(schema)
    with pytest.raises(CausalcError, match="image values must lie in 0 to 1"):
        load({"v": vectors, "im": pixels / 100}, schema)
    with pytest.raises(CausalcError, match=r"expected \(4, 3, 1\)"):
        load({"v": vectors, "im": np.zeros((5, 4, 4))}, schema)


def test_image_folder(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, 6, 5, 3), dtype=np.uint8)
    (tmp_path / "sub").mkdir()
    for i, one in enumerate(pixels):
        Image.fromarray(one).save(tmp_path / "sub" / f"{i}.png")
    table = pd.DataFrame({"im": [f"sub/{i}.png" for i in range(3)], "x": [0.0, 1.0, 2.0]})
    table.to_csv(tmp_path / "labels.csv", index=False)
    schema = Schema({"im": image(6, 5, channels=3), "x": real()})
    columns = load(folder(tmp_path), schema)
    assert (columns["im"] == pixels).all()
    assert load(tmp_path, schema).fingerprint() == columns.fingerprint()
    with pytest.raises(CausalcError, match="the schema says 5 × 5"):
        load(tmp_path, Schema({"im": image(5, 5, channels=3), "x": real()}))
    with pytest.raises(CausalcError, match="a colour image"):
        load(tmp_path, Schema({"im": image(6, 5), "x": real()}))


@pytest.mark.parametrize("name", ["../out.png", "/etc/hostname", "link.png"])
def test_image_paths_stay_inside(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "out.png")
    (root / "link.png").symlink_to(tmp_path / "out.png")
    pd.DataFrame({"im": [name]}).to_csv(root / "labels.csv", index=False)
    with pytest.raises(CausalcError, match="points outside the folder"):
        load(root, Schema({"im": image(2, 2)}))


def test_huge_and_broken_images_are_refused_unread(tmp_path: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(tmp_path / "bomb.png")
    (tmp_path / "text.png").write_text("not an image")
    for name, words in (("bomb.png", "large|pixels"), ("text.png", "cannot be read as an image")):
        pd.DataFrame({"im": [name]}).to_csv(tmp_path / "labels.csv", index=False)
        with pytest.raises(CausalcError, match=words):
            load(tmp_path, Schema({"im": image(20_000, 20_000)}))


# ---- tables of other packages


class Stream:
    """What speaks Arrow's C stream, as DuckDB's and others' tables do."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested: object = None) -> object:
        return self.table.__arrow_c_stream__(requested)


class Exchange:
    """What speaks the data frame interchange protocol alone."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __dataframe__(self, **options: bool) -> object:
        return self.table.__dataframe__(**options)


class HuggingFace:
    """As datasets.Dataset: rows in the format asked for."""

    def __init__(self, table: pa.Table) -> None:
        self.table, self.column_names = table, table.column_names

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def with_format(self, form: str) -> "HuggingFace":
        assert form == "arrow"
        return self

    def __getitem__(self, rows: slice) -> pa.Table:
        return self.table


class Polars:
    """As polars.DataFrame."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def to_arrow(self) -> pa.Table:
        return self.table


@pytest.mark.parametrize("wrap", [Stream, Exchange, HuggingFace, Polars])
def test_tables_of_others_are_read_as_their_arrow_tables(wrap: type) -> None:
    table = pa.table({"X": [0, 1, 1], "Y": [0.5, 1.5, 2.5], "C": ["a", "b", "a"]})
    schema = Schema({"X": binary(), "Y": real(), "C": categorical("a", "b")})
    wanted, found = load(table, schema), load(wrap(table), schema)
    assert all(np.array_equal(wanted[name], found[name]) for name in schema)
    assert wanted.fingerprint() == found.fingerprint()


def test_an_array_of_xarray_is_its_numbers() -> None:
    values = np.array([0, 1, 1])
    made = type("DataArray", (), {"__module__": "xarray.core", "to_numpy": lambda _: values})()
    assert np.array_equal(load({"X": made}, Schema({"X": binary()}))["X"], values)


def test_tables_that_are_none_yet_say_what_to_do() -> None:
    lazy = type("LazyFrame", (), {"collect": None, "collect_schema": None})()
    with pytest.raises(CausalcError, match="collect"):
        load(lazy, Schema({"X": binary()}))
    splits = type("DatasetDict", (), {"with_format": None, "column_names": {"train": ["X"]}})()
    with pytest.raises(CausalcError, match="give one Dataset"):
        load(splits, Schema({"X": binary()}))


def test_a_table_with_other_marks_between_columns_and_words_for_levels_say_what_to_do(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("X;Y\n1;0\n0;1\n")
    with pytest.raises(CausalcError, match="separate columns by commas, not by ';'"):
        load(path, Schema({"X": binary(), "Y": binary()}))
    path.write_text("X\nyes\nno\n")
    with pytest.raises(CausalcError, match=r'are declared: binary\("no", "yes"\)'):
        load(path, Schema({"X": binary()}))
