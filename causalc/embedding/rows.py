"""Interventional rows as torch data sets: computed where they are asked for, the same however they are read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from causalc.errors import CausalcError
from causalc.program import Sampler
from causalc.runtime.data import canonical
from causalc.runtime.schema import Kind
from causalc.runtime.sources import to_array

_KEPT = 8  # blocks that random access keeps

Row = dict[str, torch.Tensor]


class _Blocks:
    """Rows in blocks: block ``b`` holds rows ``b * block`` to ``(b + 1) * block``, whoever asks and in what order."""

    def __init__(
        self, sampler: Sampler, query: str | None, seed: int, block: int, values: Mapping[str, Any]
    ) -> None:
        if isinstance(block, bool) or not isinstance(block, int) or block < 1:
            raise CausalcError(f"block={block!r} must be a whole number above 0")
        self.sampler, self.query = sampler, sampler.query_name(query)
        self.seed, self.size = seed, block
        self.kinds = sampler.models.schema
        question = sampler.program.estimands[self.query].question
        self.outcomes = question.outcomes
        self.design = {
            name: _levels(name, v, self.kinds.kind(name)) if name in self.kinds else [v]
            for name, v in values.items()
        }
        first = {name: levels[0] for name, levels in self.design.items()}
        self.sampler.drawn(1, first, query=self.query, seed=seed)  # mistakes are said now

    def rows(self, number: int, most: int | None = None) -> Row:
        """Columns of a block, cut off at ``most`` rows in all: outcomes and what was set, canonical tensors."""
        first = number * self.size
        n = self.size if most is None else min(self.size, most - first)
        given = {
            name: [levels[i % len(levels)] for i in range(first, first + n)]
            for name, levels in self.design.items()
        }
        frame = self.sampler.drawn(n, given, query=self.query, seed=self.seed, first=first)
        columns = {name: list(frame[name]) for name in self.outcomes} | given
        return {name: _tensor(name, v, self.kinds.kind(name)) for name, v in columns.items()}


def _levels(name: str, value: Any, kind: Kind) -> list[Any]:
    """The values that rows take in turn: of one value, itself."""
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
        return [value]
    lone = np.ndim(value) == len(kind.shape) if not kind.discrete else False
    if lone:
        return [value]
    if not len(value):
        raise CausalcError(f"{name}: no values to take in turn")
    return list(value)


def _tensor(name: str, values: list[Any], kind: Kind) -> torch.Tensor:
    return torch.from_numpy(np.array(canonical(name, to_array(name, values), kind, "Row")))


class InterventionalRows(Dataset[Row]):
    """``n`` rows of a query under do(), by number.

    A row is a mapping from each outcome and each input that was set to its tensor: ``int64`` codes (position among
    the levels) and integers, ``float64`` reals, ``float32`` ``(d,)`` vectors, ``uint8`` ``(h, w, channels)`` images.
    Row ``i`` depends on the seed and on ``i`` alone, so loaders with any number of workers, shuffled or not, read the
    same rows.
    """

    def __init__(
        self,
        sampler: Sampler,
        n: int,
        query: str | None = None,
        *,
        seed: int = 0,
        block: int = 1024,
        **values: Any,
    ) -> None:
        """``values`` set the inputs by name; a list of values is taken in turn: row ``i`` has number ``i mod length``.

        ``sampler`` draws the rows of ``query``, by default its first, from ``seed``; ``block`` rows are drawn at
        once. Raises ``CausalcError`` for an input that is missing, unknown or out of range.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise CausalcError(f"n={n!r} must be a whole number above 0")
        self._blocks, self._n = _Blocks(sampler, query, seed, block, values), n
        self._kept: OrderedDict[int, Row] = OrderedDict()

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: int) -> Row:
        if not -self._n <= index < self._n:
            raise IndexError(index)
        number, place = divmod(index % self._n, self._blocks.size)
        if number not in self._kept:
            self._kept[number] = self._blocks.rows(number, self._n)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return {name: column[place] for name, column in self._kept[number].items()}


class InterventionalStream(IterableDataset[Row]):
    """Rows of a query under do(), one after another, without end unless ``n`` is given.

    Rows are those of ``InterventionalRows``. Each worker of a loader draws blocks of its own (worker ``w`` of ``W``
    blocks ``w``, ``w + W``, ...), so that workers never give the same row and together give every row once.
    """

    def __init__(
        self,
        sampler: Sampler,
        query: str | None = None,
        *,
        n: int | None = None,
        seed: int = 0,
        block: int = 1024,
        **values: Any,
    ) -> None:
        """``sampler``, ``query``, ``seed``, ``block`` and ``values`` are those of ``InterventionalRows``.

        Raises ``CausalcError`` likewise.
        """
        if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
            raise CausalcError(f"n={n!r} must be a whole number above 0, or None")
        self._blocks, self._n = _Blocks(sampler, query, seed, block, values), n

    def __iter__(self) -> Iterator[Row]:
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        size = self._blocks.size
        numbers = count(first, step) if self._n is None else range(first, -(-self._n // size), step)
        for number in numbers:
            columns = self._blocks.rows(number, self._n)
            for i in range(len(next(iter(columns.values())))):
                yield {name: column[i] for name, column in columns.items()}
