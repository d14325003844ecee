"""Graphs in the formats of others: networkx, DAGitty, DOT, GML; Mermaid and the edge language to
write.

Reading refuses what an ADMG cannot say: an undirected edge, a circle mark, selection. Nothing is
dropped in silence but drawing attributes. Reading what was written gives the same graph.
"""

from __future__ import annotations

import contextlib
import io
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from causalc.compiler.graph import Graph, Pair
from causalc.errors import CausalcError
from causalc.grammar import parse_graph
from causalc.grammar.printer import name_text

_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_YES, _NO = ("true", "yes", "1", "t", "y", ""), ("false", "no", "0", "f", "n")
_KINDS = {
    **dict.fromkeys(("directed", "->", "forward"), "->"),
    **dict.fromkeys(("bidirected", "<->", "both"), "<->"),
    **dict.fromkeys(("<-", "back"), "<-"),
}


class GraphFormatError(CausalcError):
    """A text or an object that cannot be read, or written, as an acyclic directed mixed graph."""


# ---- networkx -------------------------------------------------------------------------------------


def from_networkx(graph: Any) -> Graph:
    """Read a ``DiGraph`` or ``MultiDiGraph``.

    An edge is a directed one unless its attributes say ``bidirected=True``, ``kind="bidirected"``,
    ``arrow="<->"`` or ``dir="both"``. Latents are the nodes with ``latent=True`` or
    ``observed=False`` and, as pgmpy has it, those in the graph's set ``latents``. Nodes become
    strings. Raises ``GraphFormatError`` for an undirected graph or any other kind of edge.
    """
    try:
        directed = graph.is_directed()
        nodes = list(graph.nodes(data=True))
        edges = list(graph.edges(data=True))
        also = set(getattr(graph, "latents", ()))
    except (AttributeError, TypeError):
        raise GraphFormatError(
            f"expected a networkx DiGraph or MultiDiGraph, got a {type(graph).__name__}"
        ) from None
    if not directed:
        raise GraphFormatError(
            "the networkx graph is undirected; use a DiGraph, with bidirected=True on the edges "
            "that stand for a latent common cause"
        )
    names = _names(node for node, _ in nodes)
    latents = [names[node] for node, marks in nodes if node in also or _is_latent(node, marks)]
    arrows = [(names[a], names[b], _arrow(a, b, marks)) for a, b, marks in edges]
    return _build(names.values(), arrows, latents)


def to_networkx(graph: Graph) -> Any:
    """Write a networkx ``MultiDiGraph`` whose edges carry ``kind``: "directed" or "bidirected"."""
    import networkx as nx

    result: Any = nx.MultiDiGraph()
    result.add_nodes_from(graph.nodes)
    result.add_edges_from(graph.directed, kind="directed")
    result.add_edges_from(graph.bidirected, kind="bidirected")
    return result


def _names(nodes: Iterable[object]) -> dict[object, str]:
    names = {node: _sound(str(node)) for node in nodes}
    for name, count in Counter(names.values()).items():
        if count > 1:
            raise GraphFormatError(f"{count} nodes are all called `{name}`; rename all but one")
    return names


def _sound(name: str) -> str:
    """A name that can be written and read again: visible, on one line."""
    if not name.strip():
        raise GraphFormatError("a variable has an empty name; give it one")
    if any(unicodedata.category(c) in _INVISIBLE and c not in "\u200c\u200d" for c in name):
        raise GraphFormatError(
            f"the name {name!a} has a line break or another invisible character; rename it"
        )
    return name


def _is_latent(node: object, marks: Mapping[str, object]) -> bool:
    if "latent" in marks:
        return _truth(node, "latent", marks["latent"])
    return "observed" in marks and not _truth(node, "observed", marks["observed"])


def _truth(where: object, key: str, value: object) -> bool:
    text = str(value).strip('"').lower()
    if text in _YES or text in _NO:
        return text in _YES
    raise GraphFormatError(f"`{where}` has {key}={value!r}; write true or false")


def _arrow(a: object, b: object, marks: Mapping[str, object]) -> str:
    """``->``, ``<-`` or ``<->``, from the attributes of an edge."""
    if "bidirected" in marks:
        return "<->" if _truth(f"{a} -> {b}", "bidirected", marks["bidirected"]) else "->"
    for key in ("kind", "arrow", "dir"):
        if key in marks:
            value = str(marks[key]).strip('"').lower()
            if value not in _KINDS:
                raise GraphFormatError(
                    f"the edge between `{a}` and `{b}` has {key}={value!r}; only directed and "
                    "bidirected edges have a meaning here: orient it, or say which of the two it is"
                )
            return _KINDS[value]
    return "->"


def _build(
    nodes: Iterable[str], arrows: Iterable[tuple[str, str, str]], latents: Iterable[str] = ()
) -> Graph:
    directed: list[Pair] = []
    bidirected: list[Pair] = []
    for a, b, arrow in arrows:
        if arrow == "<->":
            bidirected.append((a, b))
        else:
            directed.append((a, b) if arrow == "->" else (b, a))
    return Graph.from_edges(nodes, directed, bidirected, latents)


# ---- the edge language, DAGitty, Mermaid ------------------------------------------------------------


def to_text(graph: Graph) -> str:
    """Write the edge language on one line, as ``Graph.parse`` reads it.

    Raises ``GraphFormatError`` for a name with invisible characters.
    """
    quoted = {name: name_text(_sound(name)) for name in graph.nodes}
    paths = _paths(graph)
    statements = [" -> ".join(quoted[v] for v in path) for path in paths]
    statements += [f"{quoted[a]} <-> {quoted[b]}" for a, b in graph.bidirected]
    mentioned = dict.fromkeys(v for part in (*paths, *graph.bidirected) for v in part)
    alone = [v for v in graph.nodes if v not in mentioned]
    if (*mentioned, *alone) == graph.nodes:
        return "; ".join([*statements, *(quoted[v] for v in alone)])
    return "; ".join([*(quoted[v] for v in graph.nodes), *statements])


