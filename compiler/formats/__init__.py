"""Graphs in the formats of others: one module a format, each with ``read`` to a ``Diagram``, ``write``, or both.

Reading refuses what an ADMG cannot say: an undirected edge, a circle mark, selection. Writing refuses what the
format cannot say. Nothing is dropped in silence but drawing attributes; what was written reads the same.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import PurePath
from typing import Any

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats.shared import GraphFormatError

__all__ = ["READ", "SUFFIXES", "WRITE", "GraphFormatError", "form_of", "read", "write"]

SUFFIXES = {
    ".dag": "text",
    ".dagitty": "text",
    ".txt": "text",
    ".dot": "dot",
    ".gv": "dot",
    ".gml": "gml",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".json": "fusion",
    ".cg": "ncm",
    ".lav": "lavaan",
    ".lavaan": "lavaan",
    ".csv": "adjacency",
}
READ = ("text", "dagitty", "dot", "gml", "mermaid", "fusion", "ncm", "lavaan", "adjacency")
WRITE = (*READ, "tikz")


def form_of(path: PurePath) -> str:
    """The format of a graph file by its name; the edge language and DAGitty where the name does not say."""
    return SUFFIXES.get(path.suffix.lower(), "text")


def read(text: str, form: str) -> Diagram:
    """Read a graph in one of ``READ``. Raises ``CausalcError`` with what is wrong."""
    found: Callable[[str], Diagram] = _module(form, READ).read
    return found(text)


def write(diagram: Diagram, form: str) -> str:
    """Write a graph in one of ``WRITE``. Raises ``GraphFormatError`` with what the format cannot say."""
    found: Callable[[Diagram], str] = _module(form, WRITE).write
    return found(diagram)


def _module(form: str, known: tuple[str, ...]) -> Any:
    if form not in known:
        raise GraphFormatError(f"there is no format {form!r}; there are {', '.join(known)}")
    return import_module(f"causalc.compiler.formats.{form}")
