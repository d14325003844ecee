"""Random numbers keyed by seed, factor and block of rows, so that batch sizes do not matter."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

BLOCK = 256
_TOGETHER = 32  # blocks that a thread fills at a time


class _Key(ISeedSequence):
    """The key of a stream as it stands; ``Philox(key=...)`` would gather entropy first, and not use it."""

    def __init__(self, words: np.ndarray) -> None:
        self._words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        """Return the key, whatever is asked for."""
        return self._words


def _stream(seed: int, key: str, block: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}/{key}/{block}".encode()).digest()
    words = np.frombuffer(digest[:16], dtype="<u8")
    return np.random.Generator(np.random.Philox(_Key(words)))  # type: ignore[arg-type]


def derive(seed: int, *parts: object) -> int:
    """Return a 63-bit seed that depends on ``seed`` and ``parts`` alone."""
    digest = hashlib.sha256(repr((seed, *map(str, parts))).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


@dataclass(slots=True)
class Noise:
    """Noise for rows ``start`` to ``stop`` of one factor.

    Every block of 256 rows has a stream of its own and always draws for all of its rows, so a row
    gets the same numbers however rows are grouped into batches. Successive calls continue each
    stream: callers must make the same calls in the same order for every batch.
    """

    seed: int
    key: str
    start: int
    stop: int
    _streams: dict[int, np.random.Generator] = field(default_factory=dict, repr=False)

    def _draw(self, shape: tuple[int, ...], normal: bool) -> np.ndarray:
        first, last = self.start // BLOCK, -(-self.stop // BLOCK)
        whole = np.empty(((last - first) * BLOCK, *shape), np.float32 if normal else np.float64)

        def fill(begin: int) -> None:
            for block in range(begin, min(begin + _TOGETHER, last)):
                stream = self._streams.get(block)
                if stream is None:
                    stream = self._streams[block] = _stream(self.seed, self.key, block)
                part = whole[(block - first) * BLOCK :][:BLOCK]
                if normal:
                    stream.standard_normal(dtype=np.float32, out=part)
                else:
                    stream.random(dtype=np.float64, out=part)

        parts = range(first, last, _TOGETHER)
        threads = min(_threads(), len(parts))
        if threads > 1:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(fill, parts))
        else:
            for begin in parts:
                fill(begin)
        return whole[self.start - first * BLOCK : self.stop - first * BLOCK]

    def normal(self, *shape: int) -> np.ndarray:
        """Return float32 standard normals of shape ``(rows, *shape)``."""
        return self._draw(shape, True)

    def uniform(self, *shape: int) -> np.ndarray:
        """Return float64 uniforms on [0, 1) of shape ``(rows, *shape)``."""
        return self._draw(shape, False)


def _threads() -> int:
    """Return how many threads torch may use: blocks are filled by as many, which changes no number."""
    import torch

    return torch.get_num_threads()
