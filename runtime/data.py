"""Data of any container, checked against a schema, as frozen numpy columns with a fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from causalc.errors import CausalcError
from causalc.runtime import missing, tokens
from causalc.runtime.missing import Gaps, Kept
from causalc.runtime.schema import Kind, Schema, infer, near
from causalc.runtime.sources import Parts, parts, read
from causalc.runtime.stored import Spool, Stored, slices

_ENOUGH = 64  # distinct whole numbers tell the kind of a column


class Columns(Mapping[str, np.ndarray]):
    """Checked columns in schema order, held as ``Kind`` says, read-only, one length.

    Those of a table too large for memory are ``Stored``: arrays to whoever reads them by slices and
    row numbers. ``findings`` are one-line remarks (constant columns). ``fingerprint`` identifies the content,
    ``source`` is the file they came from, if it was one.
    """

    __slots__ = ("_arrays", "_hashes", "findings", "rows", "schema", "source")

    def __init__(
        self,
        schema: Schema,
        arrays: Mapping[str, Any],
        findings: tuple[str, ...] = (),
        source: str | None = None,
    ) -> None:
        self.schema, self.source = schema, source
        self.findings = findings
        self._arrays = {name: _readable(arrays[name]) for name in schema}
        self._hashes: dict[str, str] = {}
        lengths = {len(values) for values in self._arrays.values()}
        if len(lengths) > 1:
            sizes = ", ".join(f"{n}: {len(v)}" for n, v in self._arrays.items())
            raise CausalcError(f"Columns differ in length ({sizes}).")
        self.rows = lengths.pop() if lengths else 0

    def __getitem__(self, name: str) -> np.ndarray:
        found: np.ndarray = self._arrays[name]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def fingerprint(self, names: tuple[str, ...] | None = None) -> str:
        """Return the sha256 of the named columns (all of them by default), hexadecimal.

        It depends on kinds, values and the order of rows, and on nothing else: not on the
        container the data came in, nor on the order of columns.
        """
        wanted = sorted(self._arrays if names is None else names)
        parts = [(name, self._hash(name)) for name in wanted]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _hash(self, name: str) -> str:
        if name not in self._hashes:
            values = self._arrays[name]
            digest = hashlib.sha256(json.dumps(self.schema[name].to_json()).encode())
            digest.update(json.dumps([values.dtype.str[-2:], values.shape]).encode())
            for part in slices(len(values)):
                digest.update(values[part].astype(values.dtype.newbyteorder("<"), copy=False).data)
            self._hashes[name] = digest.hexdigest()
        return self._hashes[name]


def _readable(values: Any) -> Any:
    if isinstance(values, Stored):
        return values
    array = np.ascontiguousarray(values)
    array.flags.writeable = False
    return array


def load(source: Any, schema: Schema, scratch: Path | None = None) -> Columns:
    """Read ``source`` (a path, frame, Arrow table, mapping or ``folder``) as ``schema`` says.

    What was read before is returned as it is. Inferred kinds and the vocabularies of texts are settled
    from the values: read them back from ``Columns.schema``. Texts longer than their kind allows are
    cut, and rows without a value dropped where its kind says so; a finding tells of both. Files of a
    table too large for memory are read part by part, and kept in files in ``scratch``. Raises CausalcError
    for missing columns or values, unknown labels, wrong shapes, non-finite numbers and columns of
    different lengths, and OSError where the disk is full.
    """
    if isinstance(source, Columns):
        return source
    place = f"{source}: " if isinstance(source, str | Path) else ""
    try:
        large = parts(source, schema)
        if large is not None:
            return _from(source, _streamed(large, schema, scratch))
        return _from(source, _checked(*read(source, schema), schema))
    except CausalcError as error:
        text = str(error)
        raise type(error)(text if str(source) in text else place + text) from error


def _from(source: Any, found: Columns) -> Columns:
    found.source = str(Path(source).resolve()) if isinstance(source, str | Path) else None
    return found


def _checked(raw: dict[str, np.ndarray], present: tuple[str, ...], schema: Schema) -> Columns:
    _all_there(raw, present, schema)
    for name in schema:
        if not len(raw[name]):
            raise CausalcError(f"Column {name!r} holds no rows.")
    gaps = Gaps(schema)
    whole, kept = gaps.settle({name: raw[name] for name in schema})
    found = tuple(gaps.findings())
    guessed = infer({name: raw[name] for name in schema if schema[name].name == "inferred"})
    settled = Schema({name: guessed.get(name, schema[name]) for name in schema})
    words = {name: _words(name, whole[name], kept, Counter()) for name in _unlearnt(settled)}
    settled = _learnt(settled, words)
    seen = {name: _Seen(settled[name]) for name in settled}
    arrays = {name: seen[name].take(name, whole[name], kept) for name in settled}
    return Columns(settled, arrays, (*found, *_findings(seen)))


def _streamed(source: Parts, schema: Schema, scratch: Path | None) -> Columns:
    """Check and keep a table part by part; every part holds all columns."""
    _all_there(source.names, source.names, schema)
    settled = _settled(source, schema)
    seen, gaps = {name: _Seen(settled[name]) for name in settled}, Gaps(schema)
    with Spool(settled, scratch) as spool:
        for part in source.read(list(schema)):
            first = gaps.rows
            whole, kept = gaps.settle(part)
            spool.add({v: seen[v].take(v, values, kept, first) for v, values in whole.items()})
        if not gaps.rows:
            raise CausalcError(f"Column {next(iter(schema))!r} holds no rows.")
        return Columns(settled, spool.columns(), (*gaps.findings(), *_findings(seen)))


def _settled(source: Parts, schema: Schema) -> Schema:
    """Settle inferred kinds: what was seen of a column in all its parts has the kind of the whole."""
    unknown = [name for name in schema if schema[name].name == "inferred"]
    found: dict[str, np.ndarray] = {}
    for part in source.read(unknown) if unknown else ():
        for name, values in part.items():
            missing.refuse(name, values)
            found[name] = _distinct(values, found.get(name))
        if all(values.dtype.kind in "fb" or values.ndim > 1 for values in found.values()):
            break
    guessed = infer(found)
    settled = Schema({name: guessed.get(name, schema[name]) for name in schema})
    words: dict[str, Counter[str]] = {name: Counter() for name in _unlearnt(settled)}
    read = [name for name in schema if name in words or schema[name].missing == "drop"]
    gaps = Gaps(schema)
    for part in source.read(read) if words else ():
        first = gaps.rows
        whole, kept = gaps.settle(part)
        for name in words:
            _words(name, whole[name], kept, words[name], first)
    return _learnt(settled, words)


def _unlearnt(schema: Schema) -> list[str]:
    return [name for name, kind in schema.items() if kind.name == "text" and not kind.levels]


def _words(
    name: str, values: np.ndarray, kept: Kept, counts: Counter[str], first: int = 0
) -> Counter[str]:
    texts = _texts(f"Column {name!r}", values, first)
    return tokens.count_words(texts if kept is None else [*compress(texts, kept)], counts)


def _learnt(schema: Schema, words: Mapping[str, Counter[str]]) -> Schema:
    """Give texts the vocabularies of their words, and what is known of their encoders."""
    made = {name: replace(schema[name], levels=tokens.learn(words[name])) for name in words}
    for name, kind in made.items():
        if kind.encoder is not None:
            from causalc.runtime.text_encoder import described

            made[name] = replace(kind, encoder=described(kind.encoder))
    return Schema({name: made.get(name, schema[name]) for name in schema})


def _distinct(values: np.ndarray, before: np.ndarray | None) -> np.ndarray:
    if values.ndim > 1 or values.dtype.kind == "f":
        return values[:1]
    if values.dtype.kind == "O":
        try:
            each = dict.fromkeys([*(() if before is None else before.tolist()), *values.tolist()])
        except TypeError:  # structs, maps and the like
            return values[:1]
        array = np.empty(len(each), object)
        array[:] = list(each)
        return array
    whole = values if before is None else np.concatenate([before, values])
    return np.unique(whole)[:_ENOUGH]


def _example(values: np.ndarray, kind: Kind) -> str:
    """A declaration with the first values of a column as levels."""
    seen = sorted({str(v) for v in values[:1000].tolist()})
    shown = ", ".join(json.dumps(v, ensure_ascii=False) for v in seen[:3])
    return f"{kind.name}({shown}{', ...' if len(seen) > 3 else ''})"


def _all_there(raw: Iterable[str], present: tuple[str, ...], schema: Schema) -> None:
    lacking = [name for name in schema if name not in raw]
    if lacking:
        hints = ", ".join(f"{name!r}{near(name, present)}" for name in lacking)
        mark = next((m for m in ";\t|" if len(present) == 1 and m in present[0]), None)
        if mark:
            raise CausalcError(
                f"The data have one column, {present[0]!r}: separate columns by commas, not by {mark!r}."
            )
        raise CausalcError(
            f"The data lack the column{'s' if len(lacking) > 1 else ''} {hints}. "
            f"A variable that is never observed belongs under `latent`."
        )


@dataclass(slots=True)
class _Seen:
    """What the findings need to know of a column, gathered part by part."""

    kind: Kind
    rows: int = 0
    first: Any = None
    constant: bool = True
    cut: int = 0  # texts longer than their kind allows
    longest: int = 0
    levels: np.ndarray = field(init=False)
    mark: Any = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        self.levels = np.zeros(len(self.kind.levels) if self.kind.discrete else 0, bool)

    def take(self, name: str, values: np.ndarray, kept: Kept, first: int = 0) -> np.ndarray:
        """Check the next part, take the rows kept of it into account and return them in canonical form."""
        rows = slice(None) if kept is None else kept
        if self.kind.name == "text":
            texts, most = _texts(f"Column {name!r}", values, first), self.kind.width
            made, lengths = tokens.encode(texts, _levels(self.kind), most)
            made, lengths = made[rows], lengths[rows]
            self.cut += int((lengths > most).sum())
            self.longest = max(self.longest, int(lengths.max(initial=0)))
        else:
            made = canonical(name, values, self.kind, first=first)[rows]
        if len(made):
            self._add(made)
        return made

    def _add(self, values: np.ndarray) -> None:
        if self.first is None:
            self.first = values[:1].copy()
        self.rows += len(values)
        self.constant = self.constant and bool((values == self.first).all())
        if len(self.levels):
            self.levels |= np.bincount(values, minlength=len(self.levels)).astype(bool)
        self.mark.update(np.ascontiguousarray(values).data)


def _findings(seen: Mapping[str, _Seen]) -> Iterator[str]:
    for name, column in seen.items():
        if column.cut:
            yield (
                f"{name}: {column.cut:,} of {column.rows:,} texts take more than {column.kind.width} tokens and "
                f"were cut there; the longest takes {column.longest}: text(max_tokens={column.longest}) keeps all."
            )
    for name, column in seen.items():
        if column.constant and column.rows > 1:
            yield (
                f"{name} is constant in the data: effects of it, or at other values of it, "
                "cannot be learnt; check the column or drop the variable."
            )
    for name, column in seen.items():
        never = [repr(column.kind.levels[code]) for code in np.flatnonzero(~column.levels)]
        if never and not column.constant:  # a constant column has a line of its own
            shown = ", ".join(never[:5]) + (", …" if len(never) > 5 else "")
            yield (
                f"{name} never takes the value{'s' if len(never) > 1 else ''} {shown} in the data: nothing can be "
                "learnt about it; drop the level from the declaration, or add rows that have it."
            )
    yield from _twins(seen)


def _twins(seen: Mapping[str, _Seen]) -> Iterator[str]:
    known: dict[tuple[object, ...], str] = {}
    for name, column in seen.items():
        if column.rows < 3 or column.constant:
            continue
        kind = column.kind
        mark = (column.mark.digest(), kind.shape, kind.discrete)
        if mark in known:
            yield (
                f"{known[mark]} and {name} are the same column: their effects cannot be told apart; "
                "check the data, or drop one of them."
            )
        known.setdefault(mark, name)


def canonical(
    name: str, values: Any, kind: Kind, place: str = "Column", first: int = 0
) -> np.ndarray:
    """Check values against a kind and return them in its canonical form (see ``Kind``).

    ``values`` has one entry a row, ``first`` is the number of its first row. Raises CausalcError
    naming the column, and the first bad row.
    """
    return _canonical(f"{place} {name!r}", np.asarray(values), kind, first)


def _canonical(name: str, array: np.ndarray, kind: Kind, first: int) -> np.ndarray:
    if kind.discrete:
        return _codes(name, array, kind, first)
    if kind.name == "image":
        return _pixels(name, array, kind, first)
    if kind.name == "text":
        return _tokens(name, array, kind, first)
    if array.dtype.kind not in "fiub":
        array = _numbers(name, array, kind)
    wanted = (len(array), *kind.shape)
    if array.shape != wanted:
        if array.size != np.prod(wanted):
            raise CausalcError(f"{name}: shape {array.shape}, expected {wanted}.")
        array = array.reshape(wanted)
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        row = int((~finite).argmax())
        raise CausalcError(f"{name}, row {first + row}: {array[row]} is not a finite number.")
    if kind.name != "integer":
        return array.astype(np.float32 if kind.name == "vector" else np.float64)
    if (np.abs(array.astype(np.float64)) >= 2.0**63).any():
        row = int((np.abs(array.astype(np.float64)) >= 2.0**63).argmax())
        raise CausalcError(
            f"{name}, row {first + row}: {array[row]} is too large; declare it real()."
        )
    rounded = np.rint(array)
    if (rounded != array).any():
        row = int((rounded != array).argmax())
        raise CausalcError(
            f"{name}, row {first + row}: {array[row]} is not a whole number; declare the variable real()."
        )
    return np.asarray(rounded, np.int64)


def _tokens(name: str, array: np.ndarray, kind: Kind, first: int) -> np.ndarray:
    made, lengths = tokens.encode(_texts(name, array, first), _levels(kind), kind.width)
    if (lengths > kind.width).any():
        row = int((lengths > kind.width).argmax())
        raise CausalcError(
            f"{name}, row {first + row}: a text of {lengths[row]} tokens, at most {kind.width} are taken; shorten "
            f"it, or declare text(max_tokens={lengths[row]})."
        )
    return made


def _texts(name: str, array: np.ndarray, first: int) -> list[str]:
    """Return the values as texts. Raises CausalcError where one is none."""
    if array.ndim != 1:
        raise CausalcError(f"{name}: a text is one value a row, got {array.shape}.")
    values: list[str] = array.tolist()
    for row, value in enumerate(values):
        if not isinstance(value, str):
            raise CausalcError(f"{name}, row {first + row}: expected a text, got {value!r:.60}.")
    return values


def _levels(kind: Kind) -> tuple[str, ...]:
    return tuple(map(str, kind.levels or tokens.BASE))


def _numbers(name: str, array: np.ndarray, kind: Kind) -> np.ndarray:
    try:
        if array.dtype.kind not in "cMm":  # numpy would drop the imaginary part, and count days
            return np.asarray([np.asarray(value, dtype=np.float64) for value in array], np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    shown = repr(array.flat[0]) if array.size else "none"
    raise CausalcError(f"{name}: expected {kind}, got values such as {shown[:80]}.")


def _codes(name: str, array: np.ndarray, kind: Kind, first: int) -> np.ndarray:
    if array.ndim != 1:
        raise CausalcError(f"{name}: {kind} takes one value a row, got {array.shape}.")
    lookup = {level: code for code, level in enumerate(kind.levels)}
    if array.dtype.kind in "iufb":
        distinct, inverse = np.unique(array, return_inverse=True)
        table = np.array([lookup.get(value, -1) for value in distinct.tolist()], np.int64)
        codes = table[inverse.reshape(-1)]
    else:
        codes = np.array([_code(lookup, value) for value in array.tolist()], np.int64)
    if (codes < 0).any():
        row = int((codes < 0).argmax())
        value = array[row].item() if isinstance(array[row], np.generic) else array[row]
        hint = near(value, tuple(map(str, kind.levels))) if isinstance(value, str) else ""
        shown = ", ".join(map(repr, kind.levels[:12])) + (", …" if len(kind.levels) > 12 else "")
        column = name.startswith("Column") and isinstance(value, str) and not hint
        named = f" Levels that are words are declared: {_example(array, kind)}." if column else ""
        raise CausalcError(
            f"{name}, row {first + row}: {value!r} is not one of its levels ({shown}){hint}.{named}"
        )
    return codes


def _code(lookup: Mapping[Any, int], value: object) -> int:
    try:
        return -1 if isinstance(value, complex) else lookup.get(value, -1)
    except TypeError:
        return -1


def _pixels(name: str, array: np.ndarray, kind: Kind, first: int) -> np.ndarray:
    if array.dtype.kind == "O":
        array = _numbers(name, array, kind)
        integral = bool((array == np.rint(array)).all()) and bool((array > 1).any())
        array = array.clip(-1, 256).astype(np.int64) if integral else array
    wanted = (len(array), *kind.shape)
    if array.shape != wanted and array.size != np.prod(wanted):
        raise CausalcError(
            f"{name}: images of shape {array.shape[1:]}, expected {kind.shape} "
            "(height, width, channels)."
        )
    array = array.reshape(wanted)
    top = 255 if array.dtype.kind in "iu" else 1
    if array.dtype.kind not in "iufb":
        raise CausalcError(f"{name}: images hold numbers, not {array.dtype}.")
    bad = ~((array >= 0) & (array <= top)).reshape(len(array), -1).all(axis=1)
    if bad.any():
        raise CausalcError(
            f"{name}, row {first + int(bad.argmax())}: image values must lie in 0 to {top} "
            f"for {'whole' if top == 255 else 'real'} numbers."
        )
    if array.dtype.kind in "iu":
        return array.astype(np.uint8)
    return np.rint(array.astype(np.float32) * 255).astype(np.uint8)


def labels(values: np.ndarray, kind: Kind) -> np.ndarray:
    """Return canonical values as the user wrote them: labels for codes, texts, else unchanged."""
    if kind.name == "text":
        return tokens.decode(values, _levels(kind))
    if not kind.discrete:
        return values
    types = {type(level) for level in kind.levels}
    table = np.empty(len(kind.levels), object)
    table[:] = kind.levels
    if len(types) == 1 and types <= {int, float, bool}:
        table = table.astype(types.pop())
    return np.asarray(table[values])
