"""Image files and folders of them: sizes are known from the header before anything is decoded.

Pixels are taken as they stand: no augmentation, no rotation by EXIF tags, no colour management. A
transformation that is a function of the picture alone, such as ``resize``, keeps what the graph
says; one that adds randomness, or mirrors left and right, would have to be a variable of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from causalc.errors import CausalcError
from causalc.runtime.schema import Kind, Schema

RESIZES = ("crop", "stretch")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_GREY = ("1", "L", "I;16", "I;16B", "I;16L", "I")
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF")
_MOST_PIXELS = 1 << 26  # of a file that is to be resized: 256 MiB decoded
_AT_ONCE = 1 << 26  # bytes of decoded pictures in memory


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of image files with a table that names them (see ``folder``)."""

    path: str
    table: str
    resize: str | None = None
    columns: tuple[tuple[str, str], ...] = ()


def folder(
    path: str | Path,
    table: str = "labels.csv",
    resize: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Folder:
    """Name a folder of images: in its ``table``, image variables hold relative file names.

    Files must have the declared size unless ``resize`` says otherwise: "crop" scales the largest
    centred part of the right proportions, "stretch" scales the whole picture. ``columns`` maps variables to
    the columns of the table that are called otherwise.
    """
    if resize is not None and resize not in RESIZES:
        raise CausalcError(f"folder(resize={resize!r}): use one of {', '.join(RESIZES)}.")
    return Folder(str(path), table, resize, tuple((columns or {}).items()))


Raw = dict[str, np.ndarray]


def filled(source: Folder, raw: Raw, schema: Schema) -> Raw:
    """Return the table's columns with every file name of an image variable replaced by its pixels."""
    names = _named(raw, schema)
    files = _found(source, {name: raw[name] for name in names})
    return raw | {name: _decoded(source, name, files[name], schema[name]) for name in names}


def streamed(source: Folder, raw: Raw, schema: Schema) -> Callable[[Sequence[str]], Iterator[Raw]]:
    """Return what reads the named columns part by part, pictures decoded; all files are looked for now."""
    names = _named(raw, schema)
    files = _found(source, {name: raw[name] for name in names})
    width = sum(schema[name].width for name in names)
    step = max(1, _AT_ONCE // max(1, width))

    def read(wanted: Sequence[str]) -> Iterator[Raw]:
        for start in range(0, len(raw[next(iter(raw))]), step):
            part = {name: raw[name][start : start + step] for name in wanted}
            for name in (name for name in wanted if name in files):
                chosen = files[name][start : start + step]
                part[name] = _decoded(source, name, chosen, schema[name], start)
            yield part

    return read


def _named(raw: Raw, schema: Schema) -> list[str]:
    return [name for name in raw if schema[name].name == "image" and raw[name].dtype.kind == "O"]


def _found(source: Folder, names: Mapping[str, np.ndarray]) -> dict[str, list[Path]]:
    """Return the path of every file. Raises CausalcError where some are missing or lie outside."""
    root, found = Path(source.path), {}
    for name, values in names.items():
        places = [inside(root, value, f"{name}, row {i}") for i, value in enumerate(values)]
        gone = [i for i, path in enumerate(places) if not path.is_file()]
        if gone:
            many = f"{len(gone):,} of {len(places):,} files are missing, the first" * (
                len(gone) > 1
            )
            raise CausalcError(
                f"{root}: {name}, row {gone[0]}: {many or 'there is'} no file {values[gone[0]]!r}; "
                "put it back, or drop its row from the table."
            )
        found[name] = places
    return found


def inside(root: Path, name: object, place: str) -> Path:
    """Return the path of a relative name. Raises CausalcError unless it stays inside ``root``."""
    if not isinstance(name, str):
        raise CausalcError(f"{root}: {place}: expected a file name, got {name!r}.")
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise CausalcError(f"{root}: {place}: {name!r} points outside the folder.")
    return path


def _decoded(
    source: Folder, name: str, files: Sequence[Path], kind: Kind, first: int = 0
) -> np.ndarray:
    pixels = np.empty((len(files), *kind.shape), np.uint8)
    for i, path in enumerate(files):
        try:
            pixels[i] = image_file(path, kind, source.resize)
        except CausalcError as error:
            raise CausalcError(f"{source.path}: {name}, row {first + i}: {error}") from error
    return pixels


def image_file(path: Path, kind: Kind, resize: str | None = None) -> np.ndarray:
    """Read an image file as ``kind`` says, uint8 ``(h, w, channels)``.

    Raises CausalcError naming the file where it is no image, cut short, of another size (without
    ``resize``) or coloured where one channel is declared. Nothing larger than declared is decoded,
    with ``resize`` nothing of more than 64 million pixels.
    """
    from PIL import Image, UnidentifiedImageError

    if kind.shape[2] not in _MODES:
        raise CausalcError(
            f"{path}: image files have 1 to 4 channels, the schema says {kind.shape[2]}."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", Image.DecompressionBombWarning
            )  # our bounds are tighter
            with Image.open(path, formats=_FORMATS) as file:
                _check_size(path, file, kind, resize)
                return _pixels(file, kind, resize)
    except Image.DecompressionBombError as error:
        raise CausalcError(f"{path}: refused before it was decoded: {error}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise CausalcError(
            f"{path}: cannot be read as an image ({error}); replace the file, or drop its row."
        ) from error


def _check_size(path: Path, file: Any, kind: Kind, resize: str | None) -> None:
    (width, height), (h, w, channels) = file.size, kind.shape
    if resize is None and (width, height) != (w, h):
        raise CausalcError(
            f"{path}: {height} × {width} pixels (height × width), the schema says {h} × {w}; "
            'resize the files, change the schema, or say resize = "crop" (or "stretch").'
        )
    if width * height > _MOST_PIXELS and (width, height) != (w, h):
        raise CausalcError(
            f"{path}: refused before it was decoded: {height:,} × {width:,} pixels are too many to resize."
        )
    if channels == 1 and file.mode not in _GREY:
        raise CausalcError(f"{path}: a colour image, the schema says one channel.")


def _pixels(file: Any, kind: Kind, resize: str | None) -> np.ndarray:
    from PIL import Image, ImageOps

    height, width, channels = kind.shape
    if file.mode.startswith("I"):  # 16 bits a pixel: the upper eight of them
        file = Image.fromarray((np.asarray(file).astype(np.int64) >> 8).clip(0, 255).astype("u1"))
    picture = file.convert(_MODES[channels])
    if picture.size != (width, height):
        how = Image.Resampling.LANCZOS
        size = (width, height)
        picture = (
            ImageOps.fit(picture, size, how) if resize == "crop" else picture.resize(size, how)
        )
    return np.asarray(picture, np.uint8).reshape(kind.shape)
