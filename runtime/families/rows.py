"""Real rows: targets of every kind given discrete inputs, drawn as they were observed.

Within a stratum (one combination of the inputs' levels) rows are drawn with replacement in proportion to
their weights: the empirical conditional distribution, all targets jointly. Nothing is learnt, nothing new is
drawn, and no more than the rows of a stratum can be told about it. A stratum without rows is served by the
heaviest of those that agree with it in the most inputs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from causalc.errors import CausalcError
from causalc.runtime.families.protocol import Setting, Shape, Tensors, Variables
from causalc.runtime.noise import Noise
from causalc.runtime.progress import Report
from causalc.runtime.schema import Kind
from causalc.runtime.specs import ModelSpec
from causalc.runtime.stored import MANY

_MOST = 1 << 30  # numbers kept with the model: it has to travel


@dataclass(frozen=True, slots=True)
class FittedRows:
    """Rows sorted by stratum.

    ``strata`` ``(strata, inputs)`` are the codes of each, ``first`` ``(strata + 1,)`` where its rows begin, and
    ``mass`` ``(rows + 1,)`` the weight of all rows before each, float64.
    """

    shape: Shape
    values: Tensors
    strata: np.ndarray
    first: np.ndarray
    mass: np.ndarray

    def sample(self, n: int, inputs: Tensors, noise: Noise) -> dict[str, torch.Tensor]:
        """Draw the targets of a row of each input's stratum."""
        at = self._stratum(inputs, n)
        low, high = self.mass[self.first[at]], self.mass[self.first[at + 1]]
        place = low + noise.uniform() * (high - low)
        row = np.searchsorted(self.mass, place, "right") - 1
        row = torch.from_numpy(np.clip(row, self.first[at], self.first[at + 1] - 1))
        return {name: values[row] for name, values in self.values.items()}

    def _stratum(self, inputs: Tensors, n: int) -> np.ndarray:
        """Return the number of each row's stratum, or of the one that stands for it."""
        asked, back = np.unique(_codes(self.shape.inputs, inputs, n), axis=0, return_inverse=True)
        weight = np.diff(self.mass[self.first])
        agreeing = (asked[:, None, :] == self.strata[None]).sum(axis=2)
        best = agreeing == agreeing.max(axis=1, keepdims=True)
        return np.asarray(np.where(best, weight, -1.0).argmax(axis=1)[back.reshape(-1)])

    def log_prob(self, targets: Tensors, inputs: Tensors) -> torch.Tensor:
        """Raise CausalcError: what was never observed has no density here."""
        raise CausalcError(
            f"{self.shape}: real rows have no density; reweighting needs table(), softmax() or mixture() here."
        )

    def save(self, folder: Path) -> None:
        """Write the rows and where each stratum begins."""
        from safetensors.torch import save_file

        arrays = {f"values.{i}": v.contiguous() for i, v in enumerate(self.values.values())}
        for name in ("strata", "first", "mass"):
            arrays[name] = torch.from_numpy(np.ascontiguousarray(getattr(self, name)))
        text = json.dumps({"shape": self.shape.to_json()}, indent=1)
        (folder / "config.json").write_text(text)
        save_file(arrays, folder / "rows.safetensors")


def _codes(variables: Variables, rows: Tensors, n: int) -> np.ndarray:
    """Return the codes of the variables side by side, int64 ``(n, variables)``."""
    columns = [rows[name][:].cpu().numpy().astype(np.int64) for name, _ in variables]
    return np.stack(columns, axis=1) if columns else np.zeros((n, 0), np.int64)


def fit(
    shape: Shape,
    rows: Tensors,
    weights: torch.Tensor | None,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> FittedRows:
    """Sort the rows by stratum. Raises CausalcError where an input is not discrete or the rows too many."""
    for name, kind in shape.inputs:
        if not kind.discrete:
            raise CausalcError(
                f"{shape}: rows() draws real rows with the same inputs and {name} is {kind}; use diffusion() "
                "or another family that learns."
            )
    n = len(rows[shape.target_names[0]])
    if n > MANY or n * sum(kind.width for _, kind in shape.targets) > _MOST:
        raise CausalcError(
            f"{shape}: rows() keeps every row with the model, and {n:,} are too many; use diffusion() or another "
            "family that learns."
        )
    strata, stratum = np.unique(_codes(shape.inputs, rows, n), axis=0, return_inverse=True)
    stratum = stratum.reshape(-1)
    mass = np.ones(n) if weights is None else np.asarray(weights[:].cpu().numpy(), np.float64)
    order = np.argsort(stratum, kind="stable")
    order = order[mass[order] > 0]
    count = np.bincount(stratum[order], minlength=len(strata))
    total = np.concatenate([[0.0], mass[order].cumsum()])
    first = np.concatenate([[0], count.cumsum()])
    chosen = torch.from_numpy(order)
    values = {name: rows[name][chosen] for name in shape.target_names}
    filled = count > 0
    return FittedRows(shape, values, strata[filled], first[np.append(filled, True)], total)


def load(folder: Path, device: str) -> FittedRows:
    """Read what ``FittedRows.save`` wrote. Raises CausalcError where its parts do not fit."""
    from safetensors.torch import load_file

    shape = Shape.from_json(json.loads((folder / "config.json").read_text())["shape"])
    arrays = load_file(folder / "rows.safetensors")
    values = {name: arrays[f"values.{i}"] for i, name in enumerate(shape.target_names)}
    strata, first, mass = (arrays[name].numpy() for name in ("strata", "first", "mass"))
    found = FittedRows(shape, values, strata, first, mass)
    if _unsound(found):
        raise CausalcError(f"{folder}: its rows are not those of strata.")
    return found


def _unsound(found: FittedRows) -> bool:
    strata, first, mass = found.strata, found.first, found.mass
    if strata.ndim != 2 or strata.shape[1] != len(found.shape.inputs) or not len(strata):
        return True
    if first.dtype != np.int64 or strata.dtype != np.int64 or mass.dtype != np.float64:
        return True
    if first.shape != (len(strata) + 1,) or first[0] != 0 or (np.diff(first) <= 0).any():
        return True
    rows = int(first[-1])
    if mass.shape != (rows + 1,) or not np.isfinite(mass).all() or (np.diff(mass) <= 0).any():
        return True
    kinds = zip(found.shape.targets, found.values.values(), strict=True)
    return any(not _fits(kind, values, rows) for (_, kind), values in kinds)


def _fits(kind: Kind, values: torch.Tensor, rows: int) -> bool:
    """Whether encoded values are ``rows`` of this kind."""
    if kind.discrete:
        whole = values.dtype == torch.int64 and values.shape == (rows,)
        return whole and bool((values >= 0).all() and (values < len(kind.levels)).all())
    if kind.name == "image":
        height, width, channels = kind.shape
        return values.dtype == torch.uint8 and values.shape == (rows, channels, height, width)
    if kind.name == "text":
        return values.dtype == torch.int32 and values.shape == (rows, kind.width)
    finite = values.is_floating_point() and bool(values.isfinite().all())
    return finite and values.shape == (rows, kind.width)
