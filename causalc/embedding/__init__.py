"""Samplers inside other programs: torch modules and exports, data sets, estimators, folders for a hub.

Names load on first use, so that importing this package loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causalc.embedding.card import model_card
    from causalc.embedding.effect import Effect
    from causalc.embedding.export import export, export_denoisers
    from causalc.embedding.function import SamplingFunction
    from causalc.embedding.hub import push_to_hub
    from causalc.embedding.rows import InterventionalRows, InterventionalStream

_HOME = {
    "Effect": "effect",
    "InterventionalRows": "rows",
    "InterventionalStream": "rows",
    "SamplingFunction": "function",
    "export": "export",
    "export_denoisers": "export",
    "model_card": "card",
    "push_to_hub": "hub",
}

__all__ = [
    "Effect",
    "InterventionalRows",
    "InterventionalStream",
    "SamplingFunction",
    "export",
    "export_denoisers",
    "model_card",
    "push_to_hub",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'causalc.embedding' has no attribute {name!r}")
    found = getattr(import_module(f"causalc.embedding.{_HOME[name]}"), name)
    globals()[name] = found  # a submodule may bear the name of its function
    return found
