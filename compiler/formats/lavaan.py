"""lavaan's model syntax: ``Y ~ X + Z`` is Z -> Y <- X, ``X ~~ Y`` is X <-> Y, ``U =~ X + Y`` a latent cause."""

from __future__ import annotations

import re
from collections.abc import Iterator

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats.shared import MOST_WRITTEN, GraphFormatError, bounded, diagram

_NAME = re.compile(r"[^\W\d][\w.]*")
_OPERATOR = re.compile(r"=~|~~|~")
_ZERO = re.compile(r"[-+]?0*\.?0*")


def write(graph: Diagram) -> str:
    """Write lavaan syntax; isolated variables stand as their variance.

    Raises ``GraphFormatError`` for a name that R does not take, and for a latent that causes nothing.
    """
    for name in graph.nodes:
        if not _NAME.fullmatch(name):
            raise GraphFormatError(f"lavaan has no way to write the name `{name}`; rename it")
    causes: dict[str, list[str]] = {}
    effects: dict[str, list[str]] = {v: [] for v in graph.latents}
    for a, b in graph.directed:
        (effects[a] if a in effects else causes.setdefault(b, [])).append(b if a in effects else a)
    for latent, heads in effects.items():
        if not heads:
            raise GraphFormatError(
                f"lavaan has no way to declare `{latent}`, a latent variable that causes nothing; drop it"
            )
    lines = [f"{u} =~ {' + '.join(heads)}" for u, heads in effects.items()]
    lines += [f"{b} ~ {' + '.join(tails)}" for b, tails in causes.items()]
    lines += [f"{a} ~~ {b}" for a, b in graph.bidirected]
    mentioned = {v for pair in (*graph.directed, *graph.bidirected) for v in pair}
    lines += [f"{v} ~~ {v}" for v in graph.nodes if v not in mentioned]
    return "".join(f"{line}\n" for line in lines)


def read(text: str) -> Diagram:
    """Read lavaan syntax.

    A coefficient fixed to 0 means no edge; intercepts and definitions (``:=``) are no edges. Raises
    ``GraphFormatError`` for formative latents (``<~``), thresholds, constraints and interactions.
    """
    nodes: dict[str, None] = {}
    latents: dict[str, None] = {}
    arrows: list[tuple[str, str, str]] = []
    for line in _lines(bounded(text)):
        operator = _OPERATOR.search(line)
        odd = next((o for o in ("<~", "|", ":=", "==", "<", ">", ":") if o in line), None)
        if odd == ":=":
            continue
        if odd or operator is None:
            what = f"`{odd}` has" if odd else "this has"
            raise GraphFormatError(f"the lavaan line {line[:60]!r}: {what} no meaning as a graph")
        sides = line[: operator.start()], line[operator.end() :]
        left, right = [name for name, _ in _terms(sides[0], line)], [*_terms(sides[1], line)]
        if len(arrows) + len(left) * len(right) > MOST_WRITTEN:
            raise GraphFormatError(f"this graph has more than {MOST_WRITTEN:,} edges")
        for name, there in right:
            if name == "1":
                nodes.update(dict.fromkeys(left))
                continue
            nodes.update(dict.fromkeys((*left, name)))
            if operator[0] == "=~":
                latents.update(dict.fromkeys(left))
            arrows += [_edge(v, operator[0], name) for v in left if there and v != name]
            if operator[0] != "~~" and name in left:
                raise GraphFormatError(f"`{name}` is regressed on itself: {line[:60]!r}")
    if not nodes:
        raise GraphFormatError("this lavaan text names no variable: write Y ~ X")
    return diagram(nodes, arrows, latents)


def _edge(left: str, operator: str, right: str) -> tuple[str, str, str]:
    if operator == "~":
        return right, left, "->"
    return (left, right, "->") if operator == "=~" else (left, right, "<->")


def _lines(text: str) -> Iterator[str]:
    """The statements, each with what continues on the next lines after a ``+``, comments left out."""
    kept = ""
    for raw in re.split(r"[\n;]", text):
        line = kept + re.split(r"[#!]", raw, maxsplit=1)[0].strip()
        kept = ""
        if line.endswith(("+", "~", "=~", "~~")):
            kept = line + " "
        elif line:
            yield line
    if kept:
        raise GraphFormatError(f"the lavaan line {kept[:60]!r} ends in the middle")


def _terms(side: str, line: str) -> Iterator[tuple[str, bool]]:
    """Each variable of a sum, and whether its coefficient may be other than 0."""
    for term in side.split("+"):
        *coefficients, name = (piece.strip() for piece in term.split("*"))
        if not (_NAME.fullmatch(name) or (name == "1" and not coefficients)):
            raise GraphFormatError(
                f"the lavaan line {line[:60]!r}: {name[:40]!r} is no name of a variable"
            )
        yield name, not any(c and _ZERO.fullmatch(c) and "0" in c for c in coefficients)
