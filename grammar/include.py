"""``include "file.causal"``: the statements of one file inside another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from causalc.errors import CausalcError
from causalc.grammar import messages as m
from causalc.grammar import unexpected as u
from causalc.grammar.diagnostic import Fault, LanguageError
from causalc.grammar.parser import parse_source, parse_tail, placed
from causalc.grammar.source import MAX_BYTES, Source, Span
from causalc.grammar.tree import IncludeStatement, Script, Statement

MAX_FILES = 32

Read = Callable[[str], Source]


def expand(script: Script, read: Read) -> Script:
    """A script with the statements of the files that it includes in their places.

    The new script's source is the text of all files, one after another, the script's own first: a place in
    it knows its file. ``read`` gives the text that a path names; where it raises ``CausalcError``, the message
    points at the ``include``. Raises ``LanguageError``; a file is included once at most, so there are no cycles.
    """
    if script.source is None or not any(isinstance(s, IncludeStatement) for s in script.statements):
        return script
    reader = _Reader(script.source, read)
    try:
        statements = reader.spliced(script.statements)
    except Fault as fault:
        raise LanguageError([(fault.message, reader.source)]) from None
    source = reader.source
    return Script(tuple(placed(s, source) for s in statements), script.comments, source)


class _Reader:
    """The text read so far, and where in it each file was included."""

    def __init__(self, source: Source, read: Read) -> None:
        self.source = replace(source, parts=((0, source),))
        self.read = read
        self.seen: dict[str, Span] = {}

    def spliced(self, statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
        """Statements with each ``include`` replaced by what it names."""
        found: list[Statement] = []
        for statement in statements:
            if isinstance(statement, IncludeStatement):
                found += self.spliced(self._included(statement))
            else:
                found.append(statement)
        return tuple(found)

    def _included(self, statement: IncludeStatement) -> tuple[Statement, ...]:
        span = statement.span
        try:
            part = self.read(statement.path)
        except CausalcError as error:
            raise Fault(m.CannotInclude(span, statement.path, str(error))) from None
        if part.name in (first := {self.source.name: Span(0, 0), **self.seen}):
            raise Fault(m.IncludedTwice(span, statement.path, first[part.name]))
        if len(self.seen) == MAX_FILES:
            raise Fault(m.TooManyIncludes(span, MAX_FILES))
        self.seen[part.name] = span
        parse_source(part)  # alone, so that what is wrong in it is told of its own lines
        start = len(self.source.text) + 1
        if start + len(part.text) > MAX_BYTES:
            raise Fault(u.TooLong(span, MAX_BYTES, "bytes"))
        text = f"{self.source.text}\n{part.text}"
        self.source = Source(text, self.source.name, (*self.source.parts, (start, part)))
        return parse_tail(self.source, start)
