"""networkx graphs, and the objects of others that are such graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats.shared import GraphFormatError, diagram, distinct, truth

_KINDS = {
    **dict.fromkeys(("directed", "->", "forward"), "->"),
    **dict.fromkeys(("bidirected", "<->", "both"), "<->"),
    **dict.fromkeys(("<-", "back"), "<-"),
}


def read(graph: Any) -> Diagram:
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
    names = distinct(node for node, _ in nodes)
    latents = [names[node] for node, marks in nodes if node in also or is_latent(node, marks)]
    arrows = [(names[a], names[b], _arrow(a, b, marks)) for a, b, marks in edges]
    return diagram(names.values(), arrows, latents)


def write(graph: Diagram) -> Any:
    """Write a ``MultiDiGraph``: edges carry ``kind``, "directed" or "bidirected", and latents ``latent``."""
    import networkx as nx

    result: Any = nx.MultiDiGraph()
    for name in graph.nodes:
        result.add_node(name, **({"latent": True} if name in graph.latents else {}))
    result.add_edges_from(graph.directed, kind="directed")
    result.add_edges_from(graph.bidirected, kind="bidirected")
    return result


def is_latent(node: object, marks: Mapping[str, object]) -> bool:
    """Whether the attributes of a node say that it was never measured."""
    if "latent" in marks:
        return truth(node, "latent", marks["latent"])
    return "observed" in marks and not truth(node, "observed", marks["observed"])


def _arrow(a: object, b: object, marks: Mapping[str, object]) -> str:
    """``->``, ``<-`` or ``<->``, from the attributes of an edge."""
    if "bidirected" in marks:
        return "<->" if truth(f"{a} -> {b}", "bidirected", marks["bidirected"]) else "->"
    for key in ("kind", "arrow", "dir", "type"):
        if key in marks:
            value = str(marks[key]).strip('"').lower()
            if value not in _KINDS:
                raise GraphFormatError(
                    f"the edge between `{a}` and `{b}` has {key}={value!r}; only directed and "
                    "bidirected edges have a meaning here: orient it, or say which of the two it is"
                )
            return _KINDS[value]
    return "->"
