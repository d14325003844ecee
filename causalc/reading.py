"""A script and the files that it names: what may be read, and from where."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from causalc.errors import CausalcError
from causalc.grammar import LanguageError, Source, parse_file, parse_graph
from causalc.grammar.include import expand
from causalc.grammar.tree import GraphSpec, Script

if TYPE_CHECKING:
    from causalc.compiler.diagram import Diagram


def read_script(path: Path) -> Script:
    """A script with what it includes. Raises ``CausalcError``, ``LanguageError`` among them."""
    return included(parse_file(path), path.parent)


def included(script: Script, folder: Path) -> Script:
    """A script with what it includes from a folder and below, by paths that start at the folder."""
    return expand(script, lambda name: _inside(folder, name))


def _inside(folder: Path, name: str) -> Source:
    """The text of a file in a folder or below it; ``..`` and links do not lead out."""
    if not name.strip() or "\0" in name:
        raise CausalcError("the path is empty or has an invisible character")
    home, path = folder.resolve(), (folder / name).resolve()
    if Path(name).is_absolute() or not path.is_relative_to(home):
        raise CausalcError("it lies outside the folder of this script")
    if not path.is_file():
        raise CausalcError("there is no such file")
    shown = os.path.normpath(folder / path.relative_to(home))
    try:
        return Source.read(path).named(shown)
    except CausalcError as error:
        reason = str(error).splitlines()[0].partition("error: ")[2]
        raise CausalcError(reason) from None


def load_diagram(place: Path) -> Diagram:
    """A graph file in the format that its name says; see ``causalc.compiler.formats.SUFFIXES``.

    Raises ``CausalcError`` for a file that cannot be read or means no graph.
    """
    from causalc.compiler import formats

    form = formats.form_of(place)
    source = _graph_source(place)
    try:
        return formats.read(source.text, form)
    except LanguageError:
        raise
    except CausalcError as error:
        raise CausalcError(f"{place}: {error}") from None


def load_graph(place: Path) -> GraphSpec:
    """What a graph file says, as the edge language has it; places in it are those of a text file itself."""
    from causalc.compiler import formats

    if formats.form_of(place) == "text":
        return parse_graph(_graph_source(place).text)
    return parse_graph(formats.write(load_diagram(place), "text"))


def _graph_source(place: Path) -> Source:
    try:
        return Source.read(place)
    except CausalcError as error:
        reason = str(error).splitlines()[0].partition("error: ")[2]
        what = reason.replace("this file", "the graph file")
        raise CausalcError(f"{place}: {what}") from None


def apart(path: Path, graph: str | None) -> Path:
    """A path for one of several graphs: ``out.csv`` becomes ``out.GRAPH.csv``."""
    return path if graph is None else path.with_name(f"{path.stem}.{graph}{path.suffix}")
