"""What the neural families share: saving a module with its configuration, batched evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from causalc.errors import CausalcError
from causalc.runtime.families.protocol import Shape, Tensors
from causalc.runtime.specs import ModelSpec
from causalc.runtime.stored import together

_ROWS = 1024  # at once: what they are turned into stays in the caches of a CPU


def whole(spec: ModelSpec, name: str, default: int) -> int:
    """Return a whole-number option."""
    return int(spec.get(name, default))  # type: ignore[arg-type]


def codes_at(uniform: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Return the code ``(n,)`` that each of ``uniform`` ``(n,)`` falls on, by its ``shares`` ``(n, levels)``."""
    upto = shares.cumsum(dim=1)[:, :-1]
    return (uniform.to(upto)[:, None] >= upto).sum(dim=1)


def save_module(folder: Path, module: nn.Module, config: Mapping[str, object]) -> None:
    """Write ``config.json`` and ``model.safetensors``."""
    from safetensors.torch import save_file

    (folder / "config.json").write_text(json.dumps(config, indent=1))
    state = {k: v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    save_file(state, folder / "model.safetensors")


def load_state(folder: Path, module: nn.Module, device: str) -> None:
    """Read weights written by ``save_module`` and put the module on ``device``, evaluating."""
    from safetensors.torch import load_file

    module.load_state_dict(load_file(folder / "model.safetensors"))
    module.to(device).eval()


def move(rows: Tensors, device: str | torch.device) -> dict[str, torch.Tensor]:
    """Return the tensors on ``device``."""
    return {name: values.to(device) for name, values in rows.items()}


def device_of(module: nn.Module) -> torch.device:
    """Return where the module's parameters are."""
    return next(module.parameters()).device


@torch.no_grad()
def in_batches(
    function: Callable[[Tensors], torch.Tensor],
    rows: Tensors,
    n: int,
    device: torch.device,
    most: int = 0,
) -> torch.Tensor:
    """Apply ``function`` to rows, ``most`` at a time, on ``device`` and join the results on the CPU.

    By default as many as suit the device.
    """
    parts = []
    most = most or rows_at_once(rows, device)
    for start in range(0, n, most):
        stop = min(start + most, n)
        batch = {name: values[start:stop] for name, values in rows.items()}
        parts.append(function(move(batch, device) | _count(stop - start)).cpu())
    return torch.cat(parts) if parts else torch.empty(0)


def rows_at_once(rows: Mapping[str, Any], device: torch.device) -> int:
    """Return how many rows of so many numbers are computed at a time: what fits a CPU's caches, or fills a device."""
    if device.type == "cpu":
        return _ROWS
    return together(sum(values[:1].numel() for values in rows.values()), _ROWS)


def in_distinct_batches(
    function: Callable[[Tensors], torch.Tensor],
    rows: Tensors,
    shape: Shape,
    n: int,
    device: torch.device,
) -> torch.Tensor:
    """``in_batches`` of a function of the inputs of ``shape`` alone; equal codes are evaluated once."""
    inputs = {name: rows[name] for name, _ in shape.inputs}
    if not all(kind.discrete for _, kind in shape.inputs):
        return in_batches(function, inputs, n, device)
    key = torch.zeros(n, dtype=torch.long)
    for name, kind in shape.inputs:  # renumbered each time, so that no key can overflow
        _, key = torch.unique(key * len(kind.levels) + inputs[name].cpu(), return_inverse=True)
    count = int(key.max()) + 1 if n else 0
    first = torch.empty(count, dtype=torch.long)
    first[key] = torch.arange(n)  # any row of the combination will do
    few = {name: values[first.to(values.device)] for name, values in inputs.items()}
    return in_batches(function, few, count, device)[key] if n else torch.empty(0)


def _count(n: int) -> dict[str, torch.Tensor]:
    return {"": torch.empty(n)}  # so that a function without inputs knows its number of rows


def rows_of(batch: Mapping[str, Any]) -> int:
    """Return the number of rows of a batch."""
    first = next(iter(batch.values()))
    # not len(): an export is of any number of rows
    return first.shape[0] if isinstance(first, torch.Tensor) else len(first)


def only(shape: Shape, family: str, allowed: Callable[[Any], bool], wanted: str) -> None:
    """Raise CausalcError unless every target is of an allowed kind."""
    for name, kind in shape.targets:
        if not allowed(kind):
            raise CausalcError(
                f"{shape}: {family}() models {wanted} and {name} is {kind}; "
                "use another family, or leave the model out to have one chosen."
            )
