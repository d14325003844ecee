"""The edge language, ``X -> M -> Y; X <-> Y; latent U``, and DAGitty's ``dag { ... }``."""

from __future__ import annotations

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats.shared import GraphFormatError, bounded, diagram, sound
from causalc.grammar import parse_graph
from causalc.grammar.printer import name_text


def read(text: str) -> Diagram:
    """Read the edge language or DAGitty.

    Raises a ``CausalcError`` with the place for a text that is no DAG, and ``GraphFormatError``
    where a variable is marked as selected: selection is beyond this language.
    """
    spec = parse_graph(bounded(text))
    selected = spec.with_attribute("selected", "s")
    if selected:
        raise GraphFormatError(
            f"`{selected[0]}` is marked as selected: samples selected on a variable are not "
            "observational data for this graph; remove the mark if they are not"
        )
    arrows = [(e.tail.text, e.head.text, e.arrow) for e in spec.edges]
    return diagram(spec.nodes, arrows, spec.latents)


def write(graph: Diagram) -> str:
    """Write the edge language on one line, as ``Graph.parse`` reads it.

    Raises ``GraphFormatError`` for a name with invisible characters.
    """
    quoted = {name: name_text(sound(name)) for name in graph.nodes}
    paths = _paths(graph)
    statements = [" -> ".join(quoted[v] for v in path) for path in paths]
    statements += [f"{quoted[a]} <-> {quoted[b]}" for a, b in graph.bidirected]
    mentioned = dict.fromkeys(v for part in (*paths, *graph.bidirected) for v in part)
    alone = [v for v in graph.nodes if v not in mentioned]
    hidden = [f"latent {', '.join(quoted[v] for v in graph.latents)}"] if graph.latents else []
    if (*mentioned, *alone) == graph.nodes:
        return "; ".join([*statements, *(quoted[v] for v in alone), *hidden])
    return "; ".join([*(quoted[v] for v in graph.nodes), *statements, *hidden])


def _paths(graph: Diagram) -> list[list[str]]:
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
