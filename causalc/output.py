"""Write samples: tables as csv or parquet, arrays as npz, images as one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from causalc.errors import CausalcError


def write(frame: Any, path: Path) -> Path:
    """Write a data frame of samples to ``path`` by its suffix; returns the path.

    Raises ``CausalcError`` for a suffix that does not fit.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.map(lambda v: v.ravel().tolist() if isinstance(v, np.ndarray) else v).to_parquet(
            path, index=False
        )
    elif path.suffix == ".npz":
        arrays: dict[str, Any] = {name: np.stack(list(frame[name])) for name in frame}
        np.savez_compressed(path, **arrays)
    elif path.suffix == ".png":
        _picture(frame, path)
    else:
        raise CausalcError(f"{path}: write to .csv, .parquet, .npz or, for images, .png")
    return path


def _picture(frame: Any, path: Path) -> None:
    """Every image column as a grid of at most 8 x 16 pictures, columns side by side."""
    from PIL import Image

    grids = [
        _grid(np.stack(list(frame[name])[:128]))
        for name in frame
        if np.ndim(frame[name].iloc[0]) >= 2
    ]
    if not grids:
        raise CausalcError(
            f"{path}: there is no image among {', '.join(frame.columns)}; use .csv or .parquet"
        )
    height = max(len(grid) for grid in grids)
    padded = [
        np.pad(grid, ((0, height - len(grid)), (0, 8), (0, 0)), constant_values=255)
        for grid in grids
    ]
    picture = Image.fromarray(np.concatenate(padded, axis=1))
    scale = max(1, 512 // max(1, picture.height))
    picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST).save(
        path
    )


def _grid(images: np.ndarray) -> np.ndarray:
    """Images (n, h, w, c) uint8 as rows of 16."""
    if images.ndim == 3:
        images = images[..., None]
    images = images.astype(np.uint8)
    n, h, w, c = images.shape
    columns = min(16, n)
    rows = -(-n // columns)
    full = np.zeros((rows * columns, h, w, c), np.uint8)
    full[:n] = images
    grid = full.reshape(rows, columns, h, w, c).swapaxes(1, 2).reshape(rows * h, columns * w, c)
    return np.repeat(grid, 3, axis=2) if c == 1 else grid
