"""One link of a propensity: log probabilities of the very rows, each by a model trained without it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from causalc.runtime import weights as weighting
from causalc.runtime.encode import Encoded
from causalc.runtime.families.protocol import Fitted, Setting, Shape, Tensors
from causalc.runtime.families.registry import family
from causalc.runtime.families.softmax import FittedSoftmax
from causalc.runtime.fitting import mass, only
from causalc.runtime.noise import derive
from causalc.runtime.progress import Report
from causalc.runtime.specs import ModelSpec
from causalc.runtime.stored import Column, slices

FOLDS = 3

# log p and log q of each row, and log P of every level where a network gives them
LogProbabilities = tuple[np.ndarray, np.ndarray, np.ndarray | None]


@dataclass(frozen=True, slots=True)
class Task:
    """P(targets | inputs) of one link: its rows, their weights, and how to train on some of them."""

    shape: Shape
    spec: ModelSpec
    rows: Tensors
    weights: Column | None
    setting: Setting
    report: Report

    def train(self, shape: Shape, rows: Tensors, weights: Any, part: object) -> Fitted:
        """Train on these rows, ``part`` of all, with weights as a family takes them."""
        setting = replace(self.setting, seed=derive(self.setting.seed, "fold", part))
        with self.report.stage(f"{shape} {self.spec.family} (propensity, {part})"):
            return family(self.spec.family).fit(
                shape, only(rows, shape), weights, self.spec, setting, self.report
            )

    def fit(self) -> LogProbabilities:
        """Return log p, in sample for a table and else out of fold and calibrated, and the log marginal."""
        return self._table() if self.spec.family == "table" else self._crossfit()

    def _some(self, index: np.ndarray, part: object, shape: Shape) -> Fitted:
        rows = _chosen(only(self.rows, shape), torch.from_numpy(index))
        weights = None if self.weights is None else self.weights[index]
        return self.train(shape, rows, mass(weights), part)

    def _table(self) -> LogProbabilities:
        every = np.arange(len(self.rows[self.shape.target_names[0]]))
        fitted = self._some(every, "all rows", self.shape)
        codes = [self.rows[name][:].numpy() for name in self.shape.target_names]
        log_p = log_prob(fitted, self.rows, len(every))
        return log_p, weighting.marginal(codes, self._weights()), None

    def _crossfit(self) -> LogProbabilities:
        name, kind = self.shape.targets[0]
        n = len(self.rows[name])
        fold = weighting.folds(n, FOLDS, derive(self.setting.seed, "folds"))
        found = np.zeros((n, len(kind.levels)) if kind.discrete else n)
        for k in range(FOLDS):
            held = np.flatnonzero(fold == k)
            fitted = self._some(np.flatnonzero(fold != k), fold_name(k), self.shape)
            rows = _chosen(self.rows, torch.from_numpy(held))
            found[held] = scores(fitted, rows, len(held))
        if kind.discrete:
            return self._discrete(found)
        alone = self._some(np.arange(n), "marginal", Shape(self.shape.targets, ()))
        log_q = log_prob(alone, self.rows, n)
        log_p, share = weighting.defensive(found, log_q, self._weights())
        self.tell_tail(share)
        return log_p, log_q, None

    def _discrete(self, logits: np.ndarray) -> LogProbabilities:
        codes = self.rows[self.shape.target_names[0]][:].numpy()
        weights = self._weights()
        t, e = weighting.calibrated(logits, codes, weights)
        self.tell_tail(e)
        log_all = weighting.apply_calibration(logits, t, e)
        log_p = log_all[np.arange(len(codes)), codes]
        return log_p, weighting.marginal([codes], weights), log_all.astype(np.float32)

    def _weights(self) -> np.ndarray | None:
        return None if self.weights is None else self.weights[:]

    def tell_tail(self, share: float) -> None:
        """Say so if a large share of the rows is best treated as pure chance."""
        if share > 0.2:
            self.report.findings.append(
                f"{self.shape}: the model explains little of its rows (a share of {share:.0%} is "
                "best treated as pure chance); more steps or more rows would sharpen the weights."
            )


def fold_name(k: int) -> str:
    """Return how the training without fold ``k`` is called."""
    return f"fold {k + 1} of {FOLDS}"


def scores(fitted: Fitted, rows: Tensors, n: int) -> np.ndarray:
    """Return what is calibrated: logits ``(n, K)`` of a classifier, else log probabilities ``(n,)``."""
    if isinstance(fitted, FittedSoftmax):
        return np.asarray(fitted.logits(rows, n).numpy() / fitted.temperature)
    return log_prob(fitted, rows, n)


def log_prob(fitted: Fitted, rows: Tensors, n: int) -> np.ndarray:
    """Return the log probability of each row, part by part."""
    found = np.empty(n)
    for part in slices(n):
        here = {name: values[part] for name, values in rows.items()}
        found[part] = fitted.log_prob(here, here).numpy()
    return found


def _chosen(rows: Tensors, index: torch.Tensor) -> dict[str, Any]:
    return {
        name: values.only(index) if isinstance(values, Encoded) else values[index]
        for name, values in rows.items()
    }
