"""From the place where the parser stopped to the message that says what was probably meant.

The rules look at the words around the place, as a reader would, not at the parser's states. They
are tried in order; the first that recognises the mistake answers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from causalc.grammar import unexpected as u
from causalc.grammar.diagnostic import Message
from causalc.grammar.foreign import RULES as FOREIGN
from causalc.grammar.formulas import RULES as FORMULAS
from causalc.grammar.place import Place, opens_line, place_at
from causalc.grammar.printer import name_text
from causalc.grammar.source import INVISIBLE, Source, Span
from causalc.grammar.statement_habits import RULES as HABITS

JOINING = ("do", "given", "if", "when", "and", "or", "in", "by")
OPEN_ENDED = (":", "=", ",", "+", "-", "*", "/", "over")
ARITHMETIC = ("+", "-", "*", "/", "<", ">", "==", "<=", ">=", "!=")
ORDINARY = ("==", "!=", ">=", "<=", *"(){}[]|,;:=+-*/<>~@")
WHOLE = {
    "script": ("a statement", "graph { X -> Y }"),
    "graph_text": ("a graph", "X -> Y; X <-> Y"),
    "distribution": ("a query", "P(Y | do(X), Z)"),
    "call": ("a kind", "categorical(3)"),
}
EXAMPLES = {
    "graph": "graph { X -> Y }",
    "include": 'include "variables.causal"',
    "latent": "latent U",
    "var": "var X : binary",
    "data": 'data rows = csv("rows.csv")',
    "model": "model Y = diffusion(steps=4000)",
    "train": "train { seed = 0 }",
    "query": "query effect = P(Y | do(X))",
    "estimate": "estimate effect = E(Y | do(X = 1))",
    "check": "check effect : positivity, fit",
    "sample": 'sample effect, n = 100 to "out.parquet"',
}
NAMES = {
    "NAME": "a name",
    "QUOTED": "a name in backticks",
    "NODE": "a variable",
    "STRING": "a string",
    "NUMBER": "a number",
    "PARAMETER": "a parameter such as $age",
    "ARROW": "an arrow",
    "COMPARISON": "a comparison such as ==",
    "HEADER": "dag {",
    "$END": "the end",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "SEMICOLON": "`;`",
    "EQUAL": "`=`",
    "VBAR": "`|`",
    "TILDE": "`~`",
    "PLUS": "`+`",
    "MINUS": "`-`",
    "STAR": "`*`",
    "SLASH": "`/`",
}


def explain(source: Source, offset: int, expected: frozenset[str], start: str) -> Message:
    """The message for a parse that stopped at ``offset``, where ``expected`` could stand."""
    place = place_at(source, offset, expected, start)
    for rule in RULES:
        message = rule(place)
        if message is not None:
            return message
    return _anything(place)


# ---- the rules


def _character(p: Place) -> Message | None:
    if p.here is None or p.here.kind != "mark":
        return None
    text, span = p.here.text, p.here.span
    to_line_end = Span(span.start, span.start + len(p.source.text[span.start :].splitlines()[0]))
    if text == '"':
        return u.UnclosedString(to_line_end)
    if text == "`":
        return u.UnclosedName(to_line_end)
    if text in "'“”„«»‘’´":
        return u.WrongQuotes(span, text)
    if text == "$":
        return u.BareDollar(span)
    if unicodedata.category(text[0]) in INVISIBLE:
        return u.InvisibleCharacter(span, f"U+{ord(text[0]):04X}")
    return None


def _counterfactual(p: Place) -> Message | None:
    if p.here is None or not p.last or not _in_distribution(p):
        return None
    span = p.last.span | p.here.span
    if p.here.text == "@":
        notation = f"{p.last.text} @ {p.after.text if p.after else 'X'}"
        return u.Counterfactual(span, notation)
    if p.here.text == "{" and p.last.text.endswith("_"):
        return u.Counterfactual(span, f"{p.last.text}{{...}}")
    if p.here.text in ("(", "[") and p.last.kind in ("word", "quoted"):
        if p.last.text.lower() in ("do", "set", "doo", "intervene", "int"):
            return u.MeantDo(p.last.span, p.last.text)
        return u.Counterfactual(span, f"{p.last.text}{p.here.text}...{u.CLOSERS[p.here.text]}")
    return None


def _in_distribution(p: Place) -> bool:
    inside = any(word.text == "(" for word in p.open_brackets)
    keyword = p.statement.text if p.statement else ""
    return inside and (p.start == "distribution" or keyword in ("query", "estimate"))


def _query(p: Place) -> Message | None:
    if p.here is None:
        return None
    if not _in_distribution(p):
        return _query_head(p)
    if p.here.text == "do" and p.last and p.last.kind in ("word", "quoted"):
        barred = any(word.text == "|" for word in p.before[_opened(p) :])
        return (
            u.SymbolMissing(p.span, ",", p.found, "P(Y | Z, do(X))")
            if barred
            else u.MissingBar(p.span)
        )
    if p.here.text == "|":
        return u.SecondBar(p.span) if p.last and p.last.text != "(" else None
    if p.last and p.last.text == "~":
        return u.RuleNeeded(p.span)
    if len(p.before) > 1 and p.before[-2].text == "~" and p.last and p.last.kind == "word":
        return u.RuleWithoutParts(p.last.span, p.last.text)
    if p.here.text in ("~", "∼") and p.last:
        return u.StochasticDo(p.span, p.last.text)
    return None


def _opened(p: Place) -> int:
    first = p.open_brackets[0]
    return next(i for i, word in enumerate(p.before) if word.span == first.span)


def _query_head(p: Place) -> Message | None:
    if p.here is None or not p.last:
        return None
    if p.last.text in ("P", "p", "P_", "p_") and p.here.text in ("[", "{"):
        return u.BracketAfterP(p.last.span | p.here.span, f"{p.last.text[1:]}{p.here.text}")
    ended = p.last.text == ")" and not p.open_brackets
    in_query = p.start == "distribution" or (p.statement and p.statement.text == "query")
    if ended and in_query and p.here.text in ARITHMETIC:
        return u.ArithmeticInQuery(p.span)
    return None


def _brackets(p: Place) -> Message | None:
    stack = p.open_brackets
    text = p.here.text if p.here else None
    if text in u.CLOSERS.values() and not stack:
        return u.ClosesNothing(p.span, str(text))
    if text in u.CLOSERS.values() and text != u.CLOSERS[stack[-1].text]:
        return u.Mismatched(p.span, str(text), stack[-1].text, stack[-1].span)
    if not stack:
        return None
    inside = [
        w
        for w in (*p.before, *((p.here,) if p.here else ()))
        if w.span.start > stack[-1].span.start
    ]
    swallowed = [w for w in inside if w.text != "latent" and opens_line(w, p.source)]
    if swallowed:
        return u.Unclosed(
            stack[-1].span, stack[-1].text, f"`{swallowed[0].text}`", swallowed[0].span
        )
    if p.here is None:
        return u.Unclosed(stack[-1].span, stack[-1].text, p.found, p.span)
    return None


def _unfinished(p: Place) -> Message | None:
    """A keyword that the parser took for a name, because the statement before it stops short."""
    if p.start != "script" or p.open_brackets:
        return None
    words = (*p.before, *((p.here,) if p.here else ()))
    for i in range(len(words) - 1, max(len(words) - 4, 1), -1):
        last = words[i - 1]
        if opens_line(words[i], p.source) and (
            last.text in OPEN_ENDED or last.text in u.STATEMENTS
        ):
            earlier = Place(words[:i], None, None, frozenset(), p.source, p.start).statement
            if earlier is None or earlier == words[i]:
                continue
            example = EXAMPLES[earlier.text]
            if earlier == last and last.text == "train":
                return u.SymbolMissing(words[i].span, "{", f"`{words[i].text}`", example)
            if earlier == last:
                return u.NameMissing(last.span, last.text, example)
            return u.Unfinished(last.span, earlier.text, last.text, example)
    return None


def _arrows(p: Place) -> Message | None:
    if p.last and p.last.kind == "arrow" and "NODE" in p.expected:
        return u.DanglingArrow(p.last.span, p.last.text)
    if p.here is None:
        return None
    if p.here.kind == "arrow" and _inside_graph(p):
        in_set = len(p.open_brackets) > (p.start == "script")
        if in_set and p.last and p.last.text != "{":
            return u.EdgeInSet(p.span)
        return u.ArrowFromNothing(p.span, p.here.text)
    if _inside_graph(p) and p.here.text in ("-", ">", "<", "~", "=", "+"):
        end = p.after.span if p.after and p.after.kind in ("mark", "arrow") else p.span
        span = p.span | end
        return u.BrokenArrow(span, p.source.text[span.start : span.end])
    if _inside_graph(p) and p.here.text == "}" and p.last and p.last.text == "{":
        return u.EmptySet(p.last.span | p.span)
    if _inside_graph(p) and p.here.text == ",":
        return u.CommaInGraph(p.span)
    if _inside_graph(p) and p.here.kind == "mark" and p.here.text not in "{}[];":
        return u.StrangeCharacter(p.span, p.here.text, _odd_name(p))
    return None


def _odd_name(p: Place) -> str:
    """The name that an odd character is probably part of: up to the next arrow or separator."""
    text = p.source.text
    start = p.last.span.start if p.last and p.last.kind in ("word", "number") else p.span.start
    if "\n" in text[start : p.span.start]:
        start = p.span.start
    return re.split(r"[\n;,{}\[\]]|<?->|<-", text[start:], maxsplit=1)[0].strip()


def _inside_graph(p: Place) -> bool:
    if p.start == "graph_text":
        return True
    return bool(p.statement and p.statement.text == "graph" and p.open_brackets)


def _graph_head(p: Place) -> Message | None:
    """``graph X -> Y``, where the parser took X for the graph's name."""
    named = p.expected == {"LBRACE", "STRING"} and p.last and p.last.kind in ("word", "quoted")
    return u.GraphWithoutBraces(p.before[-2].span) if named else None


