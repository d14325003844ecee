"""Source texts and places in them."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike

from causalc.errors import CausalcError

LINE_END = re.compile(r"\r\n|\n|\r")
MAX_BYTES = 1_000_000
MAX_EDGES = 100_000  # of a graph as written
TAB_WIDTH = 4
WINDOW = 100
INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of character offsets into a source text."""

    start: int
    end: int

    def __or__(self, other: Span) -> Span:
        """The smallest span that covers both."""
        return Span(min(self.start, other.start), max(self.end, other.end))


NOWHERE = Span(0, 0)


@dataclass(frozen=True)
class Source:
    """A text and the name by which messages call it; a byte order mark at its start is dropped.

    Where the text is that of several files, ``parts`` says at which offset each begins.
    """

    text: str
    name: str = "<script>"
    parts: tuple[tuple[int, Source], ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.text.startswith("\ufeff"):
            object.__setattr__(self, "text", self.text[1:])

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Source:
        """Read a UTF-8 file; raises ``CausalcError`` where it is missing, too large or not text."""
        name = str(path)
        try:
            with open(path, "rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise CausalcError(
                f"{name}: error: this file cannot be read ({error.strerror})\n"
                "  help: check the path and its permissions"
            ) from None
        if len(content) > MAX_BYTES:
            raise CausalcError(
                f"{name}: error: this file is longer than {MAX_BYTES} bytes\n"
                "  help: data never belong in a script: name their file in a `data` statement"
            )
        try:
            return cls(content.decode("utf-8"), name)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise CausalcError(
                f"{name}:{line}: error: byte {error.start} of this file is not UTF-8 text\n"
                "  help: save the file as UTF-8; if it is a data file, a script names it in `data`"
            ) from None

    def named(self, name: str) -> Source:
        """The same text by another name."""
        return Source(self.text, name)

    def local(self, span: Span) -> tuple[Source, Span]:
        """The file in which a span lies, and the span in it."""
        for start, part in reversed(self.parts):
            if start <= span.start:
                return part, Span(span.start - start, span.end - start)
        return self, span

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """The offset at which each line starts; CRLF, LF and CR all end a line."""
        return (0, *(match.end() for match in LINE_END.finditer(self.text)))

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted from 1, in characters."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its line end."""
        start = self.line_starts[number - 1]
        end = self.line_starts[number] if number < len(self.line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def place(self, span: Span) -> str:
        """``name:line:column`` of the start of a span."""
        file, at = self.local(span)
        line, column = file.line_column(at.start)
        return f"{file.name}:{line}:{column}"

    def snippet(self, span: Span) -> str:
        """The line in which a span starts, with carets under the span.

        Tabs are widened and invisible characters shown as ``�``, so that the carets stand where
        they should and a hostile script cannot drive the terminal.
        """
        file, span = self.local(span)
        number, column = file.line_column(span.start)
        line = file.line(number)
        start = min(column - 1, len(line))
        end = min(max(start + span.end - span.start, start + 1), max(len(line), start + 1))
        line, start, end = _window(line, start, end)
        before, marked = line[:start], line[start:end]
        gutter = f"  {number} | "
        blank = f"  {' ' * len(str(number))} | "
        carets = "^" * max(1, _width(_visible(marked)))
        return f"{gutter}{_visible(line)}\n{blank}{' ' * _width(_visible(before))}{carets}"


def _window(line: str, start: int, end: int) -> tuple[str, int, int]:
    """Cut a very long line to the part around [start, end)."""
    if len(line) <= WINDOW:
        return line, start, end
    left = max(0, start - WINDOW // 2)
    right = min(len(line), left + WINDOW)
    head, tail = ("…" if left else ""), ("…" if right < len(line) else "")
    shift = len(head) - left
    return head + line[left:right] + tail, start + shift, min(end, right) + shift


def _visible(text: str) -> str:
    text = text.replace("\t", " " * TAB_WIDTH)
    return "".join("�" if unicodedata.category(c) in INVISIBLE else c for c in text)


def _width(text: str) -> int:
    """Columns that a text takes on a terminal: East Asian wide characters take two."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
