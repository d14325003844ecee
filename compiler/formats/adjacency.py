"""Adjacency matrices: an entry in row X and column Y says what X does to Y.

0 is nothing, 1 is X -> Y, 2 (in both places) is X <-> Y, 3 is both. As text: comma-separated, the names in the
first row and, if wanted, in the first column.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from causalc.compiler.diagram import Diagram
from causalc.compiler.formats.shared import (
    MOST_VARIABLES,
    GraphFormatError,
    bounded,
    diagram,
    unrepeated,
    without_latents,
)


def matrix(graph: Diagram) -> list[list[int]]:
    """The entries, a row for each cause in the order of ``nodes``; refuses named latents."""
    at = {name: i for i, name in enumerate(without_latents(graph, "an adjacency matrix").nodes)}
    rows = [[0] * len(at) for _ in at]
    for a, b in graph.directed:
        rows[at[a]][at[b]] += 1
    for a, b in graph.bidirected:
        rows[at[a]][at[b]] += 2
        rows[at[b]][at[a]] += 2
    return rows


def write(graph: Diagram) -> str:
    """Write comma-separated text with the names in the first row and column."""
    names = unrepeated(graph.nodes)
    for name in names:
        if name != name.strip():
            raise GraphFormatError(
                f"comma-separated text loses the spaces around {name!r}; rename it"
            )
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["", *names])
    writer.writerows([name, *row] for name, row in zip(names, matrix(graph), strict=True))
    return file.getvalue()


def read(text: str) -> Diagram:
    """Read comma-separated text. Raises ``GraphFormatError`` for entries other than 0, 1, 2 and 3."""
    try:
        rows = [row for row in csv.reader(io.StringIO(bounded(text)), strict=True) if row]
    except csv.Error as error:
        raise GraphFormatError(f"this is no comma-separated text: {error}") from None
    if len(rows) < 2:
        raise GraphFormatError("this is no adjacency matrix: names in the first row, numbers below")
    head, *body = rows
    if len(body) > MOST_VARIABLES:
        raise GraphFormatError(f"at most {MOST_VARIABLES:,} variables are read")
    labelled = not head[0].strip()
    names = [name.strip() for name in head[labelled:]]
    if labelled and [row[0].strip() for row in body] != names:
        raise GraphFormatError("the names of the rows are not those of the columns, in their order")
    return of(names, [row[labelled:] for row in body])


def of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Diagram:
    """The diagram of a square matrix with a name for each row and column."""
    unrepeated(names)
    if len(rows) != len(names) or any(len(row) != len(names) for row in rows):
        raise GraphFormatError(
            f"the matrix is not square: {len(names)} names, {len(rows)} rows of "
            f"{', '.join(str(len(row)) for row in rows[:3])}... entries"
        )
    codes = [
        [_code(value, a, b) for b, value in zip(names, row, strict=True)]
        for a, row in zip(names, rows, strict=True)
    ]
    arrows = []
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            if (codes[i][j] & 2) != (codes[j][i] & 2):
                raise GraphFormatError(
                    f"`{a}` <-> `{b}` is a 2 in both places, and here in one alone"
                )
            if codes[i][j] & 1:
                arrows.append((a, b, "->"))
            if codes[i][j] & 2 and i <= j:
                arrows.append((a, b, "<->"))
    return diagram(names, arrows)


def _code(value: Any, a: str, b: str) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if number not in (0.0, 1.0, 2.0, 3.0):
        raise GraphFormatError(
            f"the entry {str(value)[:20]!r} in row `{a}`, column `{b}`: write 0, 1 for ->, 2 for <->, 3 for "
            "both; weights are to be cut off at what counts as an edge first"
        )
    return int(number)
