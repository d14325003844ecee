"""The commands that train nothing: ``check show compile plan verify fmt graph``. No torch, no pandas."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from causalc.each_graph import PATH, SCRIPT, chosen, each_graph
from causalc.errors import CausalcError

if TYPE_CHECKING:
    from causalc.compiler.answer import Estimand
    from causalc.compiler.cost import Item
    from causalc.compiler.diagram import Diagram
    from causalc.compiler.graph import Graph
    from causalc.compiler.identify import NotIdentifiable
    from causalc.compiler.remedies import Remedies
    from causalc.program import Program
    from causalc.script import Job

STRATEGY = click.option("--strategy", help="auto, generate or reweight (line 7 of the algorithm).")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")

GRAPH = click.option(
    "--graph",
    "edges",
    help='A graph such as "X -> M -> Y; X <-> Y", or its file, when SCRIPT is a query in quotes.',
)


def compiled(script: Path, strategy: str | None = None) -> Job:
    """Compile a script under the graph at hand; see ``causalc.script.compile_script``."""
    from causalc.script import compile_script

    return compile_script(script, strategy, chosen())


def graph_of(edges: str) -> Graph:
    """The graph that ``--graph`` gives, as text or as a file."""
    from causalc.compiler.formats import SUFFIXES

    if Path(edges).suffix in (*SUFFIXES, ".causal"):
        return diagram_of(Path(edges)).projected()
    from causalc.compiler.graph import Graph

    return Graph.parse(edges)


def diagram_of(path: Path) -> Diagram:
    """The graph of a file, or of a script, with its named latents."""
    from causalc.reading import load_diagram

    return compiled(path).diagram() if path.suffix == ".causal" else load_diagram(path)


def refusals(job: Job) -> int:
    """Print what is not identifiable, each with its hedge and what would help; returns the exit code."""
    if not job.refused:
        return 0
    from causalc.advice import advice

    told: dict[str, str] = {}
    for name, reason in job.refused.items():
        first = told.setdefault(reason.query, name)
        if first != name:
            click.echo(
                f"{name}: needs {reason.query}, which is not identifiable: see {first}", err=True
            )
            continue
        click.echo(f"{name}: {reason}\n{advice(reason, job.diagram(), len(job.refused))}", err=True)
    return 2


def print_json(value: object) -> None:
    """Print one JSON value."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=str))


@click.command()
@SCRIPT
@JSON
def check(script: Path, as_json: bool) -> int:
    """Parse, check names, kinds and values, and decide each query."""
    try:
        job = compiled(script)
    except CausalcError as error:
        if not as_json:
            raise
        print_json({"script": str(script), "errors": list(mistakes(error))})
        return error.exit_code
    if as_json:
        print_json({"script": str(script), **verdicts(job)})
        return 2 if job.refused else 0
    declared = {statement.name.text for statement in job.script.queries}
    for name, estimand in job.estimands.items():
        if name in declared:
            click.echo(f"{name}: {estimand.question.text} is identifiable")
    for estimate in job.estimates:
        if estimate.name not in job.refused:
            click.echo(f"{estimate.name}: {estimate.text} is identifiable")
    if not job.estimands and not job.refused:
        click.echo("no queries; the script is well formed")
    return refusals(job)


def mistakes(error: CausalcError) -> Iterator[dict[str, object]]:
    """What is wrong with a script, as JSON has it; lines and columns count from 1."""
    from causalc.grammar import LanguageError

    if not isinstance(error, LanguageError):
        yield {"code": None, "message": str(error)}
        return
    for message, source in error.found:
        file, span = source.local(message.span)
        (line, column), end = (file.line_column(at) for at in (span.start, span.end))
        yield {
            "code": message.code,
            "file": file.name,
            "line": line,
            "column": column,
            "end_line": end[0],
            "end_column": end[1],
            "message": message.headline(),
            "help": message.remedy(),
        }


@click.command()
@click.argument("code", required=False)
def explain(code: str | None) -> int:
    """Explain the code of a message, such as no-graph; without one, list them all."""
    from causalc.explanations import VERDICT, messages, page

    click.echo(page(code.strip("[]")).rstrip() if code else "\n".join([VERDICT, *messages()]))
    return 0


