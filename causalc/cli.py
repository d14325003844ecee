"""Commands over scripts. Exit codes: 0 done, 1 bad input, 2 not identifiable, 3 a run failed and can be resumed."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from causalc import __version__
from causalc.errors import CausalcError

if TYPE_CHECKING:
    from causalc.compiler.answer import Estimand
    from causalc.compiler.graph import Graph
    from causalc.execute import Trained
    from causalc.program import Program
    from causalc.script import Job

BUG = 70
SCRIPT = click.argument("script", type=click.Path(path_type=Path))
STORE = click.option(
    "--store", default=".causalc", show_default=True, help="Folder of trained models."
)
STRATEGY = click.option("--strategy", help="auto, generate or reweight (line 7 of the algorithm).")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
GRAPH = click.option(
    "--graph",
    "edges",
    help='A graph such as "X -> M -> Y; X <-> Y", or its file, when SCRIPT is a query in quotes.',
)
GRAPH_FILES = (".dag", ".dot", ".gv", ".gml", ".causal", ".txt")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Compile causal queries into programs that sample from their answers."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; user errors are one message, our own bugs a traceback and exit 70."""
    try:
        code = cli.main(arguments, prog_name="causalc", standalone_mode=False)
    except CausalcError as error:
        click.echo(str(error) if ": error:" in str(error) else f"error: {error}", err=True)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = 1
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped; finished stages are kept, the same command goes on", err=True)
        code = 3
    except OSError as error:
        click.echo(f"error: {error.filename or 'a file'}: {error.strerror or error}", err=True)
        code = 1
    except Exception:
        traceback.print_exc()
        click.echo(
            f"internal error of causalc {__version__}: this is not your fault; "
            "please report the text above with your script",
            err=True,
        )
        code = BUG
    sys.exit(code or 0)


def _job(script: Path, strategy: str | None = None) -> Job:
    from causalc.script import compile_script

    return compile_script(script, strategy)


def _refusals(job: Job) -> int:
    for name, reason in job.refused.items():
        click.echo(f"{name}: {reason}", err=True)
    return 2 if job.refused else 0


def _graph(edges: str) -> Graph:
    """The graph that ``--graph`` gives, as text or as a file."""
    if Path(edges).suffix in GRAPH_FILES:
        return _graph_file(Path(edges))
    from causalc.compiler.graph import Graph

    return Graph.parse(edges)


def _graph_file(path: Path) -> Graph:
    from causalc.compiler.graph import Graph
    from causalc.script import load_graph

    if path.suffix == ".causal":
        return _job(path).graph
    spec = load_graph(path)
    return Graph.from_edges(spec.nodes, spec.directed, spec.bidirected, spec.latents)


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=str))


# ---- commands that train nothing


@cli.command()
@SCRIPT
@JSON
def check(script: Path, as_json: bool) -> int:
    """Parse, check names, kinds and values, and decide each query."""
    job = _job(script)
    if as_json:
        _print_json({"script": str(script), **_verdicts(job)})
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
    return _refusals(job)


def _verdicts(job: Job) -> dict[str, object]:
    """The queries and estimates of a script with their verdicts, as JSON has them."""
    queries: list[dict[str, object]] = []
    for statement in job.script.queries:
        name, text = statement.name.text, str(statement.query)
        found = job.estimands.get(name)
        verdict: dict[str, object] = (
            {"identifiable": True, "estimand": found.text}
            if found is not None
            else {"identifiable": False, "reason": str(job.refused[name])}
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


@cli.command()
@click.argument("script")
@GRAPH
@click.option("--query", help="Show this query of the script only.")
@click.option(
    "--as",
    "form",
    default="text",
    type=click.Choice(["text", "latex", "derivation", "sympy", "plan", "program"]),
)
def show(script: str, edges: str | None, query: str | None, form: str) -> int:
    """Show estimands: SCRIPT is a file, or a query in quotes with --graph."""
    if edges is not None:
        from causalc.api import compile as compile_query

        program = compile_query(script, _graph(edges))
        click.echo(_shown(program.estimand, form, program))
        return 0
    job = _job(Path(script))
    known = [*job.estimands, *job.refused]
    if query is not None and query not in known:
        raise CausalcError(f"{script} has no query `{query}`; it has {', '.join(known) or 'none'}")
    if query is not None and query in job.refused:
        raise job.refused[query]
    if form in ("plan", "program"):
        if job.program is not None:
            click.echo(str(job.program.plan if form == "plan" else job.program.source))
        return _refusals(job)
    for name, estimand in job.estimands.items():
        if query in (None, name):
            click.echo(_shown(estimand, form))
    return _refusals(job) if query is None else 0


def _shown(estimand: Estimand, form: str, program: Program | None = None) -> str:
    match form:
        case "plan" if program is not None:
            return str(program.plan)
        case "program" if program is not None:
            return program.source
        case "latex":
            return estimand.latex()
        case "sympy":
            return str(estimand.expr)
        case "derivation":
            return f"{estimand.question.text}\n{estimand.derivation}\n= {estimand.text}"
        case _:
            return str(estimand)


@cli.command()
@SCRIPT
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Folder; default target/<script>."
)
@STRATEGY
def compile(script: Path, out: Path | None, strategy: str | None) -> int:
    """Write program.py, plan.json and one estimand a query."""
    job = _job(script, strategy)
    if job.program is not None:
        folder = out or Path("target") / script.stem
        job.program.write(folder / "program.py")
        (folder / "plan.json").write_text(job.program.plan.to_json() + "\n", encoding="utf-8")
        for name, estimand in job.estimands.items():
            (folder / f"{name}.tex").write_text(estimand.latex() + "\n", encoding="utf-8")
        click.echo(f"wrote {folder}/program.py ({len(job.program.plan.models)} models to train)")
    return _refusals(job)


