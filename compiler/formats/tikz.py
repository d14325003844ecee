"""TikZ, for papers: nodes where the drawing puts them, bidirected edges dashed and bent."""

from __future__ import annotations

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats.shared import sound
from causalc.compiler.layout import place

SCALE = 40.0  # drawing units to a centimetre
SPECIAL = {
    "\\": r"\textbackslash{}",
    **{c: "\\" + c for c in "#$%&_{}"},
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
}


def write(graph: Diagram) -> str:
    """Write a ``tikzpicture``; it needs the TikZ libraries ``arrows.meta`` and nothing else."""
    places = _places(graph)
    boxes = {name: f"v{i}" for i, name in enumerate(graph.nodes)}
    lines = []
    for name in graph.nodes:
        x, y = places[name]
        style = "latent" if name in graph.latents else "variable"
        lines.append(f"\\node[{style}] ({boxes[name]}) at ({x:.2f}, {y:.2f}) {{{_label(name)}}};")
    lines += [f"\\draw[cause] ({boxes[a]}) -- ({boxes[b]});" for a, b in graph.directed]
    lines += [
        f"\\draw[confounded] ({boxes[a]}) to[bend left=40] ({boxes[b]});"
        for a, b in graph.bidirected
    ]
    styles = (
        "  variable/.style={draw, rounded corners, inner sep=4pt},\n"
        "  latent/.style={draw, dashed, circle, inner sep=3pt},\n"
        "  cause/.style={-{Stealth}},\n"
        "  confounded/.style={{Stealth}-{Stealth}, dashed},\n"
    )
    body = "".join(f"  {line}\n" for line in lines)
    return f"\\begin{{tikzpicture}}[\n{styles}]\n{body}\\end{{tikzpicture}}\n"


def _places(graph: Diagram) -> dict[str, tuple[float, float]]:
    """Where each node goes, in centimetres, as the drawing of ``show --as svg`` has it."""
    sizes = {name: (40.0 + 6.0 * len(name), 30.0) for name in graph.nodes}
    boxes = place(sizes, graph.directed, graph.bidirected).boxes
    return {name: (box.x / SCALE, -box.y / SCALE) for name, box in boxes.items()}


def _label(name: str) -> str:
    return "".join(SPECIAL.get(c, c) for c in sound(name))
