"""The parser: what it reads, where things stand, what it refuses to be broken by."""

import logging
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from causalc.compiler.check import check
from causalc.compiler.graph import Graph
from causalc.grammar import (
    LanguageError,
    Source,
    format_script,
    parse,
    parse_file,
    parse_graph,
    parse_kind,
    parse_query,
)
from causalc.grammar.lalr import Stuck, run, tables
from causalc.grammar.source import MAX_BYTES, Span
from causalc.grammar.tables import STARTS, grammar_text, tables_text
from causalc.grammar.tree import Script, Sequence

ROOT = Path(__file__).parent.parent
CORPUS = Path(__file__).parent / "golden" / "queries"
SCRIPTS = sorted(CORPUS.glob("*.causal"))
XRAY = 'dag { U [latent] U -> {age xray} age -> severity -> "treated (y/n)" -> report -> xray }'


# ---- graphs


def test_the_edge_language() -> None:
    spec = parse_graph("W1 -> W2 -> X -> Y; W1 <-> X; Z; x <- {a b}; `odd name` -> {a, b}")
    assert spec.nodes == ("W1", "W2", "X", "Y", "Z", "x", "a", "b", "odd name")
    assert spec.directed == (
        ("W1", "W2"),
        ("W2", "X"),
        ("X", "Y"),
        ("a", "x"),
        ("b", "x"),
        ("odd name", "a"),
        ("odd name", "b"),
    )
    assert spec.bidirected == (("W1", "X"),)


def test_a_dagitty_text_as_the_site_exports_it() -> None:
    spec = parse_graph(
        'dag {\nbb="-3,-3,3,3"\n"treated (y/n)" [exposure,pos="-1.973,-0.123"]\nD.9 [outcome]\n'
        'H [unobserved,pos="0.1,1"]\nU [latent]\nA [adjusted]\n'
        '"treated (y/n)" -> D.9 [beta=-0.5]\nH -> D.9\nU -> D.9 A <-> D.9\n}\n'
    )
    assert spec.nodes == ("treated (y/n)", "D.9", "H", "U", "A")
    assert spec.latents == ("H", "U")
    assert [n.text for n in spec.with_attribute("exposure", "e")] == ["treated (y/n)"]
    assert spec.bidirected == (("A", "D.9"),)
    again = parse_graph(str(spec))
    assert again == spec
    assert 'pos="-1.973,-0.123"' in str(spec)


def test_the_dagitty_texts_of_pgmpy() -> None:
    found = find_spec("pgmpy")
    assert found is not None and found.origin is not None
    texts = sorted((Path(found.origin).parent / "utils" / "example_models").glob("*.txt"))
    assert len(texts) == 12
    for path in texts:
        spec = parse_graph(path.read_text(encoding="utf-8"))
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(spec.edges) == sum("->" in line for line in lines)
        assert parse_graph(str(spec)) == spec
        assert set(Graph.parse(str(spec)).nodes) == set(spec.nodes) - set(spec.latents)


def test_latents_by_statement_and_by_attribute() -> None:
    assert parse_graph("latent U, V; U -> X; W [latent]; W -> X").latents == ("U", "V", "W")
    assert parse_graph("latent -> X; Y -> latent").nodes == ("latent", "X", "Y")


def test_edges_know_their_place() -> None:
    text = "graph {\n  A -> {B C}\n}\n"
    spec = parse(text).graph.spec  # type: ignore[union-attr]
    assert spec is not None and spec.source is not None
    edge = spec.edges[1]
    assert text[edge.span.start : edge.span.end] == "A -> {B C}"
    assert spec.source.line_column(spec.span_of("C").start) == (2, 11)


# ---- queries and kinds


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("p(y|do(x))", "P(y | do(x))"),
        ('P(Y, Z | W, do(X = 3, V), U = "a")', 'P(Y, Z | do(X = 3, V), W, U = "a")'),
        ("P(`a b`|x.1=true)", "P(`a b` | x.1 = true)"),
        ("P(结果 | do(治疗 = $剂量))", "P(结果 | do(治疗 = $剂量))"),
        ("P(Y | do(X = [1, -2.5, 1e3]))", "P(Y | do(X = [1, -2.5, 1000.0]))"),
        ("P(Y) # all of it", "P(Y)"),
    ],
)
def test_queries_print_in_canonical_form(text: str, canonical: str) -> None:
    query = parse_query(text)
    assert str(query) == canonical
    assert parse_query(canonical) == query


def test_what_a_query_leaves_open() -> None:
    query = parse_query("P(Y | do(X, W = 1), Z = $z, V)")
    assert query.free == ("X", "V")
    assert query.parameters == ("z",)


