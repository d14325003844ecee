"""The queries of the comparison: from the literature, random ones, and families of growing size."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from oracle.admg import Admg, Case, Pair
from oracle.decider import depth, identifiable
from oracle.queries import hard_case, random_case, structured, textbook

SIZES = (10, 20, 50, 100, 200, 500)


@dataclass(frozen=True)
class Item:
    """One query; ``family`` is empty where size is not the point."""

    group: str
    family: str
    size: int
    case: Case
    identifiable: bool

    @property
    def name(self) -> str:
        """A name that no other item of a run has."""
        return self.case.name


def small(random: int, hard: int, rng: np.random.Generator) -> Iterator[Item]:
    """The queries whose answers are checked by number."""
    for case in textbook():
        yield _item("textbook", case)
    for i in range(random):
        yield _item("random", random_case(rng, 4, 10), f"random {i}")
    for i in range(hard):
        yield _item("hard", hard_case(rng), f"hard {i}")


def _item(group: str, case: Case, name: str = "") -> Item:
    case = Case(case.graph, case.y, case.x, case.z, name or case.name)
    return Item(group, "", len(case.graph.nodes), case, identifiable(case))


def families(sizes: tuple[int, ...], graphs: int, rng: np.random.Generator) -> Iterator[Item]:
    """The structured families, then ``graphs`` random sparse graphs of each size; all identifiable."""
    known = {(c.name.split("-")[0], int(c.name.split("-")[1])): c for c in structured()}
    for family, make in FAMILIES.items():
        for size in sizes:
            case = make(size)
            if (family, size) in known:
                assert _same(case, known[family, size]), f"{family} {size} is not what is stored"
            yield Item("family", family, size, _named(case, f"{family}-{size}"), True)
    for size in sizes:
        for i in range(graphs if size <= 1000 else 1):
            case = _named(sparse(size, rng), f"sparse-{size}-{i}")
            yield Item("family", "sparse", size, case, True)


def _named(case: Case, name: str) -> Case:
    return Case(case.graph, case.y, case.x, case.z, name)


def _same(a: Case, b: Case) -> bool:
    def parts(c: Case) -> tuple[object, ...]:
        arcs = {frozenset(e) for e in c.graph.bidirected}
        sets = set(c.graph.nodes), set(c.graph.directed), arcs
        return (*sets, set(c.y), set(c.x), set(c.z))

    return parts(a) == parts(b)


def sparse(n: int, rng: np.random.Generator) -> Case:
    """A random identifiable query in which every variable is an ancestor of the outcome.

    Every variable but the last has a child among the ten that follow it, and n/2 more arrows and n/2 arcs
    join random pairs. The effect of one intervention is then identifiable exactly if no child of it lies in
    its district (Tian & Pearl 2002); up to 500 variables the oracle confirms it.
    """
    order = [f"V{i}" for i in rng.permutation(n)]
    arrows = {(v, order[rng.integers(i + 1, min(i + 11, n))]) for i, v in enumerate(order[:-1])}
    arcs: set[Pair] = set()
    for _ in range(n // 2):
        i, j = sorted(rng.choice(n, 2, replace=False))
        arrows.add((order[i], order[j]))
        i, j = sorted(rng.choice(n, 2, replace=False))
        arcs.add((order[i], order[j]))
    nodes = tuple(sorted(order, key=lambda v: int(v[1:])))
    graph = Admg(nodes, tuple(sorted(arrows)), tuple(sorted(arcs)))
    for x in (order[i] for i in rng.permutation(n - 1)):
        if not _district(graph, x) & set(graph.dag.successors(x)):
            case = Case(graph, (order[-1],), (x,))
            if n <= 50:
                assert identifiable(case)
            if n <= 500:
                assert depth(case) is not None
            return case
    return sparse(n, rng)


def _district(graph: Admg, v: str) -> set[str]:
    found, todo = {v}, [v]
    while todo:
        new = set(graph.confounded.adj[todo.pop()]) - found
        found |= new
        todo += new
    return found


def _line(n: int) -> tuple[tuple[str, ...], tuple[Pair, ...]]:
    nodes = tuple(f"V{i}" for i in range(n))
    return nodes, tuple(itertools.pairwise(nodes))


def chain(n: int) -> Case:
    """V0 -> V1 -> ... without latents."""
    nodes, arrows = _line(n)
    return Case(Admg(nodes, arrows), (nodes[-1],), (nodes[0],))


def skip_chain(n: int) -> Case:
    """A chain with an arc over every second step: two districts interleave."""
    nodes, arrows = _line(n)
    arcs = tuple(zip(nodes, nodes[2:], strict=False))
    return Case(Admg(nodes, arrows, arcs), (nodes[-1],), (nodes[0],))


def conditional_chain(n: int) -> Case:
    """A skip chain, given every third variable."""
    case = skip_chain(n)
    return Case(case.graph, case.y, case.x, case.graph.nodes[2:-1:3])


def ladder(n: int) -> Case:
    """Front doors in a row: X -> M -> X' -> M' -> ... -> Y with X <-> X' <-> ... <-> Y."""
    nodes = (*(f"{v}{i}" for i in range(n // 2) for v in "XM"), "Y")
    treated = nodes[::2]
    arrows = tuple(itertools.pairwise(nodes))
    arcs = tuple(itertools.pairwise(treated))
    return Case(Admg(nodes, arrows, arcs), ("Y",), ("X0",))


def napkins(n: int) -> Case:
    """Napkins hung from one another: each is undone only after the one before it."""
    count = (n - 2) // 2
    nodes = ("X", "Y", *(f"{v}{i}" for i in range(count) for v in "AB"))
    arrows = [("X", "Y")]
    arcs = []
    for i in range(count):
        arrows += [(f"A{i}", f"B{i}"), (f"B{i}", "X")]
        arcs += [(f"A{i}", "X"), (f"A{i}", f"B{i - 1}" if i else "Y")]
    return Case(Admg(nodes, tuple(arrows), tuple(arcs)), ("Y",), ("X",))


def longitudinal(n: int) -> Case:
    """Treatments A over time with covariates L whose latent causes persist; all A are set."""
    count = (n - 1) // 2
    nodes = (*(f"{v}{i}" for i in range(count) for v in "LA"), "Y")
    arrows, arcs = [], []
    for i in range(count):
        after = f"L{i + 1}" if i + 1 < count else "Y"
        arrows += [(f"L{i}", f"A{i}"), (f"A{i}", after), (f"L{i}", after)]
        arrows += [(f"A{i - 1}", f"A{i}")] if i else []
        arcs.append((f"L{i}", after))
    treated = tuple(f"A{i}" for i in range(count))
    return Case(Admg(nodes, tuple(arrows), tuple(arcs)), ("Y",), treated)


FAMILIES: dict[str, Callable[[int], Case]] = {
    "chain": chain,
    "skipchain": skip_chain,
    "fdladder": ladder,
    "napkin": napkins,
    "longitudinal": longitudinal,
    "condchain": conditional_chain,
}
