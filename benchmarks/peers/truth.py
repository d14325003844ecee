"""What a right answer is: verdicts by the oracle, numbers by enumeration of a random model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from oracle.admg import Case
from oracle.scm import random_scm

CHECKED = 11  # variables up to which answers are checked by number
TOLERANCE = 1e-6
LATENTS = 10  # more make enumeration slow


@dataclass(frozen=True)
class Truth:
    """P(v) of a random model with explicit latents and the effect in it, over (x, z, y)."""

    case: Case
    joint: np.ndarray
    effect: np.ndarray

    @classmethod
    def of(cls, case: Case, seed: int) -> Truth:
        """Draw a binary model of the graph in which at most ``LATENTS`` arcs, chosen by lot, have an effect."""
        rng = np.random.default_rng(seed)
        arcs = [case.graph.bidirected[i] for i in rng.permutation(len(case.graph.bidirected))]
        model = random_scm(replace(case.graph, bidirected=tuple(arcs[:LATENTS])), rng)
        return cls(case, model.joint(), model.effect(case.y, case.x, case.z))

    def flaw(self, formula: list[Any]) -> str | None:
        """What is wrong with a formula, or None; variables that it leaves free may take any value."""
        nodes = self.case.graph.nodes
        try:
            with np.errstate(all="ignore"):
                value = evaluate(formula, self.joint, nodes)
        except KeyError as unknown:
            return f"mentions {unknown}, which is not observed"
        axes = [nodes.index(v) for v in (*self.case.x, *self.case.z, *self.case.y)]
        order = np.argsort(axes)
        right = self.effect.transpose(order)
        right = right.reshape([self.joint.shape[i] if i in axes else 1 for i in range(len(nodes))])
        error = float(np.max(np.abs(value - right)))
        return None if error < TOLERANCE else f"off by {error:.2g}"


def evaluate(formula: Sequence[Any], joint: np.ndarray, nodes: Sequence[str]) -> np.ndarray:
    """The value of a formula: an axis a variable in the order of ``nodes``, of length 1 where it is absent."""
    at = {v: i for i, v in enumerate(nodes)}

    def margin(keep: Sequence[str]) -> np.ndarray:
        kept = {at[v] for v in keep}
        return joint.sum(axis=tuple(i for i in range(joint.ndim) if i not in kept), keepdims=True)

    def value(node: Sequence[Any]) -> np.ndarray:
        match node:
            case ["P", outcomes, given]:
                return margin([*outcomes, *given]) / margin(given)
            case ["product", *factors]:
                result = np.ones((1,) * joint.ndim)
                for factor in factors:
                    result = result * value(factor)
                return result
            case ["sum", bound, body]:
                axes = tuple(at[v] for v in bound)
                inner = value(body)
                idle = np.prod([joint.shape[i] for i in axes if inner.shape[i] == 1])
                return inner.sum(axis=axes, keepdims=True) * idle
            case ["ratio", top, bottom]:
                return value(top) / value(bottom)
        raise TypeError(node[0])

    return value(formula)
