"""Scripts that compare several graphs: a command runs under each, or under the one that ``--in`` names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from causalc.errors import CausalcError

CHOSEN = "causalc.graph"  # in the context of a command: the graph to work under
Command = Callable[..., int]
PATH = click.argument("script", type=click.Path(path_type=Path))


def chosen() -> str | None:
    """The name of the graph that the running command is to work under; ``None`` for the only one."""
    found: str | None = click.get_current_context().meta.get(CHOSEN)
    return found


def each_graph(command: Command) -> Command:
    """A command whose argument ``script`` may have several graphs, run under each in turn."""

    @click.option("--in", "under", metavar="GRAPH", help="One of several graphs of the script.")
    @wraps(command)
    def each(script: Path | str, under: str | None, **options: Any) -> int:
        names = [under] if under else _graphs(Path(script), options)
        if len(names) > 1 and options.get("as_json"):
            known = " or ".join(f"--in {name}" for name in names)
            raise CausalcError(f"{script} compares several graphs; name one: {known}")
        meta, code = click.get_current_context().meta, 0
        for name in names:
            if len(names) > 1:
                click.echo(f"graph {name}:")
            meta[CHOSEN] = name
            code = max(code, command(script=script, **options))
        return code

    return each


def SCRIPT(command: Command) -> Command:
    """The argument SCRIPT of a command that runs under each graph of it."""
    return PATH(each_graph(command))


def _graphs(script: Path, options: Mapping[str, Any]) -> Sequence[str | None]:
    """The graphs that a script compares; what is wrong with it, the command itself will say."""
    if options.get("edges") is not None or script.suffix != ".causal":
        return [None]
    try:
        text = script.read_bytes()
    except OSError:
        return [None]
    if text.count(b"graph") < 2 and b"include" not in text:  # as most scripts: not read twice
        return [None]
    from causalc.compiler.check import graph_names
    from causalc.reading import read_script

    try:
        return graph_names(read_script(script)) or [None]
    except CausalcError:
        return [None]
