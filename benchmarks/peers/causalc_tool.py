"""This compiler: verdict, estimand and program text apart."""

from __future__ import annotations

from typing import Any, NamedTuple

from adapter import Formula, Query, Tool, serve

from causalc.compiler.answer import Estimand, Question, solve
from causalc.compiler.estimand import Prob, Product, Ratio, Sum
from causalc.compiler.express import express
from causalc.compiler.graph import Graph
from causalc.compiler.identify import Derivation, NotIdentifiable, identify
from causalc.compiler.pipeline import compile_estimands


def build(query: Query, _: Any) -> Graph:
    return Graph.from_edges(query.nodes, query.directed, query.bidirected)


def question(query: Query) -> Question:
    do, given = (tuple((v, None) for v in names) for names in (query.x, query.z))
    return Question("P(y | do(x), z)", query.y, do, given)


def decide(query: Query, graph: Graph) -> tuple[Graph, Derivation] | None:
    sets = map(graph.mask, (query.y, query.x, query.z))
    try:
        return graph, identify(graph, *sets, leave_out=True)
    except NotIdentifiable:
        return None


class Answer(NamedTuple):
    """What the stages hand on: the whole graph, and the estimand of the last."""

    graph: Graph
    estimand: Estimand


def derive(query: Query, found: tuple[Graph, Derivation]) -> Answer:
    graph, derivation = found
    return Answer(graph, Estimand(question(query), derivation, express(derivation)))


def shorten(query: Query, answer: Answer) -> Answer:
    return Answer(answer.graph, answer.estimand.shortest())


def compile_program(query: Query, answer: Answer) -> str:
    """From the graph on, as ``causalc.compile`` does: verdict and estimand are part of it."""
    graph = answer.graph
    return compile_estimands({"answer": solve(question(query), graph)}, graph).source


def formula(query: Query, answer: Answer) -> Formula:
    estimand = answer.estimand
    names = estimand.graph.names

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

    return show(estimand.root)


if __name__ == "__main__":
    serve(
        Tool(
            "causalc",
            {"graph": build, "verdict": decide, "estimand": derive},
            formula=formula,
            text=lambda query, a: a.estimand.latex(),
            after={"shortest": shorten, "program": compile_program},
        )
    )
