"""The site: its pages are made without a warning, and every block of code on the hand-written ones runs."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from causalc.compiler.check import check_each
from causalc.grammar import parse

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```", re.M | re.S)


def blocks(page: str) -> list[tuple[str, str]]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [(m[1], m[2]) for m in BLOCK.finditer(text)]


def run_console(text: str, folder: Path) -> None:
    """Every command prints what stands below it."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.M)[1:]
    for command, printed in zip(parts[::2], parts[1::2], strict=True):
        program, *arguments = shlex.split(command)
        assert program == "causalc"
        done = subprocess.run(
            [sys.executable, "-m", "causalc", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert done.stdout == printed, f"{command} prints\n{done.stdout}{done.stderr}"


RUN = ("tutorial.md", "embedding.md")
PAGES = sorted(p.name for p in (ROOT / "docs").glob("*.md"))
FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)


@pytest.mark.parametrize("page", PAGES)
def test_no_block_is_left_out(page: str) -> None:
    """Python and commands stand on the pages that are run, scripts can be read, the rest is printed output."""
    for language, text in FENCED.findall((ROOT / "docs" / page).read_text(encoding="utf-8")):
        assert language in ("", "causal") or page in RUN, f"{page}: nothing runs this {language}"
        if language == "causal":
            script = parse(text)
            if script.graph is not None:
                check_each(script)
        elif not language:
            assert not re.search(r"^(import|from) |>>>", text, re.M), (
                f"{page}: a block without a name"
            )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("page", RUN)
def test_every_block_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks(page)
    assert found
    session: dict[str, object] = {}
    for language, text in found:
        if language == "console":
            run_console(text, tmp_path)
        else:
            exec(compile(text, page, "exec"), session)  # our own pages


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs" / "site.py")
    assert spec is not None and spec.loader is not None
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    sources = tmp_path / "docs"
    sources.mkdir()
    pages.copied(sources)
    (sources / "grammar.md").write_text(pages.grammar(), encoding="utf-8")
    (sources / "api.md").write_text(pages.reference(), encoding="utf-8")
    pages.textbook(sources / "textbook", some=6)
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    config = config.replace("target/docs", str(sources)).replace(
        "target/site", str(tmp_path / "site")
    )
    (tmp_path / "mkdocs.yml").write_text(config, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"],
        cwd=tmp_path,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r'<(?:script|img|link)[^>]* (?:src|href)="(https?://[^"]*)"', text)
        assert not [url for url in fetched if "canonical" not in url], page
    worked = (tmp_path / "site" / "textbook" / "frontdoor.html").read_text(encoding="utf-8")
    assert "Identifiable" in worked and "frontdoor.svg" in worked