def verdicts(job: Job) -> dict[str, object]:
    """The queries and estimates of a script with their verdicts, as JSON has them."""
    queries: list[dict[str, object]] = []
    for statement in job.script.queries:
        name, text = statement.name.text, str(statement.query)
        found = job.estimands.get(name)
        verdict: dict[str, object] = (
            {"identifiable": True, "estimand": found.text}
            if found is not None
            else {"identifiable": False, "reason": str(job.refused[name]), **_advice(job, name)}
        )
        queries.append({"name": name, "query": text, **verdict})
    estimates = [
        {
            "name": e.name,
            "expression": e.text,
            "identifiable": e.name not in job.refused,
            "queries": list(e.queries),
        }
        for e in job.estimates
    ]
    return {"queries": queries, "estimates": estimates}


def _advice(job: Job, name: str) -> dict[str, object]:
    from dataclasses import asdict

    from causalc.advice import advice

    return {"remedies": asdict(advice(job.refused[name], job.diagram(), len(job.refused)))}


@click.command()
@click.argument("script")
@each_graph
@GRAPH
@click.option("--query", help="Show this query of the script only.")
@click.option(
    "--as",
    "form",
    default="text",
    type=click.Choice(
        ["text", "latex", "words", "derivation", "svg", "html", "json", "sympy", "plan", "program"]
    ),
)
def show(script: str, edges: str | None, query: str | None, form: str) -> int:
    """Show estimands: SCRIPT is a file, or a query in quotes with --graph."""
    from causalc.show import FORMS, shown

    if edges is not None and form in FORMS:
        found, refused, graph = _asked(script, edges)
        click.echo(shown(form, script, found, refused, graph, _remedies(refused, graph)))
        return 2 if refused else 0
    if edges is not None:
        from causalc.advice import advised
        from causalc.api import compile as compile_query

        graph = graph_of(edges)
        program = advised(lambda: compile_query(script, graph), graph)
        click.echo(_shown(program.estimand, form, program))
        return 0
    job = compiled(Path(script))
    known = [*job.estimands, *job.refused]
    if query is not None and query not in known:
        raise CausalcError(f"{script} has no query `{query}`; it has {', '.join(known) or 'none'}")
    if form in FORMS:
        found = {n: e for n, e in job.estimands.items() if query in (None, n)}
        refused = {n: r for n, r in job.refused.items() if query in (None, n)}
        helps = _remedies(refused, job.diagram())
        click.echo(shown(form, Path(script).name, found, refused, job.graph, helps))
        return 2 if refused else 0
    if query is not None and query in job.refused:
        return refusals(replace(job, refused={query: job.refused[query]}))
    if form in ("plan", "program"):
        if job.program is not None:
            click.echo(str(job.program.plan if form == "plan" else job.program.source))
        return refusals(job)
    for name, estimand in job.estimands.items():
        if query in (None, name):
            click.echo(_shown(estimand, form))
    return refusals(job) if query is None else 0


def _remedies(
    refused: Mapping[str, NotIdentifiable], diagram: Diagram | Graph
) -> dict[str, Remedies]:
    """What would help each query that is not identifiable."""
    from causalc.advice import advice

    return {name: advice(reason, diagram, len(refused)) for name, reason in refused.items()}


def _asked(query: str, edges: str) -> tuple[dict[str, Estimand], dict[str, NotIdentifiable], Graph]:
    """A query on a graph by text: its estimand, or why there is none."""
    from causalc.api import identify
    from causalc.compiler.identify import NotIdentifiable

    graph = graph_of(edges)
    try:
        return {"query": identify(query, graph)}, {}, graph
    except NotIdentifiable as reason:
        return {}, {"query": reason}, graph


def _shown(estimand: Estimand, form: str, program: Program | None = None) -> str:
    match form:
        case "plan" if program is not None:
            return str(program.plan)
        case "program" if program is not None:
            return program.source
        case "latex":
            return estimand.shortest().latex()
        case "sympy":
            return str(estimand.shortest().expr)
        case "derivation":
            return f"{estimand.question.text}\n{estimand.derivation}\n= {estimand.text}"
        case _:
            return str(estimand.shortest())


@click.command()
@SCRIPT
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Folder; default target/<script>."
)
@STRATEGY
def compile(script: Path, out: Path | None, strategy: str | None) -> int:
    """Write program.py, plan.json and one estimand a query."""
    job = compiled(script, strategy)
    if job.program is not None:
        folder = (out or Path("target") / script.stem) / (job.graph_name or "")
        job.program.write(folder / "program.py")
        (folder / "plan.json").write_text(job.program.plan.to_json() + "\n", encoding="utf-8")
        for name, estimand in job.estimands.items():
            (folder / f"{name}.tex").write_text(estimand.latex() + "\n", encoding="utf-8")
        click.echo(f"wrote {folder}/program.py ({len(job.program.plan.models)} models to train)")
    return refusals(job)


