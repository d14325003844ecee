"""Discrete structural causal models with explicit latents, and what they imply, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

import networkx as nx
import numpy as np

from oracle.admg import Admg

Array = np.ndarray


@dataclass(frozen=True)
class Latent:
    """A hidden root: ``members`` are the observed variables that it causes, ``prior`` its
    distribution.
    """

    name: str
    members: tuple[str, ...]
    prior: Array


Factor = tuple[Array, list[int]]
"""A table, and the label of each of its axes."""


@dataclass(frozen=True)
class Scm:
    """A model for an ADMG.

    ``tables[v]`` is P(v | inputs[v]) with one axis for each of ``inputs[v]`` in order and v last,
    where the inputs are observed parents and latents.
    """

    graph: Admg
    levels: Mapping[str, int]
    latents: tuple[Latent, ...]
    inputs: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, Array]

    @cached_property
    def _label(self) -> dict[str, int]:
        names = (*self.graph.nodes, *(u.name for u in self.latents))
        return {name: i for i, name in enumerate(names)}

    def joint(self) -> Array:
        """P(v), one axis a variable in the order of ``graph.nodes``."""
        return self._contract(self.graph.nodes, frozenset())

    def effect(self, y: Sequence[str], x: Sequence[str] = (), z: Sequence[str] = ()) -> Array:
        """P(y | do(x), z) with the axes of x, then those of z, then those of y, each in the order
        given.
        """
        return conditioned(self._contract((*x, *z, *y), frozenset(x)), len(x) + len(z))

    def interventions(self, x: Sequence[str]) -> Array:
        """P(v | do(x)) for all other v, one axis a variable in the order of ``graph.nodes``."""
        return self._contract(self.graph.nodes, frozenset(x))

    def _contract(self, axes: Sequence[str], cut: frozenset[str]) -> Array:
        """Sum the product of all factors but those of ``cut`` over everything that is not in
        ``axes``.
        """
        label = self._label
        relevant = self.graph.ancestors(axes, cut=cut)
        factors: list[Factor] = []
        used: set[str] = set()
        for v in self.graph.nodes:
            if v in relevant and v not in cut:
                factors.append((self.tables[v], [label[w] for w in (*self.inputs[v], v)]))
                used.update(self.inputs[v])
        factors += [(u.prior, [label[u.name]]) for u in self.latents if u.name in used]
        factors += [(np.ones(self.levels[v]), [label[v]]) for v in cut]
        sizes = [*(self.levels[v] for v in relevant), *(len(u.prior) for u in self.latents)]
        kept = [label[v] for v in axes]
        if prod(sizes) > 1 << 12:  # visiting every cell would take longer
            factors = eliminated(factors, kept)
        return _product(factors, kept)

    def effect_by_enumeration(
        self, y: Sequence[str], x: Sequence[str] = (), z: Sequence[str] = ()
    ) -> Array:
        """The same as ``effect``, by visiting every world one at a time: slow, and too simple to be
        wrong.
        """
        axes = (*x, *z, *y)
        total = np.zeros([self.levels[v] for v in axes])
        for world, weight in self._worlds(frozenset(x)):
            total[tuple(world[v] for v in axes)] += weight
        return total / total.sum(axis=tuple(range(len(x) + len(z), len(axes))), keepdims=True)

    def _worlds(self, cut: frozenset[str]) -> Iterator[tuple[dict[str, int], float]]:
        names = (*(u.name for u in self.latents), *self.graph.nodes)
        sizes = (*(len(u.prior) for u in self.latents), *(self.levels[v] for v in self.graph.nodes))
        for values in product(*map(range, sizes)):
            world = dict(zip(names, values, strict=True))
            weight = prod(float(u.prior[world[u.name]]) for u in self.latents)
            for v in self.graph.nodes:
                if v not in cut:
                    weight *= float(self.tables[v][tuple(world[w] for w in (*self.inputs[v], v))])
            yield world, weight


def eliminated(factors: list[Factor], kept: Sequence[int]) -> list[Factor]:
    """Sum out all labels but ``kept``, one at a time, that with the smallest table to make first."""
    size = {axis: n for table, axes in factors for axis, n in zip(axes, table.shape, strict=True)}
    hidden = set(size).difference(kept)
    while hidden:
        scope = {u: set[int]().union(*(axes for _, axes in factors if u in axes)) for u in hidden}
        u = min(sorted(hidden), key=lambda u: prod(size[axis] for axis in scope[u]))
        touched = [factor for factor in factors if u in factor[1]]
        rest = sorted(scope[u] - {u})
        factors = [factor for factor in factors if u not in factor[1]]
        factors.append((_product(touched, rest), rest))
        hidden.remove(u)
    return factors


def _product(factors: Iterable[Factor], kept: list[int]) -> Array:
    """The product of factors, summed over every label that is not in ``kept``."""
    operands: list[object] = []
    for table, axes in factors:
        operands += [table, axes]
    return np.einsum(*operands, kept)


def conditioned(joint: Array, context: int) -> Array:
    """Make every slice along the first ``context`` axes sum to one."""
    return joint / joint.sum(axis=tuple(range(context, joint.ndim)), keepdims=True)


def clique_latents(graph: Admg) -> tuple[tuple[str, ...], ...]:
    """The members of one latent for each maximal clique of bidirected edges."""
    cliques = (tuple(v for v in graph.nodes if v in c) for c in nx.find_cliques(graph.confounded))
    return tuple(sorted(c for c in cliques if len(c) > 1))


def random_scm(
    graph: Admg,
    rng: np.random.Generator,
    *,
    max_levels: int = 2,
    latent_levels: int = 2,
    cliques: bool = False,
    uniform: float = 0.2,
) -> Scm:
    """Draw a model for ``graph`` whose every probability is positive.

    Each row of a table is a flat Dirichlet draw mixed with ``uniform`` parts of the uniform
    distribution, which bounds it away from zero and so keeps divisions well conditioned. One latent
    a bidirected edge, or one a maximal clique of them.
    """
    levels = {v: int(rng.integers(2, max_levels + 1)) for v in graph.nodes}
    members = clique_latents(graph) if cliques else graph.bidirected
    latents = tuple(
        Latent(f"U{i}", tuple(m), _rows((), latent_levels, rng, uniform))
        for i, m in enumerate(members)
    )
    inputs = {
        v: (*graph.parents(v), *(u.name for u in latents if v in u.members)) for v in graph.nodes
    }
    sizes = levels | {u.name: latent_levels for u in latents}
    tables = {
        v: _rows(tuple(sizes[w] for w in inputs[v]), levels[v], rng, uniform) for v in graph.nodes
    }
    return Scm(graph, levels, latents, inputs, tables)


def _rows(shape: tuple[int, ...], levels: int, rng: np.random.Generator, uniform: float) -> Array:
    drawn = rng.dirichlet(np.ones(levels), size=shape)
    return (1 - uniform) * drawn + uniform / levels
