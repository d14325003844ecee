"""``causalc graph``: a graph from one format to another."""

from __future__ import annotations

from pathlib import Path

import click

from causalc.commands import diagram_of
from causalc.each_graph import each_graph

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
def graph(script: Path, form: str, project: bool) -> int:
    """Convert a graph file, or the graph of a script, to another format."""
    from causalc.compiler import formats

    found = diagram_of(script)
    if form == "svg":
        from causalc.compiler.drawing import draw

        click.echo(draw(found.projected()))
        return 0
    if project:
        from causalc.compiler.diagram import Diagram

        found = Diagram.of(found.projected())
    click.echo(formats.write(found, form).rstrip("\n"))
    return 0
