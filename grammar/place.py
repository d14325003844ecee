"""The words around the place where the parser stopped."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from causalc.grammar.source import Source, Span
from causalc.grammar.unexpected import CLOSERS, STATEMENTS

WORDS = re.compile(
    r'(?P<skip>\s+|(?:#|//)[^\n\r]*)|(?P<string>"(?:[^"\\\n\r]|\\.)*")|(?P<quoted>`(?:[^`\n\r]|``)*`)'
    r"|(?P<word>[^\W\d]\w*(?:\.\w+)*)|(?P<number>[\d.][\w.]*)"
    r"|(?P<arrow><-->|<==>|--->|<->|<-@|@->|@-@|@--|--@|<--|-->|--|<=>|=>|->|<-|[→←↔])|(?P<mark>[=!<>]=|.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Word:
    """One word or mark of a text, however wrong the text may be."""

    kind: str
    text: str
    span: Span


@dataclass(frozen=True)
class Place:
    """Where the parser stopped: the words before it and the word there, ``None`` at the end."""

    before: tuple[Word, ...]
    here: Word | None
    after: Word | None
    expected: frozenset[str]
    source: Source
    start: str

    @property
    def last(self) -> Word | None:
        """The word before the place."""
        return self.before[-1] if self.before else None

    @cached_property
    def open_brackets(self) -> tuple[Word, ...]:
        """The brackets that are open at the place, outermost first."""
        stack: list[Word] = []
        for word in self.before:
            if word.text in CLOSERS and word.kind == "mark":
                stack.append(word)
            elif stack and word.kind == "mark" and word.text == CLOSERS[stack[-1].text]:
                stack.pop()
        return tuple(stack)

    @cached_property
    def statement(self) -> Word | None:
        """The keyword of the statement that the place is in."""
        depth, found = 0, None
        for word in self.before:
            depth += (word.text in CLOSERS) - (word.text in CLOSERS.values())
            if depth == 0 and word.kind == "word" and word.text in STATEMENTS:
                found = word
        return found

    def seen(self, *texts: str) -> bool:
        """Whether the words before the place end in these."""
        return tuple(w.text for w in self.before[-len(texts) :]) == texts

    @property
    def span(self) -> Span:
        """The place itself."""
        end = len(self.source.text.rstrip())
        return self.here.span if self.here else Span(end, end + 1)

    @property
    def found(self) -> str:
        """The word there, as a message calls it."""
        if self.here is None:
            return "the end of the text"
        text = self.here.text if len(self.here.text) <= 40 else self.here.text[:39] + "…"
        return text if self.here.kind == "quoted" else f"`{text}`"


def place_at(source: Source, offset: int, expected: frozenset[str], start: str) -> Place:
    """The place at an offset, where the terminals ``expected`` could stand."""
    before: list[Word] = []
    rest: list[Word] = []
    for match in WORDS.finditer(source.text):
        if match.lastgroup != "skip":
            word = Word(str(match.lastgroup), match[0], Span(*match.span()))
            (before if word.span.start < offset else rest).append(word)
            if len(rest) == 2:  # what follows may be the rest of a megabyte
                break
    here, after = (*rest, None, None)[:2]
    return Place(tuple(before), here, after, expected, source, start)


def opens_line(word: Word, source: Source) -> bool:
    """Whether a word is a statement's keyword at the start of a line."""
    if word.text not in STATEMENTS or word.kind != "word":
        return False
    line_start = source.text.rfind("\n", 0, word.span.start) + 1
    return not source.text[line_start : word.span.start].strip()
