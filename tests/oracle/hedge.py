"""Check that a claimed hedge is one, or look for one; ``witness`` builds the two models that it says exist.

Shpitser and Pearl (2006): P(y | do(x)) is not identifiable exactly if some hedge (F, F') exists for
it. F' lies inside F, both are R-rooted C-forests (joined by bidirected edges, every vertex with a
directed path to R inside the set), F meets x, F' does not, and R are ancestors of y in the graph
without the edges into x.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import networkx as nx

from oracle.admg import Case


@dataclass(frozen=True)
class Hedge:
    """The two C-forests, larger first, and their common roots."""

    outer: frozenset[str]
    inner: frozenset[str]
    roots: frozenset[str]


def hedge_flaw(case: Case, hedge: Hedge) -> str | None:
    """Say what keeps ``hedge`` from witnessing that P(y | do(x)) is not identifiable; None if
    nothing does.

    ``case`` has no conditions: for a conditional query pass ``decider.without_conditions(case)``.
    """
    outer, inner, roots = hedge.outer, hedge.inner, hedge.roots
    graph, x = case.graph, set(case.x)
    if not outer <= set(graph.nodes):
        return "the larger set has vertices that are not in the graph"
    if not inner < outer:
        return "the smaller set is not strictly inside the larger one"
    if not roots or not roots <= inner:
        return "the roots are not inside the smaller set"
    if not x & outer:
        return "the larger set has no intervened variable"
    if x & inner:
        return "the smaller set has an intervened variable"
    for part, name in ((outer, "larger"), (inner, "smaller")):
        forest = graph.within(set(part))
        if not nx.is_connected(forest.confounded):
            return f"the {name} set is not joined by bidirected edges"
        if forest.ancestors(set(roots)) != part:
            return f"some vertex of the {name} set has no directed path to the roots inside it"
    if not roots <= graph.without_edges_into(x).ancestors(set(case.y)):
        return (
            "some root is no ancestor of the outcomes once the edges into the interventions are cut"
        )
    return None


def find_hedge(case: Case) -> Hedge | None:
    """Look for a hedge among all pairs of subsets: exponential, for graphs of a few variables.

    With roots as many as possible, every vertex of F' that may be one, nothing is missed: a smaller
    choice of roots only asks for more paths.
    """
    nodes = case.graph.nodes
    eligible = case.graph.without_edges_into(set(case.x)).ancestors(set(case.y))
    for size in range(2, len(nodes) + 1):
        for outer in combinations(nodes, size):
            inner = set(outer) - set(case.x)
            found = (
                _with_outer(case, frozenset(outer), inner, eligible) if len(inner) < size else None
            )
            if found:
                return found
    return None


def _with_outer(
    case: Case, outer: frozenset[str], free: set[str], eligible: set[str]
) -> Hedge | None:
    for size in range(1, len(free) + 1):
        for inner in combinations(sorted(free), size):
            hedge = Hedge(outer, frozenset(inner), frozenset(eligible.intersection(inner)))
            if hedge_flaw(case, hedge) is None:
                return hedge
    return None
