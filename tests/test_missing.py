"""Rows without a value: refused, dropped or a level of their own, in memory and in files alike."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causalc.errors import CausalcError
from causalc.runtime import stored
from causalc.runtime.data import Columns, load
from causalc.runtime.schema import (
    Kind,
    Schema,
    binary,
    categorical,
    image,
    ordinal,
    real,
    text,
    vector,
)
from causalc.script import compile_script

KINDS = Schema(
    {
        "X": binary(missing="drop"),
        "C": categorical("a", "b", missing="level"),
        "R": real(missing="drop"),
        "Y": real(),
    }
)


def frame(n: int = 1000) -> pd.DataFrame:
    """Return rows of which every seventh lacks X, every fifth C and every ninth R."""
    rng, at = np.random.default_rng(0), np.arange(n)
    table = pd.DataFrame(
        {
            "X": rng.integers(0, 2, n).astype(float),
            "C": rng.choice(["a", "b"], n).astype(object),
            "R": rng.normal(size=n),
            "Y": rng.normal(size=n),
        }
    )
    table.loc[at % 7 == 0, "X"] = np.nan
    table.loc[at % 5 == 0, "C"] = None
    table.loc[at % 9 == 0, "R"] = np.nan
    return table


def left(n: int = 1000) -> np.ndarray:
    at = np.arange(n)
    return (at % 7 != 0) & (at % 9 != 0)


def check(found: Columns) -> None:
    table, kept = frame(), left()
    assert found.rows == kept.sum()
    assert (found["R"][:] == table["R"][kept]).all() and (found["Y"][:] == table["Y"][kept]).all()
    assert (found["X"][:] == table["X"][kept]).all()
    codes = table["C"].map({"a": 0, "b": 1}).fillna(2)[kept]
    assert found.schema["C"].levels == ("a", "b", "missing") and (found["C"][:] == codes).all()
    first, second, third = found.findings
    assert "X has no value in 143 of 1,000 rows: they were dropped" in first
    assert "completely at random" in first and "R has no value in 112 of 1,000" in third
    assert "C has no value in 200 of 1,000 rows: that is the level 'missing'" in second


def test_rows_are_dropped_and_levels_added() -> None:
    check(load(frame(), KINDS))
    check(load({name: values.to_numpy() for name, values in frame().items()}, KINDS))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_files_read_in_parts_give_the_same(tmp_path: Path, monkeypatch, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    (frame().to_csv if suffix == ".csv" else frame().to_parquet)(path, index=False)
    whole = load(path, KINDS)
    check(whole)
    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    monkeypatch.setattr(stored, "PART", 64)
    parts = load(path, KINDS)
    check(parts)
    assert isinstance(parts["R"], stored.Stored) and parts.fingerprint() == whole.fingerprint()


def test_every_kind_but_images_can_drop(tmp_path: Path, monkeypatch) -> None:
    kinds = Schema(
        {
            "O": ordinal(3, missing="drop"),
            "V": vector(2, missing="drop"),
            "T": text(8, missing="drop"),
        }
    )
    vectors = np.array([[0, 1], [1, np.nan], [2, 3], [4, 5]])
    rows = {"O": [0.0, 1.0, float("nan"), 2.0], "V": vectors, "T": ["a b", "zzz", "qqq", None]}
    found = load(rows, kinds)
    assert found.rows == 1 and found["O"].tolist() == [0] and found["V"].tolist() == [[0, 1]]
    words = load({"O": [0], "V": vectors[:1], "T": ["a b"]}, kinds).schema["T"].levels
    assert found.schema["T"].levels == words  # words of dropped rows are not learnt
    with pytest.raises(CausalcError, match="no policy"):
        Kind("image", shape=(2, 2, 1), missing="drop")
    with pytest.raises(TypeError):
        image(2, 2, missing="drop")  # type: ignore[call-arg]


def test_what_is_refused_names_the_row_as_it_is_in_the_data() -> None:
    table = frame()
    table.loc[20, "Y"] = np.inf
    with pytest.raises(CausalcError, match="'Y', row 20: inf is not a finite number"):
        load(table, KINDS)
    table.loc[20, "Y"] = np.nan
    with pytest.raises(
        CausalcError, match=r"'Y' has 1 missing values, the first in row 20.*missing=drop"
    ):
        load(table, KINDS)
    with pytest.raises(CausalcError, match="Every row lacks a value of R"):
        load({"R": [float("nan")] * 3}, Schema({"R": real(missing="drop")}))
    with pytest.raises(CausalcError, match="differ in length"):
        load({"X": [0.0, None], "R": [None, 1.0, 2.0]}, Schema({n: KINDS[n] for n in ("X", "R")}))


def test_kinds_come_back_and_foreign_ones_are_refused() -> None:
    for kind in KINDS.values():
        assert Kind.from_json(kind.to_json()) == kind
    assert "missing" not in real().to_json()
    for value in (
        {"kind": "real", "missing": "level"},
        {"kind": "categorical", "levels": ["a", "b"], "missing": "level"},
        {"kind": "real", "missing": ["drop"]},
    ):
        with pytest.raises(CausalcError):
            Kind.from_json(value)
    with pytest.raises(CausalcError, match="levels with names"):
        categorical(3, missing="level")


def test_a_script_says_what_becomes_of_missing_values(tmp_path: Path) -> None:
    rng, n = np.random.default_rng(1), 3000
    c = rng.choice(["a", "b"], n).astype(object)
    seen = rng.random(n) < 0.8
    x = (rng.random(n) < np.where(c == "a", 0.3, 0.7)).astype(float)
    y = (rng.random(n) < 0.2 + 0.4 * x + 0.2 * (c == "a")).astype(int)
    c[~seen], x[rng.random(n) < 0.1] = None, np.nan
    pd.DataFrame({"C": c, "X": x, "Y": y}).to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "s.causal").write_text(
        """
        graph { C -> X -> Y; C -> Y }
        var C : categorical("a", "b", missing = level)
        var X : binary(missing = drop)
        var Y : binary
        data rows = csv("rows.csv")
        query effect = P(Y | do(X), C)
        """
    )
    program = compile_script(tmp_path / "s.causal").program
    assert program is not None
    assert 'runtime.categorical("a", "b", missing="level")' in program.source
    assert 'runtime.binary(missing="drop")' in program.source
    sampler = program.fit(tmp_path / "rows.csv", progress=False)
    assert any("they were dropped" in line for line in sampler.models.findings)
    shares = [
        sampler.sample(4000, X=1, C=level, seed=0)["Y"].mean() for level in ("a", "b", "missing")
    ]
    # 0.8, 0.6, and between them where C is not known (few rows: 0.03 is three standard errors).
    assert shares[0] == pytest.approx(0.8, abs=0.06) and shares[1] == pytest.approx(0.6, abs=0.06)
    assert shares[1] - 0.03 < shares[2] < shares[0] + 0.03
