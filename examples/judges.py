"""Judges of pictures: classifiers of what a picture shows, and the Fréchet distance on their features.

The distance is between two normal laws fitted to the features of real and of made pictures (Heusel et al. 2017),
here those of the classifier's hidden layer and not of Inception: figures compare with nothing but themselves, so a
distance between two sets of real pictures is always given beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline


@dataclass(frozen=True, slots=True)
class Judge:
    """A classifier of pictures; ``accuracy`` is its share of right answers on pictures held out."""

    machine: Pipeline
    accuracy: float

    @staticmethod
    def trained(pictures: np.ndarray, shown: np.ndarray, seed: int = 0) -> Judge:
        """Train on four fifths of ``pictures`` ``(n, …)`` uint8 and what they show, codes ``(n,)``."""
        flat, cut = _flat(pictures), len(pictures) * 4 // 5
        machine = make_pipeline(
            PCA(48, whiten=True, random_state=seed),
            MLPClassifier((64,), alpha=0.1, max_iter=60, early_stopping=True, random_state=seed),
        ).fit(flat[:cut], shown[:cut])
        return Judge(machine, float(machine.score(flat[cut:], shown[cut:])))

    def read(self, pictures: np.ndarray) -> np.ndarray:
        """The code of what each picture shows, ``(n,)``."""
        return np.asarray(self.machine.predict(_flat(pictures)))

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """The hidden layer, ``(n, 64)``."""
        components, network = self.machine.steps[0][1], self.machine.steps[-1][1]
        seen = components.transform(_flat(pictures))
        return np.asarray(np.maximum(seen @ network.coefs_[0] + network.intercepts_[0], 0))


def _flat(pictures: np.ndarray) -> np.ndarray:
    return np.asarray(pictures).reshape(len(pictures), -1).astype(np.float32) / 255


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    """The squared Fréchet distance between normal laws fitted to features ``(n, d)`` and ``(m, d)``."""
    gap = one.mean(axis=0) - other.mean(axis=0)
    a, b = np.cov(one.T), np.cov(other.T)
    root = _root(a)
    between = np.linalg.eigvalsh(root @ b @ root).clip(min=0)
    return float(gap @ gap + np.trace(a) + np.trace(b) - 2 * np.sqrt(between).sum())


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(values.clip(min=0)) @ vectors.T)


def calibration(p: np.ndarray, happened: np.ndarray, bins: int = 10) -> float:
    """The expected calibration error of probabilities ``p`` ``(n,)``: bins of equally many rows, the mean of
    the gaps between what was said and what happened."""
    parts = np.array_split(np.argsort(p, kind="stable"), bins)
    gaps = [abs(p[part].mean() - happened[part].mean()) * len(part) for part in parts]
    return float(np.sum(gaps) / len(p))
