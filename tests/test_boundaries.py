"""Imports point one way, and the symbolic half loads nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "grammar": {"grammar", "errors"},
    "compiler": {"grammar", "compiler", "errors", "table", "__version__"},
    "runtime": {"runtime", "errors", "table", "__version__"},
}
HEAVY = {"torch", "diffusers", "pandas"}


def imported(path: Path) -> set[str]:
    """First two parts of every absolute import in a file, wherever it stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found.update(
                f"{module}.{a.name}" for a in node.names
            ) if module == "causalc" else found.add(module)
    return found


@pytest.mark.parametrize("stage", sorted(MAY_IMPORT))
def test_imports_point_one_way(stage: str) -> None:
    files = list((ROOT / stage).rglob("*.py"))
    assert files
    for path in files:
        for name in imported(path):
            first, _, rest = name.partition(".")
            if first == "causalc":
                assert rest.split(".")[0] in MAY_IMPORT[stage], f"{path} imports {name}"
            if stage != "runtime":
                assert first not in HEAVY, f"{path} imports {name}"


@pytest.mark.parametrize(
    "work",
    [
        "import causalc, causalc.runtime",
        "import causalc; causalc.compile('P(Y | do(X))', 'Z -> X -> Y; Z -> Y').source",
        "import causalc; str(causalc.identify('P(Y | do(X), Z)', 'Z -> X -> Y; Z -> Y'))",
    ],
)
def test_the_symbolic_half_loads_nothing_heavy(work: str) -> None:
    code = f"{work}\nimport sys; print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_pinned() -> None:
    import causalc

    assert set(causalc.__all__) == {
        "CausalcError",
        "Graph",
        "NotIdentifiable",
        "Program",
        "Sampler",
        "Table",
        "compile",
        "identify",
        "load",
        "parse",
        "parse_query",
    }
    for name in causalc.__all__:
        assert getattr(causalc, name) is not None
