"""Smaller graphs with the same answer: variables a query can do without are projected out.

Marginalising an observed variable turns it into a latent one, so what is identifiable afterwards is the same
effect, from fewer conditionals: X -> M -> Y alone needs one model, not two. What the variable knew is
lost; whether that is worth it is for the plan's cost to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import le

from causalc.compiler.graph import Graph, bits
from causalc.compiler.identify import Derivation, NotIdentifiable, identify

Sets = tuple[int, int, int]

MOST = 24  # variables tried; each costs an identification


def eliminate(derivation: Derivation, outcomes: int, do: int, given: int) -> Derivation:
    """Project out one variable after another, from the outcomes upwards, while no kernel is added.

    The sets are those of the query in ``derivation.graph``. Returns ``derivation`` where nothing can go.
    """
    graph, best = derivation.graph, derivation
    asked = outcomes | do | given
    y, x, z = graph.names(outcomes), graph.names(do), graph.names(given)
    relevant = graph.ancestors(asked, graph.all)
    tried = list(bits(relevant & ~asked))
    if not 0 < len(tried) <= MOST:
        return derivation
    kept = graph.marginal(relevant)
    for v in reversed(tried):
        found = without(kept, graph.order[v], (y, x, z))
        if found is not None and len(found.pool.kernels) <= len(best.pool.kernels):
            kept, best = found.graph, found
    return best


def without(graph: Graph, name: str, query: Sequence[tuple[str, ...]]) -> Derivation | None:
    """The derivation of (outcomes, do, given) where ``name`` is latent; None where that is not identifiable."""
    smaller = graph.marginal(graph.all & ~graph.mask([name]))
    outcomes, do, given = map(smaller.mask, query)
    try:
        return identify(smaller, outcomes, do, given)
    except NotIdentifiable:
        return None


def unmoved_first(graph: Graph, do: int, asked: int) -> Graph | None:
    """The ancestors of ``asked`` in a causal order in which all that ``do`` does not move comes first.

    Any causal order is right. In this one the rows that are drawn as they are come before what has to be modelled,
    and are conditioned on instead of being modelled given what follows. None where that is their order already, or
    where they are more than ``MOST``.
    """
    relevant = graph.ancestors(asked, graph.all)
    if relevant.bit_count() > MOST:
        return None
    moved = 0
    for v in bits(relevant):
        if do >> v & 1 or graph.parents[v] & moved:
            moved |= 1 << v
    still = relevant & ~moved
    if not moved or still < moved & -moved:
        return None
    order = (*graph.names(still), *graph.names(moved))
    names = graph.order
    directed = [(names[p], names[v]) for v in bits(relevant) for p in bits(graph.parents[v])]
    both = [
        (names[v], names[s])
        for v in bits(relevant)
        for s in bits(graph.siblings[v] & relevant)
        if v < s
    ]
    return Graph.from_edges(order, directed, both)


def common(graph: Graph, queries: Sequence[Sets]) -> Graph:
    """The graph without what all of ``queries`` (outcomes, do and given) can do without, no kernel added to any.

    On it they share more: each conditional left is one that several of them use.
    """
    asked = 0
    for sets in queries:
        for part in sets:
            asked |= part
    named = [(graph.names(y), graph.names(x), graph.names(z)) for y, x, z in queries]

    def kernels(on: Graph) -> list[int]:
        """How many kernels each query needs; raises ``NotIdentifiable``."""
        found = (identify(on, on.mask(y), on.mask(x), on.mask(z), see=False) for y, x, z in named)
        return [len(derivation.pool.kernels) for derivation in found]

    kept = graph.marginal(graph.ancestors(asked, graph.all))
    tried = [v for v in reversed(kept.order) if not asked & graph.mask([v])]
    if len(tried) > MOST:
        return kept
    least = kernels(kept)
    for v in tried:
        smaller = kept.marginal(kept.all & ~kept.mask([v]))
        try:
            fewer = kernels(smaller)
        except NotIdentifiable:
            continue
        if all(map(le, fewer, least)):
            kept, least = smaller, fewer
    return kept