def _statement_start(p: Place) -> Message | None:
    if p.start != "script" or p.here is None or p.open_brackets:
        return None
    if p.here.kind == "arrow" and "ARROW" not in p.expected:
        return u.EdgeOutsideGraph(p.span)
    if "GRAPH" not in p.expected:
        return None
    if p.here.kind not in ("word", "number", "quoted"):
        return None if p.before else u.UnknownStatement(p.span, p.here.text)
    after = p.after.text if p.after else ""
    if p.here.text.lower() in ("dag", "pdag", "mag", "pag", "digraph", "strict"):
        return u.GraphNotScript(p.span)
    if p.after and p.after.kind == "arrow":
        return u.EdgeOutsideGraph(p.span | p.after.span)
    if p.here.text in ("P", "p") and after == "(":
        return u.QueryWithoutKeyword(p.span, p.here.text)
    if p.here.text == "do":
        return u.DoWithoutQuery(p.span)
    if p.statement and p.statement.text == "estimate" and (after == "(" or p.here.kind == "number"):
        return u.OperatorMissing(p.span, p.found)
    return u.UnknownStatement(p.span, p.here.text)


def _statement_shape(p: Place) -> Message | None:
    """What is missing after a keyword, a name or an equals sign."""
    keyword = p.statement.text if p.statement else ""
    example = EXAMPLES.get(keyword, "")
    if p.last and p.last == p.statement:
        return _after_keyword(p, keyword, example)
    if p.here is None or not p.last:
        return None
    if keyword == "sample" and "TO" in p.expected and p.here.kind in ("word", "string", "quoted"):
        if p.here.kind != "string":
            return u.CommaMissing(p.span, p.found, "")
        return u.SymbolMissing(p.span, "to", p.found, example)
    if keyword == "sample" and p.before[-2].text == "," and p.last.text == "to":
        return u.TrailingComma(p.before[-2].span)
    if p.last.text == "to" and p.here.kind in ("word", "mark", "number"):
        return u.UnquotedPath(p.span, example)
    for terminal, symbol in (("COLON", ":"), ("EQUAL", "=")):
        if terminal in p.expected and not _in_distribution(p):
            return _symbol(p, symbol, example)
    if p.last.text == "=" and ("NUMBER" in p.expected) and keyword != "estimate":
        return u.ValueMissing(p.last.span, ", or $name" if _in_distribution(p) else "")
    return _right_side(p, keyword)


