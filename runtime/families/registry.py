"""The closed list of model families a specification or a saved folder may name."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from causalc.errors import CausalcError
from causalc.runtime.families.protocol import Family

_MODULES = {
    "table": "causalc.runtime.families.table",
    "softmax": "causalc.runtime.families.softmax",
    "mixture": "causalc.runtime.families.mixture",
    "transformer": "causalc.runtime.families.transformer",
    "diffusion": "causalc.runtime.families.diffusion",
    "flow": "causalc.runtime.families.flow",
    "vae": "causalc.runtime.families.vae",
    "gan": "causalc.runtime.families.gan",
    "rows": "causalc.runtime.families.rows",
}


def family(name: str) -> Family:
    """Return the module of a family (imported on first use). Raises CausalcError if unknown."""
    if name not in _MODULES:
        raise CausalcError(f"Unknown model family {name!r}: use one of {', '.join(_MODULES)}.")
    return cast(Family, import_module(_MODULES[name]))
