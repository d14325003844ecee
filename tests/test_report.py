"""Readers of an estimand (words, drawn derivations, HTML, JSON) and the report: true, escaped, self-contained."""

import base64
import io
import itertools
import json
import random
import re
import shlex
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import causalc
from causalc import charts
from causalc.cli import main
from causalc.compiler.estimand import Node, Prob, Sum, postorder
from causalc.compiler.graph import Graph, bits
from causalc.compiler.page import formula, page
from causalc.compiler.words import averaged, read, words
from causalc.execute import train
from causalc.report import report
from causalc.report_samples import alike
from causalc.runtime.data import Columns
from causalc.runtime.schema import Schema, categorical, real
from causalc.script import compile_script
from causalc.show import FORMS, shown

NAPKIN = "W1 -> W2 -> X -> Y; W1 <-> X; W1 <-> Y"
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


# ---- words


def random_graphs(count: int, seed: int) -> list[Graph]:
    rng = random.Random(seed)
    graphs = []
    for _ in range(count):
        others = rng.sample("ABC", rng.randint(1, 3))
        names = sorted(("X", "Y", *others), key=lambda name: (name == "Y", rng.random()))
        pairs = list(itertools.combinations(names, 2))
        directed = [p for p in pairs if rng.random() < 0.45]
        both = [p for p in pairs if rng.random() < 0.2]
        graphs.append(Graph.from_edges(names, directed, both))
    return graphs


def with_latents(graph: Graph) -> nx.DiGraph:
    """The graph as a DAG in which each <-> is a node of its own."""
    dag = nx.DiGraph(graph.directed)
    dag.add_nodes_from(graph.nodes)
    for i, (a, b) in enumerate(graph.bidirected):
        dag.add_edges_from([(f"latent {i}", a), (f"latent {i}", b)])
    return dag


def named(headline: str) -> set[str]:
    """The set that a headline names."""
    return set(re.split(r", | and ", re.search(r"(?:for|through) (.*?) \(", headline)[1]))  # type: ignore[index]


def test_back_door_and_front_door_are_named_only_where_their_criteria_hold() -> None:
    """Against networkx on DAGs with explicit latents; 6,000 graphs, in which both names occur."""
    seen = {"back-door": 0, "front-door": 0}
    for graph in random_graphs(6000, 3):
        try:
            headline = read(causalc.identify("P(Y | do(X))", graph)).headline
        except causalc.NotIdentifiable:
            continue
        dag = with_latents(graph)
        cut = dag.copy()
        cut.remove_edges_from(list(dag.out_edges("X")))
        if "back-door" in headline:
            seen["back-door"] += 1
            z = named(headline)
            assert not z & nx.descendants(dag, "X"), (graph, headline)
            assert nx.is_d_separator(cut, {"X"}, {"Y"}, z), (graph, headline)
        if "front-door" in headline:
            seen["front-door"] += 1
            m = named(headline)
            rest = dag.copy()
            rest.remove_nodes_from(m)
            assert "Y" not in nx.descendants(rest, "X")
            assert nx.is_d_separator(cut, {"X"}, m, set())
            behind = dag.copy()
            behind.remove_edges_from(list(dag.out_edges(m)))
            assert nx.is_d_separator(behind, m, {"Y"}, {"X"})
    assert min(seen.values()) >= 5, seen


@pytest.mark.parametrize(
    ("graph", "query", "name"),
    [
        ("Z -> X -> Y; Z -> Y", "P(Y | do(X))", "Adjust for Z (back-door)"),
        ("Z -> X -> Y; Z -> Y; W -> Z; W -> Y", "P(Y | do(X), W)", "Adjust for Z (back-door)"),
        ("X -> M -> Y; X <-> Y", "P(Y | do(X))", "Go through M (front-door)"),
        ("X -> Y", "P(Y | do(X))", "Nothing confounds X with Y"),
        ("Y -> X", "P(Y | do(X))", "Setting X does nothing to Y"),
        ("Y -> X", "P(Y | X)", "Nothing is set"),
        (NAPKIN, "P(Y | do(X))", "No named pattern"),
    ],
)
def test_named_patterns(graph: str, query: str, name: str) -> None:
    assert read(causalc.identify(query, graph)).headline.startswith(name)


def conditional(joint: np.ndarray, node: Prob) -> np.ndarray:
    """P(children | given) on a joint table with one axis a vertex, axes kept."""

    def margin(mask: int) -> np.ndarray:
        away = tuple(v for v in range(joint.ndim) if not mask >> v & 1)
        return np.asarray(joint.sum(axis=away, keepdims=True))

    return np.asarray(margin(node.children | node.given) / margin(node.given))


