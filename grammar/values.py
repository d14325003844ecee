"""Names, values and calls: the nodes that statements of every sort share."""

from __future__ import annotations

from dataclasses import dataclass, field

from causalc.grammar.source import NOWHERE, Span


@dataclass(frozen=True, slots=True)
class Name:
    """A name as the user means it, without its backticks."""

    text: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a string, ``true`` or ``false``."""

    value: int | float | str | bool
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Parameter:
    """``$name``: a value given when the program runs."""

    name: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A bare word used as a value, such as ``auto``."""

    text: str
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    """``[a, b, ...]``."""

    items: tuple[Value, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


Value = Literal | Parameter | Symbol | Sequence
Options = tuple[tuple[str, Value], ...]
"""``name = value`` pairs as written; ``option_spans`` beside them are the places of the names."""


@dataclass(frozen=True, slots=True)
class Call:
    """``name(arg, ..., option=value, ...)``: a kind, a model family or a data source."""

    name: str
    args: tuple[Value, ...] = ()
    options: Options = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    name_span: Span = field(default=NOWHERE, compare=False, repr=False)
    option_spans: tuple[Span, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        from causalc.grammar.printer import call_text

        return call_text(self)


@dataclass(frozen=True, slots=True)
class Cases:
    """``{0: a, 1: b}``: what to take at each level."""

    pairs: tuple[tuple[Literal, Element], ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """``bernoulli(0.3)``, ``threshold(Z, 3, below = 0.1)``: how a policy finds a value; bare words are variables."""

    name: str
    args: tuple[Element, ...] = ()
    options: tuple[tuple[Name, Element], ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    name_span: Span = field(default=NOWHERE, compare=False, repr=False)


Element = Rule | Literal | Name | Parameter | Cases


@dataclass(frozen=True, slots=True)
class Policy:
    """``X ~ rule`` where ``drawn``, else ``X = rule``: how ``do`` sets X where it sets no one value."""

    name: Name
    rule: Rule
    drawn: bool
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Assignment:
    """``X = 3``, or ``X`` alone when its value is left open until the program runs."""

    name: Name
    value: Value | None = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)
