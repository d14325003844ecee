"""JSON files that show every changed byte, and texts written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST_JSON = 64 << 20  # bytes


def key_of(value: object) -> str:
    """Return the sha256 of a JSON value in canonical form: the key of what it determines."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(value: Mapping[str, Any]) -> str:
    """Return the JSON text of ``value`` with its own checksum under "seal"."""
    plain = json.loads(json.dumps(value))
    return json.dumps({**plain, "seal": key_of(plain)}, indent=1)


def read_sealed(path: Path) -> dict[str, Any] | None:
    """Return a value written by ``sealed``, or None where the file is missing or any byte differs."""
    value = read_json(path)
    if not isinstance(value, dict) or value.pop("seal", None) != key_of(value):
        return None
    try:
        whole = path.read_text(encoding="utf-8") == sealed(value)  # layout, too, is under the seal
    except (OSError, ValueError):
        return None
    return value if whole else None


def read_json(path: Path) -> Any:
    """Return a file's JSON value, or None where it is no regular file, a link, damaged or larger than 64 MiB."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_JSON:
            return None  # links lead elsewhere, and a device has no end
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def flush(path: Path) -> None:
    """Make a file's content, or a folder's list of names, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put_text(path: Path, text: str) -> None:
    """Write a file beside its place, flush it and rename it: readers see the old text or the new."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_text(text, encoding="utf-8")
        flush(scratch)
        os.replace(scratch, path)
        flush(path.parent)
    finally:
        scratch.unlink(missing_ok=True)
