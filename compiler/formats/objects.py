"""The graph objects of y0, pgmpy, DoWhy and pyAgrum, by what they have; none of these packages is needed to read."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats import adjacency
from causalc.compiler.formats import networkx as nodes_and_edges
from causalc.compiler.formats.shared import (
    GraphFormatError,
    diagram,
    distinct,
    unrepeated,
    without_latents,
)


def read(found: Any) -> Diagram:
    """Read a graph object: of networkx, y0, pgmpy, DoWhy or pyAgrum, or a data frame of 0, 1, 2 and 3.

    Raises ``GraphFormatError`` for any other object, and for edges that an ADMG does not have.
    """
    if isinstance(found, Diagram):
        return found
    if hasattr(found, "directed") and hasattr(found, "undirected"):
        return _y0(found)
    if hasattr(found, "causalBN") or callable(getattr(found, "arcs", None)):
        return _pyagrum(found)
    if hasattr(found, "columns") and hasattr(found, "to_numpy"):
        return _frame(found)
    for inside in (
        "_graph",
        "graph",
    ):  # DoWhy's models hold a networkx graph, some in a graph of their own
        held = getattr(found, inside, None)
        if held is not None and not hasattr(found, "edges"):
            return read(held)
    return nodes_and_edges.read(found)


def _y0(found: Any) -> Diagram:
    """``NxMixedGraph``: one networkx graph for ``->``, another for ``<->``."""
    nodes = dict.fromkeys((*found.directed.nodes, *found.undirected.nodes))
    names = distinct(nodes)
    arrows = [(names[a], names[b], "->") for a, b in found.directed.edges()]
    arrows += [(names[a], names[b], "<->") for a, b in found.undirected.edges()]
    return diagram(names.values(), arrows)


def _pyagrum(found: Any) -> Diagram:
    """A ``CausalModel``, whose latents are nodes of its network, or a ``BayesNet``."""
    network = found.causalBN() if hasattr(found, "causalBN") else found
    model = network is not found
    named = {
        i: str(found.nameFromId(i) if model else network.variable(i).name())
        for i in sorted(network.nodes())
    }
    hidden = found.latentVariablesNames() if model else ()
    arrows = [(named[a], named[b], "->") for a, b in sorted(network.arcs())]
    return diagram(unrepeated(named.values()), arrows, hidden)


def _frame(found: Any) -> Diagram:
    """A data frame with the same names for rows and columns."""
    names = [str(name) for name in found.columns]
    if [str(name) for name in found.index] != names:
        raise GraphFormatError("the names of the rows are not those of the columns, in their order")
    return adjacency.of(names, found.to_numpy().tolist())


# ---- to them


def to_y0(graph: Diagram) -> Any:
    """Make a ``y0.graph.NxMixedGraph``; y0 must be installed. Refuses named latents."""
    made = _package("y0.graph", "y0").NxMixedGraph
    found = without_latents(graph, "an NxMixedGraph")
    return made.from_str_edges(
        nodes=list(found.nodes), directed=list(found.directed), undirected=list(found.bidirected)
    )


def to_dowhy(graph: Diagram) -> Any:
    """Make the networkx ``DiGraph`` that ``dowhy.CausalModel(graph=...)`` takes: latents are ``observed="no"``.

    Each ``<->`` becomes a named latent cause of both ends.
    """
    import networkx

    drawn = graph.explicit()
    made: Any = networkx.DiGraph()
    for name in drawn.nodes:
        made.add_node(name, observed="no" if name in drawn.latents else "yes")
    made.add_edges_from(drawn.directed)
    return made


def to_pgmpy(graph: Diagram) -> Any:
    """Make a ``pgmpy.base.DAG``; pgmpy must be installed. Each ``<->`` becomes a named latent."""
    drawn = graph.explicit()
    made = _package("pgmpy.base", "pgmpy").DAG()
    for name in drawn.nodes:
        made.add_node(name, latent=name in drawn.latents)
    made.add_edges_from(drawn.directed)
    return made


def to_pyagrum(graph: Diagram) -> Any:
    """Make a ``pyagrum.causal.CausalModel`` over binary variables; pyAgrum must be installed.

    Its latents have no causes: refuses a named latent that has one.
    """
    drawn = graph.explicit()
    for cause, effect in drawn.directed:
        if effect in drawn.latents:
            raise GraphFormatError(
                f"pyAgrum has no latent variable with a cause, and `{cause}` causes `{effect}`; project it out"
            )
    agrum = _package("pyagrum", "pyagrum")
    network = agrum.BayesNet()
    for name in drawn.nodes:
        if name not in drawn.latents:
            network.add(agrum.LabelizedVariable(name, name, 2))
    effects: dict[str, list[str]] = {v: [] for v in drawn.latents}
    for a, b in drawn.directed:
        if a in effects:
            effects[a].append(b)
        else:
            network.addArc(a, b)
    made = _package("pyagrum.causal", "pyagrum")
    return made.CausalModel(network, list(effects.items()), True)


def _package(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise GraphFormatError(f"this needs {package}: pip install {package}") from None