def test_what_is_called_an_average_has_weights_that_sum_to_one() -> None:
    """On random joint tables: every sum read as an average, in the formulas of 800 graphs."""
    rng = np.random.default_rng(0)
    found = 0
    for graph in random_graphs(800, 5):
        n = len(graph.order)
        joint = rng.dirichlet(np.ones(2**n)).reshape((2,) * n)
        try:
            root: Node = causalc.identify("P(Y | do(X))", graph).root
        except causalc.NotIdentifiable:
            continue
        for node in postorder(root):
            if isinstance(node, Sum):
                weights, rest = averaged(node.body, node.bound)
                if not weights:
                    continue
                found += 1
                product = np.ones((1,) * n)
                for weight in weights:
                    product = product * conditional(joint, weight)
                total = product.sum(axis=tuple(bits(node.bound)))
                assert np.allclose(total, 1)
                assert rest
    assert found >= 50


def test_the_napkin_in_words() -> None:
    text = words(causalc.identify("P(Y | do(X))", NAPKIN))
    assert "the sum, over all values of W2, of\n    the ratio of" in text
    assert "the average, over W1 drawn from P(W1), of" in text
    assert "draw Y given X, as it would be where W2 is set from outside" in text
    assert "a probability above 0 wherever the formula divides" in text


def test_a_formula_of_any_length_has_a_reading() -> None:
    chain = "; ".join(f"v{i} -> v{i + 1}; v{i} <-> v{i + 2}" for i in range(24))
    reading = read(causalc.identify("P(v24 | do(v0))", chain))
    assert len(reading.formula) <= 60 and len(reading.recipe) >= 10


# ---- forms


@pytest.mark.parametrize("form", [*FORMS, "text", "latex", "derivation", "sympy"])
def test_a_hedge_is_shown_in_every_form(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["show", "P(Y | do(X))", "--graph", "X -> M -> Y; X <-> M", "--as", form])
    assert stop.value.code == 2
    printed = "".join(capsys.readouterr())
    if form == "svg":
        groups = {g.get("class"): "".join(g.itertext()) for g in ET.fromstring(printed).iter()}
        assert any("gone" in (css or "") and "Y" in text for css, text in groups.items())
        assert any("part" in (css or "") and "M" in text for css, text in groups.items())
    elif form == "json":
        (query,) = json.loads(printed)["queries"]
        assert query["hedge"] == {"forest": ["X", "M"], "subforest": ["M"]}
    else:
        assert "hedge" in printed and "X" in printed and "M" in printed


def test_json_holds_the_formula_and_the_derivation() -> None:
    graph = Graph.parse(NAPKIN)
    estimand = causalc.identify("P(Y | do(X))", graph)
    (query,) = json.loads(shown("json", "", {"q": estimand}, {}, graph))["queries"]
    assert query["identifiable"] and query["do"] == {"X": None}
    nodes = query["estimand"]["nodes"]
    assert nodes[-1] == {"op": "sum", "over": ["W2"], "of": len(nodes) - 2}
    for i, node in enumerate(nodes):
        refers = node["of"] if isinstance(node["of"], list) else [node["of"]]
        assert node["op"] == "P" or all(r < i for r in refers)
    assert [s["line"] for s in query["derivation"]] == [s.line for s in estimand.derivation.steps]


def test_formulas_are_sound_mathml_with_primes() -> None:
    tree = ET.fromstring(formula(causalc.identify("P(Y | do(X))", "X -> M -> Y; X <-> Y")))
    assert tree.tag == "math"
    assert "".join(tree.itertext()).replace(" ", "") == "P(Y|do(X))=∑MP(M|X)∑X′P(X′)P(Y|X′,M)"


# ---- pages


HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}"]


