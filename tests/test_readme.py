"""The README: every command prints what stands below it, every number among it; every block of Python runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CONSOLE = re.compile(r"(```console\n)(.*?)(```)", re.DOTALL)
NUMBER = re.compile(r"\d[\d,]*\.?\d*(?:e-?\d+)?")


def output(command: str, folder: Path) -> str:
    """What a command prints, in a copy of the repository's examples."""
    program, *arguments = shlex.split(command)
    tool = {"python": [sys.executable], "causalc": [sys.executable, "-m", "causalc"]}[program]
    done = subprocess.run(
        [*tool, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode in (0, 2), done.stdout
    return done.stdout


def alike(found: str, written: str) -> bool:
    """Whether two texts are equal up to 5 % (or .02) in their numbers: draws differ between processors.

    Errors of rounding, 1e-12 and less, are alike.
    """
    if NUMBER.sub("#", found) != NUMBER.sub("#", written):
        return False
    pairs = zip(NUMBER.findall(found), NUMBER.findall(written), strict=True)
    numbers = [[float(text.replace(",", "")) for text in pair] for pair in pairs]
    return all(abs(a - b) <= max(0.05 * abs(b), 0.02 if b < 1 else 0) for a, b in numbers)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a new user, with the examples in it."""
    (tmp_path / "examples").mkdir()
    for name in ("frontdoor.causal", "frontdoor.py"):
        (tmp_path / "examples" / name).write_bytes((ROOT / "examples" / name).read_bytes())
    return tmp_path


def test_commands_and_python_of_the_readme(folder: Path, update_golden: bool) -> None:
    text = README.read_text(encoding="utf-8")
    blocks = [match[2] for match in CONSOLE.finditer(text)]
    commands = [line[2:] for block in blocks for line in block.splitlines() if line[:2] == "$ "]
    assert len(commands) >= 6
    printed = {command: output(command, folder) for command in commands}

    def filled(match: re.Match[str]) -> str:
        lines = [line for line in match[2].splitlines() if line[:2] == "$ "]
        return match[1] + "".join(f"{line}\n{printed[line[2:]]}" for line in lines) + match[3]

    found = CONSOLE.sub(filled, text)
    if update_golden:
        README.write_text(found, encoding="utf-8")
        text = found
    for now, then in zip(CONSOLE.findall(found), CONSOLE.findall(text), strict=True):
        assert alike(now[1], then[1]), f"README says\n{then[1]}\nand the commands print\n{now[1]}"
    (block,) = re.findall(r"```python\n(import causalc.*?)```", text, re.DOTALL)
    code = block + "assert 0.5 < frame.Y.mean() < 0.8\n"  # the truth is .66
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_texts_quoted_from_files_are_theirs() -> None:
    text = README.read_text(encoding="utf-8")
    assert (ROOT / "examples" / "frontdoor.causal").read_text(encoding="utf-8") in text
    (heart,) = re.findall(r"```python\n(def train.*?)```", text, re.DOTALL)
    assert heart in (ROOT / "generated" / "frontdoor.py").read_text(encoding="utf-8")
    for path in re.findall(
        r"`((?:grammar|compiler|runtime|causalc|examples|generated)/[\w./]*)`", text
    ):
        assert (ROOT / path).exists() or path == "examples/napkin_digits.causal", path
