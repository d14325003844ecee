"""A ``.causal`` script, from its text to a compiled program and the jobs it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from causalc.compiler.answer import Estimand, Question, solve
from causalc.compiler.graph import Graph
from causalc.compiler.identify import NotIdentifiable
from causalc.compiler.pipeline import compile_estimands
from causalc.compiler.view import Spec
from causalc.errors import CausalcError
from causalc.grammar import parse, parse_graph
from causalc.grammar.tree import (
    Call,
    DataStatement,
    LatentStatement,
    SampleStatement,
    Script,
    TrainStatement,
)
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
    data: DataStatement | None
    options: Mapping[str, Any]
    samples: tuple[Sample, ...]

    def source(self) -> Any:
        """The data statement as what the runtime reads; paths are relative to the script."""
        from causalc.runtime import folder

        if self.data is None:
            raise CausalcError(
                f'{self.path}: no data; add `data rows = csv("rows.csv")` or name a file with --data'
            )
        call = self.data.source
        arguments = [plain(a) for a in call.args]
        if not arguments or not isinstance(arguments[0], str):
            raise CausalcError(f"{self.path}: `data {self.data.name.text}` needs a path in quotes")
        place = self.path.parent / arguments[0]
        if call.name == "folder":
            table = dict(call.options).get("table")
            return folder(place, table=str(plain(table))) if table is not None else folder(place)
        return place


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


def load_graph(script: Script, path: Path) -> Graph:
    """The graph of a script, inline or from a DAGitty, DOT or GML file beside it."""
    statement = script.graph
    if statement is None:
        raise CausalcError(f"{path}: no graph; add `graph {{ X -> Y }}`")
    latent = [n.text for s in script.statements if isinstance(s, LatentStatement) for n in s.names]
    if statement.spec is not None:
        given = statement.spec
        return Graph.from_edges(
            given.nodes, given.directed, given.bidirected, (*given.latents, *latent)
        )
    source = path.parent / str(statement.path)
    try:
        text = source.read_text(encoding="utf-8")
    except OSError as error:
        raise CausalcError(
            f"{path}: graph file {source} cannot be read ({error.strerror})"
        ) from None
    from causalc.compiler import convert

    if source.suffix in (".dot", ".gv"):
        graph = convert.from_dot(text)
    elif source.suffix == ".gml":
        graph = convert.from_gml(text)
    else:
        found = parse_graph(text)
        return Graph.from_edges(
            found.nodes, found.directed, found.bidirected, (*found.latents, *latent)
        )
    return Graph.from_edges(graph.nodes, graph.directed, graph.bidirected, latent)


def compile_script(path: str | Path, strategy: str | None = None) -> Job:
    """Compile every identifiable query of a script into one program that shares their models."""
    source = Path(path)
    script = read(source)
    graph = load_graph(script, source)
    schema = {name.text: spec(s.kind) for s in script.variables for name in s.names}
    models = {s.variable.text: spec(s.family) for s in script.models}
    options = {
        name: plain(value)
        for s in script.statements
        if isinstance(s, TrainStatement)
        for name, value in s.options
    }
    chosen = strategy or str(options.pop("strategy", "auto"))
    estimands: dict[str, Estimand] = {}
    refused: dict[str, NotIdentifiable] = {}
    for statement in script.queries:
        try:
            estimands[statement.name.text] = solve(Question.of(statement.query), graph)
        except NotIdentifiable as reason:
            refused[statement.name.text] = reason
    program = None
    if estimands:
        program = Program(
            compile_estimands(
                estimands, graph, schema, models, chosen, f"Compiled from {source.name}."
            )
        )
    data = next(iter(script.data), None)
    samples = tuple(_sample(s) for s in script.samples)
    return Job(source, script, graph, schema, program, refused, estimands, data, options, samples)


def _sample(statement: SampleStatement) -> Sample:
    options = {name: plain(value) for name, value in statement.options}
    n, seed = int(options.pop("n", 1000)), int(options.pop("seed", 0))
    return Sample(statement.query.text, Path(statement.path), n, seed, options)
