"""Arrays that do not fit into memory: kept in files, read by slices and row numbers.

Where rows lie changes no result: what is drawn, counted or trained is a function of the values. From
``MANY`` rows on, whether they fit or not, an order of the rows is computed rather than shuffled, and
encoders and last layers are fitted to ``SOME`` rows drawn at random, where more would gain nothing.
"""

from __future__ import annotations

import math
import mmap
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from causalc.runtime.noise import derive
from causalc.runtime.schema import Kind, Schema

IN_MEMORY = 1 << 28  # bytes of columns; larger ones go to files
MANY = 1 << 22  # rows
SOME = 1 << 18  # rows that stand for many
PART = 1 << 18  # rows read or drawn at a time
_RESIDENT = 1 << 24  # bytes of a file mapped before they go back to the system
_MOST_TOGETHER, _NUMBERS = 65_536, 1 << 24  # rows at once, and numbers in them
_AT_ONCE = 256  # rows read one by one before what they mapped goes back
_TYPES = {
    "integer": np.int64,
    "real": np.float64,
    "vector": np.float32,
    "image": np.uint8,
    "text": np.int32,
}


def canonical_type(kind: Kind) -> np.dtype[Any]:
    """Return the type in which a column of this kind is held."""
    return np.dtype(_TYPES.get(kind.name, np.int64))


def _kept_type(kind: Kind) -> np.dtype[Any]:
    if not kind.discrete:
        return canonical_type(kind)
    return np.min_scalar_type(len(kind.levels) - 1)


def size(schema: Schema, rows: int) -> int:
    """Return the bytes that ``rows`` rows take in memory."""
    return rows * sum(canonical_type(kind).itemsize * kind.width for kind in schema.values())


class Stored:
    """An array in a file: ``stored[slice or row numbers]`` is an array; nothing read stays in memory.

    It lies ``offset`` bytes from the file's start as ``kept`` and is read as ``dtype``. A file without a name
    is gone with the last process that holds it, however that ends.
    """

    def __init__(
        self,
        file: Any,
        kept: np.dtype[Any],
        shape: tuple[int, ...],
        dtype: np.dtype[Any] | None = None,
        offset: int = 0,
    ) -> None:
        self.dtype, self.shape = dtype or kept, shape
        self.ndim, size = len(shape), math.prod(shape)
        self.nbytes = size * self.dtype.itemsize
        file.flush()
        self._pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._values = np.frombuffer(self._pages, kept, size, offset).reshape(shape)
        self._mapped = 0

    @property
    def kept(self) -> np.dtype[Any]:
        """The type it has in the file."""
        return self._values.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        if not isinstance(rows, slice) and len(rows) > _AT_ONCE:
            parts = [self[rows[i : i + _AT_ONCE]] for i in range(0, len(rows), _AT_ONCE)]
            return np.concatenate(parts)
        found = np.array(self._values[rows], self.dtype)
        self._mapped += found.nbytes
        # Reading a row maps pages around it, as many as the system likes: they go back at once.
        if not isinstance(rows, slice) or self._mapped >= _RESIDENT:
            self._mapped = 0
            self._pages.madvise(mmap.MADV_DONTNEED)
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


Column = np.ndarray | Stored


class Spool:
    """Columns on their way into files, part by part; files lie in ``folder``, if it can be written."""

    def __init__(self, schema: Schema, folder: Path | None = None) -> None:
        self._schema, self._rows = schema, 0
        self._files = {name: _nameless(folder) for name in schema}

    def add(self, part: Mapping[str, np.ndarray]) -> None:
        """Append canonical columns of one length. Raises OSError where the disk is full."""
        for name, kind in self._schema.items():
            self._files[name].write(np.ascontiguousarray(part[name], _kept_type(kind)).data)
        self._rows += len(part[next(iter(self._schema))])

    def columns(self) -> dict[str, Stored]:
        """Return the columns."""
        rows = self._rows
        return {
            name: Stored(
                self._files[name], _kept_type(kind), (rows, *kind.shape), canonical_type(kind)
            )
            for name, kind in self._schema.items()
        }

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()


def _nameless(folder: Path | None) -> Any:
    try:
        return tempfile.TemporaryFile(dir=folder if folder and folder.is_dir() else None)
    except OSError:
        return tempfile.TemporaryFile()


def slices(rows: int, part: int | None = None) -> Iterator[slice]:
    """Cut ``range(rows)`` into parts."""
    step = part or PART
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def together(width: int, least: int) -> int:
    """Return how many rows of so many numbers are computed with at once: fewer the wider they are, but ``least``."""
    return max(least, min(_MOST_TOGETHER, _NUMBERS // max(1, width)))


def row_numbers(at: slice | np.ndarray, rows: int) -> np.ndarray:
    """Return the numbers of the rows at a slice of so many rows; row numbers as they are."""
    return np.arange(*at.indices(rows)) if isinstance(at, slice) else at


def many(rows: int) -> bool:
    """Whether so many rows are to be computed with by parts, wherever they lie."""
    return rows > MANY


def computed(
    rows: int, part_of: Callable[[slice], np.ndarray], folder: Path | None = None
) -> Stored:
    """Return the float64 ``(rows,)`` that ``part_of`` gives slice by slice, in a file like those of ``Spool``.

    Raises OSError where the disk is full.
    """
    with _nameless(folder) as file:
        for part in slices(rows):
            file.write(np.ascontiguousarray(part_of(part), np.float64).data)
        return Stored(file, np.dtype(np.float64), (rows,))


def some(rows: int, seed: int) -> np.ndarray:
    """Return all rows, or ``SOME`` of many, drawn at random without replacement and in order."""
    if not many(rows):
        return np.arange(rows)
    return np.sort(Order(rows, derive(seed, "some"))[np.arange(SOME)])


def _mixed(values: np.ndarray, key: int) -> np.ndarray:
    """Return 64 well mixed bits of each 64-bit value (the finaliser of splitmix64)."""
    x = values + np.uint64(key % 2**64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Order:
    """A pseudo-random order of ``range(n)``: ``order[places]`` computes the rows at those places.

    A Feistel network of eight rounds on the least power of four above n, walked until it lands
    inside: a permutation without a table, so an epoch over any number of rows takes no memory.
    """

    def __init__(self, n: int, seed: int) -> None:
        self.n = n
        self._half = np.uint64(max(1, -(-(n - 1).bit_length() // 2)))
        self._keys = [derive(seed, "round", i) for i in range(8)]

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        found = self._once(np.asarray(places, np.uint64))
        while (outside := found >= self.n).any():
            found[outside] = self._once(found[outside])
        return found.astype(np.int64)

    def _once(self, x: np.ndarray) -> np.ndarray:
        mask = (np.uint64(1) << self._half) - np.uint64(1)
        left, right = x >> self._half, x & mask
        for key in self._keys:
            left, right = right, left ^ (_mixed(right, key) & mask)
        return (left << self._half) | right


class Uniforms:
    """A uniform number on [0, 1) for each of ``range(n)``, read by slices and row numbers."""

    def __init__(self, n: int, seed: int) -> None:
        self._n, self._key = n, seed
        self._all = np.random.default_rng(seed).random(n) if not many(n) else None

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        if self._all is not None:
            return np.asarray(self._all[rows])
        index = row_numbers(rows, self._n)
        bits = _mixed(_mixed(np.asarray(index, np.uint64) << np.uint64(1), self._key), self._key)
        return np.asarray((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53)
