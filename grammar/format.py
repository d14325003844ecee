"""The canonical layout of a script: the parser's inverse that keeps comments and paragraphs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from causalc.grammar.printer import (
    call_text,
    do_text,
    expression_text,
    graph_item_text,
    name_text,
    options_text,
    query_text,
    string_text,
    sweep_text,
)
from causalc.grammar.source import Source, Span
from causalc.grammar.tree import (
    CheckStatement,
    Comment,
    DataStatement,
    EstimateStatement,
    GraphStatement,
    IncludeStatement,
    LatentStatement,
    ModelStatement,
    Name,
    QueryStatement,
    SampleStatement,
    Script,
    Statement,
    TrainStatement,
    VarStatement,
)

WIDTH = 100
WIDEST_HEAD = 32
INDENT = "  "
BLANK_LINE = re.compile(r"\n[ \t\r]*\n")


@dataclass(frozen=True, slots=True)
class Piece:
    """A statement, or a comment on a line of its own, as it will be printed.

    ``head`` and ``tail`` are the parts before and after the ``:`` or ``=`` at which neighbours of one
    ``sort`` are aligned.
    """

    lines: tuple[str, ...]
    span: Span
    sort: str = ""
    head: str = ""
    tail: str = ""
    above: tuple[str, ...] = ()
    beside: str = ""


def format_script(script: Script) -> str:
    """A script in canonical form; ``parse`` gives the same tree back, with the same comments."""
    source = script.source
    comments = script.comments if source else ()
    pieces = [_piece(s, source, _inside(comments, s.span)) for s in script.statements]
    placed = _with_comments(pieces, comments, source)

    def gap(a: Piece, b: Piece) -> bool:
        return _blank_line(source, a, b) if source else a.sort != b.sort

    lines = _paragraphs(placed, gap)
    return "\n".join(lines) + "\n"


# ---- statements


def _piece(statement: Statement, source: Source | None, inside: Sequence[Comment]) -> Piece:
    match statement:
        case GraphStatement(spec, path, name=name):
            head = f"graph {name_text(name)}" if name else "graph"
            if spec is None:
                return _line(f"{head} {string_text(path or '')}", statement)
            items = [(graph_item_text(i), i.span) for i in spec.statements]
            return _block(head, items, "; ", statement, source, inside)
        case IncludeStatement(path):
            return _line(f"include {string_text(path)}", statement)
        case LatentStatement(names):
            return _line(f"latent {_names(names)}", statement)
        case VarStatement(names, kind):
            return _aligned(f"var {_names(names)}", ":", call_text(kind), statement)
        case DataStatement(name, call, under, options):
            tail = call_text(call) + (f" under {do_text(under)}" if under else "")
            if not options:
                return _aligned(f"data {name_text(name)}", "=", tail, statement)
            pairs = _options(statement)
            head = f"data {name_text(name)} = {tail}"
            return _block(head, pairs, ", ", statement, source, inside)
        case ModelStatement(variable, family):
            return _aligned(f"model {name_text(variable)}", "=", call_text(family), statement)
        case TrainStatement():
            return _block("train", _options(statement), ", ", statement, source, inside)
        case QueryStatement(name, query):
            return _aligned(f"query {name_text(name)}", "=", query_text(query), statement)
        case EstimateStatement(name, expression, over=over):
            swept = f" over {', '.join(map(sweep_text, over))}" if over else ""
            text = expression_text(expression) + swept
            return _aligned(f"estimate {name_text(name)}", "=", text, statement)
        case CheckStatement(query, checks):
            return _aligned(f"check {name_text(query)}", ":", _names(checks), statement)
        case SampleStatement(query, options, path):
            parts = ", ".join((name_text(query), *options_text(options)))
            return _line(f"sample {parts} to {string_text(path)}", statement)
        case _:
            assert_never(statement)


def _names(names: Sequence[Name]) -> str:
    return ", ".join(map(name_text, names))


def _options(statement: DataStatement | TrainStatement) -> list[tuple[str, Span]]:
    spans = statement.option_spans or (statement.span,) * len(statement.options)
    values = [value.span for _, value in statement.options]
    texts = options_text(statement.options)
    return [(t, a | b) for t, a, b in zip(texts, spans, values, strict=True)]


def _line(text: str, statement: Statement) -> Piece:
    return Piece((text,), statement.span, type(statement).__name__)


def _aligned(head: str, mark: str, tail: str, statement: Statement) -> Piece:
    sort = type(statement).__name__
    return Piece((f"{head} {mark} {tail}",), statement.span, sort, head, f"{mark} {tail}")


def _block(
    head: str,
    items: list[tuple[str, Span]],
    joint: str,
    statement: Statement,
    source: Source | None,
    inside: Sequence[Comment],
) -> Piece:
    """``head { items }``: on one line where it was and fits, else one item a line."""
    span, sort = statement.span, type(statement).__name__
    one_line = f"{head} {{ {joint.join(text for text, _ in items)} }}" if items else f"{head} {{ }}"
    spread = len(items) > 1 if source is None else "\n" in source.text[span.start : span.end]
    if not inside and len(one_line) <= WIDTH and (not spread or not items):
        return Piece((one_line,), span, sort)
    opened = min([at.start for _, at in items] + [c.span.start for c in inside], default=0)
    within = [c for c in inside if c.span.start >= opened]
    pieces = [Piece((text,), at) for text, at in items]

    def gap(a: Piece, b: Piece) -> bool:
        return source is not None and _blank_line(source, a, b)

    body = _paragraphs(_with_comments(pieces, within, source), gap)
    lines = (f"{head} {{", *(INDENT + line if line else "" for line in body), "}")
    return Piece(lines, span, sort + "Block")


# ---- comments


def _inside(comments: Sequence[Comment], span: Span) -> list[Comment]:
    return [c for c in comments if span.start < c.span.start and c.span.end < span.end]


def _with_comments(
    pieces: Sequence[Piece], comments: Sequence[Comment], source: Source | None
) -> list[Piece]:
    """Pieces with comments beside them, above them, or between them, as they were.

    A comment in the middle of a piece that prints on one line goes above it.
    """
    placed: list[Piece] = []
    queue = list(comments)
    for piece in pieces:
        while queue and queue[0].span.start < piece.span.start:
            _put(queue.pop(0), placed, source)
        above = []
        while queue and queue[0].span.start < piece.span.end:
            comment = queue.pop(0)
            if len(piece.lines) == 1:
                above.append(comment.text)
        placed.append(replace(piece, above=tuple(above)))
    for comment in queue:
        _put(comment, placed, source)
    return placed


def _put(comment: Comment, placed: list[Piece], source: Source | None) -> None:
    """Beside the last piece if on its line, else on a line of its own."""
    text = source.text if source else ""
    if placed and placed[-1].sort != "comment" and not placed[-1].beside:
        between = text[placed[-1].span.end : comment.span.start]
        if "\n" not in between and "\r" not in between:
            joined = Span(placed[-1].span.start, comment.span.end)
            placed[-1] = replace(placed[-1], beside=comment.text, span=joined)
            return
    placed.append(Piece((comment.text,), comment.span, "comment"))


# ---- layout


def _blank_line(source: Source, before: Piece, after: Piece) -> bool:
    between = source.text[before.span.end : after.span.start]
    return BLANK_LINE.search(between) is not None


def _paragraphs(pieces: Sequence[Piece], gap: Callable[[Piece, Piece], bool]) -> list[str]:
    """The lines of all pieces, with a blank line where ``gap`` says so."""
    lines: list[str] = []
    for run in _runs(pieces, gap):
        if lines and run.blank_before:
            lines.append("")
        width = max((len(p.head) for p in run.pieces if len(p.head) <= WIDEST_HEAD), default=0)
        for piece in run.pieces:
            body = list(piece.lines)
            if piece.head and len(piece.head) <= WIDEST_HEAD:
                body = [f"{piece.head:<{width}} {piece.tail}"]
            if piece.beside:
                body[-1] += f"  {piece.beside}"
            lines += [*piece.above, *body]
    return lines


@dataclass(slots=True)
class _Run:
    """Neighbouring pieces of one sort."""

    pieces: list[Piece]
    blank_before: bool


def _runs(pieces: Sequence[Piece], gap: Callable[[Piece, Piece], bool]) -> list[_Run]:
    runs: list[_Run] = []
    last: Piece | None = None
    for piece in pieces:
        blank = last is not None and gap(last, piece)
        if last is not None and not blank and last.sort == piece.sort:
            runs[-1].pieces.append(piece)
        else:
            runs.append(_Run([piece], blank))
        last = piece
    return runs
