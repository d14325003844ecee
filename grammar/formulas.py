"""Habits of those who write formulas elsewhere, in LaTeX, R or Python, and what they mean by them here."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from causalc.grammar import foreign_messages as f
from causalc.grammar import messages as m
from causalc.grammar.diagnostic import Message
from causalc.grammar.place import Place, Word, opens_line
from causalc.grammar.printer import name_text
from causalc.grammar.unexpected import QuotedVariable, WrongSymbol

ARITHMETIC = ("+", "-", "*", "/", "^")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
LATEX = {
    "mid": "|",
    "vert": "|",
    "given": "|",
    "to": "->",
    "rightarrow": "->",
    "longrightarrow": "->",
    "leftarrow": "<-",
    "leftrightarrow": "<->",
    "longleftrightarrow": "<->",
    "cdot": "*",
    "times": "*",
    "frac": "a / b",
    "leq": "<=",
    "le": "<=",
    "geq": ">=",
    "ge": ">=",
    "neq": "!=",
    "ne": "!=",
    "perp": "check effect : independences",
    "indep": "check effect : independences",
    "hat": "do(X)",
    "mathrm": "do(X)",
    "operatorname": "do(X)",
    "text": "do(X)",
    "do": "do(X)",
    "sum": "P(Y | do(X)), whose formula is what `causalc show` finds",
}


def _touch(*words: Word) -> bool:
    return all(a.span.end == b.span.start for a, b in pairwise(words))


def _asked(p: Place) -> bool:
    """Whether the place is inside the parentheses of a question."""
    if not any(word.text == "(" for word in p.open_brackets):
        return False
    return p.start == "distribution" or (
        p.statement is not None and p.statement.text in ("query", "estimate")
    )


def _barred(p: Place) -> bool:
    first = p.before.index(p.open_brackets[0])
    return any(word.text == "|" for word in p.before[first:])


def _latex(p: Place) -> Message | None:
    if p.here is None:
        return None
    asks = p.statement is not None and p.statement.text in ("query", "estimate")
    if p.here.text == "$" and asks and p.seen("=") and p.after and p.after.text in ("P", "p", "E"):
        return f.Latex(p.span, "$", f"{p.after.text}(Y | do(X = 1))")
    if p.here.text != "\\":
        return None
    rest = p.source.text[p.span.end :].partition("\n")[0]
    if not rest.strip():
        return f.LineContinued(p.span)
    if p.after is None or p.after.kind != "word" or not _touch(p.here, p.after):
        return None
    plain = LATEX.get(p.after.text, "P(Y | do(X), Z)" if _asked(p) else "the names as they are")
    return f.Latex(p.span | p.after.span, f"\\{p.after.text}", plain)


def _power(p: Place) -> Message | None:
    if p.here is None or p.statement is None or p.statement.text != "estimate" or not p.last:
        return None
    if p.here.text == "^" and not _asked(p):
        return f.Power(p.span)
    if p.here.text == p.last.text == "*" and _touch(p.last, p.here):
        return f.Power(p.last.span | p.span)
    return None


def _value(p: Place) -> Message | None:
    """``do(X = 1 + 1)``, ``do(X = +1)``, ``5%``."""
    if p.here is None or p.last is None:
        return None
    if p.here.text == "%" and p.last.kind == "number" and p.last.text.replace(".", "", 1).isdigit():
        share = f"{float(p.last.text) / 100:g}"
        span = p.last.span | p.span
        return f.PercentSign(span, p.source.text[span.start : span.end], share)
    if not p.open_brackets or "=" not in [w.text for w in p.before[-3:]]:
        return None
    if p.here.text == "+" and p.last.text == "=" and p.after and p.after.kind == "number":
        return f.PlusSign(p.span | p.after.span, p.after.text)
    valued = p.last.kind in ("number", "word") and p.before[-2].text in ("=", "-")
    if valued and p.here.text in ARITHMETIC and {"COMMA", "RPAR"} & p.expected:
        return f.ValueArithmetic(p.span)
    return None


def _bar(p: Place) -> Message | None:
    """``P(Y; do(X))``, ``P(Y / do(X))``, ``P(Y <- X)``, ``P(do(X) -> Y)``."""
    if p.here is None or p.last is None or not _asked(p) or _barred(p):
        return None
    example = "P(Y | do(X), Z)"
    follows = p.after is not None and p.after.text == "do"
    if "VBAR" in p.expected and (
        p.here.text in ("/", ":", "->", "<-", "→", "\\") or (p.here.text == ";" and follows)
    ):
        return WrongSymbol(p.span, p.here.text, "|", example)
    if p.last.text == "<-":  # read as far as "less than minus"
        return WrongSymbol(p.last.span, "<-", "|", example)
    return None


def _term(p: Place) -> Message | None:
    """What stands where a term of a question belongs, or after one."""
    if p.here is None or p.last is None or not _asked(p):
        return None
    if p.here.text in ("=", ":=") and p.last.text == ")" and p.after and len(p.before) > 3:
        return f.DoValueOutside(p.span, p.before[-2].text, p.after.text)
    numbers = p.here.kind == "number" and p.last.text != "~"
    if numbers and "NAME" in p.expected and "NUMBER" not in p.expected:
        return _number(p, p.here)
    if p.here.text == "*" and p.last.text == "(" and "NAME" in p.expected:
        return m.NoOutcome(p.span)
    if p.here.text == "in" and p.last.kind == "word" and "do" in [w.text for w in p.before[-3:]]:
        return f.SetInDo(p.span, p.last.text)
    if p.here.text == "{" and p.seen("=") and p.before[-2].kind == "word" and _in_do(p):
        return f.SetInDo(p.span, p.before[-2].text)
    if p.here.text == "or" and "COMMA" in p.expected:
        return f.OrEvent(p.span, p.here.text)
    if p.here.text == "[" and p.last.kind == "word" and p.after and p.after.kind == "string":
        return QuotedVariable(p.after.span, name_text(p.after.text[1:-1]))
    if p.here.text == ">" and p.last.text == "<" and _touch(p.last, p.here):
        return WrongSymbol(p.last.span | p.span, "<>", "!=", "Pr(Y != 1 | ...)")
    return None


def _in_do(p: Place) -> bool:
    at = p.before.index(p.open_brackets[-1])
    return at > 0 and p.before[at - 1].text == "do"


def _number(p: Place, number: Word) -> Message:
    then = p.after.text if p.after else ""
    if then in COMPARISONS:
        name = re.search(r"[^\W\d]\w*", p.source.text[p.span.end :])
        return m.UnequalCondition(p.span, name[0] if name else "Z", then)
    if then == "=":
        return f.ValueFirst(p.span, "do(X = 1)" if _in_do(p) else "X = 1")
    return f.NumberAsName(p.span, number.text)


def _colon(p: Place) -> Message | None:
    """``f(lr: 1e-3)``, ``do(X: 1)`` and ``do(X := 1)``."""
    if p.here is None or p.last is None or p.here.text != ":" or p.last.kind != "word":
        return None
    if "EQUAL" not in p.expected or "RPAR" not in p.expected:
        return None
    value = re.match(r'\s*("[^"\n]*"|[\w.+-]+)', p.source.text[p.span.end :])
    return WrongSymbol(p.span, ":", "=", f"{p.last.text} = {value[1] if value else 'value'}")


def _between(p: Place) -> Message | None:
    """What joins two numbers of an estimate, or follows it."""
    if p.here is None or p.statement is None or p.statement.text != "estimate" or not p.last:
        return None
    if "OVER" not in p.expected or p.open_brackets:
        if p.expected == {"LPAR"} and re.search(
            rf"\bquery\s+{re.escape(p.last.text)}\b", p.source.text
        ):
            return f.QueryAsNumber(p.last.span, p.last.text)
        if p.here.text == "over" and "EQUAL" in p.expected:
            example = f"estimate {p.last.text} = E(Y | do(X)) over X"
            return WrongSymbol(p.span, "over", "=", example)
        return None
    signs = {"minus": "-", "plus": "+", "times": "*", ":": "/", "divided": "/", "vs": "-"}
    if p.here.text in signs:
        sign = signs[p.here.text]
        example = f"E(Y | do(X = 1)) {sign} E(Y | do(X = 0))"
        return WrongSymbol(p.span, p.here.text, sign, example)
    if p.here.text in ("with", "using", "ci", "conf"):
        return f.NoClause(p.span, p.here.text)
    return None


def _ending(p: Place) -> Message | None:
    """A mark after a statement that is complete."""
    ends = p.start == "script" and not p.open_brackets and "GRAPH" in p.expected and p.before
    if (
        ends
        and p.here
        and p.here.text in (",", ".", "?", "!")
        and p.last
        and p.last.kind != "arrow"
    ):
        then = p.after is None or opens_line(p.after, p.source)
        return f.TrailingMark(p.span, p.here.text) if then else None
    return None


def _formula(p: Place) -> Message | None:
    """``model Y ~ X + Z`` and ``model Y = lm(Y ~ X)``."""
    models = p.statement is not None and p.statement.text == "model"
    if models and p.here and p.here.text == "~" and p.last:
        return f.Formula(p.last.span | p.span, f"{p.last.text} ~ ...", "model Y = diffusion")
    return None


def _calls(p: Place) -> Message | None:
    """``categorical(c("a", "b"))``."""
    if p.here is None or p.here.text != "(" or p.last is None or p.last.kind != "word":
        return None
    declared = p.statement is not None and p.statement.text in ("var", "model", "data")
    if declared and p.open_brackets and "COMMA" in p.expected:
        return f.CallInside(p.last.span, p.last.text)
    return None


RULES: tuple[Callable[[Place], Message | None], ...] = (
    _latex,
    _power,
    _value,
    _bar,
    _term,
    _colon,
    _between,
    _ending,
    _formula,
    _calls,
)
