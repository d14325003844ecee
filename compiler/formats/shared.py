"""What the formats share: names that survive writing, and diagrams checked as they are built."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable

from causalc.compiler.diagram import Diagram
from causalc.compiler.graph import Graph, Pair
from causalc.errors import CausalcError
from causalc.grammar.source import INVISIBLE

MOST_VARIABLES = 2000
MOST_EDGES = 20_000
MOST_WRITTEN = 5 * MOST_EDGES  # counted as often as they are written
MOST_CHARACTERS = 200_000  # so that no text takes a reader more than about a second
_YES, _NO = ("true", "yes", "1", "t", "y", ""), ("false", "no", "0", "f", "n")


class GraphFormatError(CausalcError):
    """A text or an object that cannot be read, or written, as an acyclic directed mixed graph."""


def bounded(text: str) -> str:
    """The same text, refused where it is longer than any graph needs."""
    if len(text) > MOST_CHARACTERS:
        raise GraphFormatError(
            f"this graph is {len(text):,} characters long; at most {MOST_CHARACTERS:,} are read"
        )
    return text


def sound(name: str) -> str:
    """A name that can be written and read again: visible, on one line."""
    if not name.strip():
        raise GraphFormatError("a variable has an empty name; give it one")
    if any(unicodedata.category(c) in INVISIBLE and c not in "\u200c\u200d" for c in name):
        raise GraphFormatError(
            f"the name {name!a} has a line break or another invisible character; rename it"
        )
    return name


def distinct(nodes: Iterable[object]) -> dict[object, str]:
    """The names of nodes, which are refused where two have the same."""
    found = tuple(nodes)
    return dict(zip(found, unrepeated(map(str, found)), strict=True))


def unrepeated(names: Iterable[str]) -> list[str]:
    """Names that can be written, each once; refuses the others."""
    found = [sound(name) for name in names]
    for name, count in Counter(found).items():
        if count > 1:
            raise GraphFormatError(f"{count} nodes are all called `{name}`; rename all but one")
    return found


def truth(where: object, key: str, value: object) -> bool:
    """An attribute that says yes or no."""
    text = str(value).strip('"').lower()
    if text in _YES or text in _NO:
        return text in _YES
    raise GraphFormatError(f"`{where}` has {key}={value!r}; write true or false")


def diagram(
    nodes: Iterable[str], arrows: Iterable[tuple[str, str, str]], latents: Iterable[str] = ()
) -> Diagram:
    """A diagram from its edges ``(a, b, "->" | "<-" | "<->")``; refuses cycles, and graphs too large to use."""
    directed: dict[Pair, None] = {}
    bidirected: dict[frozenset[str], Pair] = {}
    for a, b, arrow in arrows:
        if arrow == "<->":
            bidirected.setdefault(frozenset((a, b)), (a, b))
        else:
            directed[(a, b) if arrow == "->" else (b, a)] = None
    pairs = (*directed, *bidirected.values())
    names = tuple(dict.fromkeys((*nodes, *(v for pair in pairs for v in pair))))
    if len(names) > MOST_VARIABLES or len(pairs) > MOST_EDGES:
        raise GraphFormatError(
            f"this graph has {len(names):,} variables and {len(pairs):,} edges; at most "
            f"{MOST_VARIABLES:,} and {MOST_EDGES:,} are read"
        )
    Graph.from_edges(names, directed, bidirected.values())  # no cycle, no loop
    hidden = set(latents)
    ordered = tuple(v for v in names if v in hidden)
    return Diagram(names, tuple(directed), tuple(bidirected.values()), ordered)


def without_latents(found: Diagram, form: str) -> Diagram:
    """A diagram for a format that has no latent variables; refuses one that has."""
    if found.latents:
        names = ", ".join(f"`{v}`" for v in found.latents[:6])
        raise GraphFormatError(
            f"{form} has no way to say that {names} is latent; project it out (--project) or measure it"
        )
    return found
