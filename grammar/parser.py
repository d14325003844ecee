"""Text to tree."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from os import PathLike
from typing import Any

from causalc.grammar import messages as m
from causalc.grammar import unexpected as u
from causalc.grammar.build import Builder
from causalc.grammar.diagnostic import Fault, LanguageError
from causalc.grammar.lalr import MAX_WORDS, Endless, Stuck, run
from causalc.grammar.moved import moved
from causalc.grammar.shape import query
from causalc.grammar.source import MAX_BYTES, NOWHERE, Source, Span
from causalc.grammar.tree import (
    Call,
    Chain,
    Comment,
    GraphItem,
    GraphSpec,
    GraphStatement,
    Latent,
    NodeSet,
    Query,
    Script,
    Statement,
)

BUILDER = Builder()
LONGEST_KEYWORD = max(map(len, u.STATEMENTS))
TRIVIA = re.compile(
    r"""(?P<other>"(?:[^"\\\n\r]|\\.)*"|`[^`\n\r]*`)|(?P<comment>(?:#|//)[^\n\r]*)"""
)


def _parse(
    source: Source, start: str, finish: Callable[[Any], Any] = lambda made: made, offset: int = 0
) -> Any:
    try:
        _refuse_unreadable(source)
        return finish(run(source.text, start, BUILDER, offset))
    except Fault as fault:
        message = fault.message
    except Endless:
        message = u.TooLong(NOWHERE, MAX_WORDS, "words")
    except Stuck as stuck:
        from causalc.grammar.explain import explain  # only a wrong text needs it

        message = explain(source, stuck.offset, stuck.expected, start)
    raise LanguageError([(message, source)]) from None


def _refuse_unreadable(source: Source) -> None:
    if len(source.text) > MAX_BYTES or len(source.text.encode(errors="replace")) > MAX_BYTES:
        raise Fault(u.TooLong(NOWHERE, MAX_BYTES, "bytes"))
    if "\0" in source.text:
        at = source.text.index("\0")
        raise Fault(u.Binary(Span(at, at + 1)))


def parse(text: str, name: str = "<script>") -> Script:
    """Read the ``text`` of a script; ``name`` is what messages call it. Raises ``LanguageError``.

    An ``include`` stays as it stands: see ``causalc.grammar.include``.
    """
    return parse_source(Source(text, name))


def parse_file(path: str | PathLike[str]) -> Script:
    """Read a script from a file. Raises ``CausalcError``, ``LanguageError`` among them."""
    return parse_source(Source.read(path))


