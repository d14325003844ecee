"""Habits of other languages: what their users write here, and the message that says how it is written instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from causalc.grammar import foreign_messages as f
from causalc.grammar import messages as m
from causalc.grammar.diagnostic import Message
from causalc.grammar.place import Place, Word
from causalc.grammar.shape import MOMENTS
from causalc.grammar.unexpected import STATEMENTS, WrongSymbol

PLAIN_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
ALIKE = {
    "−": "-",
    "–": "-",
    "—": "-",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "∣": "|",
    "｜": "|",
    "（": "(",
    "）": ")",
    "，": ",",
    "；": ";",
    "：": ":",
    "＝": "=",
    "×": "*",
    "·": "*",
    "÷": "/",
}
KINDS = ("binary", "categorical", "ordinal", "integer", "real", "vector", "image", "text")


def _lookalike(p: Place) -> Message | None:
    if p.here and p.here.text in ALIKE:
        return f.Lookalike(p.span, p.here.text, ALIKE[p.here.text])
    return None


def _comment(p: Place) -> Message | None:
    if p.open_brackets or p.here is None or p.start != "script":
        return None
    text = p.source.text[p.span.start : p.span.start + 2]
    line_start = p.source.text.rfind("\n", 0, p.span.start) + 1
    first = not p.source.text[line_start : p.span.start].strip()
    if first and (text in ("/*", "--") or text[:1] == "%"):
        return f.ForeignComment(p.span, text if text in ("/*", "--") else "%")
    return None


def _number(p: Place) -> Message | None:
    last = p.last
    if last and last.kind == "number" and not PLAIN_NUMBER.fullmatch(last.text):
        return f.NotANumber(last.span, last.text) if last.span.start < p.span.start else None
    if p.here and p.here.kind == "number" and last and last.text == "," and len(p.before) > 1:
        number = p.before[-2]
        if number.kind == "number" and _touch(number, last, p.here):
            written = f"{number.text},{p.here.text}"
            return f.CommaInNumber(number.span | p.here.span, written, number.text, p.here.text)
    return None


def _touch(*words: Word) -> bool:
    return all(a.span.end == b.span.start for a, b in pairwise(words))


def _joining_word(p: Place) -> Message | None:
    if p.here is None or not p.open_brackets or p.open_brackets[0].text != "(":
        return None
    if p.here.text.lower() in ("and", "&") and "COMMA" in p.expected:
        event = any(word.kind == "mark" and word.text == "==" for word in p.before)
        example = "Pr(Y == 1, M == 1 | do(X = 1))" if event else "P(Y | do(X), Z)"
        return WrongSymbol(p.span, p.here.text, ",", f"{example}, with commas")
    if p.here.text.lower() in ("given", "if", "when") and "VBAR" in p.expected:
        return WrongSymbol(p.span, p.here.text, "|", "P(Y | do(X), Z)")
    return None


def _brackets(p: Place) -> Message | None:
    if p.here is None or p.last is None or p.here.text not in ("[", "{"):
        return None
    if p.last.text in MOMENTS and p.statement and p.statement.text == "estimate":
        return f.MomentBrackets(p.last.span | p.here.span, p.last.text, p.here.text)
    if p.last.text == "do" and p.open_brackets:
        return m.NakedDo(p.last.span | p.here.span, "X")
    if p.statement and p.statement.text == "var" and p.last.text == ":":
        return f.LevelsWithoutKind(p.span)
    return None


def _function(p: Place) -> Message | None:
    """``log(E(...))`` and ``do(X = f(Z))``, which are no counterfactuals."""
    if p.here is None or p.here.text != "(" or p.last is None or p.last.kind != "word":
        return None
    innermost = p.open_brackets[-1:]
    outer = [i for i, word in enumerate(p.before) if innermost == (word,)]
    if p.last.text in MOMENTS and outer and outer[0] > 0:
        function = p.before[outer[0] - 1]
        return m.UnknownMoment(function.span, function.text)
    if p.before[-2:-1] and p.before[-2].text == "=" and p.open_brackets[:1] and _in_question(p):
        return f.FunctionAsValue(p.last.span, p.last.text)
    return None


def _in_question(p: Place) -> bool:
    return p.open_brackets[0].text == "("


def _range(p: Place) -> Message | None:
    """``Pr(0 < Y < 1)`` and ``Pr(Y in [0, 1])``."""
    if p.here is None or p.last is None or p.statement is None:
        return None
    if p.statement.text != "estimate" or not p.open_brackets:
        return None
    first = p.here.kind == "number" and p.last.text == "(" and p.after is not None
    after = p.last.kind == "number" and p.before[-2].text in ("(", ",")
    if after and p.here.text in ("<", "<=", ">", ">="):
        return f.RangeEvent(p.last.span)
    if p.here.text == "in" or (first and p.after and p.after.text in ("<", "<=", ">", ">=")):
        return f.RangeEvent(p.span)
    return None


def _share(p: Place) -> Message | None:
    """``Quantile(Y | ..., 0.9)`` and ``Quantile(Y, [0.1, 0.9] | ...)``."""
    if p.here is None or not p.open_brackets or (p.here.text != "[" and p.here.kind != "number"):
        return None
    at = p.before.index(p.open_brackets[-1])
    if at == 0 or p.before[at - 1].text != "Quantile":
        return None
    if p.here.text == "[":
        return m.OneShare(p.span)
    return m.ShareMissing(p.before[at - 1].span, p.before[at + 1].text)


def _sweep(p: Place) -> Message | None:
    """``for X in ...``, ``over X in ...``, ``over X = {...}``: what is left open and its values."""
    if p.here is None or p.last is None or p.statement is None or _in_parentheses(p):
        return None
    keyword, words = p.statement.text, [w.text for w in p.before]
    if keyword == "query" and p.here.text == "over":
        return f.OverInQuery(p.span)
    if keyword == "query" and p.here.text == "in":
        return f.QueryInGraph(p.span, p.after.text if p.after else "NAME")
    if keyword != "estimate":
        return None
    if "OVER" in p.expected and p.here.text.lower() in ("for", "by", "per", "across", "along"):
        return WrongSymbol(p.span, p.here.text, "over", "estimate dose = E(Y | do(X)) over X")
    if "OVER" in p.expected and p.here.text.lower() in ("where", "given", "if", "when"):
        return f.ConditionOutside(p.span)
    if "over" not in words[p.before.index(p.statement) :]:
        return None
    listed = p.here.text in ("and", ";") or p.last.text == ";"
    if listed and p.after and p.after.kind in ("word", "mark") and p.after.text not in STATEMENTS:
        return f.SweepShape(p.span)
    return f.SweepShape(p.span) if p.here.text in ("in", ":", "==", "(", "{", "~", "@") else None


def _in_parentheses(p: Place) -> bool:
    return any(word.text == "(" for word in p.open_brackets)


def _files(p: Place) -> Message | None:
    """``import "file"``, ``include "file" as x`` and ``graph "name" { ... }``."""
    if p.here is None or p.open_brackets:
        return None
    quoted = p.after is not None and p.after.kind == "string"
    if (
        quoted
        and "GRAPH" in p.expected
        and p.here.text in ("import", "source", "require", "use", "from")
    ):
        return WrongSymbol(p.span, p.here.text, "include", 'include "variables.causal"')
    if p.last is None or p.last.kind != "string" or p.statement is None:
        return None
    if p.statement.text == "include" and p.here.text == "as":
        return f.IncludeAs(p.span)
    if p.statement.text == "graph" and p.here.text == "{":
        return f.GraphNamedByString(p.last.span, p.last.text.strip('"'))
    return None


def _sample(p: Place) -> Message | None:
    if p.statement is None or p.statement.text != "sample" or p.here is None or p.last is None:
        return None
    if p.here.text in ("into", "->", "=>", ">", "as", "in") and "TO" in p.expected:
        return WrongSymbol(p.span, p.here.text, "to", 'sample effect, n = 100 to "out.parquet"')
    if p.last.text == "do" and p.here.text == "(":
        return f.DoInSample(p.last.span | p.span)
    return None


def _sign(p: Place) -> Message | None:
    in_estimate = p.statement is not None and p.statement.text == "estimate"
    if in_estimate and p.expected == {"NUMBER"} and p.last and p.last.text == "-" and p.here:
        return f.SignedMoment(p.last.span | p.span)
    return None


def _quoted_query(p: Place) -> Message | None:
    asked = p.statement is not None and p.statement.text in ("query", "estimate")
    if asked and p.here and p.here.kind == "string" and p.seen("="):
        return f.QuotedQuestion(p.span, p.here.text.strip('"'))
    return None


def _parameter_in_graph(p: Place) -> Message | None:
    if (
        p.here
        and p.here.text == "$"
        and p.after
        and p.after.kind == "word"
        and _touch(p.here, p.after)
        and not p.seen("=")
    ):
        return f.ParameterHere(p.span | p.after.span, p.after.text)
    return None


def _var_list(p: Place) -> Message | None:
    """``var X Y : kind``, ``var X and Y : kind``, ``var binary X``."""
    if p.statement is None or p.statement.text != "var" or p.here is None or p.last is None:
        return None
    if "COLON" not in p.expected or p.here.kind != "word" or p.here.text in (*STATEMENTS, "is"):
        return None
    if p.last.text in KINDS and p.last == p.before[-1] and p.before[-2] == p.statement:
        return f.KindFirst(p.last.span | p.span, p.here.text, p.last.text)
    if p.here.text == "and" or ((p.after and p.after.text in (":", ",")) or _word(p.after)):
        other = p.after.text if p.here.text == "and" and p.after else p.here.text
        return f.VarListComma(p.span, p.found, p.last.text, other)
    return None


def _word(word: Word | None) -> bool:
    return word is not None and word.kind == "word" and word.text not in STATEMENTS


RULES: tuple[Callable[[Place], Message | None], ...] = (
    _lookalike,
    _comment,
    _number,
    _joining_word,
    _brackets,
    _function,
    _range,
    _share,
    _sweep,
    _files,
    _sample,
    _sign,
    _quoted_query,
    _parameter_in_graph,
    _var_list,
)
