"""``causalc watch`` and ``causalc completion``."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from causalc.cli import cli


def test_watch_checks_again_when_the_script_is_saved(tmp_path: Path) -> None:
    script = tmp_path / "s.causal"
    script.write_text("graph { X -> Y }\nquery e = P(Y | do(X))\n")

    def edit() -> None:
        time.sleep(0.4)
        script.write_text("graph { X -> Y }\nquery e = P(Y | do(Q))\n")

    thread = threading.Thread(target=edit)
    thread.start()
    done = CliRunner().invoke(cli, ["watch", str(script), "--every", "0.05", "--times", "2"])
    thread.join()
    assert "e: P(Y | do(X)) is identifiable" in done.output
    assert "`Q` is not a variable of the graph [unknown-variable]" in done.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str) -> None:
    if shell == "bash":
        pytest.importorskip("click.shell_completion")
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0 and "_CAUSALC_COMPLETE" in done.output


def test_commands_complete() -> None:
    variables = {
        "_CAUSALC_COMPLETE": "bash_complete",
        "COMP_WORDS": "causalc expl",
        "COMP_CWORD": "1",
    }
    code = "from causalc.cli import cli; cli.main(prog_name='causalc')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )
    assert "plain,explain" in done.stdout
