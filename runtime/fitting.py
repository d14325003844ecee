"""Fit a conditional on a data set, and out-of-fold propensities with calibrated tails."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from causalc.errors import CausalcError
from causalc.runtime import weights as weighting
from causalc.runtime.choose import links
from causalc.runtime.data import Columns
from causalc.runtime.encode import Encoded, Encoder, fit_encoder
from causalc.runtime.families.protocol import Fitted, Setting, Shape, Tensors
from causalc.runtime.families.registry import family
from causalc.runtime.families.softmax import FittedSoftmax
from causalc.runtime.fitted import Conditional
from causalc.runtime.noise import derive
from causalc.runtime.progress import Report
from causalc.runtime.specs import ModelSpec
from causalc.runtime.stored import MANY, Stored, Uniforms, slices

FOLDS = 3

# log p and log q of each row, and log P of every level where a network gives them
_LogProbabilities = tuple[np.ndarray, np.ndarray, np.ndarray | None]


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
        lazy = columns.rows > MANY or isinstance(columns[name], Stored)
        rows[name] = column if lazy else column[:]
    return rows


def _weights(weights: np.ndarray | None) -> torch.Tensor | None:
    return None if weights is None else torch.from_numpy(np.asarray(weights, np.float64))


def fit_conditional(
    key: str,
    columns: Columns,
    weights: np.ndarray | None,
    shape: Shape,
    spec: ModelSpec | None,
    setting: Setting,
    report: Report,
) -> Conditional:
    """Train P(targets | inputs) on weighted rows, one link after another."""
    transform = str(spec.get("transform", "auto")) if spec else "auto"
    encoders = encoders_of(columns, shape, transform)
    rows = encode_rows(columns, shape, encoders, setting.seed)
    fitted: list[tuple[str, Fitted]] = []
    for i, (one, chosen) in enumerate(links(shape, spec, columns.rows)):
        here = replace(setting, seed=derive(setting.seed, "link", i))
        with report.stage(f"{one} {chosen.family}"):
            made = family(chosen.family).fit(
                one, _only(rows, one), _weights(weights), chosen, here, report
            )
        fitted.append((chosen.family, made))
    return Conditional(key, shape, encoders, tuple(fitted))


def _chosen(rows: Tensors, index: torch.Tensor) -> dict[str, Any]:
    return {
        name: values.only(index) if isinstance(values, Encoded) else values[index]
        for name, values in rows.items()
    }


def _log_prob(fitted: Fitted, rows: Tensors, n: int) -> np.ndarray:
    """Return the log probability of each row, part by part."""
    found = np.empty(n)
    for part in slices(n):
        here = {name: values[part] for name, values in rows.items()}
        found[part] = fitted.log_prob(here, here).numpy()
    return found


def _only(rows: Tensors, shape: Shape) -> dict[str, torch.Tensor]:
    return {name: rows[name] for name, _ in (*shape.targets, *shape.inputs)}


@dataclass(frozen=True, slots=True)
class Propensity:
    """Out-of-fold log P(targets | inputs) of the very rows it was fitted on, and log q.

    It serves reweighting only: the fold models are not kept, and it cannot be drawn from. For one
    discrete target modelled by a network, ``log_all`` ``(n, K)`` holds log P of every level.
    """

    key: str
    targets: tuple[str, ...]
    inputs: tuple[str, ...]
    discrete: bool
    log_p: np.ndarray
    log_q: np.ndarray
    log_all: np.ndarray | None = None

    def save(self, folder: Path) -> None:
        """Write both columns of log probabilities."""
        from safetensors.numpy import save_file

        config = {
            "type": "propensity",
            "key": self.key,
            "targets": list(self.targets),
            "inputs": list(self.inputs),
            "discrete": self.discrete,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        arrays = {"log_p": self.log_p, "log_q": self.log_q}
        if self.log_all is not None:
            arrays["log_all"] = self.log_all
        save_file(arrays, folder / "propensity.safetensors")

    @staticmethod
    def load(folder: Path) -> Propensity:
        """Read what ``save`` wrote. Raises CausalcError if it is not one."""
        from safetensors.numpy import load_file

        try:
            config = json.loads((folder / "config.json").read_text())
            arrays = load_file(folder / "propensity.safetensors")
            names = tuple(config["targets"]), tuple(config["inputs"])
            discrete = bool(config["discrete"])
            log_p, log_q, log_all = arrays["log_p"], arrays["log_q"], arrays.get("log_all")
            return Propensity(config["key"], *names, discrete, log_p, log_q, log_all)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CausalcError(f"{folder}: not a saved propensity ({error}).") from error


def fit_propensity(
    key: str,
    columns: Columns,
    weights: np.ndarray | None,
    shape: Shape,
    spec: ModelSpec | None,
    setting: Setting,
    report: Report,
) -> Propensity:
    """Fit P(targets | inputs) for reweighting: cross-fitted in three folds and calibrated.

    A table is used as counted: on cells with enough rows its own counts give the weights of the
    plug-in formula, which splitting would only blur.
    """
    encoders = encoders_of(columns, shape, "auto")
    rows = encode_rows(columns, shape, encoders, setting.seed)
    log_p, log_q = np.zeros(columns.rows), np.zeros(columns.rows)
    log_all: np.ndarray | None = None
    for i, (one, chosen) in enumerate(links(shape, spec, columns.rows, density=True)):
        here = replace(setting, seed=derive(setting.seed, "link", i))
        task = _Task(one, chosen, _only(rows, one), weights, here, report)
        p, q, log_all = task.table() if chosen.family == "table" else task.crossfit()
        log_p, log_q = log_p + p, log_q + q
    discrete = all(kind.discrete for _, kind in shape.targets)
    if discrete:
        log_q = weighting.marginal([columns[name] for name, _ in shape.targets], weights)
    inputs = tuple(name for name, _ in shape.inputs)
    log_all = log_all if len(shape.targets) == 1 else None
    return Propensity(key, shape.target_names, inputs, discrete, log_p, log_q, log_all)


@dataclass(frozen=True, slots=True)
class _Task:
    """One link of a propensity: its rows and how to train on some of them."""

    shape: Shape
    spec: ModelSpec
    rows: Tensors
    weights: np.ndarray | None
    setting: Setting
    report: Report

    def _fit(self, index: np.ndarray, part: object, shape: Shape) -> Fitted:
        chosen = torch.from_numpy(index)
        rows = _chosen(_only(self.rows, shape), chosen)
        mass = None if self.weights is None else _weights(self.weights[index])
        setting = replace(self.setting, seed=derive(self.setting.seed, "fold", part))
        with self.report.stage(f"{shape} {self.spec.family} (propensity, {part})"):
            return family(self.spec.family).fit(shape, rows, mass, self.spec, setting, self.report)

    def table(self) -> _LogProbabilities:
        """Return in-sample log p, and the log marginal."""
        name = self.shape.target_names[0]
        every = np.arange(len(self.rows[name]))
        fitted = self._fit(every, "all rows", self.shape)
        codes = [self.rows[name][:].numpy() for name in self.shape.target_names]
        log_p = _log_prob(fitted, self.rows, len(every))
        return log_p, weighting.marginal(codes, self.weights), None

    def crossfit(self) -> _LogProbabilities:
        """Return calibrated out-of-fold log p, and the log marginal (density)."""
        name, kind = self.shape.targets[0]
        n = len(self.rows[name])
        fold = weighting.folds(n, FOLDS, derive(self.setting.seed, "folds"))
        found = np.zeros((n, len(kind.levels)) if kind.discrete else n)
        for k in range(FOLDS):
            held = np.flatnonzero(fold == k)
            fitted = self._fit(np.flatnonzero(fold != k), f"fold {k + 1} of {FOLDS}", self.shape)
            rows = _chosen(self.rows, torch.from_numpy(held))
            if isinstance(fitted, FittedSoftmax):
                found[held] = fitted.logits(rows, len(held)).numpy() / fitted.temperature
            else:
                found[held] = _log_prob(fitted, rows, len(held))
        if kind.discrete:
            return self._discrete(found)
        alone = self._fit(np.arange(n), "marginal", Shape(self.shape.targets, ()))
        log_q = _log_prob(alone, self.rows, n)
        log_p, share = weighting.defensive(found, log_q, self.weights)
        self._tail(share)
        return log_p, log_q, None

    def _discrete(self, logits: np.ndarray) -> _LogProbabilities:
        codes = self.rows[self.shape.target_names[0]][:].numpy()
        t, e = weighting.calibrated(logits, codes, self.weights)
        self._tail(e)
        log_all = weighting.apply_calibration(logits, t, e)
        log_p = log_all[np.arange(len(codes)), codes]
        return log_p, weighting.marginal([codes], self.weights), log_all.astype(np.float32)

    def _tail(self, share: float) -> None:
        if share > 0.2:
            self.report.findings.append(
                f"{self.shape}: the model explains little of its rows (a share of {share:.0%} is "
                "best treated as pure chance); more steps or more rows would sharpen the weights."
            )
