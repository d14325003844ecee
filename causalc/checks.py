"""``check`` statements: whether the data support what a query asks, and whether its models fit them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalc.compiler.checked import CheckedCheck
from causalc.compiler.plan import (
    Bootstrap,
    Fit,
    Follow,
    Generate,
    Network,
    Observed,
    Plan,
    Reweight,
)
from causalc.compiler.view import Writer
from causalc.independences import contradictions
from causalc.runtime.data import Columns, labels
from causalc.runtime.draw import Draw
from causalc.runtime.noise import derive
from causalc.runtime.schema import Schema
from causalc.runtime.tokens import END, bags
from causalc.sensitivity import of_query
from causalc.spread import idle, spread

if TYPE_CHECKING:
    from causalc.program import Sampler

DRAWS = 2000
NEAR = 5  # rows that must lie about a point for a model to have learnt it there
TOLERATED = 0.05  # share of draws outside the data; 1 % are by construction of the distance test
FIT_ROWS = 1000
PERMUTATIONS = 199
LEVEL = 0.01

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check: ``verdict`` is "ok", "weak" or "not done"."""

    query: str
    check: str
    verdict: str
    text: str

    def __str__(self) -> str:
        return f"{self.query}: {self.check}: {self.verdict}: {self.text}"


def run_checks(
    checks: Sequence[CheckedCheck],
    sampler: Sampler,
    data: Columns,
    values: Mapping[str, Mapping[str, object]],
    seed: int,
) -> Iterator[Finding]:
    """Run the checks; ``data`` are the observed rows, ``values`` the fixed values by query and variable.

    Variables that a query leaves open are set to values of the data's rows, each apart from the others.
    """
    plan = sampler.program.plan
    networks = {network.name: network for network in plan.networks}
    writer = Writer(plan, {})
    writer.train()  # names models as the program does
    for statement in checks:
        network, given = networks[statement.query], values[statement.query]
        outcomes = "spread" in statement.checks
        asked, drawn = _asked(network, plan, writer, sampler, data, given, seed, outcomes)
        for name in statement.checks:
            match name:
                case "positivity":
                    found = _positivity(asked, plan, sampler.models.findings, data, seed)
                case "fit":
                    found = _fit(asked, plan, data, seed)
                case "independences":
                    found = contradictions(sampler.program.compiled.graph, data)
                case "spread":
                    estimand = sampler.program.estimands[statement.query]
                    slots = idle(network, plan, estimand)
                    found = spread(slots, estimand.question.outcomes, data.schema, drawn)
                case _:
                    found = of_query(statement.query, sampler, data, given, seed)
            for verdict, text in found:
                yield Finding(statement.query, name, verdict, text)


