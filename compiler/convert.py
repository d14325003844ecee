"""Graphs from and to the formats of others, latents projected out; see ``causalc.compiler.formats``."""

from __future__ import annotations

from typing import Any

from causalc.compiler import formats
from causalc.compiler.diagram import Diagram
from causalc.compiler.formats import GraphFormatError
from causalc.compiler.graph import Graph

__all__ = [
    "GraphFormatError",
    "from_dagitty",
    "from_dot",
    "from_gml",
    "from_networkx",
    "from_object",
    "from_text",
    "to_dagitty",
    "to_dot",
    "to_gml",
    "to_mermaid",
    "to_networkx",
    "to_text",
]


def from_text(text: str, form: str) -> Graph:
    """Read a graph in one of ``formats.READ``. Raises ``CausalcError`` with what is wrong."""
    return formats.read(text, form).projected()


def from_object(found: Any) -> Graph:
    """Read a graph object of networkx, y0, pgmpy, DoWhy or pyAgrum. Raises ``GraphFormatError``."""
    from causalc.compiler.formats import objects

    return objects.read(found).projected()


def from_networkx(graph: Any) -> Graph:
    """Read a ``DiGraph`` or ``MultiDiGraph``.

    An edge is a directed one unless its attributes say ``bidirected=True``, ``kind="bidirected"``,
    ``arrow="<->"`` or ``dir="both"``. Latents are the nodes with ``latent=True`` or ``observed=False`` and, as
    pgmpy has it, those in the graph's set ``latents``. Nodes become strings. Raises ``GraphFormatError`` for an
    undirected graph or any other kind of edge.
    """
    from causalc.compiler.formats import networkx

    return networkx.read(graph).projected()


def from_dagitty(text: str) -> Graph:
    """Read a DAGitty text, ``dag { X -> Y; U [latent] }``. Raises ``CausalcError`` with the place."""
    return from_text(text, "dagitty")


def from_dot(text: str) -> Graph:
    """Read Graphviz DOT, subgraphs included. Raises ``GraphFormatError``."""
    return from_text(text, "dot")


def from_gml(text: str) -> Graph:
    """Read GML. Raises ``GraphFormatError``."""
    return from_text(text, "gml")


def to_networkx(graph: Graph) -> Any:
    """Write a networkx ``MultiDiGraph`` whose edges carry ``kind``: "directed" or "bidirected"."""
    from causalc.compiler.formats import networkx

    return networkx.write(Diagram.of(graph))


def to_text(graph: Graph) -> str:
    """Write the edge language on one line. Raises ``GraphFormatError`` for a name with invisible characters."""
    return formats.write(Diagram.of(graph), "text")


def to_dagitty(graph: Graph) -> str:
    """Write a text that DAGitty reads."""
    return formats.write(Diagram.of(graph), "dagitty")


def to_dot(graph: Graph) -> str:
    """Write Graphviz DOT. Raises ``GraphFormatError`` for a name that DOT cannot quote."""
    return formats.write(Diagram.of(graph), "dot")


def to_gml(graph: Graph) -> str:
    """Write GML, as networkx reads it."""
    return formats.write(Diagram.of(graph), "gml")


def to_mermaid(graph: Graph) -> str:
    """Write a Mermaid flowchart."""
    return formats.write(Diagram.of(graph), "mermaid")
