"""Content-addressed results: a finished stage is a folder named by what determines it.

``<store>/<first two digits>/<key>/`` holds ``config.json``, safetensors, ``curve.jsonl`` and
``meta.json`` (versions, times, rows, findings and the sha256 of every file). A folder is written
beside its place, flushed and renamed, so what is found under a key is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from causalc.errors import CausalcError

FORMAT = 1
_KEY = re.compile(r"[0-9a-f]{64}")
_PACKAGES = ("causalc", "torch", "diffusers", "numpy", "safetensors")


def key_of(value: object) -> str:
    """Return the sha256 of a JSON value in canonical form: the key of what it determines."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished stage: its key, label, size in bytes, seconds it took and when it was made."""

    key: str
    label: str
    size: int
    seconds: float
    created: str
    path: Path


class Store:
    """Finished stages under one folder; ``Store(None)`` keeps them until it is collected."""

    def __init__(self, root: str | Path | None) -> None:
        self.root = Path(root) if root else Path(tempfile.mkdtemp(prefix="causalc-"))
        if not root:
            self._close = weakref.finalize(self, shutil.rmtree, self.root, ignore_errors=True)
        if self.root.exists() and not self.root.is_dir():
            raise CausalcError(f"{self.root}: the store must be a folder, this is a file.")

    def folder(self, key: str) -> Path:
        """Return where the stage of ``key`` lies, finished or not."""
        return self.root / key[:2] / key

    def find(self, key: str) -> Path | None:
        """Return the folder of a finished stage after checking its files, else None.

        Raises CausalcError naming the file when a file is missing or changed.
        """
        folder = self.folder(key)
        if not folder.is_dir():
            return None
        verify(folder, key)
        return folder

    def put(self, key: str, write: Callable[[Path], None], meta: Mapping[str, Any]) -> Path:
        """Let ``write`` fill a fresh folder, seal it with ``meta.json`` and move it into place."""
        final = self.folder(key)
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix=f".{key[:12]}-", dir=final.parent))
        except OSError as error:
            raise CausalcError(f"{self.root}: cannot write to the store ({error}).") from error
        try:
            write(scratch)
            seal(scratch, meta)
            if final.exists():  # another process finished the same stage first
                return final
            os.replace(scratch, final)
            _flush(final.parent)
        except OSError as error:
            if not final.is_dir():
                raise CausalcError(f"{final}: cannot write the stage ({error}).") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return final

    def entries(self) -> tuple[Entry, ...]:
        """Return all finished stages, oldest first. Unreadable ones are listed as such."""
        found = [
            _entry(path)
            for path in self.root.glob("[0-9a-f][0-9a-f]/*")
            if _KEY.fullmatch(path.name) and path.is_dir()
        ]
        return tuple(sorted(found, key=lambda entry: (entry.created, entry.key)))

    def remove(self, key: str) -> None:
        """Delete a stage by its key or the first digits of it. Raises CausalcError if none."""
        if not re.fullmatch(r"[0-9a-f]{4,64}", key):
            raise CausalcError(f"{key!r} is not a key: give at least its first four digits.")
        found = [path for path in self.root.glob(f"{key[:2]}/{key}*") if path.is_dir()]
        if len(found) != 1:
            many = "several stages start" if found else "no stage starts"
            raise CausalcError(f"{self.root}: {many} with {key}; see `causalc cache ls`.")
        # Renamed first, so that an interrupted removal never leaves half a stage under its key.
        doomed = found[0].with_name("." + found[0].name)
        os.replace(found[0], doomed)
        shutil.rmtree(doomed)


def seal(folder: Path, meta: Mapping[str, Any]) -> None:
    """Write ``meta.json`` with the checksum of every other file, and flush all to disk."""
    sums = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        sums[path.relative_to(folder).as_posix()] = _sum(path)
        _flush(path)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    whole = {"format": FORMAT, "created": created, "versions": _versions(), **meta, "files": sums}
    (folder / "meta.json").write_text(json.dumps(whole, indent=1))
    _flush(folder / "meta.json")
    _flush(folder)


def verify(folder: Path, key: str | None = None) -> dict[str, Any]:
    """Check a sealed folder's files against their checksums and return its ``meta.json``.

    Raises CausalcError naming the file and, with ``key``, the command that clears it.
    """
    remedy = f"remove it with `causalc cache rm {key[:12]}` and run again" if key else "restore it"
    try:
        meta: dict[str, Any] = json.loads((folder / "meta.json").read_text())
        sums = dict(meta["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise CausalcError(f"{folder / 'meta.json'}: missing or damaged; {remedy}.") from None
    if meta.get("format") != FORMAT:
        raise CausalcError(
            f"{folder}: written in format {meta.get('format')}, this version reads {FORMAT}; "
            f"{remedy}."
        )
    for name, expected in sums.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise CausalcError(f"{folder / 'meta.json'}: names a file outside; {remedy}.")
        if not path.is_file() or _sum(path) != expected:
            state = "changed since it was written" if path.is_file() else "missing"
            raise CausalcError(f"{path}: {state}; {remedy}.")
    return meta


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _entry(path: Path) -> Entry:
    size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    try:
        meta = json.loads((path / "meta.json").read_text())
        label, seconds = str(meta["label"]), float(meta["seconds"])
        return Entry(path.name, label, size, seconds, str(meta["created"]), path)
    except (OSError, ValueError, KeyError, TypeError):
        return Entry(path.name, "damaged", size, 0.0, "", path)
