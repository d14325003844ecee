"""The pages of the site: those of docs/, and what is made of the grammar, the textbook graphs and the docstrings.

    python docs/site.py [FOLDER]      # target/docs by default

`make docs` calls it and lets mkdocs build the site from that folder.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from causalc.api import compile as compile_query
from causalc.api import identify
from causalc.compiler.drawing import draw
from causalc.compiler.graph import Graph
from causalc.compiler.identify import NotIdentifiable
from causalc.compiler.page import hedge_marks, marks_of
from causalc.compiler.words import words, words_of_refusal

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)]*)?\)")

SOURCES = {  # by the beginning of a graph's name
    "backdoor": "J. Pearl, *Causal diagrams for empirical research*, Biometrika 82 (1995).",
    "frontdoor": "J. Pearl, *Causal diagrams for empirical research*, Biometrika 82 (1995).",
    "napkin": "J. Pearl and D. Mackenzie, *The Book of Why* (2018), chapter 7.",
    "verma": "T. Verma and J. Pearl, *Equivalence and synthesis of causal models*, UAI (1990), and its variations.",
    "pearl-id": "J. Pearl, *Causality* (2nd edition, 2009), section 3.4.",
    "sp2006": "I. Shpitser and J. Pearl, *Identification of joint interventional distributions in recursive "
    "semi-Markovian causal models*, AAAI (2006).",
    "sp2008": "I. Shpitser and J. Pearl, *Complete identification methods for the causal hierarchy*, JMLR 9 (2008).",
    "jss": "S. Tikka and J. Karvanen, *Identifying causal effects with the R package causaleffect*, Journal of "
    "Statistical Software 76(12) (2017).",
    "simpl": "S. Tikka and J. Karvanen, *Simplifying probabilistic expressions in causal inference*, JMLR 18 (2017).",
}


# ---- pages of docs/


def copied(target: Path) -> None:
    """Copy docs/, with links out of it as plain text: what they lead to is no page."""
    docs = ROOT / "docs"
    for path in sorted(docs.rglob("*")):
        place = target / path.relative_to(docs)
        if path.suffix == ".md":
            place.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text(encoding="utf-8")
            place.write_text(_linked(text, path, docs), encoding="utf-8")
        elif path.suffix in (".svg", ".png"):
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _linked(text: str, path: Path, docs: Path) -> str:
    def inside(match: re.Match[str]) -> str:
        said, where, _ = match.groups()
        if "://" in where or (path.parent / where).resolve().is_relative_to(docs):
            return match[0]
        name = os.path.relpath((path.parent / where).resolve(), ROOT)
        return f"{said} (`{name}`)" if name not in said else said

    return LINK.sub(inside, text)


# ---- the grammar


def grammar() -> str:
    """The grammar with its own comments as text, each rule linked to those it uses."""
    lines = (ROOT / "grammar" / "causal.lark").read_text(encoding="utf-8").splitlines()
    page = [
        "# Grammar",
        "",
        "Made from `grammar/causal.lark`, which is what the parser reads. Lower case are rules, capitals are words:"
        " `?` at most one, `*` any number, `+` at least one, `|` or.",
        "",
    ]
    code: list[str] = []

    def flush() -> None:
        while code and not code[-1].strip():
            code.pop()
        if code:
            page.extend(["```text", *code, "```", ""])
            code.clear()

    for line in lines:
        if line.startswith("//"):
            flush()
            said = line.lstrip("/ ").strip()
            heading = said.startswith("----")
            page.extend(["", f"## {said.strip('- ').capitalize()}", ""] if heading else [said])
        elif line.strip() or code:
            if not code:
                page.append("")
            code.append(line)
    flush()
    return "\n".join(page) + "\n"


# ---- textbook graphs


def textbook(folder: Path, some: int | None = None) -> None:
    """A page for each graph of tests/data/textbook.json (the first ``some`` of them), and their index."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = json.loads((ROOT / "tests" / "data" / "textbook.json").read_text(encoding="utf-8"))
    rows = ["# Textbook graphs", "", "| graph | query | answer |", "|---|---|---|"]
    for entry in entries[:some]:
        slug = re.sub(r"[^a-z0-9]+", "-", entry["id"].lower()).strip("-")
        title, query, verdict, text = _worked(entry, slug, folder)
        (folder / f"{slug}.md").write_text(text, encoding="utf-8")
        rows.append(f"| [{title}]({slug}.md) | `{query.replace('|', chr(92) + '|')}` | {verdict} |")
    (folder / "index.md").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _worked(entry: dict[str, Any], slug: str, folder: Path) -> tuple[str, str, str, str]:
    edges = [[(a, b) for a, b in entry[kind]] for kind in ("directed", "bidirected")]
    graph = Graph.from_edges(entry["nodes"], *edges)
    do = f"do({', '.join(entry['x'])})" if entry["x"] else ""
    given = ", ".join(part for part in (do, *entry["z"]) if part)
    query = f"P({', '.join(entry['y'])}{' | ' + given if given else ''})"
    title = entry["id"].replace("|", "given ").replace("(", "").replace(")", "")
    page = [f"# {title}", "", f"`{query}`", "", f"![the graph]({slug}.svg)", ""]
    try:
        estimand = identify(query, graph)
    except NotIdentifiable as reason:
        (folder / f"{slug}.svg").write_text(
            draw(graph, hedge_marks(reason, graph)), encoding="utf-8"
        )
        page += [
            "**Not identifiable** from observational data.",
            "",
            *_block(words_of_refusal(reason)),
        ]
        return title, query, "not identifiable", "\n".join([*page, *_source(entry)])
    (folder / f"{slug}.svg").write_text(draw(graph, marks_of(estimand.question)), encoding="utf-8")
    page += [
        "**Identifiable.**",
        "",
        *_block(str(estimand)),
        "In LaTeX:",
        "",
        *_block(estimand.latex(), "latex"),
    ]
    page += ["## In words", "", *_block(words(estimand))]
    source = compile_query(query, graph).source
    heart = source[source.index("def train") : source.index("# Every query")].rstrip()
    page += ["## The program", "", *_block(heart, "python")]
    return title, query, "identifiable", "\n".join([*page, *_source(entry)])


