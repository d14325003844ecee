"""pqp: verdict and estimand in one call into its Rust core, and its own reading of the result."""

from __future__ import annotations

import json
from typing import Any

from adapter import Formula, Query, Tool, serve
from pqp.pqp import id as identify_in_rust
from pqp.symbols import parse_json


def build(query: Query, _: Any) -> tuple[list[Any], list[Any]]:
    return list(query.directed), list(query.bidirected)


def identify(query: Query, graph: tuple[list[Any], list[Any]]) -> Any:
    found = json.loads(identify_in_rust(*graph, list(query.x), list(query.y), list(query.z)))
    parse_json(found)
    return None if _fails(found) else found


def _fails(e: dict[str, Any]) -> bool:
    parts = [*e.get("exprs", ()), *(e[k] for k in ("numer", "denom", "exp") if k in e)]
    return e["type"] == "Hedge" or any(map(_fails, parts))


def formula(query: Query, e: dict[str, Any]) -> Formula:
    match e["type"]:
        case "P":
            return ["P", e["vars"], e["given"]]
        case "Product":
            return ["product", *(formula(query, f) for f in e["exprs"])]
        case "Marginal":
            return ["sum", e["sub"], formula(query, e["exp"])]
        case "Quotient":
            return ["ratio", formula(query, e["numer"]), formula(query, e["denom"])]
    raise TypeError(e["type"])


def refuses(query: Query) -> str | None:
    """Graphs are given by their edges alone."""
    on_edges = {v for edge in (*query.directed, *query.bidirected) for v in edge}
    return None if on_edges >= {*query.y, *query.x, *query.z} else "isolated variables"


if __name__ == "__main__":
    stages = {"graph": build, "estimand": identify}
    serve(
        Tool(
            "pqp",
            stages,
            refuses,
            formula=formula,
            text=lambda query, e: parse_json(e).to_latex(),
        )
    )
