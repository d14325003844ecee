"""Graphs survive every format, or are refused with a reason."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.admg import random_admg

from causalc.compiler.convert import (
    GraphFormatError,
    from_dagitty,
    from_dot,
    from_gml,
    from_networkx,
    to_dagitty,
    to_dot,
    to_gml,
    to_mermaid,
    to_networkx,
    to_text,
)
from causalc.compiler.graph import Graph
from causalc.errors import CausalcError

NAPKIN = Graph.from_edges(
    ("Y", "W1", "Z", "W2", "X"),
    (("W1", "W2"), ("W2", "X"), ("X", "Y")),
    (("W1", "X"), ("W1", "Y"), ("X", "Y")),
)
FORMATS = {
    "text": (to_text, Graph.parse),
    "dagitty": (to_dagitty, from_dagitty),
    "dot": (to_dot, from_dot),
    "gml": (to_gml, from_gml),
    "networkx": (to_networkx, from_networkx),
}
ODD = (
    "treated (y/n)",
    'say "hi"',
    "a->b",
    "x:1",
    "back`tick",
    "ünïcødé",
    "名前",
    "latent",
    "dag",
    "graph",
    "node",
    "edge",
    "do",
    "1st",
    "3.5",
    "-7",
    "&amp;",
    "&#65;",
    "<b>",
    "a;b",
    "{c}",
    "[d]",
    " padded ",
    "#no",
    "// no",
    "P(Y)",
    "$x",
    "C:\\dir",
    "True",
    "é" * 40,
    "subgraph",
    "strict",
    "_networkx_list_start",
)

names = st.one_of(
    st.sampled_from(ODD), st.text(min_size=1, max_size=6), st.from_regex(r"\A\w{1,3}\Z")
)


@st.composite
def graphs(draw: st.DrawFn, name: st.SearchStrategy[str] = names) -> Graph:
    nodes = draw(st.lists(name, min_size=1, max_size=6, unique=True))
    order = draw(st.permutations(nodes))
    pairs = [(a, b) for j, b in enumerate(order) for a in order[:j]]
    chosen = st.lists(st.sampled_from(pairs), unique=True) if pairs else st.just([])
    return Graph.from_edges(nodes, draw(chosen), draw(chosen))


@pytest.mark.parametrize("form", FORMATS)
@settings(deadline=None)
@given(graph=graphs(st.from_regex(r"\A[A-Za-z][A-Za-z0-9_]{0,2}\Z")))
def test_round_trip_of_plain_names(form: str, graph: Graph) -> None:
    write, read = FORMATS[form]
    assert read(write(graph)) == graph


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=200, deadline=None)
@given(graph=graphs())
def test_round_trip_of_odd_names_or_a_reason(form: str, graph: Graph) -> None:
    write, read = FORMATS[form]
    try:
        again = read(write(graph))
    except CausalcError as error:
        assert str(error)
    else:
        assert again == graph


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("form", FORMATS)
def test_odd_names_are_not_refused(form: str, name: str) -> None:
    write, read = FORMATS[form]
    graph = Graph.from_edges(("A", name, "B"), (("A", name),), ((name, "B"), ("A", name)))
    assert read(write(graph)) == graph


@pytest.mark.parametrize("form", FORMATS)
def test_large_random_graphs(form: str) -> None:
    write, read = FORMATS[form]
    rng = np.random.default_rng(0)
    for _ in range(5):
        drawn = random_admg(16, 0.4, 0.3, rng)
        graph = Graph.from_edges(drawn.nodes, drawn.directed, drawn.bidirected)
        assert read(write(graph)) == graph


@pytest.mark.parametrize("form", ["text", "dagitty", "gml", "dot"])
@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00", "a\u2028b", "zero\u200bwidth\x1f"])
def test_invisible_names_are_refused(form: str, name: str) -> None:
    with pytest.raises(GraphFormatError, match="name"):
        FORMATS[form][0](Graph.from_edges(("A", name), (("A", name),)))


def test_text_is_short_and_in_order() -> None:
    graph = Graph.from_edges(
        ("W1", "W2", "X", "Y", "Z"),
        (("W1", "W2"), ("W2", "X"), ("X", "Y")),
        (("W1", "X"), ("W1", "Y")),
    )
    assert to_text(graph) == "W1 -> W2 -> X -> Y; W1 <-> X; W1 <-> Y; Z"
    assert to_text(NAPKIN).startswith("Y; W1; Z; W2; X; W1 -> W2 -> X -> Y;")


def test_mermaid() -> None:
    graph = Graph.from_edges(
        ("A", 'odd "[name]"'), (("A", 'odd "[name]"'),), (("A", 'odd "[name]"'),)
    )
    assert to_mermaid(graph) == (
        'flowchart LR\n  v0["A"]\n  v1["odd #34;#91;name#93;#34;"]\n  v0 --> v1\n  v0 <-.-> v1\n'
    )


# ---- what others write


def edges(graph: Graph) -> tuple[set[tuple[str, str]], set[frozenset[str]]]:
    return set(graph.directed), {frozenset(e) for e in graph.bidirected}


def test_dagitty_export() -> None:
    text = """dag {
    bb="-3,-3,3,3"
    "treated (y/n)" [exposure,pos="-1.0,0.5"]
    Y [outcome,pos="1,0.5"]
    U [latent,pos="0,-1"]
    U -> "treated (y/n)"
    U -> Y
    "treated (y/n)" -> Y [beta="0.5"]
    }"""
    graph = from_dagitty(text)
    assert graph.nodes == ("treated (y/n)", "Y")
    assert edges(graph) == ({("treated (y/n)", "Y")}, {frozenset({"treated (y/n)", "Y"})})


@pytest.mark.parametrize(
    "text",
    ["dag { A -- B }", "pdag { A -- B }", "dag { A @-> B }", "dag { A -> B", "dag { A -> A }"],
)
def test_dagitty_refuses(text: str) -> None:
    with pytest.raises(CausalcError):
        from_dagitty(text)


def test_selection_is_refused() -> None:
    with pytest.raises(GraphFormatError, match="`S` is marked as selected"):
        from_dagitty("dag { X -> Y -> S  S [selected] }")


def test_dot_subgraphs_defaults_ports_and_latents() -> None:
    text = """strict digraph "G" {
      rankdir=LR; node [shape=box]; edge [color=blue];
      A -> {B C} -> D;                     // sets
      subgraph cluster_1 { label="inside"; E -> F; edge [dir=both]; B -> E }
      A:out -> "odd name":in;              /* ports are not names */
      G -> A [dir=back]; C -> F [style=dashed]; F -> D [style=dashed]; D -> F [style="dashed,bold"];
      U [observed=no]; U -> A; U -> D; V [latent=true];
    }"""
    graph = from_dot(text)
    assert graph.nodes == ("A", "B", "C", "D", "E", "F", "odd name", "G")
    directed = {("A", b) for b in ("B", "C", "odd name", "G")}
    directed |= {("B", "D"), ("C", "D"), ("E", "F"), ("C", "F")}
    latent = {frozenset("BE"), frozenset("DF"), frozenset("AD")}
    assert edges(graph) == (directed, latent)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("graph { A -- B }", "undirected"),
        ("digraph { A -> B [dir=none] }", "no arrowhead"),
        ("digraph { A -> B [arrowhead=none] }", "no arrowhead"),
        ("digraph { edge [dir=none]; A -> B }", "no arrowhead"),
        ("digraph { A -> B [arrowhead=odot] }", "circle"),
        ("digraph { A -> B [dir=both, arrowtail=odot] }", "circle"),
        ("digraph { A -> B [dir=sideways] }", "unknown mark"),
        ("digraph { A -> ", "not DOT"),
        ("", "not DOT"),
        ("hello", "not DOT"),
        ("digraph { A } digraph { B }", "2 graphs"),
        ("digraph { A -- B }", "undirected"),
        ("digraph { A -> B } C", "line 1, column 20: expected the end of the text, not 'C'"),
        ("digraph { A\n  B [x }", "line 2, column 8: expected a name, not '}'"),
        ("digraph { A ( B }", "'\\(' has no meaning here"),
        ("digraph { A -> B", "expected `}`"),
        ("digraph { subgraph s A { B } }", "expected `{`, not 'A'"),
        ("digraph { A [label=<b }", "never closed"),
        ("digraph { smoking-status -> A }", "no meaning"),
        ("digraph { -1 -> A }", "plain or quoted name"),
        ("digraph { " + "{" * 200 + "}" * 200 + " }", "nested more than 100 deep"),
        ("digraph { A -> B -> A }", "cycle"),
        ("digraph { <<b>A</b>> -> B }", "plain or quoted name"),
        ("digraph { A [latent=maybe] }", "write true or false"),
    ],
)
def test_dot_refuses(text: str, reason: str) -> None:
    with pytest.raises(CausalcError, match=reason):
        from_dot(text)


def test_dot_words_are_joined_and_continued() -> None:
    graph = from_dot(
        'DIGRAPH { # all of it\n "a" + "b" -> "c\\\nd" [label=<<b>x</b>>, weight=-1.5, bold]; Node [x=1] }'
    )
    assert edges(graph) == ({("ab", "cd")}, set())


def test_dot_cannot_quote_a_final_backslash() -> None:
    with pytest.raises(GraphFormatError, match="backslash"):
        to_dot(Graph.from_edges(("a\\",), ()))


def test_gml_as_dowhy_writes_it() -> None:
    text = """graph [ directed 1
      node [ id "X" label "X" ] node [ id "Y" label "Y" ]
      node [ id "U" label "U" observed "no" ]
      edge [ source "X" target "Y" ] edge [ source "U" target "X" ] edge [ source "U" target "Y" ] ]"""
    graph = from_gml(text)
    assert graph.nodes == ("X", "Y")
    assert edges(graph) == ({("X", "Y")}, {frozenset("XY")})


def test_gml_without_labels_takes_ids() -> None:
    graph = from_gml("graph [ directed 1 node [ id 7 ] node [ id 8 ] edge [ source 7 target 8 ] ]")
    assert edges(graph) == ({("7", "8")}, set())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('graph [ node [ id 0 label "A" ] ]', "undirected"),
        ('graph [ directed 1 node [ id 0 label "A" ] node [ id 1 label "A" ] ]', "not GML"),
        ("graph [ directed 1 node [ id 0", "not GML"),
        ("graph [ directed 1 edge [ source 0 target 1 ] ]", "not GML"),
        ("", "not GML"),
        ("<xml/>", "not GML"),
        (
            'graph [ directed 1 node [ id 0 label "A" ] node [ id 1 label "B" ]'
            ' edge [ source 0 target 1 kind "undirected" ] ]',
            "only directed and bidirected",
        ),
    ],
)
def test_gml_refuses(text: str, reason: str) -> None:
    with pytest.raises(CausalcError, match=reason):
        from_gml(text)


@pytest.mark.parametrize(
    "marks", [{"bidirected": True}, {"kind": "bidirected"}, {"arrow": "<->"}, {"dir": "both"}]
)
def test_networkx_bidirected_edges(marks: dict[str, object]) -> None:
    graph = nx.MultiDiGraph()
    graph.add_edge("X", "Y")
    graph.add_edge("Y", "X", **marks)
    assert edges(from_networkx(graph)) == ({("X", "Y")}, {frozenset("XY")})


def test_networkx_latents_and_numbers_as_names() -> None:
    graph = nx.DiGraph([(1, 2), ("U", 1), ("U", 2), ("V", 2), ("V", 3)])
    graph.nodes["U"]["latent"] = True
    graph.nodes["V"]["observed"] = False
    result = from_networkx(graph)
    assert result.nodes == ("1", "2", "3")
    assert edges(result) == ({("1", "2")}, {frozenset("12"), frozenset("23")})


def test_pgmpy_latents() -> None:
    class Dag(nx.DiGraph):  # type: ignore[misc]
        latents = frozenset({"U"})

    graph = Dag([("U", "X"), ("U", "Y")])
    assert edges(from_networkx(graph)) == (set(), {frozenset("XY")})


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (nx.Graph([("A", "B")]), "undirected"),
        (nx.DiGraph([("A", "B"), ("B", "A")]), "cycle"),
        (nx.DiGraph([("A", "A")]), "edge to itself"),
        (nx.DiGraph([("1", 1)]), "all called `1`"),
        (nx.DiGraph([("A", "B", {"kind": "undirected"})]), "only directed and bidirected"),
        (nx.DiGraph([("A", "B", {"arrow": "o->"})]), "only directed and bidirected"),
        (nx.DiGraph([("A", "B", {"bidirected": "perhaps"})]), "write true or false"),
        (nx.DiGraph([("A", "")]), "empty name"),
        ([("A", "B")], "got a list"),
        (None, "got a NoneType"),
    ],
)
def test_networkx_refuses(graph: object, reason: str) -> None:
    with pytest.raises(CausalcError, match=reason):
        from_networkx(graph)


@pytest.mark.parametrize("read", [from_dot, from_gml, from_dagitty])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_give_one_clear_error(read, data: st.DataObject) -> None:
    write = {from_dot: to_dot, from_gml: to_gml, from_dagitty: to_dagitty}[read]
    text = write(NAPKIN)
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 12))
    text = text[:at] + data.draw(st.text(max_size=4)) + text[at + cut :]
    try:
        read(text)
    except CausalcError as error:
        assert str(error).strip()
