"""Kinds of variable: what values a variable takes, read from the language or from Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from causalc.compiler import declaration_messages as d
from causalc.errors import CausalcError
from causalc.grammar import parse_kind as parse_call
from causalc.grammar.diagnostic import LanguageError, Message, did_you_mean
from causalc.grammar.source import Source
from causalc.grammar.tree import Call, Literal, Parameter, Sequence, Symbol, Value

Plain = int | float | str | bool
DISCRETE = ("binary", "categorical", "ordinal")
MISSING = "missing"  # the level of rows without a value, where that is a level
MAX_LEVELS = 10_000
MAX_SIDE = 16_384
MAX_NUMBERS = 1_000_000
MAX_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of variable; making one that does not exist raises ``CausalcError``.

    >>> Kind("categorical", (3,)).levels
    (0, 1, 2)
    """

    name: str
    args: tuple[Plain, ...] = ()
    options: Mapping[str, Plain] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        problem = _problem(_as_call(self))
        if problem:
            raise CausalcError(f"{problem.headline()}\n  help: {problem.remedy()}")

    @property
    def discrete(self) -> bool:
        """Whether the variable has a fixed list of levels."""
        return self.name in DISCRETE

    @property
    def levels(self) -> tuple[Plain, ...] | None:
        """The values of a discrete variable, lowest first where they are ordered."""
        if not self.discrete:
            return None
        if not self.args:
            return (0, 1)
        if len(self.args) == 1:
            return tuple(range(int(self.args[0])))
        return (*self.args, MISSING) if self.options.get("missing") == "level" else self.args

    @property
    def size(self) -> int:
        """Levels of a discrete variable, else the numbers (or tokens) that one value takes."""
        match self.name:
            case "vector":
                return int(self.args[0])
            case "image":
                sides = math.prod(int(a) for a in self.args)
                return sides * int(self.options.get("channels", 1))
            case "text":
                given = self.options.get("max_tokens", DEFAULT_TOKENS)
                return int(self.args[0] if self.args else given)
            case _:
                return len(self.levels or (0,))

    def __str__(self) -> str:
        return str(_as_call(self))


DEFAULT_TOKENS = 64


def parse_kind(text: str) -> Kind:
    """Read a kind such as ``image(8, 8, channels=3)``; raises ``LanguageError``."""
    return kind_from_call(parse_call(text), Source(text, "<kind>"))


def kind_from_call(call: Call, source: Source | None = None) -> Kind:
    """The kind that a call names; raises ``LanguageError``, or ``CausalcError`` without a source."""
    problem = kind_problem(call)
    if problem and source:
        raise LanguageError([(problem, source)])
    return Kind(call.name, tuple(map(plain, call.args)), {k: plain(v) for k, v in call.options})


def plain(value: Value) -> Any:
    """A value as Python has it: lists as tuples, bare words as strings."""
    match value:
        case Literal(inner):
            return inner
        case Symbol(text):
            return text
        case Sequence(items):
            return tuple(map(plain, items))
        case Parameter(name):
            raise AssertionError(f"${name} has no value yet")


def parameter_in(value: Value) -> Parameter | None:
    """The first ``$parameter`` in a value, if any."""
    match value:
        case Parameter():
            return value
        case Sequence(items):
            return next(filter(None, map(parameter_in, items)), None)
        case _:
            return None


def kind_problem(call: Call) -> Message | None:
    """What is wrong with a kind, if anything."""
    return _problem(call)


# ---- validation


def _as_call(kind: Kind) -> Call:
    options = tuple((name, _value(value)) for name, value in kind.options.items())
    return Call(kind.name, tuple(map(_value, kind.args)), options)


def _value(value: Plain) -> Value:
    if isinstance(value, bool | int | float | str):
        return Literal(value)
    raise CausalcError(f"a kind takes numbers and strings, not {value!r}")


def _problem(call: Call) -> Message | None:
    found = CHECKS.get(call.name)
    if found is None:
        return d.UnknownKind(call.name_span, call.name, tuple(CHECKS))
    usage, allowed, check = found
    for value in (*call.args, *(v for _, v in call.options)):
        if parameter := parameter_in(value):
            return d.ParameterOutsideQuery(parameter.span, parameter.name)
    for i, (name, value) in enumerate(call.options):
        if name not in allowed:
            at = call.option_spans[i] if call.option_spans else call.span
            meant = did_you_mean(name, allowed)
            return d.UnknownKindOption(at, call.name, name, meant or "", tuple(allowed), usage)
        if not allowed[name](value):
            return d.BadKindOption(value.span, call.name, name, _usage(call.name, name, usage))
    return check(call, usage)


def _usage(kind: str, option: str, usage: str) -> str:
    if option != "missing":
        return usage
    return "missing=drop, or missing=level" if kind == "categorical" else "missing=drop"


def _whole(low: int, high: int) -> Callable[[Value], bool]:
    return lambda value: (
        isinstance(value, Literal) and type(value.value) is int and low <= value.value <= high
    )


