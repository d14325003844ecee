"""Commands over scripts. Exit codes: 0 done, 1 bad input, 2 not identifiable, 3 a run failed and can be resumed."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from causalc import __version__
from causalc.errors import CausalcError

if TYPE_CHECKING:
    from causalc.compiler.answer import Estimand
    from causalc.program import Sampler
    from causalc.script import Job, Sample

SCRIPT = click.argument("script", type=click.Path(path_type=Path))
STORE = click.option(
    "--store", default=".causalc", show_default=True, help="Folder of trained models."
)
STRATEGY = click.option("--strategy", help="auto, generate or reweight (line 7 of the algorithm).")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Compile causal queries into programs that sample from their answers."""


def main() -> None:
    """Run the command line; user errors are one message, our own bugs a traceback and exit 70."""
    try:
        code = cli.main(standalone_mode=False)
    except CausalcError as error:
        click.echo(str(error) if ": error:" in str(error) else f"error: {error}", err=True)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = 1
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped; finished stages are kept, the same command goes on", err=True)
        code = 3
    except Exception:
        traceback.print_exc()
        click.echo(
            f"internal error of causalc {__version__}: please report the text above", err=True
        )
        code = 70
    sys.exit(code or 0)


def _job(script: Path, strategy: str | None = None) -> Job:
    from causalc.script import compile_script

    return compile_script(script, strategy)


def _refusals(job: Job) -> int:
    for name, reason in job.refused.items():
        click.echo(f"{name}: {reason}", err=True)
    return 2 if job.refused else 0


@cli.command()
@SCRIPT
def check(script: Path) -> int:
    """Parse, check names, kinds and values, and decide each query."""
    job = _job(script)
    for name, estimand in job.estimands.items():
        click.echo(f"{name}: {estimand.question.text} is identifiable")
    if not job.estimands and not job.refused:
        click.echo("no queries; the script is well formed")
    return _refusals(job)


@cli.command()
@click.argument("script")
@click.option("--graph", help='A graph such as "X -> M -> Y; X <-> Y", when SCRIPT is a query.')
@click.option("--query", help="Show this query of the script only.")
@click.option(
    "--as",
    "form",
    default="text",
    type=click.Choice(["text", "latex", "derivation", "sympy", "plan", "program"]),
)
def show(script: str, graph: str | None, query: str | None, form: str) -> int:
    """Show estimands: SCRIPT is a file, or a query in quotes with --graph."""
    if graph is not None:
        from causalc.api import compile as compile_query

        program = compile_query(script, graph)
        click.echo(
            _shown(program.estimand, form)
            if form not in ("plan", "program")
            else str(program.plan if form == "plan" else program.source)
        )
        return 0
    job = _job(Path(script))
    if query is not None and query not in job.estimands and query not in job.refused:
        raise CausalcError(
            f"{script} has no query `{query}`; it has {', '.join(job.estimands) or 'none'}"
        )
    if form in ("plan", "program") and job.program is not None:
        click.echo(str(job.program.plan if form == "plan" else job.program.source))
        return _refusals(job)
    for name, estimand in job.estimands.items():
        if query in (None, name):
            click.echo(_shown(estimand, form))
    return _refusals(job)


def _shown(estimand: Estimand, form: str) -> str:
    if form == "latex":
        return estimand.latex()
    if form == "sympy":
        return str(estimand.expr)
    if form == "derivation":
        return f"{estimand.question.text}\n{estimand.derivation}\n= {estimand.text}"
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
def plan(script: Path, strategy: str | None) -> int:
    """Print what would be fitted on which rows, and the sampling networks."""
    job = _job(script, strategy)
    if job.program is not None:
        click.echo(str(job.program.plan))
    return _refusals(job)


