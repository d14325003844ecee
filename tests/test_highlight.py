"""Colours: every script of the examples is covered, and both grammars know the statements of the language."""

import json
import re
from pathlib import Path

import pytest
from pygments.token import Error, Keyword

from causalc.highlight import STATEMENTS, CausalLexer

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "examples").glob("*.causal"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_examples_have_no_character_without_a_colour(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tokens = list(CausalLexer(stripnl=False, ensurenl=False).get_tokens(text))
    assert "".join(value for _, value in tokens) == text
    assert not [value for token, value in tokens if token is Error]
    assert any(token is Keyword and value == "query" for token, value in tokens)


def test_statements_are_those_of_the_grammar() -> None:
    grammar = (ROOT / "grammar" / "causal.lark").read_text(encoding="utf-8")
    words = set(re.findall(r"^[A-Z]+(?:\.\d)?: /([a-z]+)(?:\\b|\(\?=)", grammar, re.MULTILINE))
    assert words - {"do"} == set(STATEMENTS)


def test_the_editor_grammar_knows_the_same_words() -> None:
    folder = ROOT / "editors" / "vscode"
    grammar = json.loads((folder / "syntaxes" / "causal.tmLanguage.json").read_text())
    (keywords,) = [
        p["match"] for p in grammar["patterns"] if p["name"].startswith("keyword.control")
    ]
    assert set(re.search(r"\((graph[a-z|]*)\)", keywords)[1].split("|")) == set(STATEMENTS)
    manifest = json.loads((folder / "package.json").read_text())
    assert (folder / manifest["contributes"]["grammars"][0]["path"]).is_file()
    assert (folder / manifest["main"]).is_file()
