"""Fit a conditional on a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from causalc.runtime.choose import links
from causalc.runtime.data import Columns
from causalc.runtime.encode import Encoded, Encoder, fit_encoder
from causalc.runtime.families.protocol import Fitted, Setting, Shape, Tensors
from causalc.runtime.families.registry import family
from causalc.runtime.fitted import Conditional
from causalc.runtime.mass import mass_of
from causalc.runtime.noise import derive
from causalc.runtime.progress import Report
from causalc.runtime.specs import ModelSpec
from causalc.runtime.stored import Column, Stored, Uniforms, many


def shape_of(columns: Columns, targets: tuple[str, ...], given: tuple[str, ...]) -> Shape:
    """Return the shape of P(targets | given) over these columns."""
    kinds = columns.schema
    return Shape(
        tuple((name, kinds.kind(name)) for name in targets),
        tuple((name, kinds.kind(name)) for name in given),
    )


def encoders_of(columns: Columns, shape: Shape, transform: str) -> dict[str, Encoder]:
    """Fit an encoder for every variable of ``shape``."""
    return {
        name: fit_encoder(columns[name], kind, transform)
        for name, kind in (*shape.targets, *shape.inputs)
    }


def encode_rows(
    columns: Columns, shape: Shape, encoders: Mapping[str, Encoder], seed: int
) -> dict[str, torch.Tensor]:
    """Return tensors of all variables; targets with whole numbers and point masses spread.

    Of many rows, or of rows in files, what stands for a tensor and encodes what is read of it.
    """
    rows: dict[str, Any] = {}
    for name, kind in (*shape.inputs, *shape.targets):
        spread = kind.scalar and name in shape.target_names
        uniform = Uniforms(columns.rows, derive(seed, "spread", name)) if spread else None
        column = Encoded(columns[name], encoders[name], uniform)
        lazy = many(columns.rows) or isinstance(columns[name], Stored)
        rows[name] = column if lazy else column[:]
    return rows


def mass(weights: Column | None) -> Any:
    """Return weights as a tensor, or what stands for the tensor of many; None where all rows count alike."""
    if weights is None:
        return None
    if many(len(weights)):
        return mass_of(weights)
    return torch.from_numpy(np.asarray(weights, np.float64))


def fit_conditional(
    key: str,
    columns: Columns,
    weights: Column | None,
    shape: Shape,
    spec: ModelSpec | None,
    setting: Setting,
    report: Report,
) -> Conditional:
    """Train P(targets | inputs) on weighted rows, one link after another."""
    transform = str(spec.get("transform", "auto")) if spec else "auto"
    encoders = encoders_of(columns, shape, transform)
    rows, given = encode_rows(columns, shape, encoders, setting.seed), mass(weights)
    fitted: list[tuple[str, Fitted]] = []
    for i, (one, chosen) in enumerate(links(shape, spec, columns.rows)):
        here = replace(setting, seed=derive(setting.seed, "link", i))
        with report.stage(f"{one} {chosen.family}"):
            made = family(chosen.family).fit(one, only(rows, one), given, chosen, here, report)
        fitted.append((chosen.family, made))
    return Conditional(key, shape, encoders, tuple(fitted))


def only(rows: Tensors, shape: Shape) -> dict[str, torch.Tensor]:
    """Return the rows of the variables of ``shape``."""
    return {name: rows[name] for name, _ in (*shape.targets, *shape.inputs)}
