"""Graphs survive the way from any format to any other, latents included, or are refused with a reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalc.compiler import formats
from causalc.compiler.diagram import Diagram
from causalc.compiler.formats import GraphFormatError, adjacency, objects
from causalc.compiler.formats import networkx as nodes_and_edges
from causalc.compiler.formats.shared import diagram
from causalc.errors import CausalcError

Way = tuple[Callable[[Diagram], Any], Callable[[Any], Diagram]]


def way(form: str) -> Way:
    return lambda d: formats.write(d, form), lambda text: formats.read(text, form)


FORMATS: dict[str, Way] = {
    **{form: way(form) for form in formats.READ},
    "networkx": (nodes_and_edges.write, nodes_and_edges.read),
    "dowhy": (objects.to_dowhy, objects.read),
}
NO_LATENTS = {"ncm", "adjacency"}
ODD = (
    'say "hi"',
    "a->b",
    "名前",
    "latent",
    "end",
    "1st",
    "#35;",
    "a,b",
    "x y",
    "~",
    "`",
    "{c}",
    "<b>",
    "it's",
    "“smart”",
    "α",
    "Σ_β",
    "e\u0301",  # in two code points
    "a\\b",
    "a;b",
    "a|b",
    "a:b",
    "[x]",
    "(x)",
    "0",
    "1.5",
    "-1",
    "true",
    "nan",
    "%%",
    "//",
    " padded ",
    *("graph", "digraph", "subgraph", "strict", "node", "edge"),  # words of DOT
    *("dag", "bb", "pos", "exposure", "directed", "source", "label", "id"),  # of DAGitty and GML
    *("flowchart", "class", "style", "click", "default", "linkStyle"),  # of Mermaid
    *("<NODES>", "NODES", "=~", "~~", "c", "name"),  # of .cg files, lavaan and Causal Fusion
)

plain = st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{0,2}\Z")
odd = st.one_of(st.sampled_from(ODD), st.text(min_size=1, max_size=5), plain)


@st.composite
def diagrams(draw: st.DrawFn, name: st.SearchStrategy[str] = plain) -> Diagram:
    nodes = draw(st.lists(name, min_size=1, max_size=6, unique=True))
    order = draw(st.permutations(nodes))
    pairs = [(a, b) for j, b in enumerate(order) for a in order[:j]]
    chosen = st.lists(st.sampled_from(pairs), unique=True) if pairs else st.just([])
    arrows = [(a, b, "->") for a, b in draw(chosen)] + [(a, b, "<->") for a, b in draw(chosen)]
    return diagram(nodes, arrows, draw(st.sets(st.sampled_from(nodes))))


def meaning(d: Diagram) -> tuple[object, ...]:
    """What must survive: everything but the order in which it is written."""
    return (
        frozenset(d.nodes),
        frozenset(d.directed),
        frozenset(map(frozenset, d.bidirected)),
        frozenset(d.latents),
    )


def through(d: Diagram, form: str) -> Diagram:
    write, read = FORMATS[form]
    return read(write(d))


def refused_by(d: Diagram, form: str) -> bool:
    """Whether a format has, by its own rules, no way to say a graph of plain names."""
    causes = {a for a, _ in d.directed}
    if form == "lavaan":
        return any(u not in causes for u in d.latents)
    return form in NO_LATENTS and bool(d.latents)


def expected(d: Diagram, form: str) -> Diagram:
    """DoWhy has explicit latents alone."""
    return d.explicit() if form == "dowhy" else d


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
@settings(max_examples=5, deadline=None)
@given(d=diagrams())
def test_every_pair_of_formats_keeps_the_graph(first: str, d: Diagram, second: str) -> None:
    want = d
    for form in (first, second):
        if refused_by(want, form):
            with pytest.raises(GraphFormatError, match="latent"):
                through(want, form)
            return
        got, want = through(want, form), expected(want, form)
        assert meaning(got) == meaning(want)


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
@settings(max_examples=8, deadline=None)
@given(d=diagrams(odd))
def test_odd_names_come_back_or_are_refused_with_a_reason(
    first: str, second: str, d: Diagram
) -> None:
    want = d
    for form in (first, second):
        try:
            got = through(want, form)
        except CausalcError as error:
            assert len(str(error).split()) > 3
            return
        want = expected(want, form)
        assert meaning(got) == meaning(want)


@pytest.mark.parametrize("form", FORMATS)
def test_each_odd_name_in_each_format(form: str) -> None:
    """Every format says most odd names; the others it refuses, by the name."""
    refused = []
    for name in ODD:
        d = diagram([name, "other", "lone"], [(name, "other", "->"), (name, "other", "<->")])
        try:
            got = through(d, form)
        except CausalcError as error:
            assert name.strip() in str(error) or ascii(name)[1:-1] in str(error), (name, str(error))
            refused.append(name)
        else:
            assert meaning(got) == meaning(expected(d, form)), name
    assert len(refused) <= len(ODD) / 2


@settings(max_examples=50, deadline=None)
@given(d=diagrams())
def test_explicit_latents_mean_the_same(d: Diagram) -> None:
    drawn = d.explicit()
    assert not drawn.bidirected
    one, other = d.projected(), drawn.projected()
    assert (set(one.directed), set(map(frozenset, one.bidirected))) == (
        set(other.directed),
        set(map(frozenset, other.bidirected)),
    )


FRONT = diagram("XMY", [("X", "M", "->"), ("M", "Y", "->"), ("X", "Y", "<->")])
HIDDEN = diagram("XYU", [("U", "X", "->"), ("U", "Y", "->"), ("X", "Y", "->")], "U")


# ---- what others write


def test_lavaan_as_people_write_it() -> None:
    text = """
    # measurement
    visual =~ x1 + a*x2 + 0.5*x3
    # regressions, one over two lines
    y ~ b1*visual +
        w
    y ~ 0*z       # fixed to nothing
    w ~~ z; w ~~ 0*q ! covariances
    y ~ 1
    total := b1 + a
    """
    found = formats.read(text, "lavaan")
    assert set(found.directed) == {
        *(("visual", x) for x in ("x1", "x2", "x3")),
        ("visual", "y"),
        ("w", "y"),
    }
    assert found.bidirected == (("w", "z"),) and found.latents == ("visual",)
    assert {"q", "z"} <= set(found.nodes)


def test_a_cg_file_of_neural_causal_models() -> None:
    text = "<NODES>\nW\nZ\nX\nY\n\n<EDGES>\nW -> Z\nZ -> X\nX -> Y\nW <-> X\nW <-> Y\n"
    found = formats.read(text, "ncm")
    assert formats.write(found, "text") == "W -> Z -> X -> Y; W <-> X; W <-> Y"
    assert formats.write(found, "ncm") == text


def test_causal_fusion_edges_by_name_or_by_id() -> None:
    nodes = '{"id": "n1", "name": "X"}, {"id": "n2", "name": "Y"}, {"id": "n3", "name": "U", "type": "latent"}'
    edges = '{"from": "n1", "to": "Y", "type": "directed"}, {"from": "U", "to": "n1", "type": "directed"}'
    found = formats.read(f'{{"nodes": [{nodes}], "edges": [{edges}]}}', "fusion")
    assert found.directed == (("X", "Y"), ("U", "X")) and found.latents == ("U",)


def test_mermaid_as_people_write_it() -> None:
    text = """flowchart TD
      %% a comment
      A[Smoking] -->|raises| B("Tar level") --> C
      A <-.-> C
      U((unseen)) ==> C
      class U,V latent
      style A fill:#f9f
    """
    found = formats.read(text, "mermaid")
    assert found.directed == (("Smoking", "Tar level"), ("Tar level", "C"), ("unseen", "C"))
    assert found.bidirected == (("Smoking", "C"),) and found.latents == ("unseen",)


def test_adjacency_matrices() -> None:
    assert formats.write(FRONT, "adjacency") == ",X,M,Y\nX,0,1,2\nM,0,0,1\nY,2,0,0\n"
    assert formats.read("X,Y\n0,1\n0,0\n", "adjacency").directed == (("X", "Y"),)
    matrix = np.array(adjacency.matrix(FRONT))
    assert meaning(adjacency.of(list("XMY"), matrix.tolist())) == meaning(FRONT)
    frame = pd.DataFrame(matrix, index=list("XMY"), columns=list("XMY"))
    assert meaning(objects.read(frame)) == meaning(FRONT)


def test_tikz_draws_every_node_and_edge() -> None:
    text = formats.write(diagram(("a_b", "Y"), [("a_b", "Y", "->"), ("a_b", "Y", "<->")]), "tikz")
    assert text.startswith("\\begin{tikzpicture}[") and text.endswith("\\end{tikzpicture}\n")
    assert r"{a\_b}" in text and text.count(r"\node[variable]") == 2
    assert text.count(r"\draw[cause]") == 1 and text.count(r"\draw[confounded]") == 1
    assert r"\node[latent]" in formats.write(HIDDEN, "tikz")


@pytest.mark.parametrize(
    ("form", "text", "reason"),
    [
        ("ncm", "X -> Y", "line 1"),
        ("ncm", "<NODES>\nX\n<EDGES>\nX -- Y\n", "line 4"),
        ("ncm", "<NODES>\nX\n<EDGES>\nX -> Y\n", "`Y` has an edge"),
        ("ncm", "<NODES>\nX\nX\n", "X"),
        ("lavaan", "Y <~ X", "no meaning"),
        ("lavaan", "Y | t1", "no meaning"),
        ("lavaan", "Y ~ X:Z", "no meaning"),
        ("lavaan", "Y ~ X +", "middle"),
        ("lavaan", "Y ~ X; X ~ Y", "cycle"),
        ("lavaan", "", "no variable"),
        ("lavaan", "a b", "no meaning"),
        ("adjacency", "X,Y\n0,0.3\n0,0\n", "weights"),
        ("adjacency", "X,Y\n0,2\n0,0\n", "both places"),
        ("adjacency", "X,Y\n0,1,0\n0,0\n", "not square"),
        ("adjacency", ",X,Y\nY,0,1\nX,0,0\n", "order"),
        ("adjacency", "X,X\n0,1\n0,0\n", "all called"),
        ("adjacency", "", "no adjacency matrix"),
        ("fusion", "[]", "no list of nodes"),
        ("fusion", '{"nodes": [], "edges": [{"from": "a"}]}', "'to'"),
        ("fusion", '{"nodes": [{"name": "S", "type": "selection"}], "edges": []}', "selection"),
        ("fusion", "[" * 100_000, "not JSON"),
        ("mermaid", "A --> B", "not a Mermaid flowchart"),
        ("mermaid", "graph LR\n A --- B", "no arrow with a head"),
        ("mermaid", "graph LR\n subgraph one\n A --> B\n end", "no box"),
        ("mermaid", 'graph LR\n A["X"] --> B["X"]', "all called"),
        ("text", "X -> Y [selected]; S [selected]", "selected"),
        ("yaml", "", "no format"),
    ],
)
def test_what_means_no_graph_is_refused_with_the_reason(form: str, text: str, reason: str) -> None:
    with pytest.raises(CausalcError, match=reason):
        formats.read(text, form)


@pytest.mark.parametrize("form", ["lavaan", "ncm"])
def test_names_that_a_format_cannot_say_are_refused(form: str) -> None:
    with pytest.raises(GraphFormatError, match="rename it"):
        formats.write(diagram(("x y", "z"), [("x y", "z", "->")]), form)


@pytest.mark.parametrize("form", formats.READ)
def test_a_huge_text_is_refused_at_once(form: str) -> None:
    """CPU seconds; the texts are what each reader would take longest for."""
    many = " ".join(f"v{i} -> v{i + 1};" for i in range(3000))
    texts = ["x" * 200_001, "(" * 200_000, "A --> " * 33_000, "~ " * 99_000, ",0" * 99_000, many]
    for text in texts:
        start = time.process_time()
        with pytest.raises(CausalcError):
            formats.read(text, form)
        assert time.process_time() - start < 2


# ---- objects


class Variable:
    """As y0 has them: named, not strings."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


