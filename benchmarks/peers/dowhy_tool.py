"""DoWhy: its ID algorithm, which takes a DAG; latent common causes are given as variables."""

from __future__ import annotations

from typing import Any

import networkx as nx
from adapter import Formula, Query, Tool, no_conditions, serve
from dowhy.causal_identifier.id_identifier import IDExpression, identify_effect_id


def build(query: Query, _: Any) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(query.nodes)
    graph.add_edges_from(query.directed)
    graph.add_edges_from((u, v) for u, pair in query.hidden.items() for v in pair)
    return graph


def identify(query: Query, graph: nx.DiGraph) -> IDExpression | None:
    return identify_effect_id(graph, list(query.x), list(query.y))


def formula(query: Query, e: Any) -> Formula:
    if isinstance(e, dict):
        return ["P", list(e["outcome_vars"]), list(e["condition_vars"])]
    body = ["product", *(formula(query, part) for part in e.get_val("prod"))]
    bound = list(e.get_val("sum"))
    return ["sum", bound, body] if bound else body


if __name__ == "__main__":
    serve(Tool("dowhy", {"graph": build, "estimand": identify}, no_conditions, formula=formula))
