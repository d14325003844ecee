"""Identifiability seen from the numbers alone: does P(y | do(x), z) move while P(v) stays?

With theta the parameters of all tables and priors of a model with explicit latents, an identifiable
effect can have no derivative along a direction in which P(v) has none. The converse holds at a
random point if the latents have enough levels. No graph criterion is involved, and conditional
queries are no special case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from oracle.admg import Case
from oracle.scm import Array, Scm, random_scm

_STEP = 1e-30  # complex-step derivatives are exact to rounding


@dataclass(frozen=True)
class Fibre:
    """A random model for the graph of ``case``, with all its tables as one vector of logits."""

    case: Case
    model: Scm

    @classmethod
    def random(cls, case: Case, rng: np.random.Generator, latent_levels: int = 2) -> Fibre:
        """Draw the model."""
        return cls(case, random_scm(case.graph, rng, latent_levels=latent_levels))

    def start(self) -> Array:
        """The logits of the model as drawn."""
        blocks = [*self.model.tables.values(), *(u.prior for u in self.model.latents)]
        return np.concatenate([np.log(block).ravel() for block in blocks])

    def at(self, theta: Array) -> Scm:
        """The model with the given logits; a complex vector gives complex tables."""
        tables, used = {}, 0
        for v, table in self.model.tables.items():
            tables[v] = _softmax(theta[used : used + table.size].reshape(table.shape))
            used += table.size
        latents = []
        for u in self.model.latents:
            latents.append(replace(u, prior=_softmax(theta[used : used + u.prior.size])))
            used += u.prior.size
        return replace(self.model, tables=tables, latents=tuple(latents))

    def joint(self, theta: Array) -> Array:
        """P(v), flat."""
        return self.at(theta).joint().ravel()

    def effect(self, theta: Array) -> Array:
        """P(y | do(x), z), flat."""
        return self.at(theta).effect(self.case.y, self.case.x, self.case.z).ravel()

    def slack(self) -> float:
        """How fast the effect can move while P(v) stays: 0 but for rounding, or well above."""
        theta = self.start()
        return float(np.max(np.linalg.norm(self._free_gradients(theta), axis=1)))

    def _free_gradients(self, theta: Array) -> Array:
        """The gradients of the effect, projected on the directions that leave P(v) as it is."""
        null = _null_space(_jacobian(self.joint, theta))
        return _jacobian(self.effect, theta) @ null @ null.T

    def walk(self, steps: int = 60, length: float = 0.1) -> tuple[Scm, Scm]:
        """Follow the fibre of P(v): two positive models that agree on P(v), not on the effect."""
        theta = self.start()
        target = self.joint(theta)
        gradients = self._free_gradients(theta)
        entry = int(np.argmax(np.linalg.norm(gradients, axis=1)))
        for _ in range(steps):
            direction = self._free_gradients(theta)[entry]
            theta = self._back(theta + length * direction / np.linalg.norm(direction), target)
        return self.model, self.at(theta)

    def _back(self, theta: Array, target: Array) -> Array:
        """Return to P(v) = ``target`` by Newton steps of least length."""
        for _ in range(20):
            miss = self.joint(theta) - target
            if np.max(np.abs(miss)) < 1e-14:
                break
            theta = theta - np.linalg.lstsq(_jacobian(self.joint, theta), miss, rcond=1e-9)[0]
        return theta


def _softmax(logits: Array) -> Array:
    weights = np.exp(logits)
    return weights / weights.sum(axis=-1, keepdims=True)


def _jacobian(function: Callable[[Array], Array], theta: Array) -> Array:
    columns = []
    for k in range(theta.size):
        moved = theta.astype(complex)
        moved[k] += 1j * _STEP
        columns.append(function(moved).imag / _STEP)
    return np.stack(columns, axis=1)


def _null_space(matrix: Array) -> Array:
    _, sizes, rows = np.linalg.svd(matrix, full_matrices=True)
    rank = int(np.sum(sizes > 1e-10 * sizes[0]))
    return rows[rank:].T