def parse_source(source: Source, before: Script | None = None) -> Script:
    """Read a script. Raises ``LanguageError``.

    The statements of ``before`` that stand unchanged where the text begins and ends are not read again.
    """
    kept, offset = _kept(before, source.text) if before else ((), 0)

    def finish(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
        if not (kept or statements):
            raise Fault(u.Empty(NOWHERE, "graph { X -> Y }  query effect = P(Y | do(X))"))
        return tuple(placed(statement, source) for statement in (*kept, *statements))

    with suppress(Stuck, Fault, Endless):  # a wrong text is read as a whole, for its message
        if before and (rest := _between(before, source, offset)):
            return Script(finish(rest), comments(source), source)
    return Script(_parse(source, "script", finish, offset), comments(source), source)


def _kept(script: Script, text: str) -> tuple[tuple[Statement, ...], int]:
    """The statements of a script that stand in another text too, at its beginning, and where the rest starts.

    A statement is over where the keyword of the next stands, so that must be there as well.
    """
    same = _shared(script.source.text if script.source else "", text)
    starts = [s.span.start for s in script.statements]
    count = max(bisect_right(starts, same - LONGEST_KEYWORD - 1) - 1, 0)
    return script.statements[:count], starts[count] if count else 0


def _between(script: Script, source: Source, offset: int) -> tuple[Statement, ...]:
    """The statements from an offset on, of which those that the text shares at its end are only moved.

    None where it shares none. The first that is moved starts a line, so that no string, name or comment can
    reach into it. What the parser raises of the others passes through.
    """
    _refuse_unreadable(source)
    text, old = source.text, script.source.text if script.source else ""
    same = _shared(old[::-1], text[::-1], min(len(old), len(text)) - offset)
    by = len(text) - len(old)
    for i, statement in enumerate(script.statements):
        start = statement.span.start
        line = text.rfind("\n", 0, start + by) + 1
        if start >= len(old) - same and start + by > offset and not text[line : start + by].strip():
            middle: tuple[Statement, ...] = run(text, "script", BUILDER, offset, start + by)
            return (*middle, *moved(script.statements[i:], by))
    return ()


def _shared(one: str, other: str, most: int | None = None) -> int:
    """How many characters two texts have in common at the beginning."""
    low, high = 0, min(len(one), len(other)) if most is None else max(most, 0)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def parse_tail(source: Source, offset: int) -> tuple[Statement, ...]:
    """The statements of a text from an offset on, where that part of it is known to be right."""
    found: tuple[Statement, ...] = run(source.text, "script", BUILDER, offset)
    return found


def placed(statement: Statement, source: Source) -> Statement:
    """A statement whose graph, if it has one, is tied to a text. Raises ``Fault``."""
    if not isinstance(statement, GraphStatement) or statement.spec is None:
        return statement
    return replace(statement, spec=_with_source(statement.spec, source))


def _with_source(spec: GraphSpec, source: Source) -> GraphSpec:
    """Tie a graph to its text; refuses ``latent U V``, where V would silently be an observed variable."""
    for latent, stray in pairwise(spec.statements):
        match latent, stray:
            case Latent(), Chain((NodeSet((name,), False),), (), ()):
                between = source.text[latent.span.end : stray.span.start]
                if between.strip(" \t") == "" and between:
                    raise Fault(m.LatentWithoutComma(name.span, name.text))
    _refuse_strays(spec, source)
    return replace(spec, source=source)


def _refuse_strays(spec: GraphSpec, source: Source) -> None:
    """Refuse ``X causes Y`` and ``hidden U``, which would silently be isolated variables; and DOT's ``dir``."""
    joined = {name.text for edge in spec.edges for name in (edge.tail, edge.head)}
    for item in spec.statements:
        if isinstance(item, Chain) and item.arrows:
            for attribute in item.attributes:
                if attribute.key == "dir":
                    raise Fault(m.EdgeWithDirection(attribute.span))
    for left, right in pairwise(spec.statements):
        between = source.text[left.span.end : right.span.start]
        if not between or between.strip(" \t"):
            continue
        for item in (right, left):
            match item:
                case Chain((NodeSet((name,), False),), (), ()) if name.text not in joined:
                    raise Fault(m.StrayName(name.span, name.text, _phrase(left, right, source)))


def _phrase(left: GraphItem, right: GraphItem, source: Source) -> str:
    """``blood pressure`` in ``blood pressure -> Y``: what may be one name of several words."""
    if not (isinstance(left, Chain) and isinstance(right, Chain) and (left.arrows or right.arrows)):
        return ""
    return source.text[left.sets[-1].names[-1].span.start : right.sets[0].names[0].span.end]


def parse_query(text: str) -> Query:
    """Read the ``text`` of a query, ``P(Y | do(X = 3), Z)``. Raises ``LanguageError``."""
    made: Query = _parse(Source(text, "<query>"), "distribution", query)
    return made


def parse_graph(text: str, name: str = "<graph>") -> GraphSpec:
    """Read the edge language (``X -> Y; X <-> Y; Z``) or a whole DAGitty text.

    Raises ``LanguageError``.
    """
    source = Source(text, name)

    def finish(spec: GraphSpec) -> GraphSpec:
        if not spec.statements:
            raise Fault(u.Empty(NOWHERE, "X -> Y; X <-> Y"))
        return _with_source(spec, source)

    made: GraphSpec = _parse(source, "graph_text", finish)
    return made


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
