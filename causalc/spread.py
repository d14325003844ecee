"""How far an answer moves with its don't-cares: inputs of its models that in theory make no difference to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from causalc.compiler.answer import Estimand
from causalc.compiler.plan import Bootstrap, Network, Plan
from causalc.runtime.schema import Kind, Schema

NOTICED = 0.1  # of a standard deviation of the outcome
LEAST = 50  # draws that a group needs to be compared
Arrays = Mapping[str, np.ndarray]
Verdict = tuple[str, str]


def idle(network: Network, plan: Plan, estimand: Estimand) -> tuple[str, ...]:
    """The slots that are filled with rows of the data only because a model takes an input there."""
    order = estimand.derivation.graph.order
    counted = {order[factor.variable] for factor in estimand.derivation.factors}
    return tuple(
        slot
        for draw in network.draws
        if isinstance(plan.operations[draw.model], Bootstrap)
        for slot in draw.slots
        if slot not in counted and " behind " not in slot
    )


def spread(
    slots: Sequence[str], outcomes: Sequence[str], schema: Schema, drawn: Arrays
) -> Iterator[Verdict]:
    """Compare the means of the outcomes between draws that differ in a don't-care.

    ``drawn`` are canonical columns by slot: every don't-care was drawn on its own, so that its groups of draws
    should have one distribution of the outcomes.
    """
    if not slots:
        yield "ok", "no model of it takes an input that should make no difference"
    for slot in slots:
        if schema[slot].shape:
            yield "not done", f"images and vectors are not told apart: {slot}"
            continue
        groups = _groups(drawn[slot], schema[slot].discrete)
        for name in outcomes:
            if schema[name].shape:
                yield "not done", f"images and vectors are not compared: {name} over {slot}"
                continue
            moved, noise = _moved(_columns(drawn[name], schema[name]), groups)
            line = f"{name} moves by {moved:.3f} standard deviations while {slot}, which should not matter, varies"
            weak = moved > max(NOTICED, 4 * noise)
            yield ("weak", line + ": train longer, or get more rows") if weak else ("ok", line)


def _groups(column: np.ndarray, discrete: bool) -> list[np.ndarray]:
    """The rows of each frequent level, or of each third of the numbers, as masks."""
    if discrete:
        codes, counts = np.unique(column, return_counts=True)
        return [column == c for c, n in zip(codes, counts, strict=True) if n >= LEAST]
    edges = np.quantile(column, (1 / 3, 2 / 3))
    found = np.searchsorted(edges, column)
    return [found == i for i in range(3) if (found == i).sum() >= LEAST]


def _moved(values: np.ndarray, groups: Sequence[np.ndarray]) -> tuple[float, float]:
    """The largest difference of two groups' means in standard deviations, and its standard error."""
    if len(groups) < 2:
        return 0.0, 0.0
    means = np.stack([values[group].mean(axis=0) for group in groups])
    deviation = np.maximum(values.std(axis=0), 1e-12)
    fewest = sorted(int(group.sum()) for group in groups)
    noise = float(np.sqrt(1 / fewest[0] + 1 / fewest[1]))
    return float(((means.max(axis=0) - means.min(axis=0)) / deviation).max()), noise


def _columns(values: np.ndarray, kind: Kind) -> np.ndarray:
    if kind.discrete:
        return np.asarray(np.eye(len(kind.levels))[values])
    return np.asarray(values, dtype=np.float64)[:, None]
