"""The examples of docs/language.md are scripts that check."""

import re
from pathlib import Path

import pytest

from causalc.compiler.answer import Question, solve
from causalc.compiler.check import check
from causalc.grammar import format_script, parse

TEXT = (Path(__file__).parent.parent / "docs" / "language.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```causal\n(.*?)```", TEXT, re.S)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_example_is_right_and_identifiable(number: int) -> None:
    script = parse(BLOCKS[number])
    checked = check(script)
    assert checked.queries
    for query in checked.queries:
        assert solve(Question.of(query.query), checked.graph).text
    assert parse(format_script(script)).statements == script.statements


def test_there_are_examples_of_every_statement() -> None:
    assert len(BLOCKS) == 7
    for word in ("graph", "var", "data", "model", "train", "query", "estimate", "check", "sample"):
        assert re.search(rf"^{word}\b", "".join(BLOCKS), re.M), word
