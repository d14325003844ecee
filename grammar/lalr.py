"""Run the tables of an LALR(1) grammar: text in, the results of the builder's methods out.

The tables are made from causal.lark by ``python -m causalc.grammar.tables``, since making them takes
longer than everything else that a small script needs. The lexer is contextual: it tries only the
terminals that the state of the parser can use, the stronger and longer first.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pkgutil import get_data
from typing import Any

END = "$END"
MAX_WORDS = 50_000  # read in well under a second


class Token(str):
    """A piece of the text, the terminal that it is, and where it stands."""

    __slots__ = ("end_pos", "start_pos", "type")

    type: str
    start_pos: int
    end_pos: int


class Stuck(Exception):
    """The parser cannot go on at ``offset``, where one of the terminals ``expected`` could stand."""

    def __init__(self, offset: int, expected: frozenset[str]) -> None:
        super().__init__(offset, expected)
        self.offset = offset
        self.expected = expected


class Endless(Exception):
    """The text holds more tokens than are to be read."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A reduction: ``size`` symbols become one ``origin`` by the builder's method ``callback``.

    Without a callback the children go to the rule above; ``transparent`` rules stand for an only child.
    """

    origin: str
    size: int
    callback: str | None
    transparent: bool


@dataclass(frozen=True, slots=True)
class Tables:
    """Actions by state and symbol: a state to go to, or ``-1 - r`` to reduce by rule ``r``.

    ``ends`` are the states in which a text may end; on the end they go to themselves.
    """

    patterns: dict[str, re.Pattern[str]]
    ignored: re.Pattern[str]
    rules: tuple[Rule, ...]
    states: tuple[dict[str, int], ...]
    terminals: tuple[tuple[str, ...], ...]
    starts: dict[str, int]
    ends: dict[str, int]


class _Children(list[Any]):
    """The children of a rule without a callback, on their way to the rule above."""


@cache
def tables() -> Tables:
    """The tables of the query language."""
    found = json.loads(get_data("causalc.grammar", "tables.json") or b"")
    order = [name for name, _ in found["terminals"]]
    rank = {name: i for i, name in enumerate(order)}
    return Tables(
        {name: re.compile(pattern) for name, pattern in found["terminals"]},
        re.compile("(?:" + "|".join(found["ignored"]) + ")+"),
        tuple(Rule(*rule) for rule in found["rules"]),
        tuple(found["states"]),
        tuple(
            tuple(sorted((t for t in row if t in rank), key=rank.__getitem__))
            for row in found["states"]
        ),
        found["starts"],
        found["ends"],
    )


def run(text: str, start: str, builder: object, offset: int = 0, stop: int | None = None) -> Any:
    """Parse a text from an offset on, up to ``stop``; what the builder's methods raise passes through.

    Raises ``Stuck``, and ``Endless`` beyond ``MAX_WORDS`` tokens.
    """
    t = tables()
    states, values = [t.starts[start]], list[Any]()
    end, stop = t.ends[start], len(text) if stop is None else stop
    for _ in range(MAX_WORDS):
        token = _next(t, text, offset, states[-1], stop)
        if token is None:
            raise Stuck(_skip(t, text, offset, stop), _expected(t, states))
        offset = token.end_pos
        while (action := t.states[states[-1]].get(token.type)) is not None and action < 0:
            _reduce(t, t.rules[-1 - action], states, values, builder)
        if action is None:
            raise Stuck(token.start_pos, _expected(t, states))
        if action == end:
            return values[-1]
        states.append(action)
        values.append(token)
    raise Endless


def _skip(t: Tables, text: str, offset: int, stop: int) -> int:
    blank = t.ignored.match(text, offset, stop)
    return blank.end() if blank else offset


def _next(t: Tables, text: str, offset: int, state: int, stop: int) -> Token | None:
    """The token at an offset, among those that the state can use."""
    offset = _skip(t, text, offset, stop)
    if offset == stop:
        return _token("", END, offset)
    for name in t.terminals[state]:
        found = t.patterns[name].match(text, offset, stop)
        if found:
            return _token(found[0], name, offset)
    return None


def _token(text: str, name: str, offset: int) -> Token:
    token = Token(text)
    token.type, token.start_pos, token.end_pos = name, offset, offset + len(text)
    return token


def _reduce(t: Tables, rule: Rule, states: list[int], values: list[Any], builder: object) -> None:
    if rule.transparent and rule.size == 1 and type(values[-1]) is not _Children:
        states[-1] = t.states[states[-2]][rule.origin]  # the only child stands for the rule
        return
    at = len(values) - rule.size
    longer = rule.size and isinstance(values[at], _Children)
    children = values[at] if longer else _Children()  # so that a long list is never copied
    for value in values[at + 1 if longer else at :]:
        if isinstance(value, _Children):
            children.extend(value)
        else:
            children.append(value)
    del values[at:], states[at + 1 :]
    states.append(t.states[states[-1]][rule.origin])
    if rule.transparent and len(children) == 1:
        values.append(children[0])
    elif rule.callback is None:
        values.append(children)
    else:
        values.append(getattr(builder, rule.callback)(list(children)))


def _expected(t: Tables, states: list[int]) -> frozenset[str]:
    """The terminals that the parser would take next, reductions included."""
    row = t.states[states[-1]]
    return frozenset(name for name in row if name.isupper() and _takes(t, list(states), name))


def _takes(t: Tables, states: list[int], name: str) -> bool:
    while (action := t.states[states[-1]].get(name)) is not None and action < 0:
        rule = t.rules[-1 - action]
        del states[len(states) - rule.size :]
        states.append(t.states[states[-1]][rule.origin])
    return action is not None
