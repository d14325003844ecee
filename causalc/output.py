"""Write samples: tables as csv or parquet, arrays as npz, images as one picture or as a folder of files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from causalc.compiler.names import Namespace, identifier
from causalc.errors import CausalcError
from causalc.runtime.written import write_table

SHOWN = 128
ACROSS = 16


def write(parts: Iterable[Any], path: Path) -> Path:
    """Write data frames of samples, one after another, to ``path`` by its suffix; returns the path.

    Without a suffix it is a folder: ``labels.csv`` with a row a sample, in which images are the names of PNG
    files beside it, as ``folder("path")`` of a script reads it. Raises ``CausalcError`` for a suffix that does
    not fit, or a path that cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(parts, path)
    except OSError as error:
        raise CausalcError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path


def _write(parts: Iterable[Any], path: Path) -> None:
    match path.suffix.lower():
        case ".csv" | ".parquet":
            write_table(parts, path)
        case ".npz":
            _arrays(_whole(parts), path)
        case ".png":
            _picture(_whole(parts), path)
        case "":
            _folder(_whole(parts), path)
        case _:
            raise CausalcError(
                f"{path}: write to .csv, .parquet, .npz, to .png for one picture of images, or to a folder"
            )


def _arrays(frame: Any, path: Path) -> None:
    """An .npz file; ``numpy.savez`` itself cannot write a variable called ``file``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in frame:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.stack(list(frame[name])), allow_pickle=False)


def _whole(parts: Iterable[Any]) -> Any:
    import pandas as pd

    each = list(parts)
    return each[0] if len(each) == 1 else pd.concat(each, ignore_index=True)


def _images(frame: Any) -> list[str]:
    return [name for name in frame if np.ndim(frame[name].iloc[0]) >= 2]


def _folder(frame: Any, path: Path) -> None:
    """``labels.csv``, and one PNG file for each image, all of the same width of number."""
    from PIL import Image

    images = _images(frame)
    if not images:
        raise CausalcError(
            f"{path}: there is no image among {', '.join(frame.columns)} to write into a folder; "
            "end the path in .csv, .parquet or .npz"
        )
    path.mkdir(exist_ok=True)
    digits = len(str(len(frame) - 1))
    table = frame.drop(columns=images)
    stems = Namespace()
    for name in images:
        stem = stems.fresh(identifier(name)[:40], name)
        files = [f"{stem}_{row:0{digits}}.png" for row in range(len(frame))]
        for file, pixels in zip(files, frame[name], strict=True):
            Image.fromarray(_pixels(pixels)).save(path / file)
        table.insert(list(frame.columns).index(name), name, files)
    write_table([table], path / "labels.csv")


def _pixels(image: np.ndarray) -> np.ndarray:
    """An image (h, w) or (h, w, c) as PNG holds it: one channel without its axis."""
    image = np.asarray(image, np.uint8)
    if image.ndim == 3 and image.shape[-1] > 4:
        raise CausalcError(
            f"an image of {image.shape[-1]} channels is no picture; end the path in .npz"
        )
    return image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image


def _picture(frame: Any, path: Path) -> None:
    """Every image column as a grid of at most 8 x 16 pictures, columns side by side."""
    from PIL import Image

    grids = [_grid(np.stack(list(frame[name])[:SHOWN])) for name in _images(frame)]
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
    """Images (n, h, w) or (n, h, w, c) uint8 as rows of 16, in colour: (height, width, 3)."""
    from PIL import Image

    colour = [np.asarray(Image.fromarray(_pixels(image)).convert("RGB")) for image in images]
    h, w, c = colour[0].shape
    columns = min(ACROSS, len(colour))
    rows = -(-len(colour) // columns)
    full = np.zeros((rows * columns, h, w, c), np.uint8)
    full[: len(colour)] = colour
    grid = full.reshape(rows, columns, h, w, c).swapaxes(1, 2)
    return np.asarray(grid.reshape(rows * h, columns * w, c))