def _train(job: Job, data: str | None, store: str, quiet: bool, **given: Any) -> Sampler:
    if job.program is None:
        raise CausalcError(f"{job.path}: no query is identifiable, so there is nothing to train")
    options = {
        k: v for k, v in job.options.items() if k in ("seed", "device", "budget", "truncate")
    }
    options.update({k: v for k, v in given.items() if v is not None})
    return job.program.fit(data or job.source(), store=store, progress=not quiet, **options)


TRAINING = [
    click.option("--data", help="Train on this file instead of the script's."),
    STORE,
    click.option("--seed", type=int),
    click.option("--device", help="auto, cpu, cuda or mps."),
    click.option("--budget", type=float, help="Most seconds of training for each model."),
    click.option("-q", "--quiet", is_flag=True),
    STRATEGY,
]


def _training(command: Any) -> Any:
    for option in reversed(TRAINING):
        command = option(command)
    return command


@cli.command()
@SCRIPT
@_training
def train(
    script: Path, data: str | None, store: str, quiet: bool, strategy: str | None, **given: Any
) -> int:
    """Train the models; finished ones are taken from the store."""
    job = _job(script, strategy)
    _train(job, data, store, quiet, **given)
    click.echo(f"trained; models are in {store}")
    return _refusals(job)


@cli.command()
@SCRIPT
@click.argument("query")
@click.option("-n", default=1000, show_default=True)
@click.option(
    "--set", "values", multiple=True, metavar="NAME=VALUE", help="Set a do or condition variable."
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help=".csv, .parquet, .npz or .png (images)."
)
@_training
def sample(
    script: Path,
    query: str,
    n: int,
    values: tuple[str, ...],
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
    sampler = _train(job, data, store, quiet, **given)
    frame = sampler.sample(n, query, seed or 0, **_values(values))
    if out is None:
        click.echo(frame.head(20).to_string())
    else:
        from causalc.output import write

        click.echo(f"wrote {write(frame, out)}")
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


@cli.command()
@SCRIPT
@_training
def run(
    script: Path, data: str | None, store: str, quiet: bool, strategy: str | None, **given: Any
) -> int:
    """Compile, train, and do every sample statement of the script."""
    from causalc.output import write

    job = _job(script, strategy)
    if job.program is None:
        return _refusals(job)
    sampler = _train(job, data, store, quiet, **given)
    for wanted in job.samples:
        if wanted.query in job.refused:
            continue
        frame = sampler.sample(wanted.n, wanted.query, wanted.seed, **_own(job, wanted))
        click.echo(
            f"wrote {write(frame, script.parent / wanted.path)} ({wanted.n} rows of {wanted.query})"
        )
    return _refusals(job)


def _own(job: Job, wanted: Sample) -> Mapping[str, Any]:
    """The values a sample statement sets, by variable."""
    question = job.estimands[wanted.query].question
    return {name: value for name, value in wanted.values.items() if name in question.free}


@cli.command()
@click.argument("script")
@click.option("--graph", help="A graph, when SCRIPT is a query in quotes.")
@click.option("--trials", default=20, show_default=True)
@click.option("--seed", default=0, show_default=True)
def verify(script: str, graph: str | None, trials: int, seed: int) -> int:
    """Check compiled queries against enumerated random models with latents on their own graph."""
    from causalc.verify import verify as prove

    if graph is not None:
        from causalc.api import compile as compile_query

        programs = {"query": compile_query(script, graph)}
        refused = 0
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
    from causalc.grammar.format import format_script
    from causalc.script import read

    text = format_script(read(script))
    if only_check:
        same = script.read_text(encoding="utf-8") == text
        click.echo(f"{script}: {'formatted' if same else 'would be reformatted'}")
        return 0 if same else 1
    if in_place:
        script.write_text(text, encoding="utf-8")
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
    from causalc.compiler.graph import Graph
    from causalc.script import load_graph

    if path.suffix == ".causal":
        found = _job(path).graph
    else:
        spec = load_graph(path)
        found = Graph.from_edges(spec.nodes, spec.directed, spec.bidirected, spec.latents)
    click.echo(getattr(convert, f"to_{form}")(found))
    return 0


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
