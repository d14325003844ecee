"""Acyclic directed mixed graphs on integer bitsets.

Vertices are numbered by one global topological order, so a set of vertices is an ``int``, "what precedes v"
is ``(1 << v) - 1`` and ascending bits are in causal order. Nothing is ever copied on recursion: every
operation takes the set it is to be done within. ``->`` is a direct cause, ``<->`` a latent common cause.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress, count

from causalc.errors import CausalcError

Pair = tuple[str, str]


class GraphError(CausalcError):
    """The edges given are not those of an acyclic directed mixed graph."""


DIGITS = bytes.maketrans(b"01", b"\0\1")


def bits(mask: int) -> Iterator[int]:
    """Yield the members of a vertex set in topological order."""
    many = mask.bit_count()
    if many > 32 and mask.bit_length() < 16 * many:  # one by one would be quadratic
        yield from compress(count(), f"{mask:b}"[::-1].encode().translate(DIGITS))
        return
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


@dataclass(frozen=True, slots=True)
class Graph:
    """An ADMG; build it with ``parse`` or ``from_edges``.

    ``nodes`` keeps the order in which the user named the variables; ``order`` is the global topological
    order, ``index`` its inverse, and ``parents``, ``children`` and ``siblings`` are bitsets indexed by it. A set
    of vertices is an ``int`` whose bit ``i`` stands for ``order[i]``; ``mask`` makes one from names.
    """

    nodes: tuple[str, ...]
    order: tuple[str, ...]
    parents: tuple[int, ...] = field(repr=False)
    children: tuple[int, ...] = field(repr=False)
    siblings: tuple[int, ...] = field(repr=False)
    index: dict[str, int] = field(repr=False, compare=False)

    # ---- construction -------------------------------------------------------------------------------

    @classmethod
    def from_edges(
        cls,
        nodes: Iterable[str],
        directed: Iterable[Pair],
        bidirected: Iterable[Pair] = (),
        latents: Iterable[str] = (),
    ) -> Graph:
        """Build a graph from named edges; ``latents`` are removed by latent projection.

        ``directed`` holds pairs (cause, effect), ``bidirected`` pairs with a latent common cause. Vertices that occur
        only in edges are added after ``nodes``. Raises ``GraphError`` on a cycle or a self-loop.
        """
        directed, bidirected = tuple(directed), tuple(bidirected)
        names = dict.fromkeys(nodes)
        for pair in (*directed, *bidirected):
            names.update(dict.fromkeys(pair))
        for a, b in (*directed, *bidirected):
            if a == b:
                raise GraphError(f"`{a}` has an edge to itself; a variable cannot cause itself")
        graph = cls._sorted(tuple(names), directed, bidirected)
        hidden = dict.fromkeys(latents)
        for name in hidden:
            graph._need(name)
        return graph.project(tuple(v for v in names if v not in hidden)) if hidden else graph

    @classmethod
    def parse(cls, text: str) -> Graph:
        """Read the edge language or a DAGitty text, e.g. ``"W1 -> W2 -> X -> Y; W1 <-> X; Z"``.

        Raises ``LanguageError`` for a text that is none, ``GraphError`` on a cycle; both are ``CausalcError``.

        >>> Graph.parse("X -> M -> Y; X <-> Y").bidirected
        (('X', 'Y'),)
        """
        from causalc.grammar import parse_graph

        spec = parse_graph(text)
        return cls.from_edges(spec.nodes, spec.directed, spec.bidirected, spec.latents)

    @classmethod
    def _sorted(
        cls, nodes: tuple[str, ...], directed: Sequence[Pair], both: Sequence[Pair]
    ) -> Graph:
        position = {name: i for i, name in enumerate(nodes)}
        after: list[list[int]] = [[] for _ in nodes]
        waiting = [0] * len(nodes)
        for a, b in dict.fromkeys(directed):
            after[position[a]].append(position[b])
            waiting[position[b]] += 1
        ready = [i for i, count in enumerate(waiting) if not count]
        order: list[int] = []
        while ready:
            i = heapq.heappop(ready)
            order.append(i)
            for j in after[i]:
                waiting[j] -= 1
                if not waiting[j]:
                    heapq.heappush(ready, j)
        if len(order) < len(nodes):
            raise GraphError(f"the graph has a cycle: {_cycle(nodes, after, waiting)}")
        names = tuple(nodes[i] for i in order)
        index = {name: i for i, name in enumerate(names)}
        parents, children, siblings = ([0] * len(nodes) for _ in range(3))
        for a, b in directed:
            parents[index[b]] |= 1 << index[a]
            children[index[a]] |= 1 << index[b]
        for a, b in both:
            siblings[index[a]] |= 1 << index[b]
            siblings[index[b]] |= 1 << index[a]
        return cls(nodes, names, tuple(parents), tuple(children), tuple(siblings), index)

    def project(self, keep: Sequence[str]) -> Graph:
        """Marginalise every vertex that is not in ``keep``, whose order becomes that of ``nodes``.

        Raises ``GraphError`` for an unknown name.
        """
        smaller = self.marginal(self.mask(keep))
        return self._sorted(tuple(keep), smaller.directed, smaller.bidirected)

    def marginal(self, keep: int) -> Graph:
        """The graph of a set ``keep``, all others made latent (Verma's latent projection), in the same order."""
        parents, children, siblings = map(list, (self.parents, self.children, self.siblings))
        left = self.all
        for h in reversed(list(bits(left & ~keep))):  # its children are kept: latent ones are gone
            left ^= 1 << h
            heads, around, above = children[h] & keep, siblings[h] & left, parents[h]
            if heads:
                for v in bits(above):
                    children[v] |= heads
                for v in bits(heads):
                    parents[v] |= above
                    siblings[v] |= heads | around
                for v in bits(around):
                    siblings[v] |= heads
        names = self.names(keep)
        place = {v: i for i, v in enumerate(bits(keep))}
        causes, effects, joined = ([0] * len(place) for _ in range(3))
        for v, i in place.items():
            for p in bits(parents[v] & keep):
                causes[i] |= 1 << place[p]
                effects[place[p]] |= 1 << i
            for s in bits(siblings[v] & keep & ~(1 << v)):
                joined[i] |= 1 << place[s]
        index = dict(zip(names, range(len(names)), strict=True))
        return Graph(names, names, tuple(causes), tuple(effects), tuple(joined), index)

    # ---- names and sets -----------------------------------------------------------------------------

    @property
    def all(self) -> int:
        """The set of all vertices."""
        return (1 << len(self.order)) - 1

    @property
    def directed(self) -> tuple[Pair, ...]:
        """The directed edges, by name, in the order of ``nodes``."""
        at = self.index
        return tuple((a, self.order[c]) for a in self.nodes for c in bits(self.children[at[a]]))

    @property
    def bidirected(self) -> tuple[Pair, ...]:
        """The bidirected edges, by name, each once, in the order of ``nodes``."""
        rank = {name: i for i, name in enumerate(self.nodes)}
        pairs = ((a, self.order[s]) for a in self.nodes for s in bits(self.siblings[self.index[a]]))
        return tuple(
            sorted(
                (p for p in pairs if rank[p[0]] < rank[p[1]]),
                key=lambda p: (rank[p[0]], rank[p[1]]),
            )
        )

    def _need(self, name: str) -> int:
        try:
            return self.index[name]
        except KeyError:
            from difflib import get_close_matches

            near = get_close_matches(name, self.nodes, 1)
            known = ", ".join(self.nodes[:12])
            hint = f"; did you mean `{near[0]}`?" if near else f" (it has {known})"
            raise GraphError(f"`{name}` is not a variable of the graph{hint}") from None

    def mask(self, names: Iterable[str]) -> int:
        """The set of the named vertices; raises ``GraphError`` for an unknown name."""
        result = 0
        for name in names:
            result |= 1 << self._need(name)
        return result

    def names(self, mask: int) -> tuple[str, ...]:
        """The names in a set ``mask``, in topological order."""
        order = self.order
        return tuple([order[v] for v in bits(mask)])

    # ---- relations, all within a set of vertices --------------------------------------------------------

    def ancestors(self, targets: int, within: int, cut: int = 0) -> int:
        """``targets`` and their ancestors in G[within], edges into ``cut`` removed."""
        result = todo = targets & within
        rest = within & ~targets
        if rest.bit_count() < todo.bit_count():  # fewer to ask whether they lead in
            children, inwards = self.children, ~cut
            while rest:
                v = rest.bit_length() - 1
                rest ^= 1 << v
                if children[v] & result & inwards:
                    result |= 1 << v
            return result
        parents = self.parents
        while todo:
            v = todo.bit_length() - 1
            todo ^= 1 << v
            if not cut >> v & 1:
                new = parents[v] & within & ~result
                result |= new
                todo |= new
        return result

    def still_ancestors(self, targets: int, within: int, gone: int) -> int:
        """The ancestors of ``targets`` in G[within], where all of G[within | gone] are: what led to ``gone`` may go."""
        parents, children = self.parents, self.children
        left, todo = within, self.parents_of(gone) & within & ~targets
        while todo:
            v = todo.bit_length() - 1
            todo ^= 1 << v
            if not children[v] & left:
                left ^= 1 << v
                todo |= parents[v] & left & ~targets
        return left

    def district(self, start: int, within: int) -> int:
        """All vertices of G[within] joined to the set ``start`` by bidirected paths, ``start`` included."""
        result = todo = start & within
        siblings = self.siblings
        while todo:
            low = todo & -todo
            new = siblings[low.bit_length() - 1] & within & ~result
            result |= new
            todo = (todo ^ low) | new
        return result

    def still_joined(self, part: int, within: int, gone: int) -> int:
        """The district of ``part`` in G[within], where all of G[within | gone] is one and ``part`` is joined.

        Only what was next to ``gone`` can have been cut off. From there and from ``part`` the search goes on in
        turns until the two meet or one of them has nowhere to go, so that it costs what is cut off, or little.
        """
        siblings = self.siblings
        border = 0
        for v in bits(gone):
            border |= siblings[v]
        mine = ours = part & within  # joined to the part, and of that what is to be looked at
        while ours and (border := border & within & ~mine):
            seen = todo = border & -border
            while todo and ours and not seen & mine:
                low, head = todo & -todo, ours & -ours
                new = siblings[low.bit_length() - 1] & within & ~seen
                seen, todo = seen | new, todo ^ low | new
                new = siblings[head.bit_length() - 1] & within & ~mine
                mine, ours = mine | new, ours ^ head | new
            if seen & mine:
                mine, ours = mine | seen, ours | todo
            elif not todo:
                within ^= seen
        return within if ours else mine

    def districts(self, within: int) -> tuple[int, ...]:
        """The districts (c-components) of G[within], ordered by their first vertex."""
        found = []
        while within:
            part = self.district(within & -within, within)
            found.append(part)
            within &= ~part
        return tuple(found)

    def pillows(self, within: int) -> dict[int, int]:
        """The Markov pillow of each vertex: its district among those before it, with all their parents.

        Districts are those of G[within]; parents may lie outside.
        """
        parents, siblings = self.parents, self.siblings
        home: dict[int, int] = {}  # towards the last vertex of the district so far
        districts: dict[int, tuple[int, int]] = {}  # its members and their parents, by that vertex
        pillows: dict[int, int] = {}
        past = 0
        for v in bits(within):
            members, around = 1 << v, parents[v]
            joined = siblings[v] & past
            while joined:
                last = (joined & -joined).bit_length() - 1
                while home[last] != last:
                    home[last] = last = home[home[last]]
                others, theirs = districts.pop(last)
                members, around, joined = members | others, around | theirs, joined & ~others
                home[last] = v
            home[v] = v
            districts[v] = members, around
            pillows[v] = (members | around) & ~(1 << v)
            past |= 1 << v
        return pillows

    def parents_of(self, targets: int) -> int:
        """The union of the parents of ``targets``, which may lie inside ``targets``."""
        result = 0
        for v in bits(targets):
            result |= self.parents[v]
        return result

    def inflow(self, targets: int, within: int) -> bool:
        """Whether some vertex of G[within] that is not in ``targets`` is a parent of one that is."""
        children = self.children
        return any(children[v] & targets for v in bits(within & ~targets))

    def separated(self, a: int, b: int, given: int, cut_into: int = 0, cut_out_of: int = 0) -> bool:
        """Decide m-separation of ``a`` and ``b`` given ``given``.

        Arrowheads at ``cut_into`` and arrows out of ``cut_out_of`` are removed first.
        """
        by_tail, by_head = self.reached(a, given, cut_into, cut_out_of, until=b)
        return not (by_tail | by_head) & b

    def reached(
        self, a: int, given: int, cut_into: int = 0, cut_out_of: int = 0, until: int = 0
    ) -> tuple[int, int]:
        """Where open paths from ``a`` lead: what they enter through a tail, and what through an arrowhead.

        Both may include members of ``given``, at which an open path may end; ``cut_into`` and ``cut_out_of`` are
        as for ``separated``. The search ends early where it gets to a member of ``until``, and leaves out what
        comes after all of the sets: no path opens there.
        """
        parents, children, siblings = self.parents, self.children, self.siblings
        keep_in = (1 << (a | given | until).bit_length()) - 1 & ~cut_into
        keep_out = ~cut_out_of
        opened, told = given, not given  # its ancestors are found where they matter
        by_tail, by_head = a, 0
        seen_tail = seen_head = 0
        while by_tail or by_head:
            if by_tail:
                low = by_tail & -by_tail
                by_tail ^= low
                seen_tail |= low
                passes_up = passes_down = not given & low
            else:
                low = by_head & -by_head
                by_head ^= low
                seen_head |= low
                if not told and not opened & low:
                    opened = self.ancestors(given, self.all & keep_out | given, cut_into)
                    told = True
                passes_up, passes_down = bool(opened & low), not given & low
            v = low.bit_length() - 1
            heads = 0
            if passes_down and not cut_out_of & low:
                heads = children[v] & keep_in
            if passes_up and not cut_into & low:
                by_tail |= parents[v] & keep_out & ~seen_tail
                heads |= siblings[v] & keep_in
            by_head |= heads & ~seen_head
            if (by_tail | by_head) & until:
                return seen_tail | by_tail, seen_head | by_head
        return seen_tail, seen_head

    # ---- conversion -----------------------------------------------------------------------------------

    def __str__(self) -> str:
        from causalc.compiler.convert import to_text

        return to_text(self)

    def _repr_svg_(self) -> str:
        from causalc.compiler.drawing import draw

        return draw(self)


def _cycle(nodes: tuple[str, ...], after: list[list[int]], waiting: list[int]) -> str:
    """One cycle among the vertices that never became ready, as ``A -> B -> A``."""
    stuck = {i for i, count in enumerate(waiting) if count}
    before: dict[int, int] = {j: i for i in stuck for j in after[i] if j in stuck}
    path = [min(before)]
    while (step := before[path[-1]]) not in path:
        path.append(step)
    loop = path[path.index(step) :]
    return " -> ".join(nodes[i] for i in (loop[0], *reversed(loop)))
