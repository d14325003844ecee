"""Check a compiled query against the truth: random discrete models with latents on its own graph, enumerated.

Shares no code with the compiler; all it takes from the program is the graph's edges and the query's names.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from causalc import policy as p
from causalc.errors import CausalcError
from causalc.program import Program
from causalc.table import Array, Table

LIMIT = 20
"""Variables and latents together: the joint has two to that power cells."""


def verify(program: Program, query: str, trials: int, seed: int) -> float:
    """The worst error of program and estimand over ``trials`` models; raises ``CausalcError`` above 1e-9."""
    graph = program.compiled.graph
    names, latents = graph.nodes, graph.bidirected
    if len(names) + len(latents) > LIMIT:
        raise CausalcError(
            f"{len(names)} variables and {len(latents)} latents are too many to enumerate ({LIMIT})"
        )
    question = program.estimands[query].question
    do, given = [n for n, _ in question.do], [n for n, _ in question.given]
    fixed = {
        name: i
        for i, (name, _) in enumerate((*question.do, *question.given))
        if name in question.fixed
    }
    rng, worst = np.random.default_rng(seed), 0.0
    free = [n for n in (*do, *given) if n not in fixed]
    levels = levels_of(question.policies)
    levels |= {n: (question.fixed[n], *levels.get(n, (object(),))) for n in fixed}
    cells = float(np.prod([len(levels.get(n, "ab")) for n in names])) * 2.0 ** len(latents)
    if cells > 2.0**LIMIT:
        raise CausalcError(f"{query}: its policies name too many levels to enumerate")
    rules = {q.variable: _rule(q, levels) for q in question.policies}
    for _ in range(trials):
        tables = _tables(names, graph.directed, latents, levels, rng)
        joint = Table(names, _joint(names, latents, tables, []), levels)
        effect = _joint(names, latents, {**tables, **rules}, do)
        truth = _conditional(effect, names, do, given, question.outcomes)
        for axis, name in reversed(list(enumerate((*do, *given)))):
            if name in fixed:
                truth = np.asarray(truth.take(0, axis=axis))
        assert truth.ndim == len(free) + len(question.outcomes)
        for found in (program.exact(joint, query), program.estimands[query].evaluate(joint)):
            worst = max(worst, float(np.abs(found.array - truth).max()))
    if worst > 1e-9:
        raise CausalcError(
            f"{query}: the compiled program is off by {worst:.1e}; please report this query"
        )
    return worst


Tables = dict[str, tuple[tuple[str, ...], Array]]


def _tables(
    names: tuple[str, ...],
    directed: tuple[tuple[str, str], ...],
    latents: tuple[tuple[str, str], ...],
    levels: Mapping[str, Sequence[object]],
    rng: np.random.Generator,
) -> Tables:
    """P(v | parents and latents) for every variable, and P(u) for the latent of each <-> edge, all of two levels
    but those named in ``levels``."""
    tables: Tables = {}
    for i, _ in enumerate(latents):
        share = rng.uniform(0.2, 0.8)
        tables[f"\0{i}"] = ((), np.array([share, 1 - share]))
    for name in names:
        causes = [a for a, b in directed if b == name]
        causes += [f"\0{i}" for i, pair in enumerate(latents) if name in pair]
        shape = [len(levels.get(v, "ab")) for v in (*causes, name)]
        p = rng.uniform(0.1, 0.9, shape)
        tables[name] = (tuple(causes), p / p.sum(axis=-1, keepdims=True))
    return tables


def _joint(
    names: tuple[str, ...], latents: tuple[tuple[str, str], ...], tables: Tables, do: list[str]
) -> Array:
    """The joint of ``names`` with the mechanisms of ``do`` replaced by ones, latents summed out."""
    letter = dict(
        zip(
            [*names, *(f"\0{i}" for i, _ in enumerate(latents))], string.ascii_letters, strict=False
        )
    )
    terms, arrays = [], []
    for name, (causes, array) in tables.items():
        terms.append(
            "".join(letter[c] for c in causes) + letter[name] if name not in do else letter[name]
        )
        arrays.append(array if name not in do else np.ones(array.shape[-1]))
    expression = f"{','.join(terms)}->{''.join(letter[n] for n in names)}"
    return np.asarray(np.einsum(expression, *arrays, optimize="greedy"))


def _conditional(
    effect: Array,
    names: tuple[str, ...],
    do: list[str],
    given: list[str],
    outcomes: tuple[str, ...],
) -> Array:
    keep = (*do, *given, *outcomes)
    reduced = effect.sum(axis=tuple(i for i, n in enumerate(names) if n not in keep))
    left = [n for n in names if n in keep]
    array = reduced.transpose([left.index(n) for n in keep])
    context = len(do) + len(given)
    return np.asarray(array / array.sum(axis=tuple(range(context, array.ndim)), keepdims=True))


# ---- policies, read here once more: nothing of what programs run is used


def levels_of(policies: Sequence[p.Policy]) -> dict[str, tuple[object, ...]]:
    """Levels at which the policies can be followed: those they name, or numbers on both sides of a threshold."""
    named: dict[str, dict[object, None]] = {}
    free: dict[str, dict[object, None]] = {}
    for one in policies:
        named.setdefault(one.variable, {}).update(dict.fromkeys(_results(one.rule)))
        for part in _parts(one.rule):
            match part:
                case p.ByLevel(variable, cases):
                    named.setdefault(variable, {}).update(dict.fromkeys(k for k, _ in cases))
                case p.Threshold(variable, at):
                    free.setdefault(variable, {}).update({at - 1: None, at: None})
                case p.Linear(_, slopes):
                    for variable, _ in slopes:
                        free.setdefault(variable, {}).update({0: None, 1: None})
    found: dict[str, tuple[object, ...]] = {}
    for variable in {**named, **free}:
        chosen = {**named.get(variable, {})} or {**free.get(variable, {})}
        if variable not in free and variable not in {q.variable for q in policies}:
            found[variable] = tuple(chosen)
            continue
        for more in (*free.get(variable, {}), 0, 1):
            if len(chosen) < 2:
                chosen[more] = None
        found[variable] = tuple(chosen)
    return found


def _parts(part: object) -> Iterator[object]:
    yield part
    match part:
        case p.Categorical(cases) | p.ByLevel(_, cases):
            inner: tuple[object, ...] = tuple(f for _, f in cases)
        case p.Bernoulli(f) | p.Exactly(f):
            inner = (f,)
        case p.Normal(f, g) | p.Threshold(_, _, f, g):
            inner = (f, g)
        case _:
            inner = ()
    for one in inner:
        yield from _parts(one)


def _results(rule: p.Rule) -> Sequence[object]:
    """The values that a rule names for its variable."""
    match rule:
        case p.Categorical(cases):
            return [level for level, _ in cases]
        case p.Exactly(f):
            return [part for part in _parts(f) if isinstance(part, int | float | str)]
        case p.Normal(f, _):
            return [part for part in _parts(f) if isinstance(part, int | float | str)] + [0.5, 2]
        case p.Uniform(low, high) if low is not None:
            return [low, high]
    return [0, 1]


def _rule(
    policy: p.Policy, levels: Mapping[str, Sequence[object]]
) -> tuple[tuple[str, ...], Array]:
    """A policy as the mechanism of its variable: one row of probabilities for each context."""
    causes, own = policy.inputs, levels[policy.variable]
    rows = [
        _chances(policy.rule, dict(zip(causes, context, strict=True)), own)
        for context in product(*(levels[v] for v in causes))
    ]
    return causes, np.array(rows).reshape(*(len(levels[v]) for v in causes), len(own))


def _chances(rule: p.Rule, at: Mapping[str, object], own: Sequence[object]) -> list[float]:
    match rule:
        case p.Bernoulli(f):
            chance = float(_worth(f, at))
            return [1 - chance, chance]
        case p.Categorical(cases):
            return [sum(float(_worth(f, at)) for k, f in cases if k == level) for level in own]
        case p.Uniform(low, high):
            inside = [low is None or high is None or low <= float(str(x)) <= high for x in own]
            return [1 / sum(inside) if i else 0.0 for i in inside]
        case p.Normal(f, g):
            mean, sd = float(_worth(f, at)), float(_worth(g, at))
            dense = [math.exp(-((float(x) - mean) ** 2) / (2 * sd * sd)) for x in own]  # type: ignore[arg-type]
            return [d / sum(dense) for d in dense]
        case p.Exactly(f):
            worth = _worth(f, at)
            apart = [0.0 if x == worth else abs(x - worth) for x in own]
            return [float(i == apart.index(min(apart))) for i in range(len(own))]


def _worth(f: p.Function, at: Mapping[str, object]) -> Any:
    match f:
        case p.ByLevel(variable, cases):
            return _worth(next(g for level, g in cases if level == at[variable]), at)
        case p.Threshold(variable, edge, below, above):
            return _worth(above if at[variable] >= edge else below, at)  # type: ignore[operator]
        case p.Linear(intercept, slopes):
            return intercept + sum(slope * float(str(at[v])) for v, slope in slopes)
    return f