def _block(text: str, language: str = "text") -> list[str]:
    return [f"```{language}", text.rstrip(), "```", ""]


def _source(entry: dict[str, Any]) -> list[str]:
    known = [said for start, said in SOURCES.items() if entry["id"].startswith(start)]
    return ["## Source", "", known[0], ""] if known else [""]


# ---- the Python reference


def reference() -> str:
    """Every public name with its signature and docstring."""
    page = [
        "# Python reference",
        "",
        "Everything here raises `CausalcError` for what the user can set right.",
        "",
    ]
    for module in ("causalc", "causalc.embedding"):
        page += [f"## {module}", ""]
        names = importlib.import_module(module)
        for name in names.__all__:
            page += _described(f"{module}.{name}", getattr(names, name), "###")
    return "\n".join(page) + "\n"


def _described(path: str, value: Any, level: str) -> Iterator[str]:
    kind = "class " if inspect.isclass(value) else ""
    yield from (
        f"{level} `{path.rpartition('.')[2]}`",
        "",
        "```python",
        f"{kind}{path}{_signature(value)}",
        "```",
        "",
    )
    yield from (_prose(inspect.getdoc(value) or ""), "")
    if not inspect.isclass(value):
        return
    init = value.__dict__.get("__init__")
    if init is not None and getattr(init, "__doc__", None) and "See help" not in init.__doc__:
        yield from (_prose(inspect.getdoc(init) or ""), "")
    for name, member in public_members(value):
        yield from (
            f"**`{name}{_signature(member)}`**",
            "",
            _prose(inspect.getdoc(member) or ""),
            "",
        )


def public_members(value: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class of ours defines, by name."""
    for name, raw in vars(value).items():
        if name.startswith("_"):
            continue
        member = raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw
        if inspect.isfunction(member) or isinstance(member, property):
            yield name, member


def _signature(value: Any) -> str:
    try:
        text = str(inspect.signature(value))
    except (TypeError, ValueError):
        return ""
    return (
        text.replace("self, ", "").replace("(self)", "()").replace("(cls, ", "(").replace("'", "")
    )


def _prose(doc: str) -> str:
    text = re.sub(r"``(.+?)``", r"`\1`", doc)
    return re.sub(
        r"(?m)(?:^>>> .*\n?)(?:^.+\n?)*", lambda m: f"```pycon\n{m[0].rstrip()}\n```\n", text
    )


def main() -> None:
    """Write all pages."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "target" / "docs"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    copied(target)
    (target / "grammar.md").write_text(grammar(), encoding="utf-8")
    (target / "api.md").write_text(reference(), encoding="utf-8")
    textbook(target / "textbook")


if __name__ == "__main__":
    main()
