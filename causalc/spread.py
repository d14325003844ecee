"""How far an answer moves with its don't-cares: inputs of its models that in theory make no difference to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from causalc.compiler.answer import Estimand
from causalc.compiler.plan import Bootstrap, Network, Plan
from causalc.runtime.data import Columns

NOTICED = 0.1  # of a standard deviation of the outcome
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
    slots: Sequence[str],
    outcomes: Sequence[str],
    data: Columns,
    run: Callable[[Arrays], Arrays],
) -> Iterator[Verdict]:
    """Set each don't-care to a few values in turn; ``run`` returns encoded draws given what is set, same noise."""
    if not slots:
        yield "ok", "no model of it takes an input that should make no difference"
    for slot in slots:
        values = _few(data, slot)
        runs = [run({slot: value}) for value in values]
        for name in outcomes:
            if data.schema[name].shape:
                yield "not done", f"images and vectors are not compared: `{name}` over {slot}"
                continue
            found = [_columns(r[name], data, name) for r in runs]
            means = np.stack([column.mean(axis=0) for column in found])
            deviation = np.maximum(np.stack([c.std(axis=0) for c in found]).max(axis=0), 1e-12)
            moved = float(((means.max(axis=0) - means.min(axis=0)) / deviation).max())
            sure = 3 * np.sqrt(2 / len(found[0]))
            line = f"{name} moves by {moved:.3f} standard deviations while {slot}, which should not matter, varies"
            weak = moved > max(NOTICED, sure)
            yield ("weak", line + ": train longer, or get more rows") if weak else ("ok", line)


def _few(data: Columns, name: str) -> list[np.ndarray]:
    """Codes of the most frequent levels, or three quantiles."""
    column = np.asarray(data[name])
    if data.schema[name].discrete:
        codes, counts = np.unique(column, return_counts=True)
        return list(codes[np.argsort(-counts, kind="stable")[:4]])
    return list(np.unique(np.quantile(column, (0.1, 0.5, 0.9), method="inverted_cdf")))


def _columns(values: np.ndarray, data: Columns, name: str) -> np.ndarray:
    kind = data.schema[name]
    if kind.discrete:
        return np.asarray(np.eye(len(kind.levels))[values])
    return np.asarray(values, dtype=np.float64)[:, None]
