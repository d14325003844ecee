"""Check a compiled query against the truth: random discrete models with latents on its own graph, enumerated.

Shares no code with the compiler; all it takes from the program is the graph's edges and the query's names.
"""

from __future__ import annotations

import string

import numpy as np

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
    for _ in range(trials):
        tables = _tables(names, graph.directed, latents, rng)
        levels = {n: (question.fixed[n], object()) for n in fixed}
        joint = Table(names, _joint(names, latents, tables, []), levels)
        effect = _joint(names, latents, tables, do)
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
    rng: np.random.Generator,
) -> Tables:
    """P(v | parents and latents) for every binary variable, and P(u) for the latent of each <-> edge."""
    tables: Tables = {}
    for i, _ in enumerate(latents):
        share = rng.uniform(0.2, 0.8)
        tables[f"\0{i}"] = ((), np.array([share, 1 - share]))
    for name in names:
        causes = [a for a, b in directed if b == name]
        causes += [f"\0{i}" for i, pair in enumerate(latents) if name in pair]
        p = rng.uniform(0.1, 0.9, (2,) * len(causes))
        tables[name] = (tuple(causes), np.stack([p, 1 - p], axis=-1))
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
        arrays.append(array if name not in do else np.ones(2))
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
