"""antecedent: the verdict for one intervention and one outcome, by its general identifier."""

from __future__ import annotations

from typing import Any

from adapter import Query, Tool, one_of_each, serve
from antecedent import Admg
from antecedent.errors import EffectNotIdentified
from antecedent.estimation import identify
from antecedent.query import AverageEffect


def build(query: Query, _: Any) -> Admg:
    return Admg.from_edges(list(query.nodes), list(query.directed), list(query.bidirected))


def decide(query: Query, graph: Admg) -> Any:
    effect = AverageEffect(query.x[0], query.y[0])
    try:
        found = identify(graph=graph, query=effect, identifier="general.id")
    except EffectNotIdentified:
        return None
    return None if found.status == "NotIdentified" else found


if __name__ == "__main__":
    serve(Tool("antecedent", {"graph": build, "verdict": decide}, one_of_each))
