"""A newcomer's first ten minutes: ``init``, a mistake, ``check``, ``run``, ``report``, the sampler from Python."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from causalc import starter

ROOT = Path(__file__).parent.parent
SOURCES = ("causalc", "compiler", "grammar", "runtime")
Command = Callable[..., subprocess.CompletedProcess[str]]


def done(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A finished process that sees nothing of the sources."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment into which the wheel was installed, and nothing fetched.

    What causalc depends on is found where the tests find it.
    """
    home = tmp_path_factory.mktemp("fresh")
    source, wheels, place = home / "source", home / "wheels", home / "venv"
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    alone = ["--no-deps", "--no-index", "--quiet"]
    made = done(*pip, "wheel", *alone, "--no-build-isolation", "-w", wheels, source, cwd=home)
    assert made.returncode == 0, made.stderr
    (wheel,) = wheels.glob("causalc-*.whl")
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    added = done(*pip, "--python", python, "install", *alone, wheel, cwd=home)
    assert added.returncode == 0, added.stderr
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python.parent


@pytest.fixture
def causalc(tmp_path: Path, installed: Path) -> Command:
    """The installed command, in an empty folder."""
    return lambda *arguments: done(installed / "causalc", *arguments, cwd=tmp_path)


def test_the_wheel_is_what_runs(installed: Path, tmp_path: Path) -> None:
    code = "import causalc, causalc.compiler, causalc.runtime; print(causalc.runtime.__file__)"
    asked = done(installed / "python", "-c", code, cwd=tmp_path)
    assert asked.stdout.startswith(str(installed.parent)), asked.stdout + asked.stderr


def test_the_first_ten_minutes(causalc: Command, installed: Path, tmp_path: Path) -> None:
    """The tolerances: with 2,000 rows the estimate's standard error over data sets is below 0.02, the error of
    5,000 draws from the compiled program below 0.01; both are seeded, and 0.08 is over three times the two."""
    made = causalc("init", "study")
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1] == "next: causalc check study/first.causal"
    script = tmp_path / "study" / "first.causal"
    written = script.read_text(encoding="utf-8")

    checked = causalc("check", "study/first.causal")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.splitlines()[0] == "effect: P(cancer | do(smoking)) is identifiable"

    wrong = written.replace("P(cancer | do(smoking))", "P(cancr | do(smoking))")
    script.write_text(wrong, encoding="utf-8")
    before = wrong[: wrong.index("cancr")]
    line, column = before.count("\n") + 1, len(before) - before.rindex("\n")
    refused = causalc("check", "study/first.causal")
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    place = f"study/first.causal:{line}:{column}: error: "
    assert refused.stderr.startswith(f"{place}`cancr` is not a variable of the graph")
    assert "help: did you mean `cancer`?" in refused.stderr

    script.write_text(written, encoding="utf-8")
    ran = causalc("run", "study/first.causal", "--quiet")
    assert ran.returncode == 0, ran.stderr
    answer = next(row for row in ran.stdout.splitlines() if row.startswith("difference"))
    assert abs(float(answer.split()[1]) - starter.EFFECT) < 0.08
    drawn = (tmp_path / "study" / "smokers.csv").read_text().splitlines()
    assert drawn[0] == "cancer" and len(drawn) == 1001

    reported = causalc("report", "study/first.causal", "--quiet")
    assert reported.returncode == 0, reported.stderr
    page = (tmp_path / "target" / "first" / "report.html").read_text(encoding="utf-8")
    assert "P(cancer | do(smoking))" in page and "<script" not in page

    assert causalc("compile", "study/first.causal", "-o", "study").returncode == 0
    study = tmp_path / "study"
    use = (
        "import program\n"
        "models = program.train('rows.csv', store='store', progress=False)\n"
        "means = [program.QUERIES['effect'].sample(models, 5000, smoking=s)['cancer'].mean() for s in (0, 1)]\n"
        "print(means[1] - means[0])"
    )
    imported = done(installed / "python", "-c", use, cwd=study)
    assert imported.returncode == 0, imported.stderr
    assert abs(float(imported.stdout) - starter.EFFECT) < 0.08

    keep = (
        "import causalc\n"
        "effect = causalc.compile('P(cancer | do(smoking))', 'smoking -> tar -> cancer; smoking <-> cancer')\n"
        "effect.fit('rows.csv', progress=False).save('sampler')\n"
        "rows = causalc.load('sampler').sample(5000, smoking=[0, 1] * 2500, seed=0)\n"
        "means = rows.cancer.groupby([0, 1] * 2500).mean()\n"
        "print(means[1] - means[0])"
    )
    loaded = done(installed / "python", "-c", keep, cwd=study)
    assert loaded.returncode == 0, loaded.stderr
    assert abs(float(loaded.stdout) - starter.EFFECT) < 0.08


def test_init_overwrites_nothing(causalc: Command, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("mine\n")
    refused = causalc("init")
    assert refused.returncode == 1 and "rows.csv is there already" in refused.stderr
    assert (tmp_path / "rows.csv").read_text() == "mine\n"
    assert not (tmp_path / "first.causal").exists()


def test_the_starter_has_its_layout_and_always_the_same_rows() -> None:
    from causalc.grammar import parse
    from causalc.grammar.format import format_script

    assert format_script(parse(starter.SCRIPT)) == starter.SCRIPT
    lines = starter.rows().splitlines()
    assert len(lines) == starter.ROWS + 1 and starter.rows() == starter.rows()
    table = [tuple(map(int, row.split(","))) for row in lines[1:]]

    def cancer(smoking: int) -> float:
        among = [row[2] for row in table if row[0] == smoking]
        return sum(among) / len(among)

    assert cancer(1) - cancer(0) > starter.EFFECT + 0.15  # the data mislead who only compares
