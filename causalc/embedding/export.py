"""``torch.export`` of a whole sampler, and of each denoiser in it, as ``.pt2`` files.

An exported file needs torch alone: no causalc, no diffusers, no Python of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from causalc.embedding.factors import Tensors
from causalc.embedding.function import SamplingFunction
from causalc.errors import CausalcError
from causalc.program import Sampler
from causalc.runtime.families.diffusion import FittedDiffusion
from causalc.runtime.fitted import Conditional
from causalc.runtime.schema import Kind

SIGNATURE = "causalc.json"  # the file inside a .pt2 that says what goes in and out
_ROWS = 3  # of the example that is traced


def export(sampler: Sampler, path: str | Path, query: str | None = None) -> ExportedProgram:
    """Write a query of a sampler to ``path`` as a function ``f(inputs, noise)`` of any number of rows.

    ``torch.export.load(path).module()`` is that function; both arguments and the result map names to tensors, which
    are those of ``SamplingFunction``. The file says so itself, in ``causalc.json``: dtype, shape of a row and levels
    of every input and outcome, and the law of every noise. Real rows that a program draws from become part of the
    file. Tracing takes seconds to a minute: every evaluation of a network is unrolled.

    Raises ``CausalcError`` for an unknown query, for what is no function of tensors (see ``SamplingFunction``) and
    where the file cannot be written.
    """
    function = SamplingFunction(sampler, query).cpu().eval()
    noise = function.noise(_ROWS)
    inputs = {name: _example(function.schema.kind(name)) for name in function.inputs}
    made = _traced(function, (inputs, noise))
    with torch.no_grad():
        drawn = function(inputs, noise)
    signature = {
        "format": 1,
        "query": sampler.program.estimands[function.query].question.text,
        "estimand": sampler.program.estimands[function.query].text,
        "inputs": {n: _column(v, function.schema.kind(n)) for n, v in inputs.items()},
        "noise": {
            n: {"law": "uniform" if n.endswith("u") else "normal", **_tensor(v)}
            for n, v in noise.items()
        },
        "outcomes": {n: _column(v, function.schema.kind(n)) for n, v in drawn.items()},
    }
    _save(made, Path(path), signature)
    return made


def export_denoisers(sampler: Sampler, folder: str | Path) -> dict[str, Path]:
    """Write every denoiser of a sampler into ``folder``; returns the files by what they are a model of.

    Each is a function ``D(x, sigma, inputs)``, the expected clean targets given noisy ones: ``x`` ``(n, d)`` float32
    of encoded targets side by side, ``sigma`` ``(n,)`` noise levels above 0, ``inputs`` encoded tensors by name.

    Raises ``CausalcError`` where the sampler holds no diffusion model or a file cannot be written.
    """
    found: dict[str, Path] = {}
    for name, model in sampler.models.items():
        links = model.links if isinstance(model, Conditional) else ()
        for i, (_, fitted) in enumerate(links):
            if not isinstance(fitted, FittedDiffusion):
                continue
            shape = str(fitted.shape)
            path = (
                Path(folder) / f"{len(found)}-{re.sub(r'[^A-Za-z0-9_]+', '_', name)[:60]}-{i}.pt2"
            )
            _save_denoiser(model, fitted, path)
            found[shape] = path
    if not found:
        raise CausalcError("there is no diffusion model in this sampler, so no denoiser to export")
    return found


class _Denoiser(nn.Module):
    def __init__(self, fitted: FittedDiffusion) -> None:
        super().__init__()
        self.fitted, self.module = fitted, fitted.module

    def forward(self, x: torch.Tensor, sigma: torch.Tensor, inputs: Tensors) -> torch.Tensor:
        """The denoised ``(n, d)``."""
        return self.fitted.denoise(x, sigma, inputs)


def _save_denoiser(model: Conditional, fitted: FittedDiffusion, path: Path) -> None:
    d = fitted.module.slots[-1][1]
    inputs = {
        name: model.encoders[name].encode(_example(kind).numpy())
        for name, kind in fitted.shape.inputs
    }
    x, sigma = torch.zeros(_ROWS, d), torch.ones(_ROWS)
    made = _traced(_Denoiser(fitted).cpu().eval(), (x, sigma, inputs))
    signature = {
        "format": 1,
        "model": str(fitted.shape),
        "x": _tensor(x),
        "sigma": _tensor(sigma),
        "inputs": {name: _tensor(values) for name, values in inputs.items()},
        "denoised": _tensor(x),
    }
    _save(made, path, signature)


def _traced(module: nn.Module, arguments: tuple[Any, ...]) -> ExportedProgram:
    rows = Dim("rows", min=1)

    def dynamic(value: Any) -> Any:
        return {k: {0: rows} for k in value} if isinstance(value, Mapping) else {0: rows}

    with torch.no_grad():
        return torch.export.export(
            module, arguments, dynamic_shapes=tuple(map(dynamic, arguments)), strict=False
        )


def _save(made: ExportedProgram, path: Path, signature: Mapping[str, Any]) -> None:
    text = json.dumps(signature, indent=1, ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.export.save(made, path, extra_files={SIGNATURE: text})
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CausalcError(f"{path}: cannot be written ({reason})") from error


def _example(kind: Kind) -> torch.Tensor:
    """A few rows of a kind, of the type that its columns have."""
    if kind.discrete or kind.name == "integer":
        return torch.zeros(_ROWS, dtype=torch.int64)
    dtype = {"real": torch.float64, "image": torch.uint8}.get(kind.name, torch.float32)
    return torch.zeros(_ROWS, *kind.shape, dtype=dtype)


def _tensor(values: torch.Tensor) -> dict[str, Any]:
    return {"dtype": str(values.dtype).removeprefix("torch."), "shape": list(values.shape[1:])}


def _column(values: torch.Tensor, kind: Kind) -> dict[str, Any]:
    """What a column holds: its kind, dtype, the shape of a row and, of codes, the levels they count."""
    return {**kind.to_json(), **_tensor(values)}
