"""Make ``tables.json`` from causal.lark with lark: ``python -m causalc.grammar.tables > FILE``.

Lark is needed to change the grammar, not to use it.
"""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from typing import Any

STARTS = ("script", "graph_text", "distribution", "call")


def grammar_text() -> str:
    """The text of the grammar."""
    return files("causalc.grammar").joinpath("causal.lark").read_text("utf-8")


def make_tables() -> dict[str, Any]:
    """The tables as JSON holds them."""
    from lark import Lark
    from lark.parsers.lalr_analysis import Reduce, Shift

    made = Lark(grammar_text(), parser="lalr", start=list(STARTS), keep_all_tokens=True)
    table = made.parser.parser._parse_table
    numbers = _numbered(table)
    rules = sorted(
        {
            target
            for row in table.states.values()
            for kind, target in row.values()
            if kind is Reduce
        },
        key=lambda rule: (rule.origin.name, [symbol.name for symbol in rule.expansion]),
    )
    reductions = {rule: -1 - i for i, rule in enumerate(rules)}
    used = {name for row in table.states.values() for name in row}
    states = [
        {
            name: numbers[target] if kind is Shift else reductions[target]
            for name, (kind, target) in sorted(table.states[state].items())
        }
        for state in numbers
    ]
    ends = {start: numbers[table.end_states[start]] for start in STARTS}
    for end in ends.values():
        states[end]["$END"] = end
    terminals = sorted(
        made.terminals,
        key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name),
    )
    return {
        "terminals": [[t.name, t.pattern.to_regexp()] for t in terminals if t.name in used],
        "ignored": [t.pattern.to_regexp() for t in terminals if t.name in made.ignore_tokens],
        "rules": [_rule(rule) for rule in rules],
        "states": states,
        "starts": {start: numbers[table.start_states[start]] for start in STARTS},
        "ends": ends,
    }


def _numbered(table: Any) -> dict[Any, int]:
    """Number the states in an order that does not change from run to run: breadth first."""
    from lark.parsers.lalr_analysis import Shift

    numbers: dict[Any, int] = {}
    queue = [table.start_states[start] for start in STARTS]
    for state in queue:
        if state not in numbers:
            numbers[state] = len(numbers)
            row = sorted(table.states[state].items())
            queue += [target for _, (kind, target) in row if kind is Shift]
    return numbers


def _rule(rule: Any) -> list[Any]:
    origin = str(rule.origin.name)
    inlined = origin.startswith("_") and not rule.alias
    callback = None if inlined else str(rule.alias or origin)
    transparent = bool(rule.options.expand1) and not rule.alias
    return [origin, len(rule.expansion), callback, transparent]


def tables_text() -> str:
    """The text of ``tables.json``: one rule or state a line, so that changes can be read."""
    made = make_tables()
    parts = []
    for key, value in made.items():
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in value)
            parts.append(f'"{key}": [\n{rows}\n]')
        else:
            parts.append(f'"{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    sys.stdout.write(tables_text())
