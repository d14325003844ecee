"""Folders of pictures: each way a file can be wrong is one clear error, and a mended folder goes on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from causalc.errors import CausalcError
from causalc.execute import train
from causalc.runtime import stored
from causalc.runtime.data import load
from causalc.runtime.image_files import folder
from causalc.runtime.schema import Schema, image, real
from causalc.script import compile_script

SCHEMA = Schema({"im": image(6, 5, channels=3), "x": real()})
Break = Callable[[Path], object]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
    for i, one in enumerate(pixels):
        Image.fromarray(one).save(tmp_path / f"{i}.png")
    table = pd.DataFrame({"im": [f"{i}.png" for i in range(4)], "x": np.arange(4.0)})
    table.to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[60] ^= 255
    path.write_bytes(bytes(raw))


WRONG: dict[str, tuple[Break, str]] = {
    "missing": (lambda p: p.unlink(), r"im, row 2: there is no file '2\.png'; put it back"),
    "cut short": (
        _cut,
        r"im, row 2: .*2\.png: cannot be read as an image \(image file is truncated",
    ),
    "flipped bits": (_flip, r"im, row 2: .*2\.png: cannot be read as an image"),
    "empty": (lambda p: p.write_bytes(b""), r"im, row 2: .*2\.png: cannot be read as an image"),
    "of another size": (
        lambda p: Image.new("RGB", (7, 6)).save(p),
        r"im, row 2: .*2\.png: 6 × 7 pixels \(height × width\), the schema says 6 × 5.* resize",
    ),
    "a bomb": (
        lambda p: Image.new("1", (20_000, 20_000)).save(p),
        r"im, row 2: .*2\.png: refused before it was decoded: .*400000000 pixels",
    ),
}


@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_bad_file_is_named_with_its_row(
    pictures: Path, wrong: str, in_parts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if in_parts:
        monkeypatch.setattr(stored, "IN_MEMORY", 0)
    breaks, words = WRONG[wrong]
    breaks(pictures / "2.png")
    with pytest.raises(CausalcError, match=words):
        load(folder(pictures), SCHEMA)


def test_missing_files_are_counted(pictures: Path) -> None:
    for i in (1, 3):
        (pictures / f"{i}.png").unlink()
    with pytest.raises(CausalcError, match=r"row 1: 2 of 4 files are missing, the first no file"):
        load(folder(pictures), SCHEMA)


@pytest.mark.parametrize("resize", ["crop", "stretch"])
def test_sizes_may_differ_where_resizing_is_asked_for(pictures: Path, resize: str) -> None:
    stripes = np.zeros((60, 100, 3), np.uint8)
    stripes[:, 25:75] = 255  # the centred part of the right proportions
    Image.fromarray(stripes).save(pictures / "2.png")
    columns = load(folder(pictures, resize=resize), SCHEMA)
    assert (columns["im"][0] == np.asarray(Image.open(pictures / "0.png"))).all()
    assert (columns["im"][2] > 200).all() == (resize == "crop")
    Image.new("1", (9_000, 9_000)).save(pictures / "2.png")  # 81 million pixels
    with pytest.raises(CausalcError, match="too many to resize"):
        load(folder(pictures, resize=resize), SCHEMA)
    with pytest.raises(CausalcError, match="use one of crop, stretch"):
        folder(pictures, resize="pad")


def test_sixteen_bit_files_keep_their_upper_bits(tmp_path: Path) -> None:
    deep = np.arange(16, dtype=np.uint16).reshape(4, 4) * 4096
    Image.fromarray(deep).save(tmp_path / "0.png")
    pd.DataFrame({"im": ["0.png"]}).to_csv(tmp_path / "labels.csv", index=False)
    columns = load(tmp_path, Schema({"im": image(4, 4)}))
    assert (columns["im"][0, :, :, 0] == deep >> 8).all()


def test_a_folder_too_large_for_memory_is_decoded_once_into_a_mapped_file(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load(folder(pictures), SCHEMA)
    monkeypatch.setattr(stored, "IN_MEMORY", 0)
    monkeypatch.setattr("causalc.runtime.image_files._AT_ONCE", 200)  # two pictures at a time
    parts = load(pictures, SCHEMA)
    assert isinstance(parts["im"], stored.Stored)
    assert parts.fingerprint() == whole.fingerprint()
    for file in pictures.glob("*.png"):
        file.unlink()
    assert (parts["im"][np.array([3, 0])] == whole["im"][[3, 0]]).all()


def test_columns_of_a_folder_may_be_called_otherwise(pictures: Path) -> None:
    """As CelebA's image_id; a column that has the variable's own name by chance is not meant."""
    table = pd.read_csv(pictures / "labels.csv").rename(columns={"im": "image_id"})
    table.assign(im="other").to_csv(pictures / "labels.csv", index=False)
    columns = load(folder(pictures, columns={"im": "image_id"}), SCHEMA)
    assert (columns["im"][1] == np.asarray(Image.open(pictures / "1.png"))).all()
    with pytest.raises(CausalcError, match="no column 'photo'; it has 'image_id'"):
        load(folder(pictures, columns={"im": "photo"}), SCHEMA)


SCRIPT = """
graph { X -> M -> Y  X <-> Y }
var X, Y : binary
var M : image(6, 5)
data rows = folder("rows", resize = crop)
model M = diffusion(steps = 3, width = 8, depth = 1)
model Y = softmax(steps = 3, width = 8, depth = 1)
query effect = P(Y | do(X))
"""


def test_a_run_goes_on_once_the_folder_is_mended(tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(0), tmp_path / "rows"
    rows.mkdir()
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (6, 5), dtype=np.uint8)).save(rows / f"{i}.png")
    table = pd.DataFrame({"M": [f"{i}.png" for i in range(20)]})
    table["X"], table["Y"] = rng.integers(0, 2, (2, 20))
    table.to_csv(rows / "labels.csv", index=False)
    (tmp_path / "a.causal").write_text(SCRIPT)
    job, store = compile_script(tmp_path / "a.causal"), str(tmp_path / "store")
    keys = {m.key for m in train(job, None, store, False, {}).sampler.models.values()}
    made = sorted(p for p in (tmp_path / "store").rglob("meta.json"))
    before = (rows / "7.png").read_bytes()
    for name in WRONG.keys() - {"of another size"}:  # which is cropped here
        WRONG[name][0](rows / "7.png")
        with pytest.raises(CausalcError, match=r"M, row 7: .*7\.png"):
            train(job, None, store, False, {})
        (rows / "7.png").write_bytes(before)
        again = train(job, None, store, False, {}).sampler.models
        assert {m.key for m in again.values()} == keys
        assert sorted((tmp_path / "store").rglob("meta.json")) == made  # nothing trained twice