Verdict = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A conditional of a network, its model, and the inputs that it was given in ``DRAWS`` draws."""

    op: Fit
    model: Any
    inputs: Arrays

    def __str__(self) -> str:
        return str(self.op)


def _asked(
    network: Network,
    plan: Plan,
    writer: Writer,
    sampler: Sampler,
    data: Columns,
    values: Mapping[str, object],
    seed: int,
    outcomes: bool,
) -> tuple[list[_Asked], Arrays]:
    """Run a network: what each trained conditional of it was asked, and what came out at each slot.

    Without ``outcomes`` what no other conditional reads is not drawn: a picture is the dearest part of a query.
    """
    draw = Draw(sampler.models, DRAWS, seed=derive(seed, "checks"))
    rng = np.random.default_rng([seed, 1])
    slots: dict[str, np.ndarray] = {}
    for name in network.inputs:
        slots[name] = (
            draw.input(name, values[name])
            if name in values
            else data[name][rng.integers(0, data.rows, DRAWS)]
        )
    found = []
    read = {slot for step in network.draws for _, slot in step.inputs}
    for step in network.draws:
        inputs = {name: slots[slot] for name, slot in step.inputs}
        op = plan.operations[step.model]
        if isinstance(op, Follow):
            slots[step.slots[0]] = draw.policy(op.policy, inputs)
            continue
        model = sampler.models[writer.of(step.model)]
        if isinstance(op, Fit):
            found.append(_Asked(op, model, inputs))
        if outcomes or not read.isdisjoint(step.slots):
            slots.update(zip(step.slots, draw.sample(model, inputs), strict=True))
    return found, slots


# ---- positivity


def _positivity(
    asked: Sequence[_Asked], plan: Plan, findings: Sequence[str], data: Columns, seed: int
) -> Iterator[Verdict]:
    """Where the network asks its models against where the data have rows; weights and generated rows."""
    rng = np.random.default_rng([seed, 2])
    good = []
    for one in asked:
        scalar = {n: v for n, v in one.inputs.items() if not data.schema[n].shape}
        if not scalar or isinstance(plan.operations[one.op.data], Generate):
            continue
        outside = _outside({n: data[n] for n in scalar}, scalar, data.schema, rng)
        if outside.mean() <= TOLERATED:
            good.append(str(one))
            continue
        row = int(outside.argmax())
        where = ", ".join(f"{n} = {_label(v[row], data.schema, n)}" for n, v in scalar.items())
        yield (
            "weak",
            f"{one} is asked where the data have hardly any rows in {outside.mean():.1%} of draws, "
            f"for example at {where}; ask about values that occur together, or coarsen them",
        )
    if good:
        yield (
            "ok",
            f"{', '.join(good)}: asked where the data have rows ({data.rows:,} rows, {DRAWS:,} draws)",
        )
    unseen = [n for one in asked for n in one.inputs if data.schema[n].shape]
    if unseen:
        names = ", ".join(dict.fromkeys(unseen))
        yield "not done", f"images, vectors and texts are not compared with the data: {names}"
    yield from _indirect(asked, plan, findings)


def _indirect(asked: Sequence[_Asked], plan: Plan, findings: Sequence[str]) -> Iterator[Verdict]:
    """What training found about weights and generated rows, on which positivity rests at step 7."""
    reached, todo = set(), [one.op.data for one in asked]
    while todo:
        number = todo.pop()
        op = plan.operations[number]
        if number in reached:
            continue
        reached.add(number)
        if isinstance(op, Reweight):
            todo.append(op.base)
        elif isinstance(op, Generate):
            models = (plan.operations[draw.model] for draw in op.draws)
            todo += [m.data for m in models if isinstance(m, Fit | Bootstrap)]
    operations = [plan.operations[number] for number in sorted(reached)]
    if any(isinstance(op, Reweight) for op in operations):
        lines = [line for line in findings if line.startswith("weights that fix ")]
        for line in dict.fromkeys(lines):
            yield ("weak" if "Overlap is weak" in line else "ok"), line
    if any(isinstance(op, Generate) for op in operations):
        lines = [line for line in findings if line.startswith("generated rows: ")]
        for line in dict.fromkeys(lines):
            yield "weak", line
        if not lines:
            yield "ok", "generated rows stay within the range of the data"


def _label(value: Any, schema: Schema, name: str) -> str:
    shown = labels(np.asarray([value]), schema[name])[0]
    return f"{shown:.4g}" if isinstance(shown, float) else str(shown)


def _outside(rows: Arrays, asked: Arrays, schema: Schema, rng: np.random.Generator) -> np.ndarray:
    """Which asked points have fewer than ``NEAR`` data rows of their levels about them, bool ``(n,)``.

    "About" is nearer than 99 % of data rows are to the ``NEAR``-th of their own neighbours.
    """
    names = list(asked)
    discrete = [n for n in names if schema[n].discrete]
    scalar = [n for n in names if not schema[n].discrete]
    count = len(rows[names[0]])
    points = np.stack([_scaled(rows[n], asked[n]) for n in scalar]) if scalar else np.empty((0, 0))
    codes = _combined([np.concatenate([rows[n], asked[n]]) for n in discrete], count + DRAWS)
    outside = np.zeros(DRAWS, bool)
    for code in np.unique(codes[count:]):
        here = np.flatnonzero(codes[:count] == code)
        at = np.flatnonzero(codes[count:] == code)
        if len(here) < NEAR + 1:
            outside[at] = True
        elif scalar:
            kept = rng.permutation(here)[:5000]
            known, own = points[:, kept].T, points[:, kept[:FIT_ROWS]].T
            usual = np.quantile(_neighbour(own, known, NEAR + 1), 0.99)
            outside[at] = _neighbour(points[:, count + at].T, known, NEAR) > usual
    return outside


def _scaled(rows: np.ndarray, asked: np.ndarray) -> np.ndarray:
    spread = rows.std()
    return np.asarray((np.concatenate([rows, asked]) - rows.mean()) / (spread if spread > 0 else 1))


def _combined(columns: Sequence[np.ndarray], length: int) -> np.ndarray:
    """One code for each combination of codes."""
    if not columns:
        return np.zeros(length, np.int64)
    _, inverse = np.unique(np.stack(columns), axis=1, return_inverse=True)
    return np.asarray(inverse.reshape(-1))


def _neighbour(points: np.ndarray, known: np.ndarray, k: int) -> np.ndarray:
    """The distance of each point ``(n, d)`` to its ``k``-th nearest row of ``known``."""
    parts = [
        np.partition(((part[:, None] - known) ** 2).sum(axis=2), k - 1, axis=1)[:, k - 1]
        for part in np.array_split(points, max(1, len(points) // 100))
    ]
    return np.asarray(np.sqrt(np.concatenate(parts)))


# ---- fit


def _fit(asked: Sequence[_Asked], plan: Plan, data: Columns, seed: int) -> Iterator[Verdict]:
    """Whether draws from each conditional, at the data's own inputs, look like the data."""
    rng = np.random.default_rng([seed, 3])
    tested = dict.fromkeys(one.op for one in asked)
    models = {one.op: one for one in asked}
    for op in tested:
        one = models[op]
        if not isinstance(plan.operations[op.data], Observed):
            yield (
                "not done",
                f"{one} was learnt from weighted or generated rows, which are not kept",
            )
            continue
        n = min(FIT_ROWS, data.rows // 2)
        order = rng.permutation(data.rows)
        real = {name: data[name][order[:n]] for name in (*op.inputs, *op.targets)}
        given = {name: data[name][order[n : 2 * n]] for name in op.inputs}
        draw = Draw(None, n, seed=derive(seed, "fit", str(one)))
        made = dict(given) | dict(zip(op.targets, draw.sample(one.model, given), strict=True))
        distance, p = energy_test(
            _features(real, made, data.schema), _features(made, real, data.schema), rng
        )
        line = (
            f"{one}: energy distance {distance:.3f}, p = {p:.3f} ({n:,} rows against {n:,} draws)"
        )
        if p < LEVEL:
            yield "weak", f"{line}: draws differ from the data; train longer, or try another family"
        else:
            yield "ok", line


def _features(rows: Arrays, others: Arrays, schema: Schema) -> np.ndarray:
    """Rows as points ``(n, d)``: levels one-hot, numbers standardised over both samples, words counted."""
    parts = []
    for name, values in rows.items():
        kind = schema[name]
        if kind.discrete:
            parts.append(np.eye(len(kind.levels))[values] / np.sqrt(2))
            continue
        if kind.name == "text":  # the root of a mean number of tokens is about their distance
            parts.append(
                bags(values, len(kind.levels)) / np.sqrt(1 + (values != END).sum(1).mean())
            )
            continue
        both = (
            np.concatenate([values, others[name]]).astype(np.float64).reshape(2 * len(values), -1)
        )
        spread = both.std(axis=0)
        flat = (values.reshape(len(values), -1) - both.mean(axis=0)) / np.where(
            spread > 0, spread, 1
        )
        parts.append(flat / np.sqrt(flat.shape[1]))
    return np.concatenate(parts, axis=1)


def energy_test(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Energy coefficient of two samples ``(n, d)`` of one size, from 0 (alike) to 1, and its p-value.

    The p-value is by permutation, so exact: under equality it is at most ``LEVEL`` that often.
    """
    pooled = np.concatenate([a, b])
    squares = (pooled**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * pooled @ pooled.T, 0))
    n = len(a)
    sign = np.repeat([1.0, -1.0], n)
    signs = np.stack([sign, *(rng.permutation(sign) for _ in range(PERMUTATIONS))])
    energies = -np.einsum("ij,ij->i", signs @ distances, signs) / n**2
    p = float((energies[1:] >= energies[0] - 1e-12).sum() + 1) / (PERMUTATIONS + 1)
    between = 2 * distances[:n, n:].mean()
    return float(max(energies[0], 0) / between) if between > 0 else 0.0, p
