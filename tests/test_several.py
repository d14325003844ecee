"""Scripts of several graphs and several files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from causalc.cli import cli
from causalc.editing import Reading
from causalc.errors import CausalcError
from causalc.grammar import format_script, parse
from causalc.grammar.include import MAX_FILES
from causalc.reading import read_script
from causalc.script import compile_script

SCRIPT = """include "parts/variables.causal"
graph adjusted { Z -> X -> Y; Z -> Y }
graph hidden { Z -> X -> Y; X <-> Y }
query effect = P(Y | do(X))
estimate gain = E(Y | do(X = 1)) - E(Y | do(X = 0))
sample effect, n = 5, X = 1 to "out.csv"
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "variables.causal").write_text(
        'var X, Y, Z : binary\ndata rows = csv("rows.csv")\n'
    )
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.integers(0, 2, (300, 3)), columns=list("XYZ"))
    rows.to_csv(tmp_path / "rows.csv", index=False)
    place = tmp_path / "two.causal"
    place.write_text(SCRIPT)
    return place


def run(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(cli, [str(a) for a in arguments], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value, done.output


def test_every_question_is_answered_under_each_graph(script: Path) -> None:
    code, output = run("check", script)
    assert code == 2
    first, second = output.split("graph hidden:")
    assert first.startswith("graph adjusted:\neffect: P(Y | do(X)) is identifiable")
    assert "not identifiable" in second and "not identifiable" not in first
    code, output = run("check", script, "--in", "adjusted", "--json")
    assert code == 0 and json.loads(output)["queries"][0]["identifiable"]
    with pytest.raises(CausalcError, match="--in adjusted or --in hidden"):
        run("check", script, "--json")
    with pytest.raises(CausalcError, match="its graphs: adjusted, hidden"):
        run("check", script, "--in", "adjsted")
    assert run("graph", script, "--in", "hidden") == (0, "Z -> X -> Y; X <-> Y\n")


def test_files_of_several_graphs_are_apart(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, output = run("run", script, "--quiet")
    assert code == 2 and (tmp_path / "out.adjusted.csv").is_file()
    assert not (tmp_path / "out.csv").exists() and "gain" in output
    run("compile", script, "-o", "made")
    assert (tmp_path / "made" / "adjusted" / "program.py").is_file()


def test_one_graph_has_no_name_to_ask_for(script: Path) -> None:
    with pytest.raises(CausalcError, match="compares several graphs"):
        compile_script(script)
    assert compile_script(script, graph="adjusted").program is not None
    assert compile_script(script, graph="hidden").program is None


def test_a_mistake_in_an_included_file_is_told_of_its_own_lines(script: Path) -> None:
    part = script.parent / "parts" / "variables.causal"
    part.write_text("var X : binary\nvar Q : real\n")
    with pytest.raises(
        CausalcError, match=r"parts/variables\.causal:2:5: error: `Q` is not a variable"
    ):
        compile_script(script, graph="adjusted")
    (found, *_) = Reading.of(SCRIPT, script.parent).findings()
    assert "variables.causal:2:5" in found.text


def test_includes_are_bounded(tmp_path: Path) -> None:
    for i in range(MAX_FILES + 2):
        (tmp_path / f"{i}.causal").write_text(
            f'include "{i + 1}.causal"\ngraph a{i} {{ X -> Y }}\n'
        )
    with pytest.raises(CausalcError, match="more than 32 files"):
        read_script(tmp_path / "0.causal")


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "secret.causal").write_text("var X : binary\n")
    home = tmp_path / "home"
    home.mkdir()
    (home / "link.causal").symlink_to(tmp_path / "secret.causal")
    (home / "main.causal").write_text('include "link.causal"\ngraph { X -> Y }\n')
    with pytest.raises(CausalcError, match="outside the folder"):
        read_script(home / "main.causal")


def test_the_layout_keeps_graph_names_includes_and_sweeps() -> None:
    text = SCRIPT + "estimate dose = E(Y | do(X), Z) over X = grid(0, 1, 3), Z\n"
    made = format_script(parse(text))
    assert parse(made).statements == parse(text).statements
    assert "over X = grid(0, 1, 3), Z" in made and 'include "parts/variables.causal"' in made


def test_the_editor_reads_each_graph(script: Path) -> None:
    reading = Reading.of(SCRIPT, script.parent)
    (found, *_) = reading.findings()
    assert found.severity == "warning" and found.text.startswith("in hidden: ")
    assert ("over", "keyword") in reading.completions(len(SCRIPT))
    assert "include" in dict(reading.completions(0))
