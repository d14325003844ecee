"""Containers of data: files, frames, Arrow tables, mappings and folders of images, to arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from causalc.errors import CausalcError
from causalc.runtime import foreign, image_files, stored
from causalc.runtime.image_files import Folder, folder, inside
from causalc.runtime.schema import Schema

_FILES = (".csv", ".parquet", ".arrow", ".feather")

Raw = tuple[dict[str, np.ndarray], tuple[str, ...]]


def read(source: Any, schema: Schema) -> Raw:
    """Return the columns that ``schema`` names, unchecked, by name; and all names in ``source``."""
    if isinstance(source, Folder):
        return _folder(source, schema)
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir() and (path / "labels.csv").is_file():
            return _folder(folder(path), schema)
        return _table(arrow_table(path, texts_of(schema)), schema, str(path))
    if isinstance(source, Mapping) and not hasattr(source, "with_format"):
        wanted = {name: to_array(name, source[name]) for name in source if name in schema}
        return wanted, tuple(map(str, source))
    kind = type(source).__module__.partition(".")[0]
    if kind == "pandas" and hasattr(source, "columns"):
        return _frame(source, schema)
    if kind == "pyarrow" and hasattr(source, "column_names"):
        return _table(source, schema, "the Arrow table")
    table = foreign.arrow(source)
    if table is not None:
        return _table(table, schema, "the table")
    raise CausalcError(
        f"Cannot read data from {type(source).__name__}: give a path ({', '.join(_FILES)} or a "
        "folder), a pandas or Arrow table, or a mapping from names to arrays."
    )


def texts_of(schema: Schema) -> list[str]:
    """Return the names of the texts, which a csv file would else be read as numbers or dates."""
    return [name for name, kind in schema.items() if kind.name == "text"]


def arrow_table(path: Path, texts: Sequence[str] = ()) -> Any:
    """Read a file, or a folder of files with the same columns, as an Arrow table.

    The columns ``texts`` of a csv file are taken as they stand.
    """
    import pyarrow as pa

    if not path.exists():
        raise CausalcError(f"{path}: no such file or folder.")
    if not path.is_dir() and path.suffix not in _FILES:
        raise CausalcError(f"{path}: expected a {', '.join(_FILES)} file or a folder of them.")
    try:
        if path.is_dir():
            return _parts(path, texts)
        return _one(path, texts)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise CausalcError(
            f"{path}: cannot be read as {path.suffix or 'a folder'} ({reason})."
        ) from (error)


@dataclass(frozen=True, slots=True)
class Parts:
    """A table in files, too large to be read at once.

    ``read(names)`` yields the named columns, unchecked, part by part; ``names`` are all there are.
    """

    names: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[dict[str, np.ndarray]]]


def parts(source: Any, schema: Schema) -> Parts | None:
    """Return ``source`` in parts, or None where it is no file of a table or fits into memory."""
    import pyarrow as pa

    if isinstance(source, Folder):
        return _pictures(source, schema)
    if not isinstance(source, str | Path):
        return None
    path = Path(source)
    files = [path]
    if path.is_dir():
        if (path / "labels.csv").is_file():
            return _pictures(folder(path), schema)
        files = _files(path)
    try:
        files = [file for file in files if file.is_file() and file.suffix in _FILES]
        if not files or sum(_held(file, schema) for file in files) <= stored.IN_MEMORY:
            return None
        names = tuple(_open(files[0], None, ()).schema.names)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return None  # what is wrong with it is said where it is read
    repeated = sorted({name for name in names if names.count(name) > 1 and name in schema})
    if repeated:
        raise CausalcError(f"{source}: the column {repeated[0]!r} appears more than once.")

    texts = texts_of(schema)

    def read(wanted: Sequence[str]) -> Iterator[dict[str, np.ndarray]]:
        for file in files:
            try:
                for batch in _open(file, wanted, texts).batches:
                    for start in range(0, batch.num_rows, stored.PART):
                        table = pa.Table.from_batches([batch.slice(start, stored.PART)])
                        yield {name: _arrow(table.column(name)) for name in wanted}
            except (pa.ArrowException, OSError, UnicodeDecodeError, KeyError) as error:
                reason = str(error).splitlines()[0]
                raise CausalcError(f"{file}: cannot be read part by part ({reason}).") from error

    return Parts(names, read)


@dataclass(frozen=True, slots=True)
class _Batches:
    """The record batches of a file, read one at a time, and its Arrow schema."""

    schema: Any
    batches: Iterator[Any]


def _open(file: Path, names: Sequence[str] | None, texts: Sequence[str]) -> _Batches:
    """Begin to read a file; of its columns the named ones, ``texts`` as they stand."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    wanted = None if names is None else list(names)
    if file.suffix == ".parquet":
        # Pages fetched ahead would stay in memory until the whole file is read.
        table = pyarrow.parquet.ParquetFile(file, pre_buffer=False)
        batches = table.iter_batches(stored.PART, columns=wanted, use_threads=False)
        return _Batches(table.schema_arrow, batches)
    if file.suffix == ".csv":
        parse, convert = _as_texts(texts, wanted)
        blocks = pyarrow.csv.ReadOptions(use_threads=False, block_size=1 << 24)
        reader = pyarrow.csv.open_csv(file, blocks, parse, convert)
        return _Batches(reader.schema, iter(reader))
    # Read, not mapped: pages of a map count as memory in use for as long as it lives.
    content = pa.OSFile(str(file))
    try:
        whole = pa.ipc.open_file(content)
        each = (whole.get_batch(i) for i in range(whole.num_record_batches))
        return _Batches(whole.schema, each)
    except pa.ArrowInvalid:  # the stream format, as `datasets` writes
        content.seek(0)
        stream = pa.ipc.open_stream(content)
        return _Batches(stream.schema, iter(stream))


