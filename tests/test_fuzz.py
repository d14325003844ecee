"""A slice of ``benchmarks/fuzz.py``, and the faults that it found, one test each."""

import importlib
import sys
import time
from pathlib import Path

import pytest

import causalc
from causalc.compiler import convert
from causalc.errors import CausalcError
from causalc.script import compile_script

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def fuzzing():
    """The package, whose modules are attributes."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        for name in ("texts", "folders", "watch"):
            importlib.import_module(f"fuzzing.{name}")
        yield sys.modules["fuzzing"]
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def test_mutated_scripts_and_graphs_are_taken_or_refused(fuzzing, tmp_path: Path, capsys) -> None:
    assert fuzzing.texts.texts(1500, 12345, tmp_path) == 0, capsys.readouterr().out
    assert "1,500 scripts and graph texts" in capsys.readouterr().out


@pytest.mark.slow
def test_mutated_model_folders_are_taken_or_refused(fuzzing, tmp_path: Path, capsys) -> None:
    assert fuzzing.folders.folders(150, 12345, tmp_path) == 0, capsys.readouterr().out
    assert "150 model folders" in capsys.readouterr().out


def test_the_watch_sees_what_it_should(fuzzing, tmp_path: Path) -> None:
    def write() -> None:
        (tmp_path / "x").write_text("")

    def loop() -> None:
        while True:
            pass

    with fuzzing.watch.watching(tmp_path / "out") as watch:
        for case in (write, loop, lambda: 1 / 0, lambda: Path("/etc/hostname").read_bytes()):
            watch.run(case, CausalcError, lambda path: None)
    kinds = [fault.split()[0] for fault in watch.faults]
    assert kinds == ["touched:", "more", "ZeroDivisionError", "touched:"]


def seconds(act) -> float:
    start = time.process_time()
    with pytest.raises(CausalcError):
        act()
    return time.process_time() - start


def test_nested_subgraphs_take_linear_time() -> None:
    text = "digraph { " + "subgraph s { c -> d " * 12 + "} " * 12
    assert seconds(lambda: convert.from_dot(text)) < 1  # 18 s when every place was tried anew


def test_many_words_of_dot_take_linear_time() -> None:
    text = "digraph {\n  W;\n  " + '"X"' * 5000 + " -> }"
    assert seconds(lambda: convert.from_dot(text)) < 1  # 18 s


@pytest.mark.parametrize("form", ["text", "dagitty", "dot", "lavaan"])
def test_sets_joined_with_sets_are_refused_in_time(form: str) -> None:
    left, right = ([f"{v}{i}" for i in range(700)] for v in "ab")
    plus = f"{' + '.join(left)} ~ {' + '.join(right)}\n"
    sets = f"{{{' '.join(left)}}} -> {{{' '.join(right)}}} "
    text = {"text": sets, "dagitty": sets, "dot": sets, "lavaan": plus}[
        form
    ] * 12  # 5.9 million edges
    whole = {"dagitty": f"dag {{ {text} }}", "dot": f"digraph {{ {text} }}"}.get(form, text)
    assert seconds(lambda: convert.from_text(whole, form)) < 1  # 75 s when all of them were made


def test_many_words_before_a_mistake_take_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "x.causal"
    path.write_text("graph { X -> Y" + ";" * 5000 + "}\nquery P(Y | do((Z->))")
    assert seconds(lambda: compile_script(path)) < 1  # 5 s when brackets were counted at each word


GML = 'graph [ directed 1 node [ id 0 label "a" ] {} ]'


@pytest.mark.parametrize("text", [GML.format(part) for part in ("node 5", "edge 7", 'node "a"')])
def test_gml_that_networkx_trips_over(text: str) -> None:
    with pytest.raises(CausalcError):
        convert.from_gml(text)


def test_a_link_in_a_model_folder_is_not_followed(fuzzing, tmp_path: Path) -> None:
    folder = fuzzing.folders.model_folders(tmp_path)[0]
    causalc.load(folder)
    (folder / "query.json").rename(tmp_path / "query.json")
    (folder / "query.json").symlink_to(tmp_path / "query.json")
    with pytest.raises(CausalcError, match=r"query\.json"):
        causalc.load(folder)
