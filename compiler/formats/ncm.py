"""The ``.cg`` files of neural causal models: names under ``<NODES>``, arrows under ``<EDGES>``."""

from __future__ import annotations

import re

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats.shared import (
    GraphFormatError,
    bounded,
    diagram,
    unrepeated,
    without_latents,
)

_EDGE = re.compile(r"(\S+)\s*(<->|->|<-)\s*(\S+)")


def write(graph: Diagram) -> str:
    """Write a ``.cg`` file; refuses named latents and names that are no identifiers."""
    for name in without_latents(graph, "a .cg file").nodes:
        if not name.isidentifier():
            raise GraphFormatError(f"a .cg file has no way to write the name `{name}`; rename it")
    lines = ["<NODES>", *graph.nodes, "", "<EDGES>"]
    lines += [f"{a} -> {b}" for a, b in graph.directed]
    lines += [f"{a} <-> {b}" for a, b in graph.bidirected]
    return "\n".join(lines) + "\n"


def read(text: str) -> Diagram:
    """Read a ``.cg`` file. Raises ``GraphFormatError`` with the line that is wrong."""
    part, nodes, arrows = "", list[str](), list[tuple[str, str, str]]()
    for number, line in enumerate(map(str.strip, bounded(text).splitlines()), 1):
        edge = _EDGE.fullmatch(line)
        if not line:
            continue
        if line in ("<NODES>", "<EDGES>"):
            part = line
        elif part == "<NODES>" and line.isidentifier():
            nodes.append(line)
        elif part == "<EDGES>" and edge and edge[1].isidentifier() and edge[3].isidentifier():
            arrows.append((edge[1], edge[3], edge[2]))
        else:
            wanted = {"<NODES>": "a name", "<EDGES>": "X -> Y or X <-> Y"}.get(part, "<NODES>")
            raise GraphFormatError(f"line {number} of this .cg file is {line[:60]!r}, not {wanted}")
    if not nodes:
        raise GraphFormatError("this .cg file has no names under <NODES>")
    known = set(unrepeated(nodes))
    unknown = [v for a, b, _ in arrows for v in (a, b) if v not in known]
    if unknown:
        raise GraphFormatError(f"`{unknown[0]}` has an edge and does not stand under <NODES>")
    return diagram(nodes, arrows)
