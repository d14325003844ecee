"""Ananke: the verdict, then a functional as an order of fixing, which is no formula in probabilities."""

from __future__ import annotations

from typing import Any

from adapter import Query, Tool, no_conditions, serve
from ananke.graphs import ADMG
from ananke.identification import OneLineID


def build(query: Query, _: Any) -> ADMG:
    return ADMG(
        vertices=list(query.nodes),
        di_edges=list(query.directed),
        bi_edges=list(query.bidirected),
    )


def decide(query: Query, graph: ADMG) -> OneLineID | None:
    problem = OneLineID(graph, list(query.x), list(query.y))
    return problem if problem.id() else None


if __name__ == "__main__":
    serve(Tool("ananke-causal", {"graph": build, "verdict": decide}, no_conditions))