@cli.command()
@SCRIPT
@STRATEGY
@JSON
def plan(script: Path, strategy: str | None, as_json: bool) -> int:
    """Print what would be fitted on which rows, and the sampling networks."""
    job = _job(script, strategy)
    if job.program is not None:
        click.echo(job.program.plan.to_json() if as_json else str(job.program.plan))
    return _refusals(job)


@cli.command()
@click.argument("script")
@GRAPH
@click.option("--trials", default=20, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
def verify(script: str, edges: str | None, trials: int, seed: int) -> int:
    """Check compiled queries against enumerated random models with latents on their own graph."""
    from causalc.verify import verify as prove

    refused = 0
    if edges is not None:
        from causalc.api import compile as compile_query

        programs = {"query": compile_query(script, _graph(edges))}
    else:
        job = _job(Path(script))
        programs = {name: job.program for name in job.estimands if job.program is not None}
        refused = _refusals(job)
    for name, program in programs.items():
        worst = prove(program, name, trials, seed)
        click.echo(
            f"{name}: program and estimand equal the truth on {trials} models (worst error {worst:.1e})"
        )
    return refused


@cli.command()
@SCRIPT
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


@cli.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--to", "form", type=click.Choice(["text", "dagitty", "dot", "gml", "mermaid"]), default="text"
)
def graph(path: Path, form: str) -> int:
    """Convert a graph file, or the graph of a script, to another format."""
    from causalc.compiler import convert

    text: str = getattr(convert, f"to_{form}")(_graph_file(path))
    click.echo(text.rstrip("\n"))
    return 0


# ---- commands that train


TRAINING = [
    click.option("--data", help="Train on this file instead of the script's."),
    STORE,
    click.option("--seed", type=click.IntRange(0, 2**63 - 1)),
    click.option("--device", help="auto, cpu, cuda or mps."),
    click.option("--budget", type=float, help="Most seconds of training for each model."),
    click.option("-q", "--quiet", is_flag=True, help="No progress, no findings."),
    STRATEGY,
]


def _training(command: Any) -> Any:
    for option in reversed(TRAINING):
        command = option(command)
    return command


def _train(job: Job, data: str | None, store: str, quiet: bool, **given: Any) -> Trained:
    from causalc.execute import train as train_job

    trained = train_job(job, data, store, not quiet, given)
    if not quiet:
        for line in dict.fromkeys(trained.findings):
            click.echo(line, err=True)
    return trained


@cli.command()
@SCRIPT
@_training
def train(
    script: Path, data: str | None, store: str, quiet: bool, strategy: str | None, **given: Any
) -> int:
    """Train the models; finished ones are taken from the store."""
    job = _job(script, strategy)
    if job.program is None and job.refused:
        return _refusals(job)
    _train(job, data, store, quiet, **given)
    click.echo(f"trained; models are in {store}")
    return _refusals(job)


@cli.command()
@SCRIPT
@click.argument("query")
@click.option("-n", default=1000, show_default=True, type=click.IntRange(min=1), help="Rows.")
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="Set a do or condition variable."
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    help=".csv, .parquet, .npz, .png (one picture), or a folder of images.",
)
@_training
def sample(
    script: Path,
    query: str,
    n: int,
    pairs: tuple[str, ...],
    out: Path | None,
    data: str | None,
    store: str,
    quiet: bool,
    strategy: str | None,
    seed: int | None,
    **given: Any,
) -> int:
    """Draw rows from a query, training first what is not in the store."""
    job = _job(script, strategy)
    if query in job.refused:
        raise job.refused[query]
    if query not in job.estimands:
        known = ", ".join(job.estimands) or "none"
        raise CausalcError(f"{script} has no query `{query}`; it has {known}")
    values = job.values(query, _values(pairs))  # before anything is trained
    _suffix(out)
    frame = _train(job, data, store, quiet, **given).sample(query, n, seed or 0, values)
    if out is None:
        click.echo(frame.head(20).to_string())
        if n > 20:
            click.echo(f"... {n:,} rows in all; --out FILE keeps them")
    else:
        click.echo(_written(frame, out, query))
    return 0


