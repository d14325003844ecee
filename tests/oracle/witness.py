"""The two models that a hedge says exist: they agree on P(v) and differ in P(y | do(x), z).

After the proof of Shpitser and Pearl (2006): every vertex of the hedge carries a bit, the parity of its
parents and of fair hidden coins, one for each edge of a spanning tree of bidirected edges. In the second model
the vertices of F' ignore what lies outside F'. Either way the roots have even parity in observed data. After
do(x) that still holds in the second model, while in the first the parity is a fair coin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from oracle.admg import Admg, Case
from oracle.hedge import Hedge
from oracle.scm import Array, Latent, Scm


def witnesses(case: Case, hedge: Hedge, noise: float = 0.1) -> tuple[Scm, Scm]:
    """Build two models with the same positive P(v) and different P(y | do(x)), by parity.

    The parity is noisy at one root. Directed paths carry the roots' bits on to y in a second bit, the same
    way in both models; it is flipped with probability ``noise`` at each vertex.
    """
    plan = _Parity(case, hedge)
    return plan.model(False, noise), plan.model(True, noise)


def stirred(case: Case, hedge: Hedge, rng: np.random.Generator) -> tuple[Scm, Scm]:
    """Build two models by parity, everything but the parities drawn at random, the same in both.

    A root shows its parity through a random channel, every other vertex has a random mechanism, and every
    bidirected edge a latent of its own beside the coins. What is observed is then the same function, in both
    models, of parities that have the same distribution; and what conditions are told of the roots is mixed
    with what ties them to y. That moves P(y | do(x), z) also where the roots' bits reach z alone.
    """
    plan = _Parity(case, hedge)
    ties = tuple(Latent(f"T{i}", e, _channel((), rng)) for i, e in enumerate(case.graph.bidirected))
    shown = {v: _channel(plan.shape(v, ties), rng) for v in case.graph.nodes}
    return plan.stirred(False, ties, shown), plan.stirred(True, ties, shown)


def _channel(sizes: tuple[int, ...], rng: np.random.Generator) -> Array:
    """A random P(bit | inputs) without certainties."""
    zero = rng.uniform(0.05, 0.95, sizes)
    return np.stack([zero, 1 - zero], axis=-1)


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
        tree = _spanning_tree(graph, inner, outer)
        self.coins = tuple(Latent(f"U{i}", pair, np.full(2, 0.5)) for i, pair in enumerate(tree))
        cut = graph.without_edges_into(set(case.x))
        self.carrier = _towards(cut, set(case.y))
        self.carrying = _forward(roots, self.carrier)

    def model(self, inner_only: bool, noise: float) -> Scm:
        graph, hedge = self.graph, self.hedge
        levels = {v: 4 if v in hedge.outer and v in self.carrying else 2 for v in graph.nodes}
        inputs, tables = {}, {}
        for v in graph.nodes:
            bits = self._hedge_bits(v, inner_only)
            carried = {p for p in graph.parents(v) if self.carrier.get(p) == v and p in self._live}
            parents = tuple(p for p in graph.parents(v) if p in bits | carried)
            hidden = tuple(u.name for u in self.coins if v in u.members)
            inputs[v] = (*parents, *hidden)
            sizes = [levels[p] for p in parents] + [2] * len(hidden)
            tables[v] = self._table(v, inputs[v], sizes, levels[v], bits, noise)
        return Scm(graph, levels, self.coins, inputs, tables)

    def _hedge_bits(self, v: str, inner_only: bool) -> set[str]:
        """The inputs of ``v`` whose bits it adds up as a vertex of the hedge."""
        heard = self.hedge.inner if inner_only and v in self.hedge.inner else self.hedge.outer
        if v not in self.hedge.outer:
            return set()
        parents = {p for p in heard if self.child.get(p) == v}
        return parents | {u.name for u in self.coins if v in u.members and heard >= set(u.members)}

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
        axes = dict(zip(inputs, np.indices(sizes, sparse=True), strict=True))
        hedge_bit = sum((self._hedge_bit(w, axes[w]) for w in bits), 0)
        carrying = (p for p in inputs if self.carrier.get(p) == v and p in self._live)
        carried = sum((self._carried(p, axes[p]) for p in carrying), 0)
        noisy = noise if v == min(self.hedge.roots) else 0.0
        p_hedge = _flip(np.broadcast_to(hedge_bit, sizes) % 2, noisy)
        p_carry = _flip(np.broadcast_to(carried, sizes) % 2, noise)
        if in_hedge and carries:
            return (p_hedge[..., :, None] * p_carry[..., None, :]).reshape(*sizes, levels)
        if in_hedge:
            return p_hedge
        return p_carry if carries else np.full((*sizes, levels), 0.5)

    def levels(self, v: str) -> int:
        """Of a vertex of a stirred model: one of the hedge that is no root shows its bit and another."""
        return 4 if v in self.hedge.outer - self.hedge.roots else 2

    def shape(self, v: str, ties: tuple[Latent, ...]) -> tuple[int, ...]:
        """What the random channel of ``v`` sees: its parents, its ties and, of a root, the parity."""
        parents = (self.levels(p) for p in self.graph.parents(v))
        tied = (2 for u in ties if v in u.members)
        return (*parents, *tied, *((2,) if v in self.hedge.roots else ()))

    def stirred(
        self, inner_only: bool, ties: tuple[Latent, ...], shown: Mapping[str, Array]
    ) -> Scm:
        """The model whose channels are ``shown``."""
        graph, hedge = self.graph, self.hedge
        inputs, tables = {}, {}
        for v in graph.nodes:
            parents = graph.parents(v)
            inputs[v] = (*parents, *(u.name for u in (*ties, *self.coins) if v in u.members))
            sizes = [self.levels(w) if w in parents else 2 for w in inputs[v]]
            bits = self._hedge_bits(v, inner_only)
            axes = dict(zip(inputs[v], np.indices(sizes, sparse=True), strict=True))
            parity = sum((n >> 1 if w in parents else n for w, n in axes.items() if w in bits), 0)
            parity = np.broadcast_to(parity % 2, sizes)[..., None]
            coins = len(sizes) - (shown[v].ndim - 1 - (v in hedge.roots))
            if v in hedge.roots:
                zero, one = (_spread(shown[v][..., k, :], coins) for k in (0, 1))
                tables[v] = np.where(parity, one, zero)
            else:
                tables[v] = np.broadcast_to(_spread(shown[v], coins), (*sizes, 2))
            if v in hedge.outer - hedge.roots:
                tables[v] = np.concatenate([tables[v] * (1 - parity), tables[v] * parity], axis=-1)
        levels = {v: self.levels(v) for v in graph.nodes}
        return Scm(graph, levels, (*ties, *self.coins), inputs, tables)

    @property
    def _live(self) -> set[str]:
        """The vertices that have something to carry on: roots and what lies below them."""
        return set(self.carrying) | set(self.hedge.roots)

    def _hedge_bit(self, w: str, value: Array) -> Array:
        return value >> 1 if w in self.hedge.outer and w in self.carrying else value

    def _carried(self, w: str, value: Array) -> Array:
        """What ``w`` passes on: its carried bit, plus its own bit if it is a root."""
        own = self._hedge_bit(w, value) if w in self.hedge.roots else 0
        return own + (value & 1 if w in self.carrying else 0)


def _spread(channel: Array, coins: int) -> Array:
    """A channel that ignores so many coins more."""
    return channel.reshape(*channel.shape[:-1], *(1,) * coins, 2)


def _flip(bit: Array, noise: float) -> Array:
    """The distribution of a bit that is flipped with probability ``noise``."""
    return np.stack([np.where(bit, noise, 1 - noise), np.where(bit, 1 - noise, noise)], axis=-1)


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
