"""Arrays by name in one safetensors file, written and read part by part: none need fit into memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from causalc.errors import CausalcError
from causalc.runtime.stored import Column, Stored, slices

_CODES = {
    "F64": "<f8",
    "F32": "<f4",
    "I64": "<i8",
    "U8": "|u1",
    "U16": "<u2",
    "U32": "<u4",
}
_NAMES = {np.dtype(code): name for name, code in _CODES.items()}
_LONGEST = 1 << 20  # bytes of a header


def write(path: Path, arrays: Mapping[str, Column], about: str = "") -> None:
    """Write arrays, and a text about them. Raises OSError where the disk is full."""
    header: dict[str, Any] = {"__metadata__": {"about": about}}
    first = 0
    for name, values in arrays.items():
        kept = _kept(values)
        end = first + prod(values.shape) * kept.itemsize
        header[name] = {"dtype": _NAMES[kept], "shape": values.shape, "data_offsets": [first, end]}
        first = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for values in arrays.values():
            for part in slices(len(values)):
                file.write(np.ascontiguousarray(values[part], _kept(values)).data)


def read(
    path: Path, types: Mapping[str, np.dtype[Any]] | None = None
) -> tuple[dict[str, Stored], str]:
    """Return arrays as they lie in the file, read as ``types`` say, and the text about them.

    Raises CausalcError unless the file is what ``write`` writes.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _LONGEST:
                raise ValueError("its header is too long")
            header = json.loads(file.read(length))
            about = str(header.pop("__metadata__", {}).get("about", ""))
            found = {}
            for name, entry in header.items():
                kept, shape = np.dtype(_CODES[entry["dtype"]]), tuple(map(int, entry["shape"]))
                first, end = map(int, entry["data_offsets"])
                if first < 0 or min(shape) < 0 or end - first != prod(shape) * kept.itemsize:
                    raise ValueError("its sizes do not agree")
                found[name] = Stored(file, kept, shape, (types or {}).get(name), 8 + length + first)
            return found, about
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CausalcError(f"{path}: not a file of arrays ({error}).") from error


def _kept(values: Column) -> np.dtype[Any]:
    kept = values.kept if isinstance(values, Stored) else values.dtype
    return kept.newbyteorder("<")
