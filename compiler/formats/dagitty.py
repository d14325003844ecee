"""DAGitty: ``dag { X -> Y; U [latent] }``."""

from __future__ import annotations

import re

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats.shared import sound
from causalc.compiler.formats.text import read
from causalc.grammar.printer import name_text

__all__ = ["read", "write"]


def write(graph: Diagram) -> str:
    """Write a text that DAGitty reads; odd names in double quotes."""
    lines = [_name(name) + " [latent]" * (name in graph.latents) for name in graph.nodes]
    lines += [f"{_name(a)} -> {_name(b)}" for a, b in graph.directed]
    lines += [f"{_name(a)} <-> {_name(b)}" for a, b in graph.bidirected]
    return "dag {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def _name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z]\w*", sound(name), re.ASCII) and name == name_text(name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
