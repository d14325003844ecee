"""Habits of other tools in graphs, declarations and statements: what was meant, and how it is written here."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from causalc.grammar import foreign_messages as f
from causalc.grammar import messages as m
from causalc.grammar.diagnostic import Message
from causalc.grammar.place import Place, Word
from causalc.grammar.unexpected import STATEMENTS, TrailingComma, UnknownStatement, WrongSymbol

KINDS = ("binary", "categorical", "ordinal", "integer", "real", "vector", "image", "text")
ASSIGNED = {
    "P": "query effect = P(Y | do(X))",
    "p": "query effect = P(Y | do(X))",
    "E": "estimate effect = E(Y | do(X = 1))",
    "Pr": "estimate effect = Pr(Y == 1 | do(X = 1))",
    "read": 'data rows = csv("rows.csv")',
    "pd": 'data rows = csv("rows.csv")',
    "fread": 'data rows = csv("rows.csv")',
}
GRAPH = "graph { X -> Y }"


def _touch(*words: Word) -> bool:
    return all(a.span.end == b.span.start for a, b in pairwise(words))


def _in_graph(p: Place) -> bool:
    if p.start == "graph_text":
        return True
    return bool(p.statement and p.statement.text == "graph" and p.open_brackets)


def _line(p: Place) -> str:
    """What stands before the place on its line."""
    return p.source.text[: p.span.start].rpartition("\n")[2]


def _graph(p: Place) -> Message | None:
    if p.here is None or p.last is None or not _in_graph(p):
        return None
    here = p.here.text
    if _line(p).split(maxsplit=1)[:1] and _line(p).split(maxsplit=1)[0] in STATEMENTS[1:]:
        return None  # the graph was not closed
    if here == "(" and p.last.text == "latent":
        return m.LatentWithoutName(p.last.span)
    if here == "(" and p.last.kind not in ("word", "number", "arrow"):
        return f.EdgeAsPair(p.span)
    if here == "~":
        double = p.after is not None and p.after.text == "~" and _touch(p.here, p.after)
        return _tilde(p, double)
    if here in ("+", "*", "/", "^", "(") and re.search(r"=\s*[^\"]*$", _line(p)):
        return f.EquationInGraph(p.span)
    if here == "+":
        return f.PlusInGraph(p.span)
    if here == ":" and p.after and p.after.kind == "number":
        return f.EdgeWeight(p.span | p.after.span)
    if p.here.kind == "arrow" and p.last.text == "]":
        opened = p.source.text.rfind("[", 0, p.span.start)
        start = next((w.span.start for w in reversed(p.before) if w.span.end <= opened), opened)
        return f.ArrowAfterBrackets(p.span, p.source.text[start : p.last.span.end])
    return _inner_graph(p)


def _tilde(p: Place, double: bool) -> Message:
    assert p.last is not None
    words = re.match(r"~{1,2}\s*(\w+)", p.source.text[p.span.start :])
    other = words[1] if words else "X"
    if double and p.after:
        return f.Formula(p.span | p.after.span, "~~", f"{p.last.text} <-> {other}")
    return f.Formula(p.span, f"{p.last.text} ~ {other}", f"{other} -> {p.last.text}")


def _inner_graph(p: Place) -> Message | None:
    if p.here is None or p.here.kind != "arrow" or not p.open_brackets:
        return None
    at = p.before.index(p.open_brackets[-1])
    if at > 1 and p.before[at - 1].text.lower() in ("dag", "graph", "digraph", "mag"):
        word = p.before[at - 1]
        return f.GraphInGraph(word.span, word.text)
    return None


def _hyphen(p: Place) -> Message | None:
    if p.here is None or p.here.text != "-" or p.last is None or p.after is None:
        return None
    if not (_touch(p.last, p.here, p.after) and p.last.kind == p.after.kind == "word"):
        return None
    found = re.compile(r"[\w-]+").match(p.source.text, p.last.span.start)
    text = found[0] if found else p.last.text
    keyword = p.statement.text if p.statement else ""
    span = p.last.span | p.after.span
    if p.last != p.statement and p.seen(keyword, p.last.text) and keyword not in ("var", "model"):
        return f.HyphenInName(span, text, text.replace("-", "_"))
    if _in_graph(p) or keyword in ("var", "model") or any(w.text == "(" for w in p.open_brackets):
        return f.HyphenInName(span, text, f"`{text}`, in backticks, if it is one name")
    return None


def _digit(p: Place) -> Message | None:
    if p.statement is None or p.statement.text not in ("query", "estimate", "data"):
        return None
    named = p.last == p.statement and p.after is not None and p.after.text == "="
    if named and p.here and p.here.kind == "number":
        return f.DigitFirst(p.span, f"{p.statement.text} q{p.here.text} = ...")
    return None


def _assignment(p: Place) -> Message | None:
    """``e <- P(...)`` and ``g = Graph(...)``."""
    if p.start != "script" or p.here is None or p.open_brackets or "GRAPH" not in p.expected:
        return None
    if p.here.kind != "word" or p.after is None or p.after.text not in ("<-", "="):
        return None
    if p.last and p.last.text in STATEMENTS:
        return None  # it was taken for a name
    value = re.match(r"\s*([^\W\d]\w*)[\w.]*\s*[\[({]", p.source.text[p.after.span.end :])
    if value is None:
        return None
    return f.Assignment(p.span | p.after.span, ASSIGNED.get(value[1], GRAPH))


def _kind(p: Place) -> Message | None:
    """``binary X``, ``var X : 0..1``, ``var X : real[0, 1]``, ``var X, Y, : binary``."""
    if p.here is None:
        return None
    starts = p.start == "script" and "GRAPH" in p.expected and p.here.text in KINDS
    if starts and p.after and p.after.kind == "word":
        return f.KindFirst(p.span | p.after.span, p.after.text, p.here.text)
    if p.statement is None or p.statement.text != "var" or p.last is None:
        return None
    if p.here.kind in ("string", "number") and p.last.text == ":":
        return f.LevelsWithoutKind(p.span)
    if p.here.text == "[" and p.last.text in KINDS:
        return f.LevelsWithoutKind(p.span)
    if p.here.text == ":" and p.last.text == ",":
        return TrailingComma(p.last.span)
    return None


def _string(p: Place) -> Message | None:
    if p.here is None or p.here.kind != "quoted" or "STRING" not in p.expected:
        return None
    if "QUOTED" in p.expected or not p.open_brackets or p.open_brackets[-1].text != "(":
        return None
    return f.BackticksAroundValue(p.span, p.here.text.strip("`"))


def _data(p: Place) -> Message | None:
    if p.statement is None or p.statement.text != "data" or p.here is None or p.last is None:
        return None
    if p.here.kind == "string" and p.after and p.after.text == "=" and p.open_brackets:
        named = re.match(r'"[^"]*"\s*=\s*(\w+)', p.source.text[p.span.start :])
        return f.ColumnFirst(p.span, named[1] if named else "X", p.here.text[1:-1])
    if p.open_brackets or p.last.text != ")" or "UNDER" not in p.expected:
        return None
    if p.here.text == "(":
        return f.ColumnsInBraces(p.span)
    if p.here.text in ("where", "filter", "if", "when", "limit"):
        return f.RowsNotChosen(p.span)
    return None


def _statement(p: Place) -> Message | None:
    """``sample e, 100``, ``sample e, f``, ``model X, Y``, ``sample s = e``, ``check fit(e)``."""
    if p.statement is None or p.here is None or p.last is None or p.open_brackets:
        return None
    keyword = p.statement.text
    if keyword == "sample" and p.here.kind == "number" and p.last.text == ",":
        return f.RowsUnnamed(p.span, p.here.text)
    independence = p.here.text in ("_", "⊥", "⫫", "⟂", "|") and p.seen("check", p.last.text)
    if keyword == "check" and independence:
        written = p.source.text[p.span.start :].split(maxsplit=1)[0]
        return WrongSymbol(p.span, written, ":", "check effect : independences")
    listed = p.here.text == "," and p.last.kind == "word" and "EQUAL" in p.expected
    if listed and keyword in ("model", "sample"):
        return f.OneEach(p.span, keyword, "variable" if keyword == "model" else "query")
    if keyword == "sample" and p.here.text == "=" and p.seen("sample", p.last.text) and p.after:
        return WrongSymbol(p.span, "=", ",", f'sample {p.after.text}, n = 100 to "out.parquet"')
    if p.here.text == "(" and p.seen(keyword, p.last.text) and keyword == "check":
        of = p.after.text if p.after and p.after.kind == "word" else "effect"
        if p.last.text not in ("P", "p"):
            return f.CallForm(p.last.span, p.last.text, f"check {of} : {p.last.text}")
    return None


def _fence(p: Place) -> Message | None:
    if p.here and p.source.text.startswith("```", p.span.start):
        return UnknownStatement(p.span, "```")
    return None


RULES: tuple[Callable[[Place], Message | None], ...] = (
    _fence,
    _graph,
    _hyphen,
    _digit,
    _assignment,
    _kind,
    _string,
    _data,
    _statement,
)
