"""The checks of a graph: no cycle, no two names alike, nothing that the theory does not cover."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from causalc.compiler import messages as m
from causalc.compiler.graph import Graph
from causalc.compiler.scope import Scope
from causalc.grammar.source import Source
from causalc.grammar.tree import Edge, GraphSpec, LatentStatement

SHOWN_EDGES = 6


def check_graph(spec: GraphSpec, hidden: Sequence[LatentStatement], scope: Scope) -> Graph:
    """The graph over the observed variables, which ``scope`` learns; an empty one after a mistake."""
    source = spec.source or scope.source
    _find_latents(spec, hidden, scope)
    scope.observed = tuple(n for n in spec.nodes if n not in scope.latent)
    before = len(scope.found)
    if not spec.nodes and scope.graph_known:
        scope.say(m.EmptyGraph(spec.span), source)
        scope.graph_known = False
    _alike(spec, scope, source)
    for name in spec.with_attribute("selected", "s"):
        scope.say(m.Selected(name.span, name.text), source)
    loops = [edge for edge in spec.edges if edge.tail.text == edge.head.text]
    for edge in loops:
        scope.say(m.SelfLoop(edge.span, edge.tail.text), source)
    if not loops and (cycle := find_cycle(spec)):
        path = " -> ".join([*(edge.tail.text for edge in cycle), cycle[0].tail.text])
        *others, last = cycle
        notes = tuple((f"{e.tail.text} -> {e.head.text}", e.span) for e in others[:SHOWN_EDGES])
        scope.say(m.Cycle(last.span, path, notes), source)
    if len(scope.found) > before or not scope.graph_known:
        return Graph.from_edges((), ())
    graph = Graph.from_edges(spec.nodes, spec.directed, spec.bidirected, tuple(scope.latent))
    scope.edges = graph.directed
    return graph


def _find_latents(spec: GraphSpec, hidden: Sequence[LatentStatement], scope: Scope) -> None:
    same_text = spec.source is None or spec.source == scope.source
    for name in spec.latents:
        scope.latent[name] = spec.span_of(name) if same_text else None
    for statement in hidden:
        for written in statement.names:
            if written.text in spec.nodes or not scope.graph_known:
                scope.latent.setdefault(written.text, written.span)
            else:
                scope.say(
                    m.UnknownVariable(written.span, written.text, spec.nodes, scope.graph_name)
                )


def _alike(spec: GraphSpec, scope: Scope, source: Source) -> None:
    """Note names that a reader, or a file system, would take for one another."""
    first: dict[str, str] = {}
    for name in spec.names:
        folded = unicodedata.normalize("NFKC", name.text).casefold()
        other = first.setdefault(folded, name.text)
        if other != name.text:
            scope.say(m.CaseClash(name.span, name.text, other, spec.span_of(other)), source)


def find_cycle(spec: GraphSpec) -> list[Edge]:
    """The edges of one directed cycle, in order, the one written last at the end; or none."""
    after: dict[str, dict[str, Edge]] = {name: {} for name in spec.nodes}
    for edge in spec.edges:
        if edge.arrow == "->":
            after[edge.tail.text].setdefault(edge.head.text, edge)
    state: dict[str, bool] = {}  # present: entered; True: left, no cycle through it
    for root in spec.nodes:
        if root not in state:
            path = _closed_path(root, after, state)
            if path:
                return _last_written_last(path)
    return []


def _closed_path(
    root: str, after: dict[str, dict[str, Edge]], state: dict[str, bool]
) -> list[Edge]:
    """Depth-first search from ``root`` without recursion."""
    path: list[Edge] = []
    todo = [(root, iter(after[root].values()))]
    state[root] = False
    while todo:
        name, edges = todo[-1]
        edge = next(edges, None)
        if edge is None:
            state[name] = True
            todo.pop()
            if path:
                path.pop()
        elif (head := edge.head.text) not in state:
            state[head] = False
            path.append(edge)
            todo.append((head, iter(after[head].values())))
        elif not state[head]:
            tails = [step.tail.text for step in path] + [name]
            return [*path, edge][tails.index(head) :]
    return []


def _last_written_last(cycle: list[Edge]) -> list[Edge]:
    at = max(range(len(cycle)), key=lambda i: cycle[i].span.end)
    return cycle[at + 1 :] + cycle[: at + 1]
