"""Whether a value is one that a variable can take."""

from __future__ import annotations

from causalc.compiler import declaration_messages as d
from causalc.compiler.kinds import Kind
from causalc.compiler.scope import Scope
from causalc.grammar.printer import value_text
from causalc.grammar.tree import Literal, Parameter, Sequence, Symbol, Value

WANTED = {
    "integer": "a whole number",
    "real": "a number",
    "text": "a string",
    "image": 'the path of an image file, such as "x.png", or leave it open',
}


def check_value(name: str, value: Value, scope: Scope) -> None:
    """Note a value that variable ``name`` cannot take; without a declared kind most values pass."""
    kind = scope.kinds.get(name)
    match value:
        case Parameter():
            pass
        case Symbol(text, span=span):
            scope.say(d.BareWord(span, text))
        case Sequence(items, span=span):
            _check_list(name, items, kind, value, scope)
        case Literal(inner) if kind is not None and kind.levels is not None:
            if not any(_same(inner, level) for level in kind.levels):
                levels = tuple(value_text(Literal(level)) for level in kind.levels)
                scope.say(d.NotALevel(value.span, value_text(value), name, levels))
        case Literal(inner) if kind is not None and not _fits(inner, kind):
            _wrong(name, value, kind, scope)


def _check_list(
    name: str, items: tuple[Value, ...], kind: Kind | None, value: Value, scope: Scope
) -> None:
    if kind is not None and kind.name != "vector":
        scope.say(d.ListForOne(value.span, name))
        return
    numbers = all(isinstance(i, Literal) and _is_number(i.value) for i in items)
    if not numbers or (kind is not None and len(items) != kind.size):
        wanted = f"a list of {kind.size} numbers" if kind else "a list of numbers"
        declared = str(kind) if kind else "vector"
        scope.say(d.WrongValue(value.span, _shortened(value), name, declared, wanted))


def _wrong(name: str, value: Value, kind: Kind, scope: Scope) -> None:
    wanted = WANTED.get(kind.name) or f"a list of {kind.size} numbers"
    scope.say(d.WrongValue(value.span, _shortened(value), name, str(kind), wanted))


def _shortened(value: Value) -> str:
    text = value_text(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _same(value: object, level: object) -> bool:
    """Equality that keeps ``1`` and ``"1"``, and ``1.0`` and ``1``, apart; ``true`` is 1."""
    if isinstance(value, bool):
        return level is value or (not isinstance(level, bool | str) and level == int(value))
    return type(value) is type(level) and value == level


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fits(value: object, kind: Kind) -> bool:
    match kind.name:
        case "integer":
            return type(value) is int
        case "real":
            return _is_number(value)
        case "text" | "image":
            return isinstance(value, str)
        case _:
            return False
