"""Mermaid flowcharts: a latent common cause is a dotted arrow with two heads, a named latent a circle."""

from __future__ import annotations

import re
from itertools import pairwise

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats.shared import GraphFormatError, bounded, diagram, unrepeated

_HEADER = re.compile(r"(?:flowchart|graph)(?:\s+(?:TB|TD|BT|LR|RL))?\s*")
_NODE = re.compile(
    r"\s*(?P<id>[^\W]\w*)"
    r"(?:\(\((?P<circle>[^()\n]+)\)\)|\[(?P<box>[^\]\n]+)\]|\((?P<round>[^()\n]+)\))?"
    r"(?:::+(?P<marks>\w+))?\s*"
)
_ARROW = re.compile(r"(?P<arrow><?-{2,}>|<?-\.+->|<?={2,}>)\s*(?:\|[^|\n]*\|)?")
_STYLE = ("classDef ", "style ", "linkStyle ", "click ", "%%", "direction ", "accTitle", "accDescr")


def write(graph: Diagram) -> str:
    """Write a flowchart."""
    boxes = {name: f"v{i}" for i, name in enumerate(unrepeated(graph.nodes))}
    lines = [_box(boxes[name], name, name in graph.latents) for name in graph.nodes]
    lines += [f"{boxes[a]} --> {boxes[b]}" for a, b in graph.directed]
    lines += [f"{boxes[a]} <-.-> {boxes[b]}" for a, b in graph.bidirected]
    if graph.latents:
        lines.append("classDef latent stroke-dasharray: 4")
    return "flowchart LR\n" + "".join(f"  {line}\n" for line in lines)


def _box(box: str, name: str, latent: bool) -> str:
    label = re.sub(r"[^\w .,()+/-]", lambda found: f"#{ord(found[0])};", name)
    return f'{box}(("{label}")):::latent' if latent else f'{box}["{label}"]'


def read(text: str) -> Diagram:
    """Read a flowchart of single nodes and arrows with heads.

    Nodes of class ``latent`` are latent. Raises ``GraphFormatError`` for lines without heads, subgraphs, and
    text that is none.
    """
    lines = [line.strip().rstrip(";") for line in bounded(text).splitlines()]
    lines = [line for line in lines if line and not line.startswith(_STYLE)]
    if not lines or not _HEADER.fullmatch(lines[0]):
        raise GraphFormatError("this is not a Mermaid flowchart: it starts with `flowchart LR`")
    labels: dict[str, str] = {}
    latent: set[str] = set()
    arrows: list[tuple[str, str, str]] = []
    for line in lines[1:]:
        if line.startswith("class "):
            boxes, _, mark = line.removeprefix("class ").rpartition(" ")
            latent |= {n.strip() for n in boxes.split(",")} if mark == "latent" else set()
        else:
            arrows += _statement(line, labels, latent)
    unrepeated(labels.values())
    return diagram(
        labels.values(),
        [(labels[a], labels[b], arrow) for a, b, arrow in arrows],
        [labels[v] for v in latent if v in labels],
    )


def _statement(line: str, labels: dict[str, str], latent: set[str]) -> list[tuple[str, str, str]]:
    """The arrows of ``a --> b --> c``; the boxes of the line are added to ``labels`` and ``latent``."""
    boxes: list[str] = []
    kinds: list[str] = []
    at = 0
    while found := _NODE.match(line, at):
        box = found["id"]
        label = next((found[k] for k in ("circle", "box", "round") if found[k]), None)
        if label is not None or box not in labels:
            labels[box] = box if label is None else _decoded(label)
        if found["marks"] == "latent":
            latent.add(box)
        boxes.append(box)
        arrow = _ARROW.match(line, found.end())
        if arrow is None:
            at = found.end()
            break
        kinds.append("<->" if arrow["arrow"].startswith("<") else "->")
        at = arrow.end()
    if at != len(line) or len(boxes) != len(kinds) + 1 or boxes[0] in ("subgraph", "end"):
        raise GraphFormatError(
            f"the Mermaid line {line[:60]!r} is no box and no arrow with a head between two of them; "
            "write A --> B, or A <-.-> B for a latent common cause"
        )
    return [(a, b, kind) for (a, b), kind in zip(pairwise(boxes), kinds, strict=True)]


def _decoded(label: str) -> str:
    text = label[1:-1] if len(label) > 1 and label[0] == label[-1] == '"' else label
    return re.sub(r"#(\d{1,7});", lambda found: _character(int(found[1])), text)


def _character(code: int) -> str:
    if not 0 < code < 0x110000 or 0xD800 <= code < 0xE000:
        raise GraphFormatError(f"#{code}; is no character")
    return chr(code)
