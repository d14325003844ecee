"""Check that a claimed hedge is one, and build the two models that it says exist.

Shpitser and Pearl (2006): P(y | do(x)) is not identifiable exactly if some hedge (F, F') exists for
it. F' lies inside F, both are R-rooted C-forests (joined by bidirected edges, every vertex with a
directed path to R inside the set), F meets x, F' does not, and R are ancestors of y in the graph
without the edges into x.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import networkx as nx
import numpy as np

from oracle.admg import Admg, Case
from oracle.scm import Array, Latent, Scm


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


def witnesses(case: Case, hedge: Hedge, noise: float = 0.1) -> tuple[Scm, Scm]:
    """Build two models with the same positive P(v) and different P(y | do(x)), by parity.

    Every vertex of the hedge carries a bit: the parity of its parents and of fair hidden coins, one
    for each edge of a spanning tree of bidirected edges. In the second model the vertices of F'
    ignore what lies outside F'. Either way the roots have even parity in observed data (up to noise
    at one root). After do(x) that still holds in the second model, while in the first the parity is
    a fair coin. Directed paths carry the roots' bits on to y in a second bit, the same way in both
    models; it is flipped with probability ``noise`` at each vertex.
    """
    plan = _Parity(case, hedge)
    return plan.model(False, noise), plan.model(True, noise)


class _Parity:
    """The edges that the construction uses."""

    def __init__(self, case: Case, hedge: Hedge) -> None:
        graph, outer, inner, roots = (
            case.graph,
            set(hedge.outer),
            set(hedge.inner),
            set(hedge.roots),
        )
        self.graph, self.hedge = graph, hedge
        self.child = _towards(graph.within(outer), roots) | _towards(graph.within(inner), roots)
        self.coins = _spanning_tree(graph, inner, outer)
        cut = graph.without_edges_into(set(case.x))
        self.carrier = _towards(cut, set(case.y))
        self.carrying = _forward(roots, self.carrier)

    def model(self, inner_only: bool, noise: float) -> Scm:
        graph, hedge = self.graph, self.hedge
        coins = [Latent(f"U{i}", pair, np.full(2, 0.5)) for i, pair in enumerate(self.coins)]
        levels = {v: 4 if v in hedge.outer and v in self.carrying else 2 for v in graph.nodes}
        inputs, tables = {}, {}
        for v in graph.nodes:
            hidden = tuple(u.name for u in coins if v in u.members)
            inputs[v] = (*graph.parents(v), *hidden)
            sizes = [levels[p] for p in graph.parents(v)] + [2] * len(hidden)
            bits = self._hedge_bits(v, coins, inner_only)
            tables[v] = self._table(v, inputs[v], sizes, levels[v], bits, noise)
        return Scm(graph, levels, tuple(coins), inputs, tables)

    def _hedge_bits(self, v: str, coins: list[Latent], inner_only: bool) -> set[str]:
        """The inputs of ``v`` whose bits it adds up as a vertex of the hedge."""
        heard = self.hedge.inner if inner_only and v in self.hedge.inner else self.hedge.outer
        if v not in self.hedge.outer:
            return set()
        parents = {p for p in heard if self.child.get(p) == v}
        return parents | {u.name for u in coins if v in u.members and heard >= set(u.members)}

    def _table(
        self,
        v: str,
        inputs: tuple[str, ...],
        sizes: list[int],
        levels: int,
        bits: set[str],
        noise: float,
    ) -> Array:
        in_hedge, carries = v in self.hedge.outer, v in self.carrying
        noisy_root = min(self.hedge.roots)
        table = np.zeros((*sizes, levels))
        for values in np.ndindex(*sizes):
            world = dict(zip(inputs, values, strict=True))
            hedge_bit = sum(self._hedge_bit(w, world[w]) for w in bits) % 2
            carried = sum(
                self._carried(p, world[p])
                for p in inputs
                if self.carrier.get(p) == v and p in self._live
            )
            p_hedge = _flip(hedge_bit, noise if v == noisy_root else 0.0)
            p_carry = _flip(carried % 2, noise)
            if in_hedge and carries:
                table[values] = np.outer(p_hedge, p_carry).ravel()
            elif in_hedge:
                table[values] = p_hedge
            else:
                table[values] = p_carry if carries else 0.5
        return table

    @property
    def _live(self) -> set[str]:
        """The vertices that have something to carry on: roots and what lies below them."""
        return set(self.carrying) | set(self.hedge.roots)

    def _hedge_bit(self, w: str, value: int) -> int:
        return value >> 1 if w in self.hedge.outer and w in self.carrying else value

    def _carried(self, w: str, value: int) -> int:
        """What ``w`` passes on: its carried bit, plus its own bit if it is a root."""
        own = self._hedge_bit(w, value) if w in self.hedge.roots else 0
        return own + (value & 1 if w in self.carrying else 0)


def _flip(bit: int, noise: float) -> Array:
    return np.array([1 - noise, noise] if bit == 0 else [noise, 1 - noise])


def _towards(graph: Admg, targets: set[str]) -> dict[str, str]:
    """For each vertex with a path to ``targets``, other than these, the next vertex on a shortest
    one.
    """
    step: dict[str, str] = {}
    frontier = [v for v in graph.nodes if v in targets]
    seen = set(frontier)
    while frontier:
        reached = []
        for v in frontier:
            for p in graph.parents(v):
                if p not in seen:
                    seen.add(p)
                    step[p] = v
                    reached.append(p)
        frontier = reached
    return step


def _forward(starts: Iterable[str], step: dict[str, str]) -> frozenset[str]:
    """Every vertex strictly after a start on the way that ``step`` leads."""
    found: set[str] = set()
    for v in starts:
        while v in step:
            v = step[v]
            found.add(v)
    return frozenset(found)


def _spanning_tree(graph: Admg, inner: set[str], outer: set[str]) -> tuple[tuple[str, str], ...]:
    """Bidirected edges that span ``inner``, extended to span ``outer``."""
    tree: list[tuple[str, str]] = []
    joined = {v: {v} for v in outer}
    within = [e for e in graph.bidirected if inner.issuperset(e)]
    for a, b in [*within, *(e for e in graph.bidirected if outer.issuperset(e))]:
        if joined[a] is not joined[b]:
            merged = joined[a] | joined[b]
            for v in merged:
                joined[v] = merged
            tree.append((a, b))
    return tuple(tree)