def _right_side(p: Place, keyword: str) -> Message | None:
    """What stands after ``data d =``, ``query q =`` and ``estimate e =``."""
    assert p.here is not None and p.last is not None
    if keyword == "data" and p.last.text == "=" and p.here.kind == "string":
        suffix = p.here.text.strip('"').rpartition(".")[2]
        reader = suffix if suffix in ("csv", "parquet", "arrow") else "folder"
        return u.BareSource(p.span, p.here.text, reader)
    if p.open_brackets or p.expected != {"LPAR"}:
        return None
    if keyword == "query" or p.start == "distribution":
        return u.NotAQuery(p.last.span)
    return u.BareVariable(p.last.span, p.last.text) if keyword == "estimate" else None


def _symbol(p: Place, symbol: str, example: str) -> Message | None:
    assert p.here is not None
    if opens_line(p.here, p.source) and p.statement and p.last:
        return u.Unfinished(p.last.span, p.statement.text, p.last.text, example)
    wrong = p.here.text in (":", "=", "==", "~", "<-", "is", "from")
    if p.open_brackets and "EQUAL" in p.expected and p.last:
        example = f"{p.last.text} = value"
        if "RPAR" in p.expected or "RSQB" in p.expected:
            return None
    elif p.statement and p.last and p.here.kind in ("word", "mark"):
        follows = p.after.text if wrong and p.after else p.here.text
        if follows.isidentifier() and p.statement.text in ("var", "model", "check"):
            example = f"{p.statement.text} {p.last.text} {symbol} {follows}"
    if wrong:
        return u.WrongSymbol(p.span, p.here.text, symbol, example)
    return u.SymbolMissing(p.span, symbol, p.found, example)


