"""This compiler: verdict, estimand and program text apart."""

from __future__ import annotations

from typing import Any

from adapter import Formula, Query, Tool, serve

from causalc.compiler.answer import Estimand, Question
from causalc.compiler.estimand import Prob, Product, Ratio, Sum
from causalc.compiler.express import express
from causalc.compiler.graph import Graph
from causalc.compiler.identify import NotIdentifiable, identify
from causalc.compiler.pipeline import compile_estimands


def build(query: Query, _: Any) -> Graph:
    return Graph.from_edges(query.nodes, query.directed, query.bidirected)


def decide(query: Query, graph: Graph) -> Any:
    try:
        sets = map(graph.mask, (query.y, query.x, query.z))
        return identify(graph, *sets, leave_out=True)
    except NotIdentifiable:
        return None


def derive(query: Query, derivation: Any) -> Estimand:
    do, given = (tuple((v, None) for v in names) for names in (query.x, query.z))
    question = Question("P(y | do(x), z)", query.y, do, given)
    return Estimand(question, derivation, express(derivation))


def compile_program(query: Query, estimand: Estimand) -> str:
    return compile_estimands({"answer": estimand}, estimand.graph).source


def formula(query: Query, estimand: Estimand) -> Formula:
    shown = estimand.shortest()
    names = shown.graph.names

    def show(node: Any) -> Formula:
        match node:
            case Prob():
                return ["P", names(node.children), names(node.given)]
            case Product(factors=factors):
                return ["product", *map(show, factors)]
            case Sum(bound=bound, body=body):
                return ["sum", names(bound), show(body)]
            case Ratio(numerator=top, denominator=bottom):
                return ["ratio", show(top), show(bottom)]
        raise TypeError(type(node).__name__)

    return show(shown.root)


if __name__ == "__main__":
    stages = {"graph": build, "verdict": decide, "estimand": derive, "program": compile_program}
    serve(Tool("causalc", stages, formula=formula, text=lambda query, e: e.shortest().latex()))
