"""Messages about a text: what is wrong, where, and what to do; and how they are printed."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from inspect import get_annotations
from typing import ClassVar, dataclass_transform

from causalc.errors import CausalcError
from causalc.grammar.printer import name_text
from causalc.grammar.source import INVISIBLE, Source, Span

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Note:
    """A second place that a message speaks of."""

    text: str
    span: Span


@dataclass_transform(frozen_default=True)
class Record:
    """Classes that read like dataclasses, and are made like them, without generated code.

    There are a hundred messages, and generating the methods of a hundred dataclasses takes longer
    than parsing a script.
    """

    fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls.fields = (
            *cls.fields,
            *(n for n in get_annotations(cls) if n not in ("what", "help", "code")),
        )

    def __init__(self, *values: object) -> None:
        for name, value in zip(self.fields, values, strict=True):
            setattr(self, name, value)


class Message(Record):
    """One thing that is wrong; a subclass holds its prose, an instance what the prose speaks of.

    ``what`` and ``help`` are templates over the fields; a subclass whose help depends on the case
    overrides ``remedy`` instead. ``code`` is the name of the class in lower case, ``no-graph``: it is
    printed, and ``causalc explain`` takes it, so a class keeps its name.
    """

    code: ClassVar[str]
    what: ClassVar[str]
    help: ClassVar[str] = ""

    span: Span

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def headline(self) -> str:
        """What is wrong, in one line."""
        return self._fill(self.what)

    def remedy(self) -> str:
        """What to do about it."""
        return self._fill(self.help)

    def notes(self) -> tuple[Note, ...]:
        """Other places that explain it."""
        return ()

    def _fill(self, template: str) -> str:
        values = {name: getattr(self, name) for name in self.fields}
        return template.format_map(
            {k: printable(v) if isinstance(v, str) else v for k, v in values.items()}
        )

    def render(self, source: Source) -> str:
        """The whole message as printed."""
        lines = [
            f"{source.place(self.span)}: error: {self.headline()} [{self.code}]",
            source.snippet(self.span),
        ]
        for note in self.notes():
            lines += [f"  note: {source.place(note.span)}: {note.text}", source.snippet(note.span)]
        remedy = self.remedy()
        return "\n".join([*lines, f"  help: {remedy}"] if remedy else lines)


class LanguageError(CausalcError):
    """A script, query or graph that is wrong; ``messages`` holds all that was found, in order.

    ``found`` pairs each message with the text it speaks of.
    """

    def __init__(self, messages: Iterable[tuple[Message, Source]]) -> None:
        found = sorted(messages, key=lambda pair: pair[0].span.start)
        rendered = list(dict.fromkeys(message.render(source) for message, source in found))
        self.found = tuple(found)
        self.messages = tuple(message for message, _ in found)
        shown = rendered[:SHOWN]
        if len(rendered) > SHOWN:
            shown.append(f"... and {len(rendered) - SHOWN} more errors")
        super().__init__("\n\n".join(shown))


class Fault(Exception):
    """Carries a message from where it is found to where the source text is known."""

    def __init__(self, message: Message) -> None:
        super().__init__(message.what)
        self.message = message


def printable(text: str) -> str:
    """A text without characters that would move the cursor or hide: they are shown as escapes."""
    return "".join(
        c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in INVISIBLE else c
        for c in text
    )


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most likely meant, case aside; ``None`` when none is near."""
    folded: dict[str, str] = {}
    for candidate in known:
        folded.setdefault(candidate.casefold(), candidate)
    near = difflib.get_close_matches(word.casefold(), folded, 1, 0.6)
    return folded[near[0]] if near else None


def listed(words: Iterable[str], last: str = "and") -> str:
    """``a, b and c``, cut short after a dozen."""
    items = list(words)
    if len(items) > 12:
        return ", ".join(items[:12]) + f" ({len(items) - 12} more)"
    return (
        items[0]
        if len(items) == 1
        else f"{', '.join(items[:-1])} {last} {items[-1]}"
        if items
        else ""
    )


def suggest(word: str, known: Iterable[str], otherwise: str) -> str:
    """The help for an unknown word: the nearest known one, or else ``otherwise``."""
    found = did_you_mean(word, known)
    if found is None:
        return otherwise
    written = name_text(found)
    return f"did you mean {written}?" if written.startswith("`") else f"did you mean `{written}`?"
