"""Compile a causal query into a program that samples from its answer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causalc.api import compile, identify, load, remedies
    from causalc.compiler.graph import Graph
    from causalc.compiler.identify import NotIdentifiable
    from causalc.errors import CausalcError
    from causalc.grammar import parse, parse_query
    from causalc.program import Program, Sampler
    from causalc.table import Table

__version__ = "0.1.0"

_HOME = {
    "CausalcError": "errors",
    "Graph": "compiler.graph",
    "NotIdentifiable": "compiler.identify",
    "Program": "program",
    "Sampler": "program",
    "Table": "table",
    "compile": "api",
    "identify": "api",
    "load": "api",
    "parse": "grammar",
    "parse_query": "grammar",
    "remedies": "api",
}

__all__ = [
    "CausalcError",
    "Graph",
    "NotIdentifiable",
    "Program",
    "Sampler",
    "Table",
    "compile",
    "identify",
    "load",
    "parse",
    "parse_query",
    "remedies",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'causalc' has no attribute {name!r}")
    return getattr(import_module(f"causalc.{_HOME[name]}"), name)


def load_ipython_extension(ipython: Any) -> None:
    """Make ``%%causal`` known to IPython or Jupyter (``%load_ext causalc``)."""
    from causalc.notebook import load_ipython_extension

    load_ipython_extension(ipython)
