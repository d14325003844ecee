"""Kinds of variable and the schema of a data set. Plain data: no torch, no pandas."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from causalc.errors import CausalcError
from causalc.runtime.tokens import BASE, MOST_TOKENS

Label = str | int | float | bool

MISSING = "missing"  # the level of rows without a value, where that is a level
POLICIES = ("refuse", "drop", "level")

DISCRETE = ("binary", "categorical", "ordinal")
SCALAR = ("integer", "real")
_NAMES = (*DISCRETE, *SCALAR, "vector", "image", "text", "inferred")
_ALL_THERE = ("image", "inferred")
_FEW_LEVELS = 20
_WIDEST_ENCODER = 1 << 16
_MOST_NUMBERS, _MOST_LEVELS = 1 << 26, 1 << 20  # of a value read back from a file


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """A local folder with a text encoder; its digest and width are learnt when the data are read."""

    path: str
    digest: str = ""
    width: int = 0

    def __post_init__(self) -> None:
        written = isinstance(self.path, str) and isinstance(self.digest, str) and self.path
        sized = type(self.width) is int and 0 <= self.width <= _WIDEST_ENCODER
        if not (written and sized):
            raise CausalcError(f"text: {str(self.path)[:80]!r} is not a folder of an encoder.")


@dataclass(frozen=True, slots=True)
class Kind:
    """What values a variable takes: its name, its levels when discrete, its shape when an array.

    Columns of a kind are held as: ``int64`` codes into ``levels`` (discrete), ``int64``
    (integer), ``float64`` (real), ``float32`` of shape ``(n, d)`` (vector), ``uint8`` of shape
    ``(n, h, w, channels)`` (image), ``int32`` codes into ``levels`` of shape ``(n, max_tokens)``
    (text; the levels are its vocabulary, learnt when the data are read: see ``tokens``).

    ``missing`` says what becomes of a row without a value: "refuse" the data, "drop" the row, or take
    "level" MISSING, the last one, for the value.
    """

    name: str
    levels: tuple[Label, ...] = ()
    shape: tuple[int, ...] = ()
    encoder: TextEncoder | None = None
    missing: str = "refuse"

    def __post_init__(self) -> None:
        _check(self)

    @property
    def discrete(self) -> bool:
        """Whether values are codes into ``levels``."""
        return self.name in DISCRETE

    @property
    def scalar(self) -> bool:
        """Whether a value is one number on the line (integer or real)."""
        return self.name in SCALAR

    @property
    def width(self) -> int:
        """Numbers that one value takes when flattened; 1 for scalars and codes."""
        return math.prod(self.shape) if self.shape else 1

    def to_json(self) -> dict[str, object]:
        """Return the kind as a JSON value; ``from_json`` is the inverse."""
        value: dict[str, object] = {"kind": self.name}
        if self.levels:
            value["levels"] = list(self.levels)
        if self.shape:
            value["shape"] = list(self.shape)
        if self.encoder:
            value["encoder"] = [self.encoder.path, self.encoder.digest, self.encoder.width]
        if self.missing != "refuse":
            value["missing"] = self.missing
        return value

    @staticmethod
    def from_json(value: Mapping[str, object]) -> Kind:
        """Read a kind written by ``to_json``. Raises CausalcError on anything else."""
        name, levels, shape = value.get("kind"), value.get("levels", []), value.get("shape", [])
        if not isinstance(name, str) or not isinstance(levels, list) or not isinstance(shape, list):
            raise CausalcError(f"Not a kind of variable: {str(value)[:80]}.")
        about = value.get("encoder")
        encoder = TextEncoder(*about) if isinstance(about, list) and len(about) == 3 else None
        missing = value.get("missing", "refuse")
        kind = Kind(name, tuple(levels), tuple(shape), encoder, missing)  # type: ignore[arg-type]
        if kind.width > _MOST_NUMBERS or len(levels) > _MOST_LEVELS:
            raise CausalcError(f"{name}: larger than any variable may be.")
        return kind

    def __str__(self) -> str:
        if self.name == "text":
            return f"text({self.shape[0]})"
        if self.levels and self.levels != tuple(range(len(self.levels))):
            return f"{self.name}({', '.join(map(repr, self.levels))})"
        if self.name in ("categorical", "ordinal"):
            return f"{self.name}({len(self.levels)})"
        return f"{self.name}({', '.join(map(str, self.shape))})"


def _check(kind: Kind) -> None:
    if kind.name not in _NAMES:
        raise CausalcError(f"Unknown kind of variable {kind.name!r}: use {', '.join(_NAMES)}.")
    if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in kind.shape):
        raise CausalcError(f"{kind.name}: sizes must be whole numbers of at least 1.")
    lengths = {"vector": 1, "image": 3, "text": 1}
    if len(kind.shape) != lengths.get(kind.name, 0):
        raise CausalcError(f"{kind.name}: takes {lengths.get(kind.name, 0)} sizes.")
    if kind.discrete and len(kind.levels) < 2:
        raise CausalcError(f"{kind.name}: a discrete variable needs at least two levels.")
    if kind.missing not in POLICIES or (kind.name in _ALL_THERE and kind.missing != "refuse"):
        raise CausalcError(f"{kind.name}: missing={str(kind.missing)[:20]!r} is no policy of it.")
    if kind.missing == "level" and (kind.name != "categorical" or kind.levels[-1:] != (MISSING,)):
        raise CausalcError(f"{kind.name}: only categorical levels may have one for missing values.")
    if kind.encoder and kind.name != "text":
        raise CausalcError(f"{kind.name}: takes no encoder.")
    if kind.levels and kind.name == "text":
        _check_vocabulary(kind.levels)
    elif kind.levels and not kind.discrete:
        raise CausalcError(f"{kind.name}: takes no levels.")
    if kind.name == "binary" and len(kind.levels) != 2:
        raise CausalcError("binary: takes exactly two levels.")
    if not all(isinstance(level, str | int | float) for level in kind.levels):
        raise CausalcError(f"{kind.name}: levels are text or numbers, not {kind.levels!r}.")
    if len(set(kind.levels)) != len(kind.levels):
        raise CausalcError(f"{kind.name}: the same level is given twice in {kind.levels!r}.")


def _check_vocabulary(levels: tuple[Label, ...]) -> None:
    written = all(isinstance(level, str) and max(level, default="") < "Ā" for level in levels)
    if not written or levels[: len(BASE)] != BASE or len(levels) > MOST_TOKENS:
        raise CausalcError("text: these levels are not a vocabulary.")


def _levels(name: str, levels: tuple[Label, ...]) -> tuple[Label, ...]:
    if len(levels) == 1 and isinstance(levels[0], int) and not isinstance(levels[0], bool):
        if levels[0] < 2:
            raise CausalcError(
                f"{name}({levels[0]}): a discrete variable needs two levels or more."
            )
        return tuple(range(levels[0]))
    return levels


def binary(*levels: Label, missing: str = "refuse") -> Kind:
    """Two values: 0 and 1 (or False and True), or the two labels given."""
    return Kind("binary", levels or (0, 1), missing=missing)


def categorical(*levels: Label, missing: str = "refuse") -> Kind:
    """Unordered values: ``categorical(3)`` is 0, 1, 2; ``categorical("a", "b")`` names them.

    With ``missing="level"`` rows without a value have one of their own, "missing".
    """
    named = _levels("categorical", levels)
    if missing == "level":
        if not all(isinstance(level, str) for level in named):
            raise CausalcError("categorical: missing='level' stands beside levels with names.")
        named = (*named, MISSING)
    return Kind("categorical", named, missing=missing)


def ordinal(*levels: Label, missing: str = "refuse") -> Kind:
    """Ordered values, lowest first: ``ordinal("low", "high")`` or ``ordinal(5)``."""
    return Kind("ordinal", _levels("ordinal", levels), missing=missing)


def integer(missing: str = "refuse") -> Kind:
    """Whole numbers without a fixed list of levels (counts, years)."""
    return Kind("integer", missing=missing)


def real(missing: str = "refuse") -> Kind:
    """Real numbers."""
    return Kind("real", missing=missing)


def vector(d: int, missing: str = "refuse") -> Kind:
    """Vectors of ``d`` real numbers; one without one of them is missing."""
    return Kind("vector", shape=(d,), missing=missing)


def image(h: int, w: int, channels: int = 1) -> Kind:
    """Images ``h`` pixels high and ``w`` wide."""
    return Kind("image", shape=(h, w, channels))


def text(max_tokens: int = 64, encoder: str = "", missing: str = "refuse") -> Kind:
    """Texts of at most ``max_tokens`` tokens; the vocabulary is learnt from the data.

    Longer texts of the data are cut there, which a finding reports. ``encoder`` is a local folder of a text
    encoder (see ``text_encoder``), which then reads the text where it is an input.
    """
    reader = TextEncoder(encoder) if encoder else None
    return Kind("text", shape=(max_tokens,), encoder=reader, missing=missing)


def inferred() -> Kind:
    """Read the kind from the data (see ``infer``)."""
    return Kind("inferred")


class Schema(Mapping[str, Kind]):
    """The variables a program uses, in declaration order, each with its kind. Immutable."""

    __slots__ = ("_kinds",)

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        for name, kind in kinds.items():
            if not isinstance(name, str) or not isinstance(kind, Kind):
                raise CausalcError(f"Schema: {name!r} needs a kind such as real(), got {kind!r}.")
        self._kinds = dict(kinds)

    def __getitem__(self, name: str) -> Kind:
        return self._kinds[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def __repr__(self) -> str:
        inner = ", ".join(f"{name!r}: {kind}" for name, kind in self._kinds.items())
        return f"Schema({{{inner}}})"

    def kind(self, name: str) -> Kind:
        """Return the kind of ``name``. Raises CausalcError naming near matches."""
        if name not in self._kinds:
            hint = near(name, self._kinds)
            raise CausalcError(f"The schema has no variable {name!r}{hint}.")
        return self._kinds[name]

    def to_json(self) -> dict[str, object]:
        """Return the schema as a JSON object, name to kind."""
        return {name: kind.to_json() for name, kind in self._kinds.items()}

    @staticmethod
    def from_json(value: Mapping[str, object]) -> Schema:
        """Read a schema written by ``to_json``. Raises CausalcError on anything else."""
        kinds: dict[str, Kind] = {}
        for name, kind in value.items():
            if not isinstance(kind, Mapping):
                raise CausalcError(f"Schema: {name!r} is not a kind of variable: {kind!r}.")
            kinds[name] = Kind.from_json(kind)
        return Schema(kinds)


def near(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """Return ``" (did you mean 'Age'?)"`` or an empty text, for the end of a message."""
    folded = {candidate.casefold(): candidate for candidate in known}
    found = get_close_matches(name.casefold(), list(folded), n=2)
    if not found:
        return ""
    return f" (did you mean {' or '.join(repr(folded[key]) for key in found)}?)"


def infer(columns: Mapping[str, np.ndarray]) -> Schema:
    """Guess the kind of each column from its values; override a guess by declaring the kind.

    Two numbers or booleans 0 and 1 give ``binary``; text gives ``categorical`` (``binary`` for
    two values); whole numbers give ``categorical`` up to 20 distinct values, else ``integer``;
    other numbers ``real``; ``(n, d)`` arrays ``vector``; ``(n, h, w[, c])`` arrays ``image``.
    """
    return Schema({name: _infer(name, np.asarray(values)) for name, values in columns.items()})


def _infer(name: str, values: np.ndarray) -> Kind:
    if values.ndim == 2:
        return vector(values.shape[1])
    if values.ndim in (3, 4):
        return image(*values.shape[1:])
    if values.dtype.kind == "b":
        return binary()
    if values.dtype.kind == "f":
        return real()
    try:
        distinct = sorted(set(values.tolist()), key=lambda value: (str(type(value)), value))
    except TypeError:  # structs, maps and the like
        distinct = []
    if values.dtype.kind in "iu":
        if set(distinct) <= {0, 1}:
            return binary()
        few = 2 <= len(distinct) <= _FEW_LEVELS
        return categorical(*distinct) if few else integer()
    if not all(isinstance(value, str | int | float) for value in distinct) or len(distinct) < 2:
        raise CausalcError(
            f"Column {name!r}: cannot tell its kind from its values; declare it, "
            f"for example {name} : categorical(...)."
        )
    return binary(*distinct) if len(distinct) == 2 else categorical(*distinct)
