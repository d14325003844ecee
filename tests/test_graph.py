"""Graphs against networkx: separation, projection, ancestors."""

import itertools

import networkx as nx
import numpy as np
import pytest

from causalc import CausalcError, Graph
from causalc.compiler.graph import bits


def random_graph(rng: np.random.Generator, n: int) -> tuple[list[str], list, list]:
    names = [f"V{i}" for i in range(n)]
    pairs = list(itertools.combinations(names, 2))
    directed = [p for p in pairs if rng.random() < 0.4]
    bidirected = [p for p in pairs if rng.random() < 0.25]
    rng.shuffle(names)
    return names, directed, bidirected


def with_latents(nodes: list[str], directed: list, bidirected: list) -> nx.DiGraph:
    graph = nx.DiGraph(directed)
    graph.add_nodes_from(nodes)
    for i, (a, b) in enumerate(bidirected):
        graph.add_edges_from([(f"U{i}", a), (f"U{i}", b)])
    return graph


def test_separation_is_d_separation_with_latents() -> None:
    rng = np.random.default_rng(0)
    seen = {True: 0, False: 0}
    for _ in range(300):
        nodes, directed, bidirected = random_graph(rng, 6)
        graph, full = (
            Graph.from_edges(nodes, directed, bidirected),
            with_latents(nodes, directed, bidirected),
        )
        a, b, *rest = rng.permutation(nodes)
        given = set(rest[: rng.integers(0, 4)])
        expected = nx.is_d_separator(full, {a}, {b}, given)
        assert graph.separated(graph.mask([a]), graph.mask([b]), graph.mask(given)) == expected
        seen[expected] += 1
    assert min(seen.values()) > 50


def test_separation_with_edges_removed() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        nodes, directed, bidirected = random_graph(rng, 6)
        graph = Graph.from_edges(nodes, directed, bidirected)
        y, z, x, *rest = rng.permutation(nodes)
        given = {x, *rest[: rng.integers(0, 3)]}
        cut = with_latents(nodes, directed, bidirected)
        cut.remove_edges_from([e for e in list(cut.edges) if e[1] == x or e[0] == z])
        mask = graph.mask
        assert graph.separated(mask([y]), mask([z]), mask(given), mask([x]), mask([z])) == (
            nx.is_d_separator(cut, {y}, {z}, given)
        )


def test_projection_keeps_separation() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        nodes, directed, bidirected = random_graph(rng, 7)
        hidden = set(rng.permutation(nodes)[:3])
        projected = Graph.from_edges(nodes, directed, bidirected, hidden)
        assert set(projected.nodes) == set(nodes) - hidden
        full = with_latents(nodes, directed, bidirected)
        a, b, *rest = rng.permutation(projected.nodes)
        given = set(rest[: rng.integers(0, 3)])
        mask = projected.mask
        assert projected.separated(mask([a]), mask([b]), mask(given)) == (
            nx.is_d_separator(full, {a}, {b}, given)
        )


def test_districts_and_ancestors() -> None:
    graph = Graph.parse("W1 -> W2 -> X -> Y; W1 <-> X; W1 <-> Y; Z")
    assert [graph.names(d) for d in graph.districts(graph.all)] == [
        ("W1", "X", "Y"),
        ("W2",),
        ("Z",),
    ]
    assert graph.names(graph.ancestors(graph.mask(["X"]), graph.all)) == ("W1", "W2", "X")
    assert graph.names(graph.ancestors(graph.mask(["Y"]), graph.all, graph.mask(["X"]))) == (
        "X",
        "Y",
    )


def test_a_set_that_shrinks_is_looked_at_where_it_shrank() -> None:
    """What is left of ancestors and districts, against networkx on the smaller graph; 2,000 removals."""
    rng = np.random.default_rng(5)
    cut = 0
    for _ in range(2000):
        nodes, directed, bidirected = random_graph(rng, 9)
        graph = Graph.from_edges(nodes, directed, bidirected[: rng.integers(4, 12)])
        target = 1 << int(rng.integers(9))
        whole = graph.ancestors(target, graph.all)
        gone = int(rng.integers(1 << 9)) & whole & ~target
        left = set(graph.names(whole & ~gone))
        arrows, arcs = nx.DiGraph(directed).subgraph(left), nx.Graph(graph.bidirected)
        arcs.add_nodes_from(nodes)
        (name,) = graph.names(target)
        led = nx.ancestors(arrows, name) if name in arrows else set()
        assert graph.still_ancestors(target, whole & ~gone, gone) == graph.mask({name, *led})
        whole = graph.district(target, graph.all)
        gone = int(rng.integers(1 << 9)) & whole & ~target
        joined = nx.node_connected_component(arcs.subgraph(graph.names(whole & ~gone)), name)
        assert graph.still_joined(target, whole & ~gone, gone) == graph.mask(joined)
        cut += graph.mask(joined) != whole & ~gone
    assert cut > 200


def test_members_of_a_large_set() -> None:
    rng = np.random.default_rng(6)
    for size in (40, 700, 5000):
        for share in (0.01, 0.2, 1.0):
            members = [i for i in range(size) if rng.random() < share]
            assert list(bits(sum(1 << i for i in members))) == members


def test_a_cycle_is_named() -> None:
    with pytest.raises(CausalcError, match=r"A -> B -> C -> A|B -> C -> A -> B|C -> A -> B -> C"):
        Graph.from_edges([], [("A", "B"), ("B", "C"), ("C", "A")])


def test_an_unknown_name_has_a_suggestion() -> None:
    with pytest.raises(CausalcError, match="did you mean `treatment`"):
        Graph.from_edges(["treatment"], []).mask(["treatmnt"])
