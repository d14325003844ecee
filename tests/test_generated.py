"""The gallery: every script in examples/ compiled and checked in, byte for byte, and right."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from causalc import Table
from causalc.runtime import FREE
from causalc.script import compile_script
from causalc.verify import verify

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "examples").glob("*.causal"))


def test_the_gallery_is_complete() -> None:
    assert len(SCRIPTS) >= 10
    assert {p.stem for p in (ROOT / "generated").glob("*.py")} == {p.stem for p in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_committed_programs_are_what_the_compiler_writes(
    script: Path, request: pytest.FixtureRequest
) -> None:
    program = compile_script(script).program
    assert program is not None
    target = ROOT / "generated" / f"{script.stem}.py"
    if request.config.getoption("--update-golden"):
        program.write(target)
    assert target.read_text(encoding="utf-8") == program.source


@pytest.mark.parametrize("hashseed", ["0", "1", "4711"])
def test_text_does_not_depend_on_hashing(hashseed: str) -> None:
    code = (
        "import sys; from causalc.script import compile_script\n"
        "for p in sys.argv[1:]: sys.stdout.write(compile_script(p).program.source)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, SCRIPTS)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": hashseed},
    )
    committed = [(ROOT / "generated" / f"{p.stem}.py").read_text(encoding="utf-8") for p in SCRIPTS]
    assert done.stdout == "".join(committed)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_programs_import_nothing_but_the_runtime(script: Path) -> None:
    tree = ast.parse((ROOT / "generated" / f"{script.stem}.py").read_text(encoding="utf-8"))
    modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert modules == {"collections.abc", "typing", "causalc"}
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Import)]


TOO_LARGE = ("sachs", "jobs")  # too many variables and latents to enumerate


@pytest.mark.parametrize(
    "script", [p for p in SCRIPTS if p.stem not in TOO_LARGE], ids=lambda p: p.stem
)
def test_programs_are_exact(script: Path) -> None:
    """Program and estimand of every query against 3 enumerated models with latents, to 1e-9."""
    job = compile_script(script)
    assert job.program is not None
    for name in job.estimands:
        assert verify(job.program, name, 3, 0) < 1e-9


def test_a_committed_program_runs_by_itself() -> None:
    module = ModuleType("frontdoor")
    path = ROOT / "generated" / "frontdoor.py"
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    array = np.random.default_rng(0).uniform(0.2, 1, (2, 2, 2))
    p = array / array.sum()
    result = module.sample(module.train(Table(("X", "M", "Y"), p)), 0, X=FREE)
    m_x, y_xm = p.sum(2) / p.sum((1, 2))[:, None], p / p.sum(2, keepdims=True)
    assert np.allclose(result.array, np.einsum("xm,a,amy->xy", m_x, p.sum((1, 2)), y_xm))
