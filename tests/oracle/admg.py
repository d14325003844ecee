"""Acyclic directed mixed graphs and queries, as plain named edges, for the oracle only."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import networkx as nx
import numpy as np

Pair = tuple[str, str]
_KEYWORDS = ("dag", "digraph", "do", "graph", "latent", "mag", "pag", "pdag", "to")


@dataclass(frozen=True)
class Admg:
    """Variables, directed edges (causes) and bidirected edges (latent common causes)."""

    nodes: tuple[str, ...]
    directed: tuple[Pair, ...] = ()
    bidirected: tuple[Pair, ...] = ()

    @cached_property
    def index(self) -> dict[str, int]:
        """The position of each variable in ``nodes``."""
        return {name: i for i, name in enumerate(self.nodes)}

    @cached_property
    def dag(self) -> nx.DiGraph:
        """The directed part as a networkx graph."""
        graph = nx.DiGraph()
        graph.add_nodes_from(self.nodes)
        graph.add_edges_from(self.directed)
        return graph

    @cached_property
    def confounded(self) -> nx.Graph:
        """The bidirected part as a networkx graph."""
        graph = nx.Graph()
        graph.add_nodes_from(self.nodes)
        graph.add_edges_from(self.bidirected)
        return graph

    @cached_property
    def order(self) -> tuple[str, ...]:
        """A topological order of the variables."""
        return tuple(nx.topological_sort(self.dag))

    def parents(self, v: str) -> tuple[str, ...]:
        """The direct causes of ``v``, in the order of ``nodes``."""
        return self._causes[v]

    @cached_property
    def _causes(self) -> dict[str, tuple[str, ...]]:
        arrows = frozenset(self.directed)
        return {v: tuple(p for p in self.nodes if (p, v) in arrows) for v in self.nodes}

    @cached_property
    def children(self) -> dict[str, tuple[str, ...]]:
        """The direct effects of each variable."""
        return {v: tuple(b for a, b in self.directed if a == v) for v in self.nodes}

    @cached_property
    def siblings(self) -> dict[str, tuple[str, ...]]:
        """What shares a latent common cause with each variable."""
        found: dict[str, list[str]] = {v: [] for v in self.nodes}
        for a, b in self.bidirected:
            found[a].append(b)
            found[b].append(a)
        return {v: tuple(others) for v, others in found.items()}

    @cached_property
    def known(self) -> dict[object, object]:
        """What was found out about this graph, by question: many queries ask the same of it."""
        return {}

    def without_edges_into(self, targets: set[str]) -> Admg:
        """Remove every arrowhead at ``targets``."""
        return replace(
            self,
            directed=tuple(e for e in self.directed if e[1] not in targets),
            bidirected=tuple(e for e in self.bidirected if not targets & set(e)),
        )

    def within(self, keep: set[str]) -> Admg:
        """Return the induced subgraph on ``keep``."""
        return Admg(
            tuple(v for v in self.nodes if v in keep),
            tuple(e for e in self.directed if keep.issuperset(e)),
            tuple(e for e in self.bidirected if keep.issuperset(e)),
        )

    def ancestors(
        self,
        targets: Iterable[str],
        within: Container[str] | None = None,
        cut: Container[str] = (),
    ) -> set[str]:
        """``targets`` and everything that causes them, inside ``within``, no edges into ``cut``."""
        found, todo = set(targets), list(targets)
        while todo:
            v = todo.pop()
            if v not in cut:
                new = [
                    p for p in self._causes[v] if p not in found and (within is None or p in within)
                ]
                found.update(new)
                todo += new
        return found

    def district(self, start: str, within: Container[str]) -> set[str]:
        """What bidirected paths inside ``within`` join to ``start``."""
        return reach(start, self.siblings, within)

    def text(self) -> str:
        """Write the graph in the edge language, every variable declared first."""
        edges = [f"{quoted(a)} -> {quoted(b)}" for a, b in self.directed]
        edges += [f"{quoted(a)} <-> {quoted(b)}" for a, b in self.bidirected]
        return "; ".join([*map(quoted, self.nodes), *edges])

    def renamed(self, new: Mapping[str, str]) -> Admg:
        """The same graph with other names."""
        return Admg(
            tuple(new[v] for v in self.nodes),
            tuple((new[a], new[b]) for a, b in self.directed),
            tuple((new[a], new[b]) for a, b in self.bidirected),
        )


@dataclass(frozen=True)
class Case:
    """The query P(y | do(x), z); ``identifiable`` is the verdict of its source, if it gives one."""

    graph: Admg
    y: tuple[str, ...]
    x: tuple[str, ...] = ()
    z: tuple[str, ...] = ()
    name: str = field(default="", compare=False)
    identifiable: bool | None = field(default=None, compare=False)

    def query(self) -> str:
        """Write the query as text, with the do and condition variables left free."""
        y, x, z = (", ".join(map(quoted, part)) for part in (self.y, self.x, self.z))
        given = ", ".join([f"do({x})"] * bool(x) + [z] * bool(z))
        return f"P({y} | {given})" if given else f"P({y})"

    def renamed(self, new: Mapping[str, str]) -> Case:
        """The same query with other names."""
        y, x, z = (tuple(new[v] for v in part) for part in (self.y, self.x, self.z))
        return replace(self, graph=self.graph.renamed(new), y=y, x=x, z=z)

    def text(self) -> str:
        """Write graph and query on two lines: all that is needed to reproduce the case."""
        return f"graph: {self.graph.text()}\nquery: {self.query()}"


def reach(start: str, adjacent: Mapping[str, Iterable[str]], within: Container[str]) -> set[str]:
    """Everything that steps inside ``within`` lead to."""
    found, todo = {start}, [start]
    while todo:
        new = [w for w in adjacent[todo.pop()] if w in within and w not in found]
        found.update(new)
        todo += new
    return found


def quoted(name: str) -> str:
    """A name as the language takes it: in backticks unless it is a plain word that is no keyword."""
    if re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) and name.lower() not in _KEYWORDS:
        return name
    return "`" + name.replace("`", "``") + "`"


def random_admg(
    n: int,
    directed: float,
    bidirected: float,
    rng: np.random.Generator,
    names: str = "ABCDEFGHIJKLMNOP",
) -> Admg:
    """Draw an ADMG on ``n`` variables with the given edge probabilities.

    The causal order is a random permutation of the names, and edges are listed in random order, so
    that nothing may rely on alphabetical order, order of declaration and causal order being the
    same.
    """
    nodes = tuple(names[:n])
    causal = [nodes[i] for i in rng.permutation(n)]
    pairs = [(causal[i], causal[j]) for j in range(n) for i in range(j)]
    arrows = [p for p in pairs if rng.random() < directed]
    arcs = [p if rng.random() < 0.5 else p[::-1] for p in pairs if rng.random() < bidirected]
    return Admg(nodes, _shuffled(arrows, rng), _shuffled(arcs, rng))


def _shuffled(pairs: list[Pair], rng: np.random.Generator) -> tuple[Pair, ...]:
    return tuple(pairs[i] for i in rng.permutation(len(pairs)))


def shrink(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Delete variables and edges greedily for as long as ``fails(case)`` holds."""
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(case):
            if fails(smaller):
                case, progress = smaller, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    graph = case.graph
    for v in graph.nodes:
        y, x, z = (tuple(w for w in part if w != v) for part in (case.y, case.x, case.z))
        if y:
            yield replace(case, graph=graph.within(set(graph.nodes) - {v}), y=y, x=x, z=z)
    for v in (*case.x, *case.z, *case.y):
        y, x, z = (tuple(w for w in part if w != v) for part in (case.y, case.x, case.z))
        if y:
            yield replace(case, y=y, x=x, z=z)
    for e in graph.directed:
        yield replace(
            case, graph=replace(graph, directed=tuple(f for f in graph.directed if f != e))
        )
    for e in graph.bidirected:
        yield replace(
            case, graph=replace(graph, bidirected=tuple(f for f in graph.bidirected if f != e))
        )
