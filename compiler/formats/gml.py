"""GML, as networkx has it."""

from __future__ import annotations

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats import networkx as nodes_and_edges
from causalc.compiler.formats.shared import GraphFormatError, bounded, sound


def write(graph: Diagram) -> str:
    """Write GML, as networkx reads it."""
    import networkx as nx

    for name in graph.nodes:
        sound(name)
    return "\n".join(nx.generate_gml(nodes_and_edges.write(graph))) + "\n"


def read(text: str) -> Diagram:
    """Read GML: nodes by ``label``, or by ``id`` without labels; edges as in ``from_networkx``.

    Raises ``GraphFormatError`` for text that is not GML or an undirected graph.
    """
    import networkx as nx

    for label in ("label", "id"):
        try:
            return nodes_and_edges.read(nx.parse_gml(bounded(text), label=label))
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