@pytest.mark.parametrize("name", strategies.NASTY)
def test_hostile_names_are_only_names(name: str) -> None:
    quoted = "`" + name.replace("`", "``") + "`"
    assert parse_query(f"P({quoted} | do(X))").outcomes[0].text == name
    script = parse(f"graph {{ {quoted} -> Y }}\nquery q = P(Y | do({quoted}))")
    assert parse(format_script(script)) == script
    assert check(script).graph.nodes == (name, "Y")


def test_kinds() -> None:
    call = parse_kind("image(8, 8, channels=3)")
    assert (call.name, len(call.args), dict(call.options).keys()) == ("image", 2, {"channels"})
    assert str(call) == "image(8, 8, channels=3)"


# ---- scripts


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_written_scripts_make_sense(path: Path) -> None:
    checked = check(parse_file(path), lambda _: parse_graph(XRAY))
    assert checked.queries
    for query in checked.queries:
        assert {n.text for n in query.query.outcomes} <= set(checked.graph.nodes)


def test_a_checked_script_in_full() -> None:
    checked = check(parse_file(CORPUS / "xray.causal"), lambda _: parse_graph(XRAY))
    assert "U" not in checked.graph.nodes
    assert ("age", "xray") in checked.graph.bidirected
    assert {name: str(kind) for name, kind in checked.schema.items()} == {
        "report": 'text(max_tokens=64, encoder="minilm")',
        "xray": "image(64, 64, channels=1)",
        "age": "real",
        "severity": 'ordinal("none", "mild", "severe")',
        "treated (y/n)": "binary",
    }
    scans, trial = checked.data
    assert (scans.format, scans.path, scans.split) == ("arrow", "data/train", "train")
    assert trial.columns == {"severity": "sev_code"}
    assert [a.name.text for a in trial.under] == ["treated (y/n)"]
    (sample,) = checked.samples
    assert (sample.n, sample.seed, sample.inputs) == (16, 7, {"age": 60})
    assert checked.checks[0].checks == ("positivity", "fit", "sensitivity")


def test_bare_words_of_a_model_become_strings() -> None:
    script = parse("graph { X -> Y }\nmodel Y = diffusion(backbone=mlp)\ntrain { device = cpu }")
    checked = check(script)
    assert str(checked.models["Y"]) == 'diffusion(backbone="mlp")'
    assert checked.train == {"device": "cpu"}


def test_a_byte_order_mark_does_not_shift_columns() -> None:
    with pytest.raises(LanguageError) as caught:
        parse("\ufeffgrph { }")
    assert "<script>:1:1: error" in str(caught.value)


def test_lines_and_columns() -> None:
    source = Source("a\r\n\tb\rc\n")
    assert [source.line_column(source.text.index(c)) for c in "abc"] == [(1, 1), (2, 2), (3, 1)]
    assert source.snippet(Span(4, 5)) == "  2 |     b\n    |     ^"
    assert Source("治疗 x").snippet(Span(3, 4)) == "  1 | 治疗 x\n    |      ^"


# ---- limits


def error_of(text: str) -> str:
    with pytest.raises(LanguageError) as caught:
        parse(text)
    return str(caught.value)