def _values(pairs: tuple[str, ...]) -> dict[str, object]:
    found: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise CausalcError(f"--set {pair}: write NAME=VALUE")
        found[name.strip()] = _value(text.strip())
    return found


def _value(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip("\"'")


def _suffix(out: Path | None) -> None:
    from causalc.compiler.check_support import OUTPUTS

    if out is not None and out.suffix.lower() not in OUTPUTS:
        raise CausalcError(
            f"{out}: write to .csv, .parquet, .npz, to .png for one picture of images, or to a folder"
        )


def _written(frame: Any, path: Path, query: str) -> str:
    from causalc.output import SHOWN, write

    write(frame, path)
    part = f", the first {SHOWN} shown" if path.suffix == ".png" and len(frame) > SHOWN else ""
    return f"wrote {path} ({len(frame):,} rows of {query}{part})"


@cli.command()
@SCRIPT
@click.option(
    "--draws",
    default=10_000,
    show_default=True,
    type=click.IntRange(min=2),
    help="Rows drawn for each moment of an estimate.",
)
@JSON
@_training
def run(
    script: Path,
    draws: int,
    as_json: bool,
    data: str | None,
    store: str,
    quiet: bool,
    strategy: str | None,
    **given: Any,
) -> int:
    """Compile, train, and do every sample, estimate and check of the script."""
    job = _job(script, strategy)
    if job.program is None and job.refused:
        return _refusals(job)
    trained = _train(job, data, store, quiet, **given)
    seed = int(trained.options.get("seed", 0))
    done: dict[str, Any] = {"script": str(script), **_verdicts(job), "samples": []}
    for wanted in job.samples:
        if wanted.query in job.refused:
            continue
        frame = trained.sample(wanted.query, wanted.n, wanted.seed, wanted.values)
        path = script.parent / wanted.path
        line = _written(frame, path, wanted.query)
        done["samples"].append({"query": wanted.query, "rows": wanted.n, "path": str(path)})
        if not as_json:
            click.echo(line)
    _answer(trained, draws, seed, done, as_json)
    return _refusals(job)


def _answer(
    trained: Trained, draws: int, seed: int, done: Mapping[str, Any], as_json: bool
) -> None:
    """Estimates and checks, as text or all of the run as JSON."""
    from dataclasses import asdict

    from causalc.estimates import table_of

    answers = trained.estimates(draws, seed)
    findings = trained.checks(seed)
    if as_json:
        extra = {
            "estimates": [a.to_json() for a in answers],
            "checks": [asdict(f) for f in findings],
            "findings": list(dict.fromkeys(trained.findings)),
        }
        _print_json({**done, **extra})
        return
    if answers:
        click.echo(table_of(answers))
    for finding in findings:
        click.echo(str(finding))


# ---- the store and the machine


@cli.group()
def cache() -> None:
    """The store of trained models."""


@cache.command("ls")
@STORE
def cache_list(store: str) -> int:
    """List the finished stages."""
    from causalc.runtime.store import Store

    for entry in Store(store).entries():
        click.echo(
            f"{entry.key[:12]}  {entry.size:>9,} B  {entry.seconds:8.1f} s  {entry.created}  {entry.label}"
        )
    return 0


@cache.command("rm")
@click.argument("key")
@STORE
def cache_remove(key: str, store: str) -> int:
    """Remove one stage."""
    from causalc.runtime.store import Store

    Store(store).remove(key)
    click.echo(f"removed {key}")
    return 0


@cli.command()
def doctor() -> int:
    """Print versions and devices."""
    from importlib.metadata import version

    click.echo(f"causalc {__version__}, Python {sys.version.split()[0]}")
    for name in (
        "torch",
        "diffusers",
        "accelerate",
        "pandas",
        "pyarrow",
        "sympy",
        "lark",
        "networkx",
    ):
        click.echo(f"{name} {version(name)}")
    import torch

    found = (
        "cuda"
        if torch.cuda.is_available()
        else "mps"
        if torch.backends.mps.is_available()
        else "cpu"
    )
    click.echo(f"device {found}, {torch.get_num_threads()} threads")
    return 0