class Mixed:
    """As y0's NxMixedGraph: two networkx graphs over the same nodes."""

    def __init__(self) -> None:
        x, m, y = (Variable(v) for v in "XMY")
        self.directed = nx.DiGraph([(x, m), (m, y)])
        self.undirected = nx.Graph([(x, y)])


class AgrumNetwork:
    """As pyAgrum's networks: nodes by number."""

    def nodes(self) -> set[int]:
        return {0, 1, 2}

    def variable(self, i: int) -> Any:
        return type("Variable", (), {"name": lambda _: "XYU"[i]})()

    def arcs(self) -> set[tuple[int, int]]:
        return {(0, 1), (2, 0), (2, 1)}


class Agrum:
    """As pyAgrum's CausalModel: a network in which the latents are nodes too."""

    def causalBN(self) -> AgrumNetwork:
        return AgrumNetwork()

    def nameFromId(self, i: int) -> str:
        return "XYU"[i]

    def latentVariablesNames(self) -> set[str]:
        return {"U"}


class DoWhy:
    """As DoWhy's CausalModel: a graph object that holds a networkx graph."""

    def __init__(self, graph: nx.DiGraph) -> None:
        self._graph = type("CausalGraph", (), {"_graph": graph})()


def test_objects_of_others() -> None:
    assert meaning(objects.read(Mixed())) == meaning(FRONT)
    assert meaning(objects.read(Agrum())) == meaning(HIDDEN)
    assert set(objects.read(AgrumNetwork()).directed) == set(HIDDEN.directed)
    pgmpy = nx.MultiDiGraph([("X", "M", {"type": "directed"}), ("M", "Y", {"type": "directed"})])
    pgmpy.add_edge("X", "Y", type="bidirected")  # as its ADMG has them, both ways
    pgmpy.add_edge("Y", "X", type="bidirected")
    assert meaning(objects.read(pgmpy)) == meaning(FRONT)
    assert meaning(objects.read(DoWhy(objects.to_dowhy(HIDDEN)))) == meaning(HIDDEN)
    assert meaning(objects.read(objects.to_dowhy(FRONT)).explicit()) == meaning(FRONT.explicit())
    with pytest.raises(GraphFormatError, match="got a int"):
        objects.read(3)


def test_what_is_not_installed_is_named() -> None:
    for make in (objects.to_y0, objects.to_pgmpy, objects.to_pyagrum):
        with pytest.raises(GraphFormatError, match="pip install"):
            make(FRONT)
