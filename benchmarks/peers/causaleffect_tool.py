"""causaleffect for Python: verdict and estimand in one call."""

from __future__ import annotations

from typing import Any

from adapter import Formula, Query, Tool, serve
from causaleffect import ID, Probability
from igraph import Graph


def build(query: Query, _: Any) -> Graph:
    position = {v: i for i, v in enumerate(query.nodes)}
    both = [edge for a, b in query.bidirected for edge in ((a, b), (b, a))]
    edges = [(position[a], position[b]) for a, b in (*query.directed, *both)]
    names = {"name": list(query.nodes)}
    graph = Graph(len(query.nodes), edges=edges, directed=True, vertex_attrs=names)
    graph.es["confounding"] = [0] * len(query.directed) + [1, -1] * len(query.bidirected)
    return graph


def identify(query: Query, graph: Graph) -> Probability | None:
    found = ID(set(query.y), set(query.x), graph, set(query.z))
    return found if found.identifiable else None


def formula(query: Query, p: Probability) -> Formula:
    """Of the expression as found; the printed one is simplified."""
    factors = [formula(query, child) for child in p._children]
    body = ["product", *factors] if p._recursive else ["P", sorted(p._var), sorted(p._cond)]
    if p._sumset:
        body = ["sum", sorted(p._sumset), body]
    return ["ratio", body, formula(query, p._divisor)] if p._fraction else body


if __name__ == "__main__":
    stages = {"graph": build, "estimand": identify}
    serve(
        Tool("causaleffect", stages, formula=formula, text=lambda query, e: e.copy().printLatex())
    )
