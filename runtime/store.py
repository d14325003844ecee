"""Content-addressed results: a finished stage is a folder named by what determines it.

``<store>/<first two digits>/<key>/`` holds ``config.json``, safetensors, ``curve.jsonl`` and
``meta.json`` (versions, times, rows, findings and the sha256 of every file, its own among them). A
folder is written beside its place, flushed and renamed, so what is found under a key is whole.
``<store>/partial/<key>/`` holds the state of a stage in training (see ``checkpoint``) and
``<store>/locks/`` a file for each stage that somebody trained: a lock on it ends with its process.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from causalc import __version__
from causalc.errors import CausalcError, RunFailed
from causalc.runtime.seal import flush, key_of, put_text, read_json, read_sealed, sealed

__all__ = ["FORMAT", "Entry", "Store", "key_of", "seal", "verify"]

FORMAT = 9
_KEY = re.compile(r"[0-9a-f]{64}")
_PACKAGES = ("torch", "diffusers", "numpy", "safetensors")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)


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
        self.temporary = not root
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

    def partial(self, key: str) -> Path:
        """Return where the state of a stage in training lies."""
        return self.root / "partial" / key

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Make a folder that lasts as long as the block. Raises CausalcError where that is not possible."""
        try:
            (self.root / "partial").mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix="rows-", dir=self.root.resolve() / "partial"))
        except OSError as error:
            raise _refused(self.root, error) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def claim(self, key: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the stage of ``key`` for this process; where another holds it, call ``waiting`` and wait.

        The system frees the lock of a process that dies, however it dies. Raises CausalcError where
        the store cannot be written.
        """
        lock = FileLock(self.root / "locks" / f"{key}.lock")
        try:
            (self.root / "locks").mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                waiting()
                lock.acquire()
        except OSError as error:
            raise _refused(self.root, error) from error
        try:
            yield
        finally:
            lock.release()

    def put(self, key: str, write: Callable[[Path], None], meta: Mapping[str, Any]) -> Path:
        """Let ``write`` fill a fresh folder, seal it with ``meta.json`` and move it into place.

        Raises RunFailed where the disk is full and CausalcError where the store is read-only.
        """
        final = self.folder(key)
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=final.parent))
        except OSError as error:
            raise _refused(self.root, error) from error
        try:
            write(scratch)
            seal(scratch, meta)
            if final.exists():  # another process finished the same stage first
                return final
            os.replace(scratch, final)
            flush(final.parent)
        except (OSError, SafetensorError) as error:
            if not final.is_dir():
                raise _refused(final, error) from error
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
        shutil.rmtree(self.partial(found[0].name), ignore_errors=True)

    def leftovers(self) -> tuple[Path, ...]:
        """Return what killed runs left and no run will use: half-written stages, states of finished ones.

        What belongs to a stage that is being trained at this moment is not among them.
        """
        scratch = [(p, p.name[1:65]) for p in self.root.glob("[0-9a-f][0-9a-f]/.*")]
        partial = [(p, p.name) for p in self.root.glob("partial/*") if self.folder(p.name).is_dir()]
        return tuple(sorted(p for p, key in (*scratch, *partial) if self._free(key)))

    def unfinished(self) -> tuple[Path, ...]:
        """Return the states of stages that wait to be resumed and that nobody trains now."""
        return tuple(sorted(p for p in self.root.glob("partial/*") if self._free(p.name)))

    def _free(self, key: str) -> bool:
        path = self.root / "locks" / f"{key}.lock"
        if not path.is_file():
            return True
        try:
            with FileLock(path).acquire(timeout=0):
                return True
        except (Timeout, OSError):
            return False


def _refused(place: Path, error: Exception) -> CausalcError:
    """Say what kept a stage from the disk, and the remedy."""
    code = error.errno if isinstance(error, OSError) else None
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    full = code in _FULL or "os error 28" in str(error) or "os error 27" in str(error)
    if full:
        return RunFailed(
            f"{place}: the disk is full ({reason}); finished stages are kept. Free some space, or give "
            "another store, and run the same command again."
        )
    if code in _FORBIDDEN:
        return CausalcError(
            f"{place}: cannot write to the store ({reason}), and a stage is still to be trained. Make it "
            "writable, or name another with --store (store= in Python)."
        )
    return CausalcError(
        f"{place}: cannot write to the store ({reason}); name another with --store."
    )


def seal(folder: Path, meta: Mapping[str, Any]) -> None:
    """Write ``meta.json`` with the checksum of every other file and its own, and flush all to disk."""
    sums = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        sums[path.relative_to(folder).as_posix()] = _sum(path)
        flush(path)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    whole = {"format": FORMAT, "created": created, "versions": _versions(), **meta, "files": sums}
    put_text(folder / "meta.json", sealed(whole))


def verify(folder: Path, key: str | None = None) -> dict[str, Any]:
    """Check a sealed folder's files against their checksums and return its ``meta.json``.

    Raises CausalcError naming the file and, with ``key``, the command that clears it.
    """
    remedy = f"remove it with `causalc cache rm {key[:12]}` and run again" if key else "restore it"
    meta = read_json(folder / "meta.json")
    made = meta.get("format") if isinstance(meta, dict) else None
    if isinstance(made, int) and made != FORMAT:
        raise CausalcError(
            f"{folder}: written in format {made}, this version reads {FORMAT}; {remedy}."
        )
    meta = read_sealed(folder / "meta.json")
    if meta is None or not isinstance(meta.get("files"), dict):
        raise CausalcError(f"{folder / 'meta.json'}: missing or damaged; {remedy}.")
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
    for name in sorted(present - {"meta.json", *meta["files"]}):
        raise CausalcError(f"{folder / name}: does not belong to this stage; {remedy}.")
    for path in sorted(p for p in folder.rglob("*") if p.is_symlink()):
        raise CausalcError(f"{path}: a link, which may lead outside the folder; {remedy}.")
    for name, expected in meta["files"].items():
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


def _versions() -> dict[str, str]:
    found = {"causalc": __version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _entry(path: Path) -> Entry:
    size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    try:
        meta = read_json(path / "meta.json")
        label, seconds = str(meta["label"]), float(meta["seconds"])
        return Entry(path.name, label, size, seconds, str(meta["created"]), path)
    except (OSError, ValueError, KeyError, TypeError):
        return Entry(path.name, "damaged", size, 0.0, "", path)
