"""The store: whole stages only, found again, never trusted unread."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from causalc.errors import CausalcError
from causalc.runtime.seal import read_sealed, sealed
from causalc.runtime.store import Store, key_of

META = {"label": "P(Y | X)", "seconds": 1.5, "rows": 10}


def write(folder: Path) -> None:
    (folder / "config.json").write_text('{"a": 1}')
    (folder / "0").mkdir()
    save_file({"w": np.arange(3.0)}, folder / "0" / "model.safetensors")


def test_keys_are_canonical() -> None:
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 1.5})


def test_a_stage_is_put_found_listed_and_removed(tmp_path: Path) -> None:
    store, key = Store(tmp_path / "store"), key_of("stage")
    assert store.find(key) is None and store.entries() == ()
    folder = store.put(key, write, META)
    assert folder == tmp_path / "store" / key[:2] / key == store.find(key)
    assert load_file(folder / "0" / "model.safetensors")["w"].tolist() == [0, 1, 2]
    (entry,) = store.entries()
    assert (entry.key, entry.label, entry.seconds) == (key, "P(Y | X)", 1.5)
    assert entry.size > 0 and entry.created.endswith("Z")
    meta = json.loads((folder / "meta.json").read_text())
    assert "torch" in meta["versions"] and meta["rows"] == 10
    store.remove(key[:8])
    assert store.find(key) is None and store.entries() == ()
    assert list((tmp_path / "store" / key[:2]).iterdir()) == []


def test_a_failed_stage_leaves_nothing(tmp_path: Path) -> None:
    store, key = Store(tmp_path), key_of("stage")

    def fail(folder: Path) -> None:
        write(folder)
        raise ValueError("training failed")

    with pytest.raises(ValueError, match="training failed"):
        store.put(key, fail, META)
    assert store.find(key) is None and list((tmp_path / key[:2]).iterdir()) == []


def test_a_killed_process_leaves_no_stage(tmp_path: Path) -> None:
    key = key_of("stage")
    code = (
        "import os; from causalc.runtime.store import Store\n"
        "def write(folder):\n"
        "    (folder / 'config.json').write_text('half'); os.kill(os.getpid(), 9)\n"
        f"Store({str(tmp_path)!r}).put({key!r}, write, {{}})"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    store = Store(tmp_path)
    assert store.find(key) is None and store.entries() == ()
    assert store.find(store.put(key, write, META).name) is not None


def test_the_first_of_two_writers_wins(tmp_path: Path) -> None:
    store, key = Store(tmp_path), key_of("stage")

    def slow(folder: Path) -> None:
        store.put(key, write, META)
        (folder / "config.json").write_text('{"a": 2}')

    folder = store.put(key, slow, META)
    assert (folder / "config.json").read_text() == '{"a": 1}'
    assert len(list(folder.parent.iterdir())) == 1


def flip(folder: Path) -> None:
    path = folder / "0" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def rename_out(folder: Path) -> None:
    meta = read_sealed(folder / "meta.json")
    meta["files"]["../../escape"] = "0" * 64
    (folder / "meta.json").write_text(sealed(meta))


def add(folder: Path) -> None:
    (folder / "0" / "model.safetensors.index.json").write_text("{}")


def old_format(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"format": 0}))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (flip, r"model.safetensors: changed .* `causalc cache rm"),
        (lambda folder: (folder / "config.json").unlink(), r"config.json: missing"),
        (lambda folder: (folder / "meta.json").write_text("{"), r"meta.json: missing or damaged"),
        (lambda folder: (folder / "meta.json").unlink(), r"meta.json: missing or damaged"),
        (rename_out, "outside"),
        (add, "index.json: does not belong"),
        (old_format, "written in format 0"),
    ],
)
def test_damage_is_named_with_its_remedy(tmp_path: Path, harm, words: str) -> None:
    store, key = Store(tmp_path), key_of("stage")
    harm(store.put(key, write, META))
    with pytest.raises(CausalcError, match=words):
        store.find(key)
    store.remove(key)
    assert store.find(key) is None


@pytest.mark.parametrize("key", ["", "abc", "../..", "*", "zzzz", "abcd"])
def test_only_known_keys_are_removed(tmp_path: Path, key: str) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(CausalcError):
        Store(tmp_path).remove(key)
    assert (tmp_path / "precious").exists()


def test_without_a_folder_the_store_vanishes_with_its_user() -> None:
    store = Store(None)
    root = store.put(key_of("x"), write, META).parent.parent
    assert root.is_dir()
    del store
    assert not root.exists()


def test_a_store_must_be_a_writable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CausalcError, match="must be a folder"):
        Store(tmp_path / "file")
    if os.getuid() != 0:  # root writes anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(CausalcError, match="cannot write"):
            Store(tmp_path / "locked" / "store").put(key_of("x"), write, META)
