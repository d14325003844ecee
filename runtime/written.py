"""Write tables of samples part by part, so that a draw of any size takes the memory of one part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from causalc.runtime.stored import slices

TABLES = (".csv", ".parquet")


def frames(draw: Callable[[int, int], Any], n: int) -> Iterator[Any]:
    """Yield the data frames of ``n`` rows; ``draw(count, first)`` draws ``count`` of them from row ``first`` on.

    Together they hold the rows of one draw of all.
    """
    for part in slices(n):
        yield draw(part.stop - part.start, part.start)


def write_table(parts: Iterable[Any], path: Path) -> int:
    """Write data frames, one after another, as .csv or .parquet by the suffix; returns the number of rows.

    Raises OSError where the file cannot be written.
    """
    return (_parquet if path.suffix.lower() == ".parquet" else _csv)(map(flat, parts), path)


def _csv(parts: Iterable[Any], path: Path) -> int:
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        for part in parts:
            part.to_csv(file, index=False, header=rows == 0)
            rows += len(part)
    return rows


def _parquet(parts: Iterable[Any], path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet

    writer, rows = None, 0
    try:
        for part in parts:
            table = pa.Table.from_pandas(part, preserve_index=False)
            if writer is None:
                writer = pyarrow.parquet.ParquetWriter(path, table.schema)
            writer.write_table(table.cast(writer.schema))
            rows += len(part)
    finally:
        if writer is not None:
            writer.close()
    return rows


def flat(frame: Any) -> Any:
    """Return a frame in which arrays are lists."""
    boxed = [name for name in frame if isinstance(frame[name].iloc[0], np.ndarray)]
    lists = {name: [value.ravel().tolist() for value in frame[name]] for name in boxed}
    return frame.assign(**lists) if boxed else frame