def _after_keyword(p: Place, keyword: str, example: str) -> Message | None:
    assert p.last is not None
    if keyword == "graph":
        return u.GraphWithoutBraces(p.last.span)
    if keyword == "train":
        return u.SymbolMissing(p.span, "{", p.found, example)
    if p.here and p.here.kind == "string" and "NAME" in p.expected and keyword != "data":
        return u.QuotedVariable(p.span, name_text(p.here.text[1:-1]))
    return u.NameMissing(p.last.span, keyword, example)


def _named_like_a_call(p: Place) -> Message | None:
    """``query P(Y)``: the name was left out and the question taken for it."""
    keyword = p.statement.text if p.statement else ""
    if p.here and p.here.text == "(" and len(p.before) > 1 and p.before[-2] == p.statement:
        asked = p.last is not None and p.last.text in ("P", "p") and keyword in ("check", "sample")
        example = f"{EXAMPLES['query']}  {EXAMPLES[keyword]}" if asked else EXAMPLES[keyword]
        return u.NameMissing(p.before[-2].span, keyword, example)
    return None


def _separators(p: Place) -> Message | None:
    if p.here is None or not p.last:
        return None
    if p.last.text == "," and p.here.text in u.CLOSERS.values():
        return u.TrailingComma(p.last.span)
    if p.here.kind == "string" and "NAME" in p.expected and "STRING" not in p.expected:
        text = p.here.text[1:-1]
        return u.QuotedVariable(p.span, name_text(text))
    if "COMMA" not in p.expected:
        return None
    if p.here.text == ";" and p.open_brackets:
        return u.CommaNeeded(p.span)
    if p.open_brackets and p.here.kind in ("word", "number", "string", "quoted"):
        return u.CommaMissing(p.span, p.found, _phrase(p))
    return None


def _phrase(p: Place) -> str:
    """Two words of a question side by side, which may be one name."""
    assert p.here is not None and p.last is not None
    words = (
        _in_distribution(p) and p.last.kind == p.here.kind == "word" and p.last.text not in JOINING
    )
    return p.source.text[p.last.span.start : p.here.span.end] if words else ""


def _anything(p: Place) -> Message:
    if p.here and p.here.kind == "mark" and p.here.text not in ORDINARY:
        return u.StrangeCharacter(p.span, p.here.text, _around(p.source.text, p.here.span.start))
    if "$END" in p.expected and p.start != "script" and p.here and p.last:
        return u.Extra(p.span, p.found, WHOLE[p.start][0].removeprefix("a "))
    expected = _expected(p)
    if p.here is None:
        keyword = p.statement.text if p.statement else ""
        whole = f"this `{keyword}`" if keyword else WHOLE[p.start][0]
        return u.UnexpectedEnd(p.span, whole, EXAMPLES.get(keyword) or WHOLE[p.start][1])
    return u.Unexpected(p.span, p.found, expected)


def _expected(p: Place) -> tuple[str, ...]:
    """What could stand at the place; all that may start a statement counts as one."""
    names = set(p.expected)
    statement = "GRAPH" in names
    if statement:
        names -= {*(word.upper() for word in u.STATEMENTS), "SEMICOLON", "$END"}
    found = sorted({_terminal(name) for name in names})
    return (*found, "a statement such as query") if statement else tuple(found)


def _around(text: str, offset: int) -> str:
    """The run of characters around an offset that reads like one word."""
    pieces = (match for match in re.finditer(r"[^\s,;:(){}\[\]|=\"`<>-]+", text))
    return next((m[0] for m in pieces if m.start() <= offset < m.end()), text[offset])


def _terminal(name: str) -> str:
    return NAMES.get(name) or f"`{name.lower()}`"


RULES: tuple[Callable[[Place], Message | None], ...] = (
    *FOREIGN,
    *FORMULAS,
    *HABITS,
    _graph_head,
    _character,
    _counterfactual,
    _query,
    _unfinished,
    _brackets,
    _arrows,
    _statement_start,
    _named_like_a_call,
    _statement_shape,
    _separators,
)
