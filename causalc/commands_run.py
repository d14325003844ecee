"""The commands that train and draw, ``train sample run``; the store and the machine, ``cache doctor``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from causalc import __version__
from causalc.commands import JSON, STRATEGY, compiled, print_json, refusals, verdicts
from causalc.each_graph import SCRIPT
from causalc.errors import CausalcError
from causalc.reading import apart

if TYPE_CHECKING:
    from causalc.execute import Trained
    from causalc.script import Job

STORE = click.option(
    "--store", default=".causalc", show_default=True, help="Folder of trained models."
)
TRAINING = [
    click.option("--data", help="Train on this file instead of the script's."),
    STORE,
    click.option("--seed", type=click.IntRange(0, 2**63 - 1)),
    click.option("--device", help="auto, cpu, cuda or mps."),
    click.option("--budget", type=float, help="Most seconds of training for each model."),
    click.option(
        "--save-every",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="Keep the state of the model in training this often (120).",
    ),
    click.option("--jobs", type=click.IntRange(min=1), help="Train this many models at a time."),
    click.option(
        "--executor",
        type=click.Choice(["inprocess", "processes", "ray"]),
        help="Where models are trained; ray: on a cluster.",
    ),
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


@click.command()
@SCRIPT
@_training
def train(
    script: Path, data: str | None, store: str, quiet: bool, strategy: str | None, **given: Any
) -> int:
    """Train the models; finished ones are taken from the store."""
    job = compiled(script, strategy)
    if job.program is None and job.refused:
        return refusals(job)
    _train(job, data, store, quiet, **given)
    click.echo(f"trained; models are in {store}")
    return refusals(job)


@click.command()
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
    job = compiled(script, strategy)
    if query in job.refused:
        raise job.refused[query]
    if query not in job.estimands:
        known = ", ".join(job.estimands) or "none"
        raise CausalcError(f"{script} has no query `{query}`; it has {known}")
    values = job.values(query, _values(pairs))  # before anything is trained
    _suffix(out)
    trained = _train(job, data, store, quiet, **given)
    if out is None:
        frame = trained.sample(query, n, seed or 0, values, Path.cwd())
        click.echo(frame.head(20).to_string())
        if n > 20:
            click.echo(f"... {n:,} rows in all; --out FILE keeps them")
    else:
        parts = trained.frames(query, n, seed or 0, values, Path.cwd())
        click.echo(_written(parts, out, query, n))
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


def _written(parts: Iterable[Any], path: Path, query: str, n: int) -> str:
    from causalc.output import SHOWN, write

    write(parts, path)
    part = f", the first {SHOWN} shown" if path.suffix == ".png" and n > SHOWN else ""
    return f"wrote {os.path.normpath(path)} ({n:,} rows of {query}{part})"


@click.command()
@SCRIPT
@click.option(
    "--draws",
    default=10_000,
    show_default=True,
    type=click.IntRange(min=2),
    help="Rows drawn for each moment of an estimate.",
)
@click.option(
    "--report",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write an HTML report to this file.",
)
@JSON
@_training
def run(
    script: Path,
    draws: int,
    page: Path | None,
    as_json: bool,
    data: str | None,
    store: str,
    quiet: bool,
    strategy: str | None,
    **given: Any,
) -> int:
    """Compile, train, and do every sample, estimate and check of the script."""
    job = compiled(script, strategy)
    if job.program is None and job.refused:
        return refusals(job)
    trained = _train(job, data, store, quiet, **given)
    seed = int(trained.options.get("seed", 0))
    done: dict[str, Any] = {"script": str(script), **verdicts(job), "samples": []}
    for wanted in job.samples:
        if wanted.query in job.refused:
            continue
        parts = trained.frames(wanted.query, wanted.n, wanted.seed, wanted.values)
        path = script.parent / wanted.path
        line = _written(parts, path, wanted.query, wanted.n)
        done["samples"].append(
            {"query": wanted.query, "rows": wanted.n, "path": os.path.normpath(path)}
        )
        if not as_json:
            click.echo(line)
    _answer(trained, draws, seed, done, as_json)
    if page is not None:
        _reported(trained, apart(page, job.graph_name), draws)
    if not (job.samples or job.estimates or job.checks):
        click.echo(f"trained; {script} has no sample, estimate or check to do", err=True)
    if job.options.get("bootstrap") and not job.estimates:
        click.echo("bootstrap: nothing was refitted, refits serve estimates alone", err=True)
    return refusals(job)


def _answer(
    trained: Trained, draws: int, seed: int, done: Mapping[str, Any], as_json: bool
) -> None:
    """Estimates and checks, as text or all of the run as JSON."""
    from dataclasses import asdict

    from causalc.estimates_table import table_of

    answers = trained.estimates(draws, seed)
    findings = trained.checks(seed, answers)
    if as_json:
        extra = {
            "estimates": [a.to_json() for a in answers],
            "checks": [asdict(f) for f in findings],
            "findings": list(dict.fromkeys(trained.findings)),
        }
        print_json({**done, **extra})
        return
    if answers:
        click.echo(table_of(answers))
    for finding in findings:
        click.echo(str(finding))


@click.command()
@SCRIPT
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The HTML file; default target/<script>/report.html.",
)
@_training
def report(
    script: Path,
    out: Path | None,
    data: str | None,
    store: str,
    quiet: bool,
    strategy: str | None,
    **given: Any,
) -> int:
    """Write one HTML file on the script: what was asked, how it was answered, what came out."""
    job = compiled(script, strategy)
    path = apart(out or Path("target") / script.stem / "report.html", job.graph_name)
    if job.program is None and job.refused:
        return _hedges(job, path)
    _reported(_train(job, data, store, quiet, **given), path)
    return refusals(job)


def _hedges(job: Job, path: Path) -> int:
    """The page of a script in which nothing is identifiable: its hedges."""
    from causalc.advice import advice
    from causalc.compiler.page import page

    helps = {n: str(advice(r, job.diagram(), len(job.refused))) for n, r in job.refused.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(job.path.name, {}, job.refused, job.graph, helps), encoding="utf-8")
    click.echo(f"wrote {os.path.normpath(path)}: the hedges, nothing was trained", err=True)
    return refusals(job)


def _reported(trained: Trained, path: Path, draws: int = 10_000) -> None:
    from causalc.report import write_report

    size = write_report(trained, path, draws)
    click.echo(f"wrote {os.path.normpath(path)} ({size / 1e3:,.0f} kB)", err=True)


# ---- the store and the machine


@click.group()
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


@cache.command("verify")
@STORE
def cache_verify(store: str) -> int:
    """Check every file of every finished stage against its checksum."""
    from causalc.runtime.store import Store, verify

    entries, bad = Store(store).entries(), 0
    for entry in entries:
        try:
            verify(entry.path, entry.key)
        except CausalcError as error:
            bad += 1
            click.echo(str(error), err=True)
    click.echo(f"{len(entries) - bad} of {len(entries)} stages are whole")
    return 1 if bad else 0


@cache.command("gc")
@click.option("--partial", is_flag=True, help="Also the states of stages that wait to be resumed.")
@click.option("--damaged", is_flag=True, help="Also stages that are damaged or of another format.")
@STORE
def cache_collect(partial: bool, damaged: bool, store: str) -> int:
    """Remove what killed runs left and no run will use; never what a run is using now."""
    import shutil

    from causalc.runtime.store import Store, verify

    place = Store(store)
    doomed = set(place.leftovers())
    doomed |= set(place.unfinished() if partial else ())
    for path in sorted(doomed):
        shutil.rmtree(path)
    count = len(doomed)
    for entry in place.entries() if damaged else ():
        try:
            verify(entry.path)
        except CausalcError:
            place.remove(entry.key)
            count += 1
    click.echo(f"removed {count} folder{'' if count == 1 else 's'}")
    return 0


@click.command()
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
