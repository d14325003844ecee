"""A ``.causal`` script, from its text to a compiled program and the jobs it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalc.compiler.answer import Estimand, Question, solve
from causalc.compiler.check import check_each
from causalc.compiler.check_inputs import check_inputs
from causalc.compiler.check_support import check_support
from causalc.compiler.checked import CheckedCheck, CheckedData, CheckedSample
from causalc.compiler.graph import Graph
from causalc.compiler.identify import NotIdentifiable
from causalc.compiler.kinds import Kind
from causalc.compiler.pipeline import compile_estimands
from causalc.compiler.view import Spec
from causalc.errors import CausalcError
from causalc.estimates import Estimate, plan_estimates
from causalc.grammar import parse
from causalc.grammar.tree import Call, Parameter, Query, Script
from causalc.grammar.values import Sequence, Value
from causalc.program import Program
from causalc.reading import apart, load_graph, read_script

if TYPE_CHECKING:
    from causalc.compiler.diagram import Diagram


@dataclass(frozen=True, slots=True)
class Sample:
    """``sample query, n = 10 to "path"``: ``values`` sets do and condition variables, by variable."""

    query: str
    path: Path
    n: int = 1000
    seed: int = 0
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A compiled script.

    ``program`` is None where nothing is identifiable; ``refused`` maps the queries and estimates that
    are not to the reason. ``estimands`` has one entry a sampling function: the script's queries, then
    those that only an estimate needs. ``inputs`` maps the variables a query leaves open to what the script
    calls them there: themselves, or their ``$parameter``. ``data`` is the table to train on, ``options``
    those of ``train { ... }``. ``graph_name`` is the graph's name where the script has several, ``models`` the
    families that it names, by variable.
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
    estimates: tuple[Estimate, ...]
    checks: tuple[CheckedCheck, ...]
    inputs: Mapping[str, Mapping[str, str]]
    graph_name: str | None = None
    models: Mapping[str, Spec] = field(default_factory=dict)

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

            options = {name: str(value) for name, value in self.data.options.items()}
            return folder(place, columns=self.data.columns, **options)
        if not self.data.columns:
            return place
        texts = [name for name, kind in self.schema.items() if kind and kind.name == "text"]
        return _renamed(place, self.data.columns, texts)

    def diagram(self) -> Diagram:
        """The graph as it was drawn, with its named latents."""
        from causalc.compiler.diagram import Diagram

        by_name = {g.name.text: g for g in self.script.graphs if g.name}
        drawn = self.script.graph if self.graph_name is None else by_name[self.graph_name]
        assert drawn is not None
        spec = drawn.spec or load_graph(self.path.parent / str(drawn.path))
        latents = tuple(v for v in spec.nodes if v not in self.graph.index)
        return Diagram(spec.nodes, spec.directed, spec.bidirected, latents)

    def values(self, query: str, given: Mapping[str, object]) -> dict[str, object]:
        """Values by variable from values by input: ``given`` may use the names of variables or parameters.

        Raises ``CausalcError`` for an input the query does not have, or one without a value.
        """
        question, inputs = self.estimands[query].question, self.inputs[query]
        names = {*inputs, *inputs.values(), *question.fixed}
        unknown = [name for name in given if name not in names]
        if unknown:
            known = ", ".join(f"`{n}`" for n in inputs.values()) or "none"
            raise CausalcError(f"{query} has no input `{unknown[0]}`; its inputs: {known}")
        missing = [w for v, w in inputs.items() if v not in given and w not in given]
        if missing:
            raise CausalcError(
                f"{query}: {question.text} needs a value for `{missing[0]}`: --set {missing[0]}=VALUE"
            )
        chosen = {v: given[v if v in given else w] for v, w in inputs.items()}
        return {**{n: v for n, v in given.items() if n in question.fixed}, **chosen}


def inputs_of(query: Query) -> dict[str, str]:
    """The variables a query leaves open, each with the name of its input."""
    found: dict[str, str] = {}
    for assignment in (*query.do, *query.given):
        if assignment.value is None:
            found[assignment.name.text] = assignment.name.text
        elif isinstance(assignment.value, Parameter):
            found[assignment.name.text] = assignment.value.name
    return found


def _renamed(place: Path, columns: Mapping[str, str], texts: list[str]) -> Any:
    """A table whose columns are called otherwise than the variables: ``columns`` maps variable to column.

    A column that has the name of a renamed variable by chance is left out.
    """
    from causalc.runtime.sources import arrow_table, renamed

    table = arrow_table(place, [columns.get(name, name) for name in texts])
    return renamed(table, columns, str(place))


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


def compile_script(
    path: str | Path,
    strategy: str | None = None,
    graph: str | None = None,
    text: str | None = None,
) -> Job:
    """Compile every identifiable query of a script into one program that shares their models.

    ``graph`` names one of several graphs that a script compares, ``text`` is what to read in place of the
    file. Raises ``CausalcError`` with every mistake
    of the script; queries that are not identifiable are in ``Job.refused``.
    """
    source = Path(path)
    script = read_script(source) if text is None else parse(text, source.name)
    under = check_each(script, lambda name: load_graph(source.parent / name))
    if graph not in under:
        known = ", ".join(name for name in under if name) or "one, unnamed"
        wanted = f"has no graph `{graph}`" if graph else "compares several graphs: name one of them"
        raise CausalcError(f"{path}: the script {wanted}; its graphs: {known}")
    checked = under[graph]
    check_support(script, checked)
    schema = {name: kind_spec(kind, source.parent) for name, kind in checked.schema.items()}
    models = {name: spec(call) for name, call in checked.models.items()}
    options = dict(checked.train)
    chosen = strategy or str(options.pop("strategy", "auto"))
    queries = {query.name: query.query for query in checked.queries}
    estimates, extra = plan_estimates(checked.estimates, queries)
    asked = {**queries, **extra}
    estimands: dict[str, Estimand] = {}
    refused: dict[str, NotIdentifiable] = {}
    for name, query in asked.items():
        try:
            estimands[name] = solve(Question.of(query), checked.graph)
        except NotIdentifiable as reason:
            refused[name] = reason
    for estimate in estimates:
        witness = next((refused[q] for q in estimate.queries if q in refused), None)
        if witness is not None:
            refused[estimate.name] = witness
    named = {*queries, *(e.name for e in estimates)}
    program = None
    if estimands:
        title = f"Compiled from {source.name}" + (f", graph {graph}." if graph else ".")
        program = Program(
            compile_estimands(estimands, checked.graph, schema, models, chosen, title),
            source.parent,
        )
        if any(model.name == "pretrained" for model in models.values()):
            from causalc.compiler.pretrained import check_pretrained  # few scripts need it

            plan = program.compiled.plan
            check_pretrained(script, models, checked.schema, checked.graph, plan, source.parent)
        check_inputs(script, program.compiled.models, checked.schema, program.compiled.plan)
    return Job(
        source,
        script,
        checked.graph,
        schema,
        program,
        {name: reason for name, reason in refused.items() if name in named},
        estimands,
        next(iter(checked.data), None),
        options,
        tuple(_sample(s, queries[s.query], graph) for s in checked.samples),
        estimates,
        checked.checks,
        {name: inputs_of(query) for name, query in asked.items()},
        graph,
        models,
    )


def _sample(statement: CheckedSample, query: Query, graph: str | None) -> Sample:
    values = {v: statement.inputs[w] for v, w in inputs_of(query).items()}
    path = apart(Path(statement.path), graph)
    return Sample(statement.query, path, statement.n, statement.seed or 0, values)


def kind_spec(kind: Kind, folder: Path) -> Spec:
    """A kind as the emitter writes it; the path of an encoder is relative to ``folder``."""
    options = dict(kind.options)
    if "encoder" in options:
        options["encoder"] = str(folder / str(options["encoder"]))
    return Spec(kind.name, tuple(kind.args), tuple(options.items()))