def test_a_text_that_is_too_long_is_refused() -> None:
    assert "longer than 1000000 bytes" in error_of("#" * (MAX_BYTES + 1))
    assert "longer than 1000000 bytes" in error_of("é" * (MAX_BYTES // 2 + 1))


def test_a_file_that_is_too_long_or_missing_is_refused(tmp_path: Path) -> None:
    long = tmp_path / "long.causal"
    long.write_bytes(b"#" * (MAX_BYTES + 1))
    for path, words in ((long, "longer than"), (tmp_path, "cannot be read")):
        with pytest.raises(Exception, match=words) as caught:
            parse_file(path)
        assert type(caught.value).__name__ == "CausalcError"


def test_depth_does_not_exhaust_the_stack() -> None:
    deep = "(" * 20_000 + "1" + ")" * 20_000
    parse(f"graph {{ X }}\nestimate e = {deep}")
    assert "nested more than 4 deep" in error_of(f"train {{ a = {'[' * 20_000}{']' * 20_000} }}")
    assert "more than 100 operators" in error_of("estimate e = " + " + ".join("1" * 20_000))
    assert "inside a set" in error_of("graph { " + "X -> {" * 20_000)


@pytest.mark.parametrize(
    "text", ["A; " * 100_000, "A -> B; " * 100_000, "dag {" + "A [pos=1] " * 90_000]
)
def test_a_text_of_more_words_than_are_read_at_once_is_refused(text: str) -> None:
    with pytest.raises(LanguageError, match="longer than 50000 words"):
        parse_graph(text)


def test_a_long_chain_and_a_long_cycle() -> None:
    chain = " -> ".join(f"V{i}" for i in range(20_000))
    assert len(check(parse(f"graph {{ {chain} }}")).graph.nodes) == 20_000
    with pytest.raises(LanguageError, match="cycle"):
        check(parse(f"graph {{ {chain} -> V0 }}"))


def test_many_mistakes_are_counted_rather_than_listed() -> None:
    unknown = "\n".join(f"var Q{i} : binary" for i in range(30))
    with pytest.raises(LanguageError, match="and 10 more errors") as caught:
        check(parse("graph { X -> Y }\n" + unknown))
    assert len(caught.value.messages) == 30


PIECES = (
    *"(){}[]|,;:=+-*/<>@~`\"'$#\n\t\\ %",
    "->",
    "<->",
    "<-",
    "==",
    "graph",
    "var",
    "data",
    "under",
    "do",
    "query",
    "estimate",
    "sample",
    "to",
    "check",
    "train",
    "model",
    "latent",
    "P(Y | do(X))",
    "E(Y)",
    "X",
    "Y",
    "binary",
    "dag {",
    "1",
    "1e5",
    '"s"',
    "`n`",
    "\u200b",
    "治",
    "\0",
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_any_text_parses_or_is_explained(pieces: list[str]) -> None:
    text = " ".join(pieces)
    for read in (parse, parse_graph, parse_query, parse_kind):
        try:
            read(text)
        except LanguageError as error:
            assert ": error: " in str(error) and "\n  help: " in str(error)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SCRIPTS), st.data())
def test_a_damaged_script_parses_or_is_explained(path: Path, data: st.DataObject) -> None:
    text = path.read_text(encoding="utf-8")
    at = data.draw(st.integers(0, len(text)))
    gone = data.draw(st.integers(0, 12))
    damaged = text[:at] + data.draw(st.sampled_from(("", *PIECES))) + text[at + gone :]
    try:
        check(parse(damaged), lambda _: parse_graph(XRAY))
    except LanguageError as error:
        assert ": error: " in str(error)


@settings(max_examples=300, deadline=None)
@given(strategies.scripts)
def test_any_tree_is_checked_without_a_crash(script: Script) -> None:
    for tree in (script, parse(format_script(script))):
        try:
            check(tree, lambda _: parse_graph(XRAY))
        except LanguageError as error:
            assert ": error: " in str(error)


# ---- the tables


def test_the_tables_are_those_of_the_grammar() -> None:
    committed = (ROOT / "grammar" / "tables.json").read_text(encoding="utf-8")
    assert tables_text() == committed, "run: python -m causalc.grammar.tables > grammar/tables.json"


def test_the_grammar_has_no_conflict(caplog: pytest.LogCaptureFixture) -> None:
    from lark import Lark

    with caplog.at_level(logging.DEBUG, logger="lark"):
        Lark(grammar_text(), parser="lalr", start=list(STARTS), debug=True)
    assert not [r for r in caplog.records if "onflict" in r.getMessage()]


def test_no_state_takes_a_name_where_it_takes_a_keyword() -> None:
    keywords = {"GRAPH", "VAR", "DATA", "UNDER", "MODEL", "TRAIN", "QUERY", "ESTIMATE", "CHECK"}
    for row in tables().terminals:
        names = {"NAME", "NODE"} & set(row)
        assert not names or not (keywords | {"SAMPLE"}) & set(row)
        assert len(names) < 2


class Recorder:
    """A builder that only notes which rule was applied to what."""

    def __getattr__(self, rule: str) -> Any:
        return lambda children: (rule, *(c if isinstance(c, tuple) else str(c) for c in children))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_lark_parses_alike(path: Path) -> None:
    from lark import Lark, Tree

    lark = Lark(grammar_text(), parser="lalr", start=list(STARTS), keep_all_tokens=True)

    def nested(tree: Any) -> Any:
        if not isinstance(tree, Tree):
            return str(tree)
        return (str(tree.data), *map(nested, tree.children))

    text = path.read_text(encoding="utf-8")
    assert run(text, "script", Recorder()) == nested(lark.parse(text, start="script"))


def test_a_stuck_parser_says_what_could_stand_there() -> None:
    with pytest.raises(Stuck) as caught:
        run("query q : P(Y)", "script", Recorder())
    assert (caught.value.offset, caught.value.expected) == (8, {"EQUAL"})


def test_parsing_is_quick_and_needs_no_lark() -> None:
    code = (
        "import time; start = time.process_time()\n"
        "import sys; from causalc.grammar import parse\n"
        f"parse(open({str(CORPUS / 'sachs.causal')!r}).read())\n"
        "print(time.process_time() - start, 'lark' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, loaded = done.stdout.split()
    assert float(seconds) < 0.5  # 0.04 on an idle machine
    assert loaded == "False"


def test_lists_are_values() -> None:
    script = parse("graph { X }\nmodel X = diffusion(channels=[16, [true, $p]])")
    value = dict(script.models[0].family.options)["channels"]
    assert isinstance(value, Sequence) and len(value.items) == 2