def _held(file: Path, schema: Schema) -> int:
    """Return the bytes that a file's columns take in memory, about."""
    import pyarrow.parquet

    if file.suffix == ".parquet":
        return stored.size(schema, pyarrow.parquet.ParquetFile(file).metadata.num_rows)
    return file.stat().st_size


def _one(path: Path, texts: Sequence[str]) -> Any:
    import pyarrow.csv
    import pyarrow.feather
    import pyarrow.parquet

    if path.suffix == ".csv":
        parse, convert = _as_texts(texts)
        return pyarrow.csv.read_csv(path, parse_options=parse, convert_options=convert)
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path)
    try:
        return pyarrow.feather.read_table(path)
    except pyarrow.ArrowInvalid:  # the stream format, as `datasets` writes
        with pyarrow.memory_map(str(path)) as file:
            return pyarrow.ipc.open_stream(file).read_all()


def _as_texts(texts: Sequence[str], columns: list[str] | None = None) -> tuple[Any, Any]:
    """Return how to parse and to convert a csv file; texts may run over several lines."""
    import pyarrow as pa
    import pyarrow.csv

    types = dict.fromkeys(texts, pa.string())
    convert = pyarrow.csv.ConvertOptions(column_types=types, include_columns=columns)
    return pyarrow.csv.ParseOptions(newlines_in_values=bool(texts)), convert


def _parts(path: Path, texts: Sequence[str]) -> Any:
    import pyarrow as pa

    files = _files(path)
    if not files:
        raise CausalcError(f"{path}: the folder holds no {', '.join(_FILES)} file.")
    return pa.concat_tables([_one(file, texts) for file in files])


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.suffix in _FILES and not p.name.startswith("."))


def _table(table: Any, schema: Schema, place: str) -> Raw:
    names = table.column_names
    repeated = sorted({name for name in names if names.count(name) > 1 and name in schema})
    if repeated:
        raise CausalcError(f"{place}: the column {repeated[0]!r} appears more than once.")
    return {name: _arrow(table.column(name)) for name in names if name in schema}, tuple(names)


def _arrow(column: Any) -> np.ndarray:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_fixed_size_list(column.type) and not column.null_count:
        inner = column.combine_chunks().flatten()
        if not inner.null_count and not pa.types.is_nested(inner.type):
            return np.asarray(inner.to_numpy()).reshape(len(column), -1)
    nested = pa.types.is_nested(column.type)
    if nested or column.null_count or pa.types.is_string(column.type):
        return _objects(column.to_pylist())
    if pa.types.is_large_string(column.type):
        return _objects(column.to_pylist())
    return np.asarray(column.to_numpy())


