"""Which family models each conditional when the user has not said."""

from __future__ import annotations

import math

from causalc.errors import CausalcError
from causalc.runtime import specs
from causalc.runtime.families.mixture import WIDEST
from causalc.runtime.families.protocol import Shape
from causalc.runtime.families.table import MOST_OUTCOMES, sizes
from causalc.runtime.schema import Kind
from causalc.runtime.specs import ModelSpec

_ROWS_A_NUMBER = 10  # a table needs this many rows for every number it holds
_MIXTURE_WIDTH = 8  # wider vectors go to diffusion
_WRITERS = ("transformer", "pretrained", "rows")  # families of texts
_SAMPLERS = ("diffusion", "vae", "gan", "rows")  # families without a density

Link = tuple[Shape, ModelSpec]


def links(shape: Shape, spec: ModelSpec | None, rows: int, density: bool = False) -> list[Link]:
    """Split a conditional into links P(t₁ | inputs), P(t₂ | t₁, inputs), … with a family each.

    Softmax, mixture and transformer take one target; the others take all of theirs jointly, where they can
    model every one. With ``density`` every link must have a log probability: a spec that cannot
    give one is replaced.
    """
    if density and spec is not None and not _dense(spec):
        spec = None
    if spec is not None:
        _check_texts(spec, shape)
    if len(shape.targets) == 1 or (spec is not None and _jointly(spec, shape)):
        return [(shape, spec or choose(shape, rows, density))]
    found: list[Link] = []
    for i, target in enumerate(shape.targets):
        one = Shape((target,), (*shape.inputs, *shape.targets[:i]))
        found.append((one, _fitting(spec, one) or choose(one, rows, density)))
    return found


def _dense(spec: ModelSpec) -> bool:
    return spec.family not in _SAMPLERS and spec.get("order", "left") == "left"


def _check_texts(spec: ModelSpec, shape: Shape) -> None:
    """Raise CausalcError where the one target is a text and the family none that writes."""
    (name, kind), *others = shape.targets
    if not others and kind.name == "text" and not _models(spec, kind):
        raise CausalcError(
            f"{shape}: {spec.family}() writes no texts and {name} is {kind}; use transformer()."
        )


def _jointly(spec: ModelSpec, shape: Shape) -> bool:
    """Return whether the family models all targets at once."""
    if spec.family == "table":
        codes = all(kind.discrete for _, kind in shape.targets)
        return codes and math.prod(sizes(shape.targets)) <= MOST_OUTCOMES
    return spec.family not in ("softmax", "mixture", "transformer") and all(
        _models(spec, kind) for _, kind in shape.targets
    )


def _models(spec: ModelSpec, kind: Kind) -> bool:
    """Return whether the family models a target of this kind."""
    if spec.family == "transformer" or kind.name == "text":
        return spec.family in _WRITERS and kind.name == "text"
    if spec.family in ("table", "softmax"):
        return kind.discrete
    if spec.family in ("mixture", "flow"):
        return kind.scalar or kind.name == "vector"
    return spec.family != "gan" or not kind.discrete


def _fitting(spec: ModelSpec | None, shape: Shape) -> ModelSpec | None:
    """Return ``spec`` if it can model the one target of ``shape``: a block may mix kinds."""
    if spec is None:
        return None
    return spec if _models(spec, shape.targets[0][1]) else None


def choose(shape: Shape, rows: int, density: bool = False) -> ModelSpec:
    """Return the family for one target. Raises CausalcError where a density has no family."""
    ((name, kind),) = shape.targets
    if kind.discrete:
        counted = all(kind.discrete for _, kind in shape.inputs)
        numbers = math.prod(map(float, sizes(shape.inputs))) * (len(kind.levels) - 1)
        few = counted and numbers * _ROWS_A_NUMBER <= rows
        return specs.table() if few else specs.softmax()
    if kind.name == "text":
        return specs.transformer()
    if (
        kind.scalar or kind.width <= (WIDEST if density else _MIXTURE_WIDTH)
    ) and kind.name != "image":
        return specs.mixture()
    if density:
        raise CausalcError(
            f"{shape}: reweighting needs a density of {name}, and {kind} has none; "
            "compile with strategy='generate'."
        )
    return specs.diffusion()
