"""Text to tree."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark
from lark.exceptions import UnexpectedInput

from causalc.grammar import messages as m
from causalc.grammar.build import Builder
from causalc.grammar.diagnostic import Fault, LanguageError
from causalc.grammar.shape import query
from causalc.grammar.source import Source, Span
from causalc.grammar.tree import Call, Comment, GraphSpec, GraphStatement, Query, Script, Statement

STARTS = ("script", "graph_text", "distribution", "call")
TRIVIA = re.compile(
    r"""(?P<other>"(?:[^"\\\n\r]|\\.)*"|`[^`\n\r]*`)|(?P<comment>(?:#|//)[^\n\r]*)"""
)


def grammar_text() -> str:
    """The text of the grammar."""
    return files("causalc.grammar").joinpath("causal.lark").read_text(encoding="utf-8")


@cache
def _parser() -> Lark:
    return Lark(
        grammar_text(),
        parser="lalr",
        lexer="contextual",
        start=list(STARTS),
        keep_all_tokens=True,
        transformer=Builder(),  # type: ignore[arg-type]
    )


def _parse(source: Source, start: str, finish: Callable[[Any], Any] = lambda made: made) -> Any:
    try:
        return finish(_parser().parse(source.text, start=start))
    except Fault as fault:
        message = fault.message
    except UnexpectedInput as error:
        at = error.pos_in_stream if error.pos_in_stream is not None else len(source.text)
        message = m.Unexpected(Span(at, at + 1), "this", ())
    raise LanguageError([(message, source)]) from None


def parse(text: str, name: str = "<script>") -> Script:
    """Read a script; ``name`` is what messages call it. Raises ``LanguageError``."""
    source = Source(text, name)
    statements: tuple[Statement, ...] = _parse(source, "script")
    placed = tuple(
        replace(s, spec=replace(s.spec, source=source))
        if isinstance(s, GraphStatement) and s.spec
        else s
        for s in statements
    )
    return Script(placed, comments(source), source)


def parse_query(text: str) -> Query:
    """Read ``P(Y | do(X = 3), Z)``. Raises ``LanguageError``."""
    made: Query = _parse(Source(text, "<query>"), "distribution", query)
    return made


def parse_graph(text: str, name: str = "<graph>") -> GraphSpec:
    """Read the edge language (``X -> Y; X <-> Y; Z``) or a whole DAGitty text. Raises ``LanguageError``."""
    source = Source(text, name)
    made: GraphSpec = _parse(source, "graph_text")
    return replace(made, source=source)


def parse_kind(text: str) -> Call:
    """Read a kind of variable such as ``image(8, 8, channels=3)``. Raises ``LanguageError``."""
    made: Call = _parse(Source(text, "<kind>"), "call")
    return made


def comments(source: Source) -> tuple[Comment, ...]:
    """The comments of a text that parses."""
    return tuple(
        Comment(found["comment"].rstrip(), Span(*found.span("comment")))
        for found in TRIVIA.finditer(source.text)
        if found["comment"] is not None
    )
