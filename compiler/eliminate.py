"""Smaller graphs with the same answer: variables a query can do without are projected out.

Marginalising an observed variable turns it into a latent one, so what is identifiable afterwards is the same
effect, from fewer conditionals: X -> M -> Y alone needs one model, not two. What the variable knew is
lost; whether that is worth it is for the plan's cost to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from causalc.compiler.graph import Graph, bits
from causalc.compiler.identify import Derivation, NotIdentifiable, identify

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
    kept = _project(graph, relevant)
    for v in reversed(tried):
        found = without(kept, graph.order[v], (y, x, z))
        if found is not None and len(found.pool.kernels) <= len(best.pool.kernels):
            kept, best = found.graph, found
    return best


def without(graph: Graph, name: str, query: Sequence[tuple[str, ...]]) -> Derivation | None:
    """The derivation of (outcomes, do, given) where ``name`` is latent; None where that is not identifiable."""
    smaller = _project(graph, graph.all & ~graph.mask([name]))
    outcomes, do, given = map(smaller.mask, query)
    try:
        return identify(smaller, outcomes, do, given)
    except NotIdentifiable:
        return None


def _project(graph: Graph, keep: int) -> Graph:
    return graph.project(graph.names(keep))