def _frame(frame: Any, schema: Schema) -> Raw:
    if not frame.columns.is_unique:
        repeated = frame.columns[frame.columns.duplicated()][0]
        raise CausalcError(f"The data frame has the column {repeated!r} more than once.")
    names = tuple(map(str, frame.columns))
    columns = {str(name): frame[name] for name in frame.columns if str(name) in schema}
    return {name: _series(series) for name, series in columns.items()}, names


def _series(series: Any) -> np.ndarray:
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "iufb":
        return np.asarray(series.to_numpy())
    missing = series.isna().to_numpy()
    if not missing.any() and getattr(series.dtype, "kind", "O") in "iufb":
        return np.asarray(series.to_numpy(dtype=series.dtype.numpy_dtype))
    values = series.astype(object).to_numpy(copy=True)
    values[missing] = None
    return _objects(values.tolist())


def to_array(name: str, values: Any) -> np.ndarray:
    if type(values).__module__.partition(".")[0] == "xarray":
        values = values.to_numpy()
    if type(values).__module__.partition(".")[0] == "pandas":
        if getattr(values, "ndim", 1) != 1:
            raise CausalcError(f"Column {name!r}: a table; give one column of it.")
        return _series(values) if hasattr(values, "index") else _objects(list(values))
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufb":
        array = values
    else:
        many = isinstance(values, Iterable) and not isinstance(values, str | bytes | dict)
        array = _objects(list(values)) if many else np.empty(())
    if array.ndim == 0:
        raise CausalcError(f"Column {name!r}: expected one value a row, got a single value.")
    return array


def _objects(values: list[Any]) -> np.ndarray:
    """Return values as a numeric array where they are one, else as an object array."""
    if any(value is None for value in values):
        return _boxed(values)
    if values and isinstance(values[0], list | tuple | np.ndarray):
        try:
            return np.array([np.asarray(value) for value in values])
        except ValueError:
            raise CausalcError(
                "A column of arrays mixes shapes; every row needs the same."
            ) from None
    if values and all(type(value) is bool for value in values):
        return np.array(values, bool)
    if values and all(isinstance(value, int | float | np.number) for value in values):
        return np.array(values)
    return _boxed(values)


def _boxed(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _folder(source: Folder, schema: Schema) -> Raw:
    raw, names = _named(source, schema)
    return image_files.filled(source, raw, schema), names


def _named(source: Folder, schema: Schema) -> Raw:
    """Return the table of a folder of images, files by their names."""
    root = Path(source.path)
    if not root.is_dir():
        raise CausalcError(f"{root}: no such folder.")
    columns = dict(source.columns)
    texts = [columns.get(name, name) for name in texts_of(schema)]
    table = arrow_table(inside(root, source.table, "the table"), texts)
    return _table(renamed(table, columns, source.table), schema, source.table)


def renamed(table: Any, columns: Mapping[str, str], place: str) -> Any:
    """Return an Arrow table with the columns that variables are called otherwise than renamed.

    A column that has the name of a renamed variable by chance is left out.
    """
    missing = [c for c in columns.values() if c not in table.column_names]
    if missing:
        known = ", ".join(map(repr, table.column_names[:12]))
        raise CausalcError(f"{place}: there is no column {missing[0]!r}; it has {known}")
    variable = {column: name for name, column in columns.items()}
    kept = [c for c in table.column_names if c in variable or c not in columns]
    return table.select(kept).rename_columns([variable.get(c, c) for c in kept])


def _pictures(source: Folder, schema: Schema) -> Parts | None:
    """Return a folder of images in parts, or None where its pictures fit into memory."""
    raw, names = _named(source, schema)
    rows = len(raw[next(iter(raw))]) if raw else 0
    if any(name not in raw for name in schema) or stored.size(schema, rows) <= stored.IN_MEMORY:
        return None
    return Parts(names, image_files.streamed(source, raw, schema))
