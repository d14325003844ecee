"""pgmpy: an adjustment set or a front-door set, which is less than identification asks for."""

from __future__ import annotations

from typing import Any

from adapter import Query, Tool, one_of_each, serve
from pgmpy.base import DAG
from pgmpy.identification import Adjustment, Frontdoor


def build(query: Query, _: Any) -> DAG:
    edges = [*query.directed, *((u, v) for u, pair in query.hidden.items() for v in pair)]
    graph = DAG(edges, latents=set(query.hidden))
    graph.add_nodes_from(v for v in query.nodes if v not in graph)
    graph.with_role("exposures", query.x[0], inplace=True)
    graph.with_role("outcomes", query.y[0], inplace=True)
    return graph


def decide(query: Query, graph: DAG) -> Any:
    for way in (Adjustment(), Frontdoor()):
        found, success = way.identify(graph)
        if success:
            return found
    return None


if __name__ == "__main__":
    serve(Tool("pgmpy", {"graph": build, "verdict": decide}, one_of_each))