def _paths(graph: Graph) -> list[list[str]]:
    """The directed edges, each once, strung together into paths."""
    after: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for a, b in graph.directed:
        after[a].append(b)
    paths = []
    for start in graph.nodes:
        while after[start]:
            path = [start]
            while after[path[-1]]:
                path.append(after[path[-1]].pop(0))
            paths.append(path)
    return paths


def from_dagitty(text: str) -> Graph:
    """Read a DAGitty text, ``dag { X -> Y; U [latent] }``; latents are projected out.

    Raises a ``CausalcError`` with the place for a text that is no DAG, and ``GraphFormatError``
    where a variable is marked as selected: selection is beyond this language.
    """
    spec = parse_graph(text)
    selected = spec.with_attribute("selected", "s")
    if selected:
        raise GraphFormatError(
            f"`{selected[0]}` is marked as selected: samples selected on a variable are not "
            "observational data for this graph; remove the mark if they are not"
        )
    return Graph.from_edges(spec.nodes, spec.directed, spec.bidirected, spec.latents)


def to_dagitty(graph: Graph) -> str:
    """Write a text that DAGitty reads; odd names in double quotes."""
    lines = [_dagitty_name(name) for name in graph.nodes]
    lines += [f"{_dagitty_name(a)} -> {_dagitty_name(b)}" for a, b in graph.directed]
    lines += [f"{_dagitty_name(a)} <-> {_dagitty_name(b)}" for a, b in graph.bidirected]
    return "dag {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def _dagitty_name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z]\w*", _sound(name), re.ASCII) and name == name_text(name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def to_mermaid(graph: Graph) -> str:
    """Write a Mermaid flowchart; a latent common cause is a dotted arrow with two heads."""
    boxes = {name: f"v{i}" for i, name in enumerate(graph.nodes)}
    lines = [f'{boxes[name]}["{_mermaid_label(name)}"]' for name in graph.nodes]
    lines += [f"{boxes[a]} --> {boxes[b]}" for a, b in graph.directed]
    lines += [f"{boxes[a]} <-.-> {boxes[b]}" for a, b in graph.bidirected]
    return "flowchart LR\n" + "".join(f"  {line}\n" for line in lines)


def _mermaid_label(name: str) -> str:
    return re.sub(r"[^\w .,()+/-]", lambda found: f"#{ord(found[0])};", name)


# ---- DOT ----------------------------------------------------------------------------------------------


def to_dot(graph: Graph) -> str:
    """Write Graphviz DOT; a latent common cause is a dashed edge with two heads.

    Raises ``GraphFormatError`` for a name that DOT cannot quote: one with a backslash at its end or
    before a quotation mark.
    """
    quoted = {name: _dot_name(name) for name in graph.nodes}
    lines = list(quoted.values())
    lines += [f"{quoted[a]} -> {quoted[b]}" for a, b in graph.directed]
    lines += [f"{quoted[a]} -> {quoted[b]} [dir=both, style=dashed]" for a, b in graph.bidirected]
    return "digraph {\n" + "".join(f"  {line};\n" for line in lines) + "}\n"


def _dot_name(name: str) -> str:
    if re.search(r'\\("|$)', _sound(name)):
        raise GraphFormatError(
            f"DOT has no way to write the name {name!a}: a backslash stands before a quotation "
            "mark or at the end; rename the variable"
        )
    return '"' + name.replace('"', '\\"') + '"'


def from_dot(text: str) -> Graph:
    """Read Graphviz DOT, subgraphs included.

    ``a -> b [dir=both]`` is a latent common cause, and so are two dashed edges ``a -> b; b -> a``.
    Latents carry ``latent=true`` or ``observed=no``. Raises ``GraphFormatError`` for undirected
    edges and for text that is not one graph.
    """
    reader = _Dot()
    reader.read(_one_dot(text).obj_dict, {}, {})
    dashed = {(a, b) for a, b, arrow, is_dashed in reader.edges if is_dashed and arrow == "->"}
    arrows = [
        (a, b, "<->" if is_dashed and arrow == "->" and (b, a) in dashed else arrow)
        for a, b, arrow, is_dashed in reader.edges
    ]
    return _build(reader.latent, arrows, [v for v, latent in reader.latent.items() if latent])


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
            self.latent[name] = _is_latent(name, own)
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
    return _sound(_unquoted(found[1]))


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


# ---- GML ----------------------------------------------------------------------------------------------


def to_gml(graph: Graph) -> str:
    """Write GML, as networkx reads it."""
    import networkx as nx

    for name in graph.nodes:
        _sound(name)
    return "\n".join(nx.generate_gml(to_networkx(graph))) + "\n"


def from_gml(text: str) -> Graph:
    """Read GML: nodes by ``label``, or by ``id`` without labels; edges as in ``from_networkx``.

    Raises ``GraphFormatError`` for text that is not GML or an undirected graph.
    """
    import networkx as nx

    for label in ("label", "id"):
        try:
            return from_networkx(nx.parse_gml(text, label=label))
        except (
            nx.NetworkXError,
            AttributeError,
            ValueError,
            TypeError,
            KeyError,
            IndexError,
        ) as error:
            reason = str(error)
            if "no 'label' attribute" not in reason:
                break
    raise GraphFormatError(f"this is not GML as networkx reads it: {reason}")