@click.command()
@SCRIPT
@STRATEGY
@JSON
@click.option(
    "--alternatives", "every", is_flag=True, help="the plans each query could have, and their cost"
)
def plan(script: Path, strategy: str | None, as_json: bool, every: bool) -> int:
    """Print what would be fitted on which rows, and the sampling networks."""
    job = compiled(script, strategy)
    if every:
        _show_alternatives(job, as_json)
    elif job.program is not None:
        click.echo(job.program.plan.to_json() if as_json else str(job.program.plan))
    return refusals(job)


def _show_alternatives(job: Job, as_json: bool) -> None:
    """For each query alone, every plan it could have and why not; the first is the one it gets by itself."""
    from causalc.compiler.alternatives import alternatives

    kinds = {name: kind.name for name, kind in job.schema.items() if kind is not None}
    columns = ("way", "routes", "cost", "models", "heavy", "made", "weighted", "depth")
    found: list[dict[str, object]] = []
    for name, estimand in job.estimands.items():
        first, *others = alternatives(name, estimand, job.graph, kinds, job.models)
        if not as_json:
            click.echo(f"{name}: {estimand.question.text}")
            click.echo("  " + "".join(f"{c:>10}" for c in columns) + "  estimand")
        for a in (first, *others):
            row = {c: getattr(a, c) for c in columns} | {"estimand": a.estimand.text}
            why = "" if a is first else a.less(first)
            parts = [{"what": i.what, "price": round(i.price, 3), "why": i.why} for i in a.items]
            found.append({"query": name, **row, "pays": parts, "instead": why})
            if not as_json:
                click.echo(
                    "  " + "".join(f"{row[c]!s:>10}" for c in columns) + f"  {row['estimand']}"
                )
                click.echo(f"            {'not taken, it pays ' + why if why else _paid(a.items)}")
    if as_json:
        click.echo(json.dumps(found, indent=1))


def _paid(items: Iterable[Item]) -> str:
    return "pays " + ("; ".join(f"{i.what} {i.price:.2f} ({i.why})" for i in items) or "nothing")


@click.command()
@click.argument("script")
@each_graph
@GRAPH
@click.option("--trials", default=20, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
def verify(script: str, edges: str | None, trials: int, seed: int) -> int:
    """Check compiled queries against enumerated random models with latents on their own graph."""
    from causalc.verify import verify as prove

    refused = 0
    if edges is not None:
        from causalc.api import compile as compile_query

        programs = {"query": compile_query(script, graph_of(edges))}
    else:
        job = compiled(Path(script))
        programs = {name: job.program for name in job.estimands if job.program is not None}
        refused = refusals(job)
    for name, program in programs.items():
        worst = prove(program, name, trials, seed)
        click.echo(
            f"{name}: program and estimand equal the truth on {trials} models (worst error {worst:.1e})"
        )
    return refused


@click.command()
@PATH
@click.option("-w", "--write", "in_place", is_flag=True, help="Rewrite the file.")
@click.option("--check", "only_check", is_flag=True, help="Exit 1 if it is not formatted.")
def fmt(script: Path, in_place: bool, only_check: bool) -> int:
    """Print a script in its canonical layout; comments stay."""
    from causalc.grammar import parse_file
    from causalc.grammar.format import format_script

    text = format_script(parse_file(script))
    if only_check:
        same = script.read_bytes() == text.encode()
        click.echo(f"{script}: {'formatted' if same else 'would be reformatted'}")
        return 0 if same else 1
    if in_place:
        script.write_text(text, encoding="utf-8", newline="\n")
    else:
        click.echo(text, nl=False)
    return 0


WARMING = ("graph { X -> Y }\nquery q = P(Y | do(X))", "graph { X -> Y }\nquery q = P(Y |")


@click.command()
def lsp() -> int:
    """Serve editors over standard input and output, in the Language Server Protocol."""
    try:
        from causalc.editing import Reading
        from causalc.language_server import server
    except ModuleNotFoundError as error:
        raise CausalcError(
            f"the language server needs {error.name}: pip install 'causalc[lsp]'"
        ) from None
    made = server()
    for text in WARMING:  # loads what the first key, right or wrong, would else wait for
        Reading.of(text).findings()
    gc.freeze()  # what is loaded stays: to look through it again would now and then cost a key 40 ms
    made.start_io()
    return 0
