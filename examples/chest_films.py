"""Drawn chest films in a front-door graph: a structural model whose truth can be enumerated.

    U  the ward, a coin; never recorded
    C  Covid: positive with probability 0.15 or 0.85, by the ward
    K  how many lungs are hazy, 0 to 2, by Covid alone
    X  the film of a patient with K hazy lungs: build, pose, exposure and the haze itself are drawn at random
    N  pneumonia on the report, by K and the ward

X shows K, and N looks at nothing else in X, so C -> X -> N with C <-> N, and P(N | do(C)) is a sum over K and U.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIDE = 48
HAZY = 3  # values of K
POSITIVE = np.array([0.15, 0.85])  # P(C = 1 | U)
LUNGS = np.array([[0.70, 0.20, 0.10], [0.10, 0.30, 0.60]])  # P(K | C)
REPORTED = np.array([[0.05, 0.25, 0.55], [0.35, 0.60, 0.90]])  # P(N = 1 | U, K)


@dataclass(frozen=True, slots=True)
class Patients:
    """Draws from the structural model but for the films: codes ``(n,)``."""

    u: np.ndarray
    c: np.ndarray
    k: np.ndarray
    n: np.ndarray


def patients(count: int, rng: np.random.Generator, do_c: int | None = None) -> Patients:
    """Draw patients, with C set from outside if ``do_c`` is given."""
    u = rng.integers(2, size=count)
    c = (rng.random(count) < POSITIVE[u]).astype(int)
    c = c if do_c is None else np.full(count, do_c)
    k = (rng.random(count)[:, None] >= LUNGS[c].cumsum(axis=1)).sum(axis=1)
    n = (rng.random(count) < REPORTED[u, k]).astype(int)
    return Patients(u, c, k, n)


def films(k: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A film for each number of hazy lungs, ``(n, 48, 48)`` uint8; bright is dense, as in radiology."""
    n = len(k)
    y, x = np.mgrid[0:SIDE, 0:SIDE][:, None] / (SIDE - 1) * 2 - 1  # each (1, 48, 48), from -1 to 1

    def uniform(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, (n, 1, 1))

    x, y = x + uniform(-0.05, 0.05), y + uniform(-0.05, 0.05)
    gap, wide, tall = uniform(0.40, 0.46), uniform(0.25, 0.32), uniform(0.55, 0.68)
    body = _inside(x / uniform(0.90, 1.0), y / 1.15, 4)
    density = 0.70 * body + 0.18 * _inside(x / 0.10, y / 1.3, 4)  # the body, and the spine in it
    density = density + 0.06 * body * np.cos(14 * y + 2 * x**2)  # ribs
    first = rng.integers(2, size=n)  # which lung is hazy where one is
    for side in (0, 1):
        lung = _inside((x - (2 * side - 1) * gap) / wide, (y + 0.05) / tall, 2)
        hazy = (k == 2) | ((k == 1) & (first == side))
        density = density - lung * (0.48 - _haze(x, y, side, hazy, rng))
    light = uniform(0.9, 1.1) * density + uniform(-0.03, 0.03) + rng.normal(0, 0.012, density.shape)
    return np.rint(255 * light.clip(0, 1)).astype(np.uint8)


def _inside(x: np.ndarray, y: np.ndarray, power: int) -> np.ndarray:
    """1 inside a rounded shape of radius 1, 0 outside, soft at the edge."""
    reach = np.abs(x) ** power + np.abs(y) ** power
    return np.asarray((1 - np.tanh(6 * (reach - 1))) / 2)


def _haze(
    x: np.ndarray, y: np.ndarray, side: int, hazy: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Three soft clouds in the lower part of the hazy lungs, a trace of one in the others."""
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    strength = np.where(hazy, rng.uniform(0.24, 0.40, len(hazy)), rng.uniform(0, 0.05, len(hazy)))
    for _ in range(3):
        at_x = (2 * side - 1) * 0.43 + rng.uniform(-0.12, 0.12, hazy.shape)[:, None, None]
        at_y = rng.uniform(-0.1, 0.45, hazy.shape)[:, None, None]
        size = rng.uniform(0.16, 0.26, hazy.shape)[:, None, None]
        total += np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * size**2))
    return np.asarray(strength[:, None, None] * np.minimum(total, 1.2))


# ---- the truth


def law(do: bool) -> np.ndarray:
    """P(N = 1 | do(C)), or without ``do`` P(N = 1 | C): one number a value of C."""
    ward = np.full((2, 2), 0.5)  # P(U | C), or P(U) for each C
    if not do:
        joint = 0.5 * np.stack([1 - POSITIVE, POSITIVE])
        ward = joint / joint.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("cu,ck,uk->c", ward, LUNGS, REPORTED))


def report_law() -> np.ndarray:
    """P(N = 1 | C, K): what a perfect reader of the films would say, ``(2, 3)``."""
    joint = 0.5 * np.stack([1 - POSITIVE, POSITIVE])
    return np.asarray((joint / joint.sum(axis=1, keepdims=True)) @ REPORTED)
