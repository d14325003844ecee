"""pyAgrum: verdict and formula in one call; its tables are not filled in."""

from __future__ import annotations

from typing import Any

import pyagrum as gum
from adapter import Formula, Query, Tool, serve


def build(query: Query, _: Any) -> gum.CausalModel:
    net = gum.BayesNet()
    for v in query.nodes:
        net.add(gum.LabelizedVariable(v, v, 2))
    for a, b in query.directed:
        net.addArc(a, b)
    return gum.CausalModel(net, list(query.hidden.items()), True)


def identify(query: Query, model: gum.CausalModel) -> gum.CausalImpact | None:
    y, x, z = map(set, (query.y, query.x, query.z))
    impact = gum.CausalImpact(model, on=y, doing=x, knowing=z)
    return impact if impact.isIdentified() else None


def formula(query: Query, impact: gum.CausalImpact) -> Formula:
    def show(node: dict[str, Any]) -> Formula:
        match node["op"]:
            case "P":
                return ["P", node["vars"], node.get("knowing", [])]
            case "sum":
                return ["sum", [node["var"]], show(node["term"])]
            case "*":
                return ["product", show(node["op1"]), show(node["op2"])]
            case "/":
                return ["ratio", show(node["op1"]), show(node["op2"])]
        raise TypeError(node["op"])

    return show(impact.toDict())


if __name__ == "__main__":
    stages = {"graph": build, "estimand": identify}
    serve(
        Tool(
            "pyagrum",
            stages,
            formula=formula,
            text=lambda query, e: e.toLatex().split("=", 1)[-1].strip(),
        )
    )