def _word(*words: str) -> Callable[[Value], bool]:
    """One of a few words, quoted or not."""
    return lambda value: isinstance(value, Literal | Symbol) and plain(value) in words


def _text(value: Value) -> bool:
    return isinstance(value, Literal) and isinstance(value.value, str) and bool(value.value)


def _nothing(call: Call, usage: str) -> Message | None:
    return d.KindArguments(call.span, call.name, "takes no arguments", usage) if call.args else None


def _sizes(count: int, high: int, want: str) -> Callable[[Call, str], Message | None]:
    def check(call: Call, usage: str) -> Message | None:
        if len(call.args) != count:
            return d.KindArguments(call.span, call.name, f"takes {want}", usage)
        for value in call.args:
            if not _whole(1, high)(value):
                return d.KindSize(value.span, call.name, high, usage)
        return None

    return check


def _tokens(call: Call, usage: str) -> Message | None:
    if not call.args:
        return None
    if len(call.args) > 1 or "max_tokens" in dict(call.options):
        return d.KindArguments(call.span, call.name, "takes one number of tokens", usage)
    if not _whole(1, MAX_TOKENS)(call.args[0]):
        return d.KindSize(call.args[0].span, call.name, MAX_TOKENS, usage)
    return None


def _levels(call: Call, usage: str) -> Message | None:
    if not call.args:
        if call.name == "binary":
            return None
        return d.KindArguments(call.span, call.name, "needs its levels or their number", usage)
    for value in call.args:
        if isinstance(value, Symbol):
            return d.BareLevel(value.span, value.text)
        if not isinstance(value, Literal) or isinstance(value.value, float):
            return d.BadLevel(value.span, call.name, usage)
    labels = [value.value for value in call.args if isinstance(value, Literal)]
    if plain(dict(call.options).get("missing", Literal(""))) == "level":
        return _level_of_its_own(call, labels)
    if len(labels) == 1:
        return _number_of_levels(call, labels[0], usage)
    return _labels(call, labels, usage)


def _level_of_its_own(call: Call, labels: list[Plain]) -> Message | None:
    usage = (
        f'{call.name}("a", "b", missing=level): a level of its own stands beside levels with names'
    )
    for value, label in zip(call.args, labels, strict=True):
        if not isinstance(label, str):
            return d.BadLevel(value.span, call.name, usage)
        if label == MISSING:
            return d.RepeatedLevel(value.span, label, call.span)
    return _labels(call, labels, usage)


def _number_of_levels(call: Call, number: Plain, usage: str) -> Message | None:
    if call.name == "binary" or type(number) is not int:
        return d.OneLevel(call.args[0].span, call.name, usage)
    if number < 2:
        return d.TooFewLevels(call.args[0].span, call.name, str(number))
    if number > MAX_LEVELS:
        return d.TooManyLevels(call.args[0].span, MAX_LEVELS)
    return None


def _labels(call: Call, labels: list[Plain], usage: str) -> Message | None:
    if call.name == "binary" and len(labels) != 2:
        return d.KindArguments(call.span, "binary", "has exactly two levels", usage)
    if len({type(label) for label in labels}) > 1:
        return d.MixedLevels(call.span, call.name)
    if len(labels) > MAX_LEVELS:
        return d.TooManyLevels(call.span, MAX_LEVELS)
    first: dict[Plain, Value] = {}
    for value, label in zip(call.args, labels, strict=True):
        if label in first:
            return d.RepeatedLevel(value.span, str(label), first[label].span)
        first[label] = value
    return None


_Check = Callable[[Call, str], Message | None]
_Allowed = dict[str, Callable[[Value], bool]]
_POLICIES = ("drop", "refuse")
_DROPS: _Allowed = {"missing": _word(*_POLICIES)}
CHECKS: dict[str, tuple[str, _Allowed, _Check]] = {
    "binary": ('binary, or binary("no", "yes")', _DROPS, _levels),
    "categorical": (
        'categorical(6), or categorical("a", "b", "c")',
        {"missing": _word(*_POLICIES, "level")},
        _levels,
    ),
    "ordinal": ('ordinal("low", "high"), lowest first, or ordinal(5)', _DROPS, _levels),
    "integer": ("integer", _DROPS, _nothing),
    "real": ("real", _DROPS, _nothing),
    "vector": ("vector(16)", _DROPS, _sizes(1, MAX_NUMBERS, "its number of components")),
    "image": (
        "image(28, 28, channels=3)",
        {"channels": _whole(1, 1024)},
        _sizes(2, MAX_SIDE, "a height and a width"),
    ),
    "text": (
        'text(max_tokens=64), or text(max_tokens=64, encoder="folder/of/one")',
        {"max_tokens": _whole(1, MAX_TOKENS), "encoder": _text, **_DROPS},
        _tokens,
    ),
}
KINDS = tuple(CHECKS)
