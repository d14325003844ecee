"""Identifiers for emitted programs: every name from outside becomes a safe, distinct Python name."""

from __future__ import annotations

import builtins
import keyword
import unicodedata
from collections.abc import Iterable

RESERVED = (
    frozenset(keyword.kwlist)
    | frozenset(keyword.softkwlist)
    | frozenset(dir(builtins))
    | {
        "runtime",
        "run",
        "rows",
        "draw",
        "models",
        "train",
        "sample",
        "data",
        "options",
        "seed",
        "n",
        "SCHEMA",
        "QUERIES",
        "main",
    }
)


class Namespace:
    """Hands out identifiers; the same text gets the same identifier, different texts different ones."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._given: dict[tuple[str, object], str] = {}
        self._taken = set(taken)

    def __getitem__(self, text: str) -> str:
        return self.fresh(text, None)

    def fresh(self, text: str, owner: object) -> str:
        """The identifier of ``owner``, made from ``text``; two owners of one text get two identifiers."""
        key = (text, owner)
        if key not in self._given:
            stem = identifier(text)
            name, count = stem, 1
            while name in RESERVED or name in self._taken:
                count += 1
                name = f"{stem}_{count}"
            self._given[key] = name
            self._taken.add(name)
        return self._given[key]


def identifier(text: str) -> str:
    """A Python identifier like ``text``; letters of any script are kept.

    >>> identifier("treated (y/n)")
    'treated_y_n'
    """
    normal = unicodedata.normalize("NFKC", text)
    name = "".join(c if (c.isalnum() and ("_" + c).isidentifier()) else "_" for c in normal)
    name = "_".join(part for part in name.split("_") if part) or "v"
    return name if name.isidentifier() else f"v_{name}"
