"""The JSON of Causal Fusion: ``{"nodes": [{"name": ...}], "edges": [{"from": ..., "to": ..., "type": ...}]}``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats.shared import GraphFormatError, bounded, diagram, unrepeated

_ARROWS = {"directed": "->", "bidirected": "<->"}
_PLAIN = ("basic", "", None)


def write(graph: Diagram) -> str:
    """Write JSON that Causal Fusion and y0 read."""
    nodes = [
        {"id": f"n{i}", "name": v, "label": v, "type": "latent" if v in graph.latents else "basic"}
        for i, v in enumerate(unrepeated(graph.nodes))
    ]
    pairs = [(p, "directed") for p in graph.directed]
    pairs += [(p, "bidirected") for p in graph.bidirected]
    edges = [
        {"id": f"e{i}", "from": a, "to": b, "type": kind} for i, ((a, b), kind) in enumerate(pairs)
    ]
    value = {"name": "", "nodes": nodes, "edges": edges}
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def read(text: str) -> Diagram:
    """Read JSON; edges are by the names of nodes, or by their ids where no name is meant.

    Raises ``GraphFormatError`` for selection nodes, undirected edges, and JSON of another shape.
    """
    try:
        value = json.loads(bounded(text))
    except (ValueError, RecursionError) as error:
        raise GraphFormatError(f"this is not JSON: {error}") from None
    nodes, edges = _list(value, "nodes"), _list(value, "edges")
    names = [str(_field(node, "name", "a node")) for node in nodes]
    unrepeated(names)
    known = {str(node["id"]): name for node, name in zip(nodes, names, strict=True) if "id" in node}
    known |= {name: name for name in names}
    latents = [name for node, name in zip(nodes, names, strict=True) if _is_latent(node, name)]
    return diagram(names, _edges(edges, known), latents)


def _edges(
    edges: Sequence[Mapping[str, Any]], known: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    for edge in edges:
        a, b, kind = (str(_field(edge, key, "an edge")) for key in ("from", "to", "type"))
        for end in (a, b):
            if end not in known:
                raise GraphFormatError(f"an edge names `{end}`, which is no node")
        if kind not in _ARROWS:
            raise GraphFormatError(
                f"the edge between `{a}` and `{b}` is of type {kind!r}; only directed and bidirected "
                "edges have a meaning here"
            )
        yield known[a], known[b], _ARROWS[kind]


def _is_latent(node: Mapping[str, Any], name: str) -> bool:
    kind = node.get("type")
    if kind not in (*_PLAIN, "latent"):
        raise GraphFormatError(
            f"`{name}` is a node of type {kind!r}; only basic and latent ones have a meaning here"
        )
    return kind == "latent"


def _list(value: Any, key: str) -> Sequence[Mapping[str, Any]]:
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise GraphFormatError(
            f"this JSON is no graph of Causal Fusion: it has no list of {key}, each an object"
        )
    return found


def _field(item: Mapping[str, Any], key: str, what: str) -> Any:
    if not isinstance(item.get(key), str | int):
        raise GraphFormatError(f"{what} of this JSON has no {key!r}")
    return item[key]
