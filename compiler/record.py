"""Estimands, derivations and hedges as plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from causalc.compiler.answer import Estimand
from causalc.compiler.estimand import Follow, Node, Prob, Product, Ratio, Sum, postorder
from causalc.compiler.graph import Graph
from causalc.compiler.identify import NotIdentifiable, describe
from causalc.compiler.words import read


def record(
    estimands: Mapping[str, Estimand],
    refused: Mapping[str, NotIdentifiable],
    graph: Graph,
    remedies: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The graph, and each query with its estimand and derivation, or with its hedge."""
    found = [{"name": name, **of_estimand(e)} for name, e in estimands.items()]
    return {
        "graph": {
            "nodes": list(graph.nodes),
            "directed": [list(edge) for edge in graph.directed],
            "bidirected": [list(edge) for edge in graph.bidirected],
        },
        "queries": found
        + [
            {"name": name, **of_refusal(r), "remedies": (remedies or {}).get(name)}
            for name, r in refused.items()
        ],
    }


def of_estimand(estimand: Estimand) -> dict[str, Any]:
    """An identified query; ``nodes`` are the distinct parts of the formula, each after those it refers to."""
    graph, question, derivation = estimand.graph, estimand.question, estimand.derivation
    reading = read(estimand)
    return {
        "query": question.text,
        "identifiable": True,
        "outcomes": list(question.outcomes),
        "do": dict(question.do),
        "policies": {q.variable: q.text for q in question.policies},
        "given": dict(question.given),
        "estimand": {
            "text": estimand.text,
            "latex": estimand.latex(),
            "nodes": _nodes(estimand.root, graph),
        },
        "derivation": [
            {
                "line": step.line,
                "outcomes": list(graph.names(step.outcomes)),
                "do": list(graph.names(step.do)),
                "variables": list(graph.names(step.variables)),
                "part": list(graph.names(step.part)),
                "text": describe(graph, step),
            }
            for step in derivation.steps
        ],
        "reading": {
            "headline": reading.headline,
            "formula": list(reading.formula),
            "recipe": list(reading.recipe),
            "needs": list(reading.needs),
        },
    }


def of_refusal(reason: NotIdentifiable) -> dict[str, Any]:
    """A query that is not identifiable, with the hedge that proves it."""
    return {
        "query": reason.query,
        "identifiable": False,
        "hedge": {
            "forest": list(reason.hedge.forest),
            "subforest": list(reason.hedge.subforest),
        },
        "reason": str(reason),
    }


def _nodes(root: Node, graph: Graph) -> list[dict[str, Any]]:
    number: dict[Node, int] = {}
    nodes: list[dict[str, Any]] = []
    for node in postorder(root):
        number[node] = len(nodes)
        row: dict[str, Any]
        match node:
            case Prob(children=children, given=given):
                row = {"op": "P", "of": graph.names(children), "given": graph.names(given)}
            case Follow(children=children, given=given):
                row = {"op": "policy", "of": graph.names(children), "given": graph.names(given)}
            case Product(factors=factors):
                row = {"op": "product", "of": [number[f] for f in factors]}
            case Sum(bound=bound, body=body):
                row = {"op": "sum", "over": graph.names(bound), "of": number[body]}
            case Ratio(numerator=top, denominator=bottom):
                row = {"op": "ratio", "of": number[top], "by": number[bottom]}
            case _:
                raise AssertionError(node)
        nodes.append({k: list(v) if isinstance(v, tuple) else v for k, v in row.items()})
    return nodes
