"""``causalc graph``: a graph from one format to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from causalc.commands import diagram_of
from causalc.each_graph import each_graph

if TYPE_CHECKING:
    from causalc.compiler.diagram import Diagram

FORMS = [
    "text",
    "dagitty",
    "dot",
    "gml",
    "mermaid",
    "tikz",
    "fusion",
    "ncm",
    "lavaan",
    "adjacency",
    "svg",
]


@click.command()
@click.argument("script", metavar="PATH", type=click.Path(path_type=Path))
@each_graph
@click.option("--to", "form", type=click.Choice(FORMS), default="text")
@click.option("--project", is_flag=True, help="Project named latents out first.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write to a file instead.")
def graph(script: Path, form: str, project: bool, out: Path | None) -> int:
    """Convert a graph file, or the graph of a script, to another format."""
    text = _written(diagram_of(script), form, project)
    if out is None:
        click.echo(text)
    else:
        out.write_text(text + "\n", encoding="utf-8")
        click.echo(f"wrote {out}")
    return 0


def _written(found: Diagram, form: str, project: bool) -> str:
    from causalc.compiler import formats

    if form == "svg":
        from causalc.compiler.drawing import draw

        return draw(found.projected())
    if project:
        from causalc.compiler.diagram import Diagram

        found = Diagram.of(found.projected())
    return formats.write(found, form).rstrip("\n")
