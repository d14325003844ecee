"""What a generated program calls. Knows nothing of the grammar and the compiler.

Names load on first use, so that importing this package costs nothing and loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from causalc import policy
    from causalc.runtime.command import main
    from causalc.runtime.image_files import folder
    from causalc.runtime.program import (
        FREE,
        Draw,
        Frame,
        Input,
        Models,
        Query,
        Row,
        Run,
        sampling,
        start,
    )
    from causalc.runtime.schema import (
        Schema,
        binary,
        categorical,
        image,
        inferred,
        integer,
        ordinal,
        real,
        text,
        vector,
    )
    from causalc.runtime.specs import (
        diffusion,
        flow,
        gan,
        mixture,
        pretrained,
        rows,
        softmax,
        table,
        transformer,
        vae,
    )

_HOMES = {
    "program": (
        "FREE",
        "Draw",
        "Frame",
        "Input",
        "Models",
        "Query",
        "Row",
        "Run",
        "sampling",
        "start",
    ),
    "schema": (
        "Schema",
        "binary",
        "categorical",
        "image",
        "inferred",
        "integer",
        "ordinal",
        "real",
        "text",
        "vector",
    ),
    "specs": (
        "diffusion",
        "flow",
        "gan",
        "mixture",
        "pretrained",
        "rows",
        "softmax",
        "table",
        "transformer",
        "vae",
    ),
    "image_files": ("folder",),
    "command": ("main",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "FREE",
    "Draw",
    "Frame",
    "Input",
    "Models",
    "Query",
    "Row",
    "Run",
    "Schema",
    "binary",
    "categorical",
    "diffusion",
    "flow",
    "folder",
    "gan",
    "image",
    "inferred",
    "integer",
    "main",
    "mixture",
    "ordinal",
    "policy",
    "pretrained",
    "real",
    "rows",
    "sampling",
    "softmax",
    "start",
    "table",
    "text",
    "transformer",
    "vae",
    "vector",
]


def __getattr__(name: str) -> Any:
    if name == "policy":
        return import_module("causalc.policy")
    if name not in _HOME:
        raise AttributeError(f"module 'causalc.runtime' has no attribute {name!r}")
    return getattr(import_module(f"causalc.runtime.{_HOME[name]}"), name)
