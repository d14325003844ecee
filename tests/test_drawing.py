"""The drawing of graphs: sound SVG for any names, a layout in which nothing lies on anything else."""

import math
import random
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from causalc.compiler.drawing import (
    WIDEST,
    Marks,
    clean,
    draw,
    fitted,
    in_words,
    picture,
    width_of,
)
from causalc.compiler.graph import Graph
from causalc.compiler.layout import isotonic, place

SVG = "{http://www.w3.org/2000/svg}"


def some_graph(nodes: int, seed: int) -> Graph:
    rng = random.Random(seed)
    names = [f"v{i}" for i in range(nodes)]
    directed = [
        (names[a], names[b])
        for b in range(nodes)
        for a in range(max(0, b - 8), b)
        if rng.random() < 0.25
    ]
    both = [tuple(sorted(rng.sample(names, 2))) for _ in range(nodes // 3)] if nodes > 1 else []
    return Graph.from_edges(names, directed, both)


@pytest.mark.parametrize(("nodes", "seed"), [(1, 0), (2, 1), (5, 2), (12, 3), (30, 4), (30, 5)])
def test_boxes_and_directed_edges_keep_clear_of_each_other(nodes: int, seed: int) -> None:
    graph = some_graph(nodes, seed)
    layout = picture(graph).layout
    for a, b in combinations(layout.boxes.values(), 2):
        assert abs(a.x - b.x) >= (a.w + b.w) / 2 or abs(a.y - b.y) >= (a.h + b.h) / 2
    for (start, end), course in layout.courses.items():
        assert layout.boxes[start].x < layout.boxes[end].x, "edges run from left to right"
        for name, box in layout.boxes.items():
            if name not in (start, end):
                assert not any(box.inside(point) for point in course)


def test_a_layout_is_the_same_every_time_and_holds_all_edges() -> None:
    graph = some_graph(30, 7)
    assert draw(graph) == draw(graph)
    shown = picture(graph)
    assert set(shown.layout.courses) == set(graph.directed)
    assert set(shown.arcs) == set(graph.bidirected)


def test_arcs_avoid_boxes_where_they_can() -> None:
    shown = picture(Graph.parse("W1 -> W2 -> X -> Y; W1 <-> X; W1 <-> Y"))
    tree = ET.fromstring(draw(shown))
    assert len([g for g in tree.iter(f"{SVG}g") if "both" in g.get("class", "")]) == 2
    for (a, b), curve in shown.arcs.items():
        middle = [
            sum(c * p[i] for c, p in zip((0.125, 0.375, 0.375, 0.125), curve, strict=True))
            for i in (0, 1)
        ]
        for name, box in shown.layout.boxes.items():
            assert name in (a, b) or not box.inside((middle[0], middle[1]))


HOSTILE = [
    "<script>alert(1)</script>",
    "a & b",
    "\"quoted\" 'name'",
    "]]>",
    "年齢と性別" * 12,
    "العلاج",
    "x" * 400,
    "a\u202egnirts",
    "naïve_bayes_estimate_of_the_risk_score_at_baseline",
    "🙂🙃",
    "e\u0301" * 5,
]


def test_hostile_names_are_escaped_and_fitted() -> None:
    graph = Graph.from_edges(HOSTILE, pairwise(HOSTILE), [(HOSTILE[0], HOSTILE[-1])])
    tree = ET.fromstring(draw(graph, Marks(outcomes=frozenset(HOSTILE[:1]))))
    assert {e.tag for e in tree.iter()} == {
        SVG + t for t in ("svg", "style", "g", "title", "path", "rect", "text")
    }
    titles = {e.text for e in tree.iter(f"{SVG}title")}
    for name in HOSTILE:
        assert any((t or "").startswith(clean(name)) for t in titles), (
            "the full name is there to read"
        )
    for rect in tree.iter(f"{SVG}rect"):
        assert float(rect.get("width", 0)) <= WIDEST + 40
    assert "\u202e" not in draw(graph)


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=80))
@example(")\x1f\x1f\x1f0\x1f\x1f\x1fM\x1f⺀\x1f\x1fAA\x1f\x1f")  # a rounding error too wide
def test_any_name_gives_well_formed_xml_that_fits(name: str) -> None:
    ET.fromstring(draw(Graph.from_edges([name], [])))
    lines = fitted(name)
    assert 1 <= len(lines) <= 2
    assert all(width_of(line) <= WIDEST for line in lines)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(0.1, 10)), min_size=1, max_size=12))
def test_isotonic_regression_is_a_projection(items: list[tuple[float, float]]) -> None:
    values, weights = map(list, zip(*items, strict=True))
    found = isotonic(values, weights)
    assert all(a <= b + 1e-9 for a, b in pairwise(found))
    # the projection on a cone: the residual is orthogonal to it, and makes an obtuse angle with every step up
    residual = [w * (v - f) for v, f, w in zip(values, found, weights, strict=True)]
    assert math.isclose(sum(r * f for r, f in zip(residual, found, strict=True)), 0, abs_tol=1e-4)
    assert all(sum(residual[i:]) <= 1e-6 for i in range(len(values)))


def test_boxes_of_unlike_sizes_do_not_overlap() -> None:
    sizes = {"a": (40.0, 30.0), "b": (200.0, 90.0), "c": (60.0, 200.0), "d": (50.0, 30.0)}
    boxes = place(sizes, [("a", "b"), ("a", "c"), ("b", "d"), ("a", "d")]).boxes
    for one, other in combinations(boxes.values(), 2):
        apart = abs(one.x - other.x) >= (one.w + other.w) / 2
        assert apart or abs(one.y - other.y) >= (one.h + other.h) / 2


def test_a_drawing_can_be_heard() -> None:
    graph = Graph.parse("X -> Y; X <-> Y; Z")
    words = in_words(graph)
    assert words == "Causal graph: X causes Y; X and Y share an unmeasured cause; Z stands alone."
    tree = ET.fromstring(draw(graph))
    assert tree.get("role") == "img" and tree.get("aria-label") == words


def test_roles_show_without_colour() -> None:
    marks = Marks(frozenset("Y"), frozenset("X"), frozenset("Z"))
    tree = ET.fromstring(draw(Graph.parse("Z -> X -> Y"), marks))
    groups = {g.get("class"): g for g in tree.iter(f"{SVG}g")}
    radius = {css: groups[f"node {css}"].find(f"{SVG}rect").get("rx") for css in "xyz"}  # type: ignore[union-attr]
    assert len(set(radius.values())) == 3
    said = "".join(tree.itertext())
    assert "X (set by do())" in said and "Y (outcome)" in said and "Z (condition)" in said
