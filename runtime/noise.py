"""Random numbers keyed by seed, factor and block of rows, so that batch sizes do not matter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

BLOCK = 256


def _stream(seed: int, key: str, block: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}/{key}/{block}".encode()).digest()
    words = np.frombuffer(digest[:16], dtype="<u8")
    return np.random.Generator(np.random.Philox(key=words))


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
        parts = []
        for block in range(self.start // BLOCK, -(-self.stop // BLOCK)):
            stream = self._streams.get(block)
            if stream is None:
                stream = self._streams[block] = _stream(self.seed, self.key, block)
            size = (BLOCK, *shape)
            values: np.ndarray
            values = (
                stream.standard_normal(size, dtype=np.float32)
                if normal
                else stream.random(size, dtype=np.float64)
            )
            first, last = block * BLOCK, (block + 1) * BLOCK
            parts.append(values[max(self.start, first) - first : min(self.stop, last) - first])
        return np.concatenate(parts) if parts else np.empty((0, *shape))

    def normal(self, *shape: int) -> np.ndarray:
        """Return float32 standard normals of shape ``(rows, *shape)``."""
        return self._draw(shape, True)

    def uniform(self, *shape: int) -> np.ndarray:
        """Return float64 uniforms on [0, 1) of shape ``(rows, *shape)``."""
        return self._draw(shape, False)
