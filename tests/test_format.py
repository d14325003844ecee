"""Formatting is the parser's inverse, and leaves formatted text alone."""

from pathlib import Path

import pytest
import strategies
from hypothesis import given, settings

from causalc.grammar import format_script, parse, parse_file, parse_graph, parse_query
from causalc.grammar.tree import GraphSpec, Query, Script

CORPUS = Path(__file__).parent / "golden" / "queries"
SCRIPTS = sorted(CORPUS.glob("*.causal"))


@settings(max_examples=300, deadline=None)
@given(strategies.scripts)
def test_any_tree_comes_back(script: Script) -> None:
    text = format_script(script)
    again = parse(text)
    assert repr(again) == repr(script)
    assert format_script(again) == text


@settings(max_examples=200, deadline=None)
@given(strategies.queries)
def test_a_query_prints_as_it_parses(query: Query) -> None:
    assert repr(parse_query(str(query))) == repr(query)


@settings(max_examples=200, deadline=None)
@given(strategies.graph_specs.filter(lambda spec: spec.statements))
def test_a_graph_prints_as_it_parses(spec: GraphSpec) -> None:
    again = parse_graph(str(spec))
    assert again == spec
    assert (again.nodes, again.directed, again.bidirected, again.latents) == (
        spec.nodes,
        spec.directed,
        spec.bidirected,
        spec.latents,
    )


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_written_script_keeps_its_meaning_and_its_comments(
    path: Path, update_golden: bool
) -> None:
    script = parse_file(path)
    text = format_script(script)
    again = parse(text)
    assert again == script
    assert [c.text for c in again.comments] == [c.text for c in script.comments]
    assert format_script(again) == text
    expected = path.with_suffix(".txt")
    if update_golden:
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_do_not_matter(end: str) -> None:
    text = (CORPUS / "napkin_digits.causal").read_text(encoding="utf-8")
    other = parse(text.replace("\n", end))
    assert other == parse(text)
    assert [c.text for c in other.comments] == [c.text for c in parse(text).comments]
    if end == "\r\n":
        assert format_script(other) == format_script(parse(text))


def test_a_comment_in_the_middle_of_a_line_moves_above_it() -> None:
    text = "graph { X -> Y }\nquery q = P(Y | # why\n  do(X))  # end\n"
    expected = "graph { X -> Y }\n# why\nquery q = P(Y | do(X))  # end\n"
    assert format_script(parse(text)) == expected


def test_neighbours_are_aligned_and_paragraphs_kept() -> None:
    text = "var A : real\nvar Long : real\n\n\nvar B : real\nmodel A = table\n"
    expected = "var A    : real\nvar Long : real\n\nvar B : real\nmodel A = table\n"
    assert format_script(parse(text)) == expected
