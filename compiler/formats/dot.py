"""Graphviz DOT, read without Graphviz, each word once: a text takes time in proportion to its length."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats.networkx import is_latent
from causalc.compiler.formats.shared import MOST_WRITTEN, GraphFormatError, bounded, diagram, sound

_Marks = Mapping[str, str]

_MOST_NESTED = 100
_MARKS = ("{", "}", "[", "]", "=", ",", ";", ":", "+", "->", "--")
_TOKEN = re.compile(
    r"""(?P<nothing> \s+ | //[^\n]* | \#[^\n]* | /\*.*?\*/ )
      | (?P<quoted> "(?:[^"\\]|\\.)*" )
      | (?P<arrow> -> | -- )
      | (?P<plain> [\w.]+ | -[\d.]+ )
      | (?P<mark> [{}\[\]=,;:+<] )""",
    re.VERBOSE | re.DOTALL,
)


def write(graph: Diagram) -> str:
    """Write Graphviz DOT; a latent common cause is a dashed edge with two heads.

    Raises ``GraphFormatError`` for a name that DOT cannot quote: one with a backslash at its end or
    before a quotation mark.
    """
    quoted = {name: _dot_name(name) for name in graph.nodes}
    lines = [quoted[v] + " [latent=true]" * (v in graph.latents) for v in quoted]
    lines += [f"{quoted[a]} -> {quoted[b]}" for a, b in graph.directed]
    lines += [f"{quoted[a]} -> {quoted[b]} [dir=both, style=dashed]" for a, b in graph.bidirected]
    return "digraph {\n" + "".join(f"  {line};\n" for line in lines) + "}\n"


def _dot_name(name: str) -> str:
    if re.search(r'\\("|$)', sound(name)):
        raise GraphFormatError(
            f"DOT has no way to write the name {name!a}: a backslash stands before a quotation "
            "mark or at the end; rename the variable"
        )
    return '"' + name.replace('"', '\\"') + '"'


def read(text: str) -> Diagram:
    """Read Graphviz DOT, subgraphs included.

    ``a -> b [dir=both]`` is a latent common cause, and so are two dashed edges ``a -> b; b -> a``.
    Latents carry ``latent=true`` or ``observed=no``. Raises ``GraphFormatError`` for undirected
    edges and for text that is not one graph.
    """
    reader = _Dot(bounded(text))
    reader.graph()
    dashed = {(a, b) for a, b, arrow, is_dashed in reader.edges if is_dashed and arrow == "->"}
    arrows = [
        (a, b, "<->" if is_dashed and arrow == "->" and (b, a) in dashed else arrow)
        for a, b, arrow, is_dashed in reader.edges
    ]
    return diagram(reader.latent, arrows, [v for v, latent in reader.latent.items() if latent])


def _words(text: str) -> Iterator[tuple[str, int]]:
    """Yield the words of a text and where they begin; comments are none, and a text in <…> is one."""
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _wrong(text, at, f"{text[at]!a} has no meaning here")
        start, at = at, found.end()
        if found[0] == "<":
            at = _html_end(text, start)
        if found.lastgroup != "nothing":
            yield text[start:at], start


def _html_end(text: str, start: int) -> int:
    depth = 0
    for found in re.compile("[<>]").finditer(text, start):
        depth += 1 if found[0] == "<" else -1
        if depth == 0:
            return found.end()
    raise _wrong(text, start, "this < is never closed")


def _wrong(text: str, at: int, reason: str) -> GraphFormatError:
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return GraphFormatError(f"this is not DOT: line {line}, column {column}: {reason}")


class _Dot:
    """A reader of one graph: nodes and edges with their marks, subgraphs spread out, in order of mention."""

    def __init__(self, text: str) -> None:
        self.latent: dict[str, bool] = {}
        self.edges: list[tuple[str, str, str, bool]] = []
        self._known: dict[str, str] = {}
        self._text, self._words, self._place = text, [*_words(text), ("", len(text))], 0

    @property
    def _next(self) -> str:
        return self._words[self._place][0]

    @property
    def _after(self) -> str:
        return self._words[min(self._place + 1, len(self._words) - 1)][0]

    def _take(self) -> str:
        self._place += 1
        return self._words[self._place - 1][0]

    def _skip(self, *words: str) -> bool:
        """Go past the next word if it is one of these, in any case."""
        found = self._words[self._place][0].lower() in words
        self._place += found
        return found

    def _expect(self, *words: str) -> None:
        if not self._skip(*words):
            raise self._unexpected(" or ".join(f"`{word}`" for word in words))

    def _unexpected(self, wanted: str) -> GraphFormatError:
        word, at = self._words[self._place]
        return _wrong(
            self._text,
            at,
            f"expected {wanted}, not {word[:20]!a}" if word else f"expected {wanted}",
        )

    def graph(self) -> None:
        """Read the whole text."""
        self._skip("strict")
        undirected = self._next.lower() == "graph"
        self._expect("digraph", "graph")
        if self._next != "{":
            self._name()
        if undirected:
            raise _undirected()
        self._braces({}, {}, 0)
        if self._next:
            graphs = sum(word.lower() in ("digraph", "graph") for word, _ in self._words)
            if self._next.lower() in ("strict", "digraph", "graph"):
                raise GraphFormatError(f"the text holds {graphs} graphs; keep one")
            raise self._unexpected("the end of the text")

    def _braces(self, of_nodes: _Marks, of_edges: _Marks, depth: int) -> list[str]:
        """Read what stands in braces; marks are those that nodes and edges have by default. Returns its nodes."""
        if depth > _MOST_NESTED:
            raise GraphFormatError(f"subgraphs are nested more than {_MOST_NESTED} deep")
        self._expect("{")
        mentioned: dict[str, None] = {}
        while not self._skip("}"):
            if self._skip(";", ","):
                continue
            kind = self._next.lower()
            if kind in ("graph", "node", "edge"):
                self._take()
                marks = self._marks()
                of_nodes = {**of_nodes, **marks} if kind == "node" else of_nodes
                of_edges = {**of_edges, **marks} if kind == "edge" else of_edges
            elif self._after == "=":  # an attribute of the graph
                self._name()
                self._take()
                self._name()
            elif not kind:
                raise self._unexpected("`}`")
            else:
                mentioned.update(dict.fromkeys(self._chain(of_nodes, of_edges, depth)))
        return [*mentioned]

    def _chain(self, of_nodes: _Marks, of_edges: _Marks, depth: int) -> list[str]:
        """Read a node, a subgraph, or edges from one to the next. Returns the nodes."""
        begun = self._place
        ends = [self._end(of_nodes, of_edges, depth)]
        while self._next in ("->", "--"):
            if self._take() == "--":
                raise _undirected()
            ends.append(self._end(of_nodes, of_edges, depth))
        lone = len(ends) == 1
        if lone and self._words[begun][0].lower() in ("{", "subgraph"):
            return ends[0]
        marks = self._marks() if self._next == "[" else {}
        if lone:
            self._mark(ends[0][0], marks)
        for left, right in pairwise(ends):
            self._join(left, right, {**of_edges, **marks})
        return [name for end in ends for name in end]

    def _end(self, of_nodes: _Marks, of_edges: _Marks, depth: int) -> list[str]:
        """Read a node with its port, or a subgraph. Returns the nodes."""
        named = self._skip("subgraph")
        if named and self._next != "{":
            self._name()
        if named or self._next == "{":
            return self._braces(of_nodes, of_edges, depth + 1)
        name = self._name()
        for _ in range(2):  # a port, and a point of the compass
            if self._next == ":":
                self._take()
                self._name()
        if name not in self._known:
            self._known[name] = self._new(name, of_nodes)
        return [self._known[name]]

    def _new(self, word: str, of_nodes: _Marks) -> str:
        """Return the name of the node that a word names; a node not seen before has the default marks."""
        if word.startswith(("<", "-")):
            raise GraphFormatError(f"the DOT node {word} has no plain or quoted name; give it one")
        name = sound(_unquoted(word))
        if name not in self.latent:
            self.latent[name] = False
            self._mark(name, of_nodes)
        return name

    def _mark(self, name: str, marks: _Marks) -> None:
        if "latent" in marks or "observed" in marks:
            self.latent[name] = is_latent(name, marks)

    def _marks(self) -> dict[str, str]:
        """Read lists of attributes in brackets, at least one; an attribute without a value is true."""
        found: dict[str, str] = {}
        self._expect("[")
        while True:
            if self._skip("]"):
                if not self._skip("["):
                    return found
            elif not self._skip(",", ";"):
                name = _unquoted(self._name())
                found[name] = _unquoted(self._name()) if self._skip("=") else "true"

    def _name(self) -> str:
        """Read a name: a word, a number, a text in <…>, or texts in quotes joined by +."""
        word = self._next
        if not word or word in _MARKS:
            raise self._unexpected("a name")
        self._take()
        while word.startswith('"') and self._next == "+":
            self._take()
            if not self._next.startswith('"'):
                raise self._unexpected("a text in quotes")
            word = word[:-1] + self._take()[1:]
        return word

    def _join(self, left: list[str], right: list[str], marks: _Marks) -> None:
        if not left or not right:
            return
        if len(self.edges) + len(left) * len(right) > MOST_WRITTEN:
            raise GraphFormatError(f"this graph has more than {MOST_WRITTEN:,} edges")
        arrow, dashed = _dot_arrow(left[0], right[0], marks), "dashed" in marks.get("style", "")
        self.edges += [(a, b, arrow, dashed) for a in left for b in right]


def _undirected() -> GraphFormatError:
    return GraphFormatError(
        "the DOT graph is undirected (`graph`, `--`); write `digraph` with `->`, and "
        "[dir=both] for a latent common cause"
    )


def _unquoted(text: str) -> str:
    return (
        re.sub(r"\\\r?\n", "", text[1:-1]).replace('\\"', '"')
        if text[:1] == text[-1:] == '"' and len(text) > 1
        else text
    )


def _dot_arrow(a: str, b: str, marks: _Marks) -> str:
    """The edge that is drawn: which ends have an arrowhead."""
    drawn = marks.get("dir", "forward").lower()
    shapes = {
        end: marks.get(key, "normal").lower() if drawn in (way, "both") else "none"
        for end, key, way in (("tail", "arrowtail", "back"), ("head", "arrowhead", "forward"))
    }
    heads = {end: shape != "none" for end, shape in shapes.items()}
    if drawn not in ("forward", "back", "both", "none") or any("dot" in s for s in shapes.values()):
        raise GraphFormatError(
            f"the DOT edge between `{a}` and `{b}` ends in a circle or an unknown mark; only "
            "arrowheads have a meaning here"
        )
    if not any(heads.values()):
        raise GraphFormatError(
            f"the DOT edge between `{a}` and `{b}` has no arrowhead; orient it, or write "
            "[dir=both] for a latent common cause"
        )
    return "<->" if all(heads.values()) else "->" if heads["head"] else "<-"
