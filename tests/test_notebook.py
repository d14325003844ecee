"""``%load_ext causalc`` and ``%%causal`` in a real IPython."""

import os
from typing import Any

import pytest

pytest.importorskip("IPython")

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

SCRIPT = """\
graph { X -> M -> Y; X <-> Y }
query effect = P(Y | do(X))
query back = P(X | do(Y))
"""


@pytest.fixture
def shell(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    made = InteractiveShell.instance()
    made.history_manager.enabled = False
    made.run_line_magic("load_ext", "causalc")
    yield made
    made.reset()
    InteractiveShell.clear_instance()


def run(shell: Any, cell: str) -> tuple[Any, str]:
    with capture_output() as said:
        done = shell.run_cell(cell)
    assert done.success, said.stdout
    return done.result, said.stdout


def test_a_cell_is_checked_shown_and_bound(shell: Any) -> None:
    shown, _ = run(shell, f"%%causal program\n{SCRIPT}")
    assert str(shown).splitlines()[0] == (
        "P(Y | do(X)) = sum_{M} P(M | X) sum_{X'} P(X') P(Y | X', M)"
    )
    html = shown._repr_html_()
    assert html.startswith("<iframe") and "sandbox" in html and "<script" not in html
    data = "{'X': [0, 1] * 50, 'M': [0, 1, 1, 0] * 25, 'Y': [0, 0, 1, 1] * 25}"
    frame, _ = run(shell, f"program.fit({data}, progress=False).sample(5, 'effect', X=1)")
    assert list(frame) == ["Y"] and len(frame) == 5


def test_a_mistake_is_a_message_with_its_place(shell: Any) -> None:
    shown, said = run(shell, "%%causal program\ngraph { X -> Y }\nquery q = P(Z | do(X))")
    assert shown is None and "Traceback" not in said
    assert said.startswith("cell:2:13: error: `Z` is not a variable of the graph")
    assert "program" not in shell.user_ns
    _, said = run(shell, "%%causal not a name\ngraph { X -> Y }")
    assert said.startswith("%%causal [NAME]")


def test_files_lie_beside_the_notebook(shell: Any) -> None:
    with open("g.dag", "w") as file:
        file.write("dag { X -> Y }")
    shown, _ = run(shell, '%%causal\ngraph "g.dag"\nquery q = P(Y | do(X))')
    assert str(shown) == "P(Y | do(X)) = P(Y | X)"
    assert os.listdir()
