"""y0: verdict and estimand in one call."""

from __future__ import annotations

from typing import Any

from adapter import Formula, Query, Tool, serve
from y0.algorithm.identify import identify_outcomes
from y0.dsl import Expression, Fraction, One, Probability, Product, Sum, Variable
from y0.graph import NxMixedGraph


def build(query: Query, _: Any) -> NxMixedGraph:
    return NxMixedGraph.from_str_edges(
        nodes=query.nodes, directed=query.directed, undirected=query.bidirected
    )


def identify(query: Query, graph: NxMixedGraph) -> Expression | None:
    y, x, z = ({Variable(v) for v in part} for part in (query.y, query.x, query.z))
    return identify_outcomes(graph, x, y, z or None)


def formula(query: Query, e: Expression) -> Formula:
    match e:
        case Probability(distribution=d):
            return ["P", [v.name for v in d.children], [v.name for v in d.parents]]
        case Product(expressions=factors):
            return ["product", *(formula(query, f) for f in factors)]
        case Sum(expression=body, ranges=bound):
            return ["sum", [v.name for v in bound], formula(query, body)]
        case Fraction(numerator=top, denominator=bottom):
            return ["ratio", formula(query, top), formula(query, bottom)]
        case One():
            return ["product"]
    raise TypeError(type(e).__name__)


if __name__ == "__main__":
    stages = {"graph": build, "estimand": identify}
    serve(Tool("y0", stages, formula=formula, text=lambda query, e: e.to_latex()))