class Page(HTMLParser):
    """What a page holds: tags, attributes, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def check_page(text: str) -> Page:
    """A page that loads nothing, runs nothing and can be used without seeing it."""
    found = Page(text)
    ids = {a["id"] for _, a in found.tags if "id" in a}
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels)), "no level of headings is skipped"
    for tag, attributes in found.tags:
        assert tag not in ("script", "iframe", "object", "embed", "form", "base")
        assert not any(name.startswith("on") for name in attributes), attributes
        for name in ("src", "href"):
            link = attributes.get(name)
            if link is not None:
                assert link.startswith("data:") or link.removeprefix("#") in ids, link
        if tag == "img":
            assert attributes.get("alt")
        if tag == "svg":
            assert attributes["role"] == "img" and attributes["aria-label"]
        if attributes.get("tabindex") and tag != "pre":
            assert attributes.get("aria-label")
    kinds = {tag for tag, _ in found.tags}
    assert {"main", "header", "footer", "h1", "h2"} <= kinds
    assert ("html", {"lang": "en"}) in found.tags
    assert not re.search(r"url\(|@import", text)
    return found


def test_a_page_of_hostile_names_is_inert() -> None:
    a, b, c = HOSTILE
    graph = Graph.from_edges(HOSTILE, [(a, b), (b, c)], [(a, c)])
    from causalc.compiler.answer import Question, solve

    question = Question(f"P({c} | do({a}))", (c,), ((a, None),), ())
    found = check_page(page("<b>", {a: solve(question, graph)}, {}, graph))
    text = "".join(found.words)
    assert all(name in text for name in HOSTILE), "names are shown as they are"
    assert not [t for t, _ in found.tags if t in ("b", "img")]


SCRIPT = """\
graph {
  Z -> X -> Y; Z -> Y; X -> `<b>count`; Z -> S; X -> S
  H -> Q; H <-> Q
}
var Z, X, H, Q : binary
var Y : categorical("<i>low", "mid & more", "high")
var S : real
var `<b>count` : integer
data rows = csv("<rows>.csv")
model S = mixture(steps = 60)
model `<b>count` = mixture(steps = 60)
query effect = P(Y, S, `<b>count` | do(X))
query level  = P(S | do(X), Z = 1)
query bad    = P(Q | do(H))
estimate gap = Pr(Y == "high" | do(X = 1)) - Pr(Y == "high" | do(X = 0))
estimate each = E(S | do(X), Z)
estimate rise = E(S | do(X)) over X
train { bootstrap = 2 }
sample effect, n = 10, X = 1 to "rows_out.csv"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a small script with names of strangers; Z confounds X with Y and S."""
    folder = tmp_path_factory.mktemp("report")
    rng, n = np.random.default_rng(0), 3000
    z = rng.integers(0, 2, n)
    x = (rng.random(n) < np.where(z, 0.8, 0.2)).astype(int)
    level = np.minimum(2, rng.binomial(2, 0.2 + 0.6 * z))
    table = {
        "Z": z,
        "X": x,
        "Y": np.array(["<i>low", "mid & more", "high"])[level],
        "S": 3.0 * z + x + rng.normal(size=n),
        "<b>count": rng.poisson(2 + x),
        "H": z,
        "Q": x,
    }
    pd.DataFrame(table).to_csv(folder / "<rows>.csv", index=False)
    (folder / "<script>.causal").write_text(SCRIPT)
    job = compile_script(folder / "<script>.causal")
    trained = train(job, None, str(folder / "store"), False, {"budget": 20.0})
    text = report(trained, draws=2000)
    assert text == report(trained, draws=2000), "a report is the same every time"
    return text


def test_a_report_is_inert_whole_and_small(made: str) -> None:
    found = check_page(made)
    text = " ".join(" ".join(found.words).split())
    for part in (
        "P(Y, S, `<b>count` | do(X))",
        "Not identifiable",
        "hedge",
        "Plan and models",
        "Comparison with the naive conditional",
        "positivity",
        "data fingerprint",
        "gap",
        "95 % interval",
        "X = 1, Z = 0",
        "rise over X, with 95 % intervals",
        "mid & more",
        "<script>.causal",
        "causalc report '<script>.causal' --budget 20",
    ):
        assert part in text, part
    labels = [a["aria-label"] or "" for t, a in found.tags if t == "svg"]
    for chart in (
        "Shares of Y",
        "Histogram of S",
        "against S",
        "Loss of P(S | ",
        "Plan. ",
        "Causal graph",
    ):
        assert any(chart in label for label in labels), chart
    assert len(made.encode()) < 400_000
    assert not re.search(r"/tmp/|/home/|/work/", made), "no path of this machine"


def test_a_report_tells_the_effect_from_the_naive_conditional(made: str) -> None:
    """X does nothing to Y; among rows with X = 1, Y is high with 0.56 (0.34 under do).

    Limits are five standard errors of 2,000 draws and 1,500 rows wide: it fails once in a million seeds.
    """
    labels = [a["aria-label"] or "" for tag, a in Page(made).tags if tag == "svg"]
    label = next(label for label in labels if label.startswith("Shares of Y"))  # that of X = 1
    do, naive = (float(v) / 100 for v in re.findall(r"high ([\d.]+)%", label))
    assert abs(do - 0.34) < 0.08
    assert abs(naive - (0.8 * 0.64 + 0.2 * 0.04)) < 0.08


def test_rows_alike() -> None:
    schema = Schema({"a": categorical(2), "b": real()})
    data = Columns(schema, {"a": np.array([0, 1] * 50), "b": np.arange(100.0)})
    index, said = alike(data, {"a": 1})
    assert index.tolist() == list(range(1, 100, 2)) and said == "50 rows with these values"
    index, said = alike(data, {"a": 1, "b": 50.0})
    assert {47, 49, 51, 53} < set(index.tolist()) <= {45, 47, 49, 51, 53, 55}
    assert len(index) == 5 and "nearest in b" in said


def test_charts_say_what_they_show() -> None:
    shares = {"do": np.full(40, 1 / 40), "rows": np.eye(40)[3]}
    long = [f"a level with a very long name, number {i}" for i in range(40)]
    few = ET.fromstring(charts.bars(long, shares, "V"))
    assert "27 others 67.5%" in few.get("aria-label", "")
    assert sum(
        float(s) for s in re.findall(r"([\d.]+)%", few.get("aria-label", ""))
    ) == pytest.approx(200, abs=1)
    whole = ET.fromstring(
        charts.histogram({"do": np.array([1, 2, 2, 3]), "rows": np.array([2])}, "V")
    )
    assert "do: mean 2, standard deviation 0.707; rows: mean 2" in whole.get("aria-label", "")
    paths = [p.get("d", "") for p in whole.iter() if p.get("class") in ("a", "b")]
    assert [len(re.findall("H", path)) for path in paths] == [3, 3], "a bin for each whole number"
    ET.fromstring(charts.histogram({"do": np.zeros(5)}, "V"))
    cloud = ET.fromstring(charts.cloud({"do": (np.arange(5.0), np.arange(5.0))}, ("a", "b")))
    assert "correlation 1.00" in cloud.get("aria-label", "")


def test_loss_curves_are_cut_where_training_starts_again() -> None:
    steps = [10.0, 20.0, 30.0, 10.0, 20.0]
    points = [{"step": s, "loss": s, "held_out": 50 - s} for s in steps]
    one, two = (ET.fromstring(curve).get("aria-label") for curve in charts.curves(points, "M"))
    assert "(part 1 of 2)" in str(one) and "best 20 at step 30" in str(one)
    assert "best 30 at step 20" in str(two)
    assert (
        charts.curves([{"rows": 3.0}, {"step": 1.0, "loss": 1.0, "held_out": float("nan")}], "M")
        == []
    )


@pytest.mark.parametrize(
    ("n", "h", "w", "c"), [(1, 4, 4, 1), (40, 8, 8, 3), (3, 300, 300, 3), (2, 5, 5, 4)]
)
def test_images_become_one_picture(n: int, h: int, w: int, c: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (n, h, w, c)).astype(np.uint8)
    ((tag, found),) = Page(charts.images(pixels, 'a "b" <c>')).tags
    assert tag == "img" and found["alt"] == 'a "b" <c>'
    picture = Image.open(io.BytesIO(base64.b64decode((found["src"] or "").partition(",")[2])))
    assert picture.width <= 512
    if n == 40:
        assert np.array_equal(np.asarray(picture)[1:9, 1:9], pixels[0])


def test_where_nothing_is_identifiable_the_report_is_the_hedge(tmp_path: Path) -> None:
    (tmp_path / "bow.causal").write_text("graph { X -> Y; X <-> Y }\nquery q = P(Y | do(X))\n")
    with pytest.raises(SystemExit) as stop:
        main(["report", str(tmp_path / "bow.causal"), "-o", str(tmp_path / "bow.html")])
    assert stop.value.code == 2
    assert "witness is a hedge" in " ".join(check_page((tmp_path / "bow.html").read_text()).words)


def test_the_documentation_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parent.parent / "docs" / "report.md").read_text(encoding="utf-8")
    command, _, rest = text.partition("$ causalc ")[2].partition("\n")
    with pytest.raises(SystemExit):
        main(shlex.split(command))
    assert capsys.readouterr().out == rest.partition("```")[0]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_browser_shows_the_report_without_a_word(made: str, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(made, encoding="utf-8")
    command = [
        str(CHROMIUM),
        *("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"),
        f"--user-data-dir={tmp_path / 'profile'}",
        path.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "Made by causalc" in done.stdout
    assert "CONSOLE" not in done.stderr
