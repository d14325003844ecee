"""Importance weights q(v) / P(v | …): calibrated tails, the numerator q, and how far they spread.

Pure functions on numpy arrays and tensors. ``n`` is the number of rows, ``K`` of levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from causalc.runtime.stored import Column, slices

_TEMPERATURES = np.geomspace(0.25, 4.0, 57)  # 1 among them
_REJECTED = 1.92  # half the 95 % point of a chi-square of one degree, in nats
_TAILS = np.concatenate([[0.0], np.geomspace(1e-4, 0.5, 24)])


def folds(n: int, count: int, seed: int) -> np.ndarray:
    """Return a fold number for each row, balanced and a function of (n, count, seed)."""
    return np.random.default_rng([seed, n]).permutation(np.arange(n) % count)


def _weighted(values: np.ndarray, mass: np.ndarray | None) -> float:
    return float(np.average(values, weights=mass))


def _numpy(values: torch.Tensor | None) -> np.ndarray | None:
    return None if values is None else values.detach().cpu().numpy()


def temperature(
    logits: torch.Tensor, codes: torch.Tensor, weights: torch.Tensor | None = None
) -> float:
    """Return the T that maximises the (weighted) likelihood of ``softmax(logits / T)``.

    It is 1 unless the likelihood rejects that: on few rows a fitted T is mostly noise.
    """
    mass, index = _numpy(weights), codes.cpu()[:, None]

    def score(t: float) -> float:
        found = torch.log_softmax(logits / t, 1).gather(1, index)[:, 0].numpy()
        return _weighted(found, mass)

    scores = [score(t) for t in _TEMPERATURES]
    rows = len(codes) if mass is None else spread(mass).effective
    if rows * (max(scores) - score(1.0)) < _REJECTED:
        return 1.0
    return float(_TEMPERATURES[int(np.argmax(scores))])


def calibrated(
    logits: np.ndarray, codes: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, float]:
    """Return the (T, e) of ``(1 - e) softmax(z / T) + e / K`` by likelihood of held-out rows.

    The tail matters because rows weigh 1/p: a value judged ten times too rare weighs ten times
    too much.
    """
    z, index = torch.from_numpy(logits), torch.from_numpy(codes)[:, None]
    best = (-np.inf, 1.0, 0.0)
    for t in _TEMPERATURES:
        p = torch.softmax(z / t, 1).gather(1, index)[:, 0].numpy()
        for e in _TAILS:
            mixed = (1 - e) * p + e / logits.shape[1]
            score = _weighted(np.log(np.maximum(mixed, 1e-300)), weights)
            best = max(best, (score, float(t), float(e)))
    return best[1], best[2]


def apply_calibration(logits: np.ndarray, t: float, e: float) -> np.ndarray:
    """Return log of ``(1 - e) softmax(z / t) + e / K``, shape ``(n, K)``."""
    p = torch.softmax(torch.from_numpy(logits) / t, 1).numpy()
    return np.asarray(np.log((1 - e) * p + e / logits.shape[1]))


def defensive(
    log_p: np.ndarray, log_q: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Return ``log((1 - e) p + e q)`` and e, chosen by likelihood of held-out rows.

    The continuous counterpart of ``calibrated``: weights q / p then never exceed 1 / e.
    """
    best = (-np.inf, 0.0)
    for e in _TAILS:
        best = max(best, (_weighted(mix(log_p, log_q, float(e)), weights), float(e)))
    return mix(log_p, log_q, best[1]), best[1]


def mix(log_p: np.ndarray, log_q: np.ndarray, e: float) -> np.ndarray:
    """Return ``log((1 - e) p + e q)`` without overflow."""
    if e == 0:
        return np.asarray(np.maximum(log_p, -700.0))
    return np.asarray(np.logaddexp(np.log1p(-e) + log_p, np.log(e) + log_q))


def marginal(codes: Sequence[np.ndarray], weights: np.ndarray | None = None) -> np.ndarray:
    """Return the log of the joint (weighted) share of each row's combination of codes."""
    _, index = np.unique(np.stack(codes), axis=1, return_inverse=True)
    index = index.reshape(-1)
    share = np.bincount(index, weights)
    return np.asarray(np.log(share[index] / share.sum()))


def ratio(log_q: np.ndarray, log_p: np.ndarray, base: np.ndarray | None = None) -> np.ndarray:
    """Return weights ``base · q / p`` scaled to a mean of one, float64 ``(n,)``."""
    log_w = log_q - log_p
    w = np.exp(log_w - log_w.max()) * (1.0 if base is None else base)
    return np.asarray(w / w.mean())


def truncate(weights: np.ndarray, most: float) -> np.ndarray:
    """Return weights with none above ``most`` times their mean: less variance, some bias."""
    cut = np.minimum(weights, bound(weights, most))
    return np.asarray(cut / cut.mean())


def bound(weights: np.ndarray, most: float) -> float:
    """Return where weights are to be cut so that none is above ``most`` times the mean of what is left."""
    cut, least = weights, np.inf
    for _ in range(100):  # the mean falls with every cut, so cut again until it settles
        least = most * float(cut.mean())
        cut = np.minimum(cut, least)
    return least


@dataclass(frozen=True, slots=True)
class Spread:
    """How unequal weights are: effective sample size (Σw)²/Σw² and the largest share."""

    rows: int
    effective: float
    largest: float

    def line(self, label: str) -> str:
        """Return a one-line finding, with a remedy where the weights are spread too far."""
        text = (
            f"{label}: effective sample size {self.effective:,.0f} of {self.rows:,}, "
            f"largest weight {self.largest:.2%} of the total"
        )
        if self.effective < 0.05 * self.rows or self.effective < 200 or self.largest > 0.05:
            return (
                f"{text}. Overlap is weak: use strategy='generate', coarsen the fixed variables, "
                "or collect rows where they vary."
            )
        return f"{text}."


def spread(weights: Column) -> Spread:
    """Measure weights ``(n,)``."""
    total = squares = largest = 0.0
    for here in (weights[part] for part in slices(len(weights))):
        total, squares = total + float(here.sum()), squares + float((here**2).sum())
        largest = max(largest, float(here.max()))
    return Spread(len(weights), total**2 / squares, largest / total)
