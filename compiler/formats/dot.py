"""Graphviz DOT, read by pydot without Graphviz."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Mapping
from typing import Any

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats.networkx import is_latent
from causalc.compiler.formats.shared import GraphFormatError, bounded, diagram, sound


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
    reader = _Dot()
    reader.read(_one_dot(bounded(text)).obj_dict, {}, {})
    dashed = {(a, b) for a, b, arrow, is_dashed in reader.edges if is_dashed and arrow == "->"}
    arrows = [
        (a, b, "<->" if is_dashed and arrow == "->" and (b, a) in dashed else arrow)
        for a, b, arrow, is_dashed in reader.edges
    ]
    return diagram(reader.latent, arrows, [v for v, latent in reader.latent.items() if latent])


class _Dot:
    """The nodes and edges of pydot's nested dictionaries, subgraphs spread out, in order of
    mention.
    """

    def __init__(self) -> None:
        self.latent: dict[str, bool] = {}
        self.edges: list[tuple[str, str, str, bool]] = []

    def read(self, part: Any, of_nodes: _Marks, of_edges: _Marks) -> list[str]:
        """Add a (sub)graph, given the attributes that its nodes and edges have by default."""
        groups = (part["nodes"], part["edges"], part["subgraphs"])
        items = [item for group in groups for same in group.values() for item in same]
        mentioned: dict[str, None] = {}
        for item in sorted(items, key=lambda item: item["sequence"] or 0):
            marks = {key: _unquoted(str(value)) for key, value in item["attributes"].items()}
            if "points" in item:
                ends = [self._end(point, of_nodes, of_edges) for point in item["points"]]
                self._join(ends, {**of_edges, **marks})
                mentioned.update(dict.fromkeys((*ends[0], *ends[1])))
            elif item["type"] == "subgraph":
                mentioned.update(dict.fromkeys(self.read(item, of_nodes, of_edges)))
            elif item["name"] == "edge":
                of_edges = {**of_edges, **marks}
            elif item["name"] == "node":
                of_nodes = {**of_nodes, **marks}
            elif item["name"] != "graph":
                mentioned[self._node(item["name"], of_nodes, marks)] = None
        return list(mentioned)

    def _end(self, point: Any, of_nodes: _Marks, of_edges: _Marks) -> list[str]:
        if isinstance(point, str):
            return [self._node(point, of_nodes, {})]
        return self.read(point, of_nodes, of_edges)

    def _node(self, text: str, default: _Marks, own: _Marks) -> str:
        name = _dot_node(text)
        if name not in self.latent:
            own = {**default, **own}
            self.latent[name] = False
        if "latent" in own or "observed" in own:
            self.latent[name] = is_latent(name, own)
        return name

    def _join(self, ends: list[list[str]], marks: _Marks) -> None:
        for a in ends[0]:
            for b in ends[1]:
                self.edges.append(
                    (a, b, _dot_arrow(a, b, marks), "dashed" in marks.get("style", ""))
                )


_Marks = Mapping[str, str]


def _dot_node(text: str) -> str:
    found = re.fullmatch(r'("(?:[^"\\]|\\.)*"|[^":<][^":]*)(:.*)?', text, re.DOTALL)
    if not found:
        raise GraphFormatError(f"the DOT node {text} has no plain or quoted name; give it one")
    return sound(_unquoted(found[1]))


def _unquoted(text: str) -> str:
    return (
        text[1:-1].replace('\\"', '"') if text[:1] == text[-1:] == '"' and len(text) > 1 else text
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


def _one_dot(text: str) -> Any:
    # pydot prints what is wrong with a text, and warns that its parser has grown old
    printed = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
            warnings.simplefilter("ignore", DeprecationWarning)
            import pydot
            from pyparsing import ParserElement

            # Without its memory of places tried, the time doubles with every nested subgraph.
            ParserElement.enable_packrat(cache_size_limit=None)
            graphs = pydot.graph_from_dot_data(text)
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise GraphFormatError(f"this is not DOT as pydot reads it: {error}") from None
    if not graphs:
        reason = printed.getvalue().strip().splitlines()
        place = f": {reason[-1]}" if reason else ""
        raise GraphFormatError(f"this is not DOT{place}")
    if len(graphs) > 1:
        raise GraphFormatError(f"the text holds {len(graphs)} graphs; keep one")
    if graphs[0].get_type() != "digraph":
        raise GraphFormatError(
            "the DOT graph is undirected (`graph`, `--`); write `digraph` with `->`, and "
            "[dir=both] for a latent common cause"
        )
    return graphs[0]
