"""Weights of many rows: read or computed where they are needed, never all of them in memory.

Rows are drawn in proportion to them by sums of blocks: the block first, then the row within it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from causalc.runtime.stored import Column, row_numbers, slices

_BLOCK = 64  # rows
_PART = _BLOCK << 12

Read = Callable[[slice | np.ndarray], np.ndarray]


class Mass:
    """Stands for the tensor of all weights, float64 ``(n,)``: ``mass[slice or row numbers]`` is a tensor.

    ``read`` gives the weights of a slice or of row numbers; none is negative.
    """

    def __init__(self, rows: int, read: Read, sums: np.ndarray | None = None) -> None:
        self._rows, self._read = rows, read
        self._sums = self._summed() if sums is None else sums
        self._upto = np.cumsum(self._sums)

    def _summed(self) -> np.ndarray:
        first = (np.arange(0, part.stop - part.start, _BLOCK) for part in slices(self._rows, _PART))
        parts = zip(slices(self._rows, _PART), first, strict=True)
        return np.concatenate([np.add.reduceat(self._read(part), at) for part, at in parts])

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, rows: slice | torch.Tensor) -> torch.Tensor:
        at = rows if isinstance(rows, slice) else rows.numpy()
        return torch.from_numpy(np.array(self._read(at), np.float64))

    @property
    def effective(self) -> float:
        """The effective number of rows, (Σw)² / Σw²."""
        squares = (float((self._read(part) ** 2).sum()) for part in slices(self._rows, _PART))
        return float(self._upto[-1]) ** 2 / sum(squares)

    def among(self, chosen: Callable[[np.ndarray], np.ndarray]) -> Mass:
        """Return the weights with those of rows that are not ``chosen(row numbers)`` set to 0."""
        return Mass(self._rows, self._where(chosen))

    def without(self, rows: np.ndarray) -> Mass:
        """Return the weights with those of ``rows`` set to 0."""
        gone = np.sort(rows)
        read = self._where(lambda at: gone[np.searchsorted(gone, at).clip(max=len(gone) - 1)] != at)
        left = Mass(self._rows, read, self._sums.copy())
        blocks = np.unique(gone // _BLOCK)
        left._sums[blocks] = left._block(blocks).sum(axis=1)
        left._upto = np.cumsum(left._sums)
        return left

    def _where(self, chosen: Callable[[np.ndarray], np.ndarray]) -> Read:
        def read(at: slice | np.ndarray) -> np.ndarray:
            return np.asarray(self._read(at) * chosen(row_numbers(at, self._rows)))

        return read

    def rows_at(self, shares: np.ndarray) -> np.ndarray:
        """Return the row at each share, in [0, 1), of the sum of all weights; int64, of the shape of ``shares``."""
        at = shares * self._upto[-1]
        block = np.searchsorted(self._upto, at, "right").clip(max=len(self._upto) - 1)
        upto = self._block(block).cumsum(axis=1)
        # Sums round: what is left of the share must fall short of the block's.
        left = np.minimum(at - (self._upto - self._sums)[block], np.nextafter(upto[:, -1], 0))
        return np.asarray(block * _BLOCK + (left[:, None] >= upto).sum(axis=1), np.int64)

    def _block(self, blocks: np.ndarray) -> np.ndarray:
        """Return the weights of the rows of blocks, ``(blocks, rows)``, 0 beyond the last row."""
        rows = blocks[:, None] * _BLOCK + np.arange(_BLOCK)
        found = self._read(np.minimum(rows, self._rows - 1).reshape(-1)).reshape(rows.shape)
        return np.asarray(found * (rows < self._rows))


def mass_of(weights: Any) -> Mass:
    """Return weights, an array, a tensor or a column in a file, as ``Mass``; as they are if they are one."""
    if isinstance(weights, Mass):
        return weights
    column: Column = weights.cpu().numpy() if isinstance(weights, torch.Tensor) else weights
    return Mass(len(column), lambda at: column[at])
