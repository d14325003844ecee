"""A ``.causal`` script, from its text to a compiled program and the jobs it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from causalc.compiler.answer import Estimand, Question, solve
from causalc.compiler.check import check
from causalc.compiler.checked import CheckedData
from causalc.compiler.graph import Graph
from causalc.compiler.identify import NotIdentifiable
from causalc.compiler.kinds import Kind
from causalc.compiler.pipeline import compile_estimands
from causalc.compiler.view import Spec
from causalc.errors import CausalcError
from causalc.grammar import parse, parse_graph
from causalc.grammar.tree import Call, GraphSpec, Script
from causalc.grammar.values import Sequence, Value
from causalc.program import Program


@dataclass(frozen=True, slots=True)
class Sample:
    """``sample query, n = 10 to "path"``: ``values`` sets free variables and parameters."""

    query: str
    path: Path
    n: int = 1000
    seed: int = 0
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A compiled script.

    ``program`` is None where no query is identifiable; ``refused`` maps those that are not to the reason.
    ``data`` names the table to train on and ``options`` are those of ``train { ... }``.
    """

    path: Path
    script: Script = field(repr=False)
    graph: Graph
    schema: Mapping[str, Spec | None]
    program: Program | None
    refused: Mapping[str, NotIdentifiable]
    estimands: Mapping[str, Estimand]
    data: CheckedData | None
    options: Mapping[str, Any]
    samples: tuple[Sample, ...]

    def source(self) -> Any:
        """The data statement as what the runtime reads; paths are relative to the script.

        Columns that the script renames are renamed here.
        """
        if self.data is None:
            hint = 'add `data rows = csv("rows.csv")` or name a file with --data'
            raise CausalcError(f"{self.path}: no data to train on; {hint}")
        place = self.path.parent / self.data.path
        if self.data.format == "folder":
            from causalc.runtime import folder

            table = self.data.options.get("table")
            return folder(place) if table is None else folder(place, table=str(table))
        return _renamed(place, self.data.columns) if self.data.columns else place


def _renamed(place: Path, columns: Mapping[str, str]) -> Any:
    """A table whose columns are called otherwise than the variables: ``columns`` maps variable to column."""
    from pyarrow import csv, feather, lib, parquet

    readers = {".csv": csv.read_csv, ".parquet": parquet.read_table}
    try:
        table = readers.get(place.suffix, feather.read_table)(place)
    except (OSError, lib.ArrowException) as error:
        raise CausalcError(f"{place}: cannot be read ({error})") from None
    missing = [c for c in columns.values() if c not in table.column_names]
    if missing:
        raise CausalcError(
            f"{place}: there is no column `{missing[0]}`; it has {', '.join(table.column_names[:12])}"
        )
    variable = {column: name for name, column in columns.items()}
    return table.rename_columns([variable.get(c, c) for c in table.column_names])


def plain(value: Value) -> Any:
    """The Python value of a literal, a bare word or a list."""
    if isinstance(value, Sequence):
        return tuple(plain(item) for item in value.items)
    for attribute in ("value", "text", "name"):
        if hasattr(value, attribute):
            return getattr(value, attribute)
    raise AssertionError(value)


def spec(call: Call) -> Spec:
    """A kind or model family as the emitter writes it."""
    options = tuple((name, plain(value)) for name, value in call.options)
    return Spec(call.name, tuple(plain(a) for a in call.args), options)


def read(path: str | Path) -> Script:
    """Parse a script file; raises ``CausalcError`` where it cannot be read or is not a script."""
    source = Path(path)
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CausalcError(f"{source}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise CausalcError(
            f"{source}: not UTF-8 text (byte {error.start}); a script is plain text"
        ) from None
    return parse(text, str(source))


def load_graph(place: Path) -> GraphSpec:
    """A graph file beside a script: DAGitty or the edge language, DOT (.dot, .gv) or GML (.gml)."""
    try:
        text = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise CausalcError(f"{place}: the graph file cannot be read ({reason})") from None
    if place.suffix in (".dot", ".gv", ".gml"):
        from causalc.compiler import convert

        graph = convert.from_gml(text) if place.suffix == ".gml" else convert.from_dot(text)
        return parse_graph(convert.to_text(graph))
    return parse_graph(text)


def compile_script(path: str | Path, strategy: str | None = None) -> Job:
    """Compile every identifiable query of a script into one program that shares their models.

    Raises ``CausalcError`` with every mistake of the script; queries that are not identifiable are
    in ``Job.refused``.
    """
    source = Path(path)
    script = read(source)
    checked = check(script, lambda name: load_graph(source.parent / name))
    schema = {name: kind_spec(kind) for name, kind in checked.schema.items()}
    models = {name: spec(call) for name, call in checked.models.items()}
    options = dict(checked.train)
    chosen = strategy or str(options.pop("strategy", "auto"))
    estimands: dict[str, Estimand] = {}
    refused: dict[str, NotIdentifiable] = {}
    for query in checked.queries:
        try:
            estimands[query.name] = solve(Question.of(query.query), checked.graph)
        except NotIdentifiable as reason:
            refused[query.name] = reason
    program = None
    if estimands:
        title = f"Compiled from {source.name}."
        program = Program(
            compile_estimands(estimands, checked.graph, schema, models, chosen, title)
        )
    data = next((d for d in checked.data if not d.under), None)
    samples = tuple(
        Sample(s.query, Path(s.path), s.n, s.seed or 0, s.inputs) for s in checked.samples
    )
    return Job(
        source, script, checked.graph, schema, program, refused, estimands, data, options, samples
    )


def kind_spec(kind: Kind) -> Spec:
    """A kind as the emitter writes it."""
    return Spec(kind.name, tuple(kind.args), tuple(kind.options.items()))
