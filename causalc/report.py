"""The report of a trained script: one HTML file that fetches nothing and runs nothing.

What it shows is computed here and laid out by ``templates/report.html.j2``; all text is escaped there.
"""

from __future__ import annotations

import hashlib
import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from causalc import __version__, charts, report_estimates
from causalc.advice import advice
from causalc.checks import Finding, run_checks
from causalc.compiler.checked import CheckedCheck
from causalc.compiler.page import ShownQuery, environment, shown_queries
from causalc.errors import CausalcError
from causalc.plan_drawing import draw_plan
from causalc.report_models import Stage, notes_of, stages_of
from causalc.report_samples import Setting, settings_of
from causalc.runtime.data import Columns

if TYPE_CHECKING:
    from jinja2 import Environment

    from causalc.execute import Trained

CHECKS = ("positivity", "fit", "independences")


@dataclass(frozen=True, slots=True)
class Section:
    """A query: how it is answered, and samples of the answer."""

    query: ShownQuery
    settings: tuple[Setting, ...]
    findings: tuple[Finding, ...]


@cache
def _environment() -> Environment:
    made = environment("causalc")
    made.globals["chart_style"] = Markup(charts.STYLE)
    return made


def write_report(trained: Trained, path: Path, draws: int = 10_000) -> int:
    """Write the report of a trained script to ``path``; returns its size in bytes.

    ``draws`` are those of each moment of an estimate. Raises ``CausalcError`` where it cannot be written.
    """
    text = report(trained, draws)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CausalcError(f"{path}: cannot be written ({error.strerror or error})") from None
    return len(text.encode())


def report(trained: Trained, draws: int = 10_000) -> str:
    """The report as HTML."""
    job, seed = trained.job, int(trained.options.get("seed", 0))
    columns, plan = trained.columns(), trained.program.plan
    helps = {n: str(advice(r, job.diagram(), len(job.refused))) for n, r in job.refused.items()}
    queries = shown_queries(trained.program.estimands, job.refused, job.graph, helps)
    shown = {q.name: q for q in queries}
    declared = [s.name.text for s in job.script.queries]
    findings = _findings(trained, columns, seed)
    sections = [
        Section(
            shown[name],
            tuple(settings_of(trained, name, columns, seed)) if name not in job.refused else (),
            tuple(f for f in findings if f.query == name and f.check != "independences"),
        )
        for name in declared
        if name in shown
    ]
    stages = list(stages_of(trained))
    answers = list(trained.estimates(draws, seed))
    context: dict[str, Any] = {
        "title": f"Report of {job.path.name}",
        "sections": sections,
        "estimates": list(report_estimates.shown(answers)),
        "refits": any(a.refit_error is not None for a in answers),
        "draws": draws,
        "stages": stages,
        "plan": Markup(draw_plan(plan, notes_of(trained, stages, columns))),
        "independences": list(
            dict.fromkeys((f.verdict, f.text) for f in findings if f.check == "independences")
        ),
        "findings": list(dict.fromkeys(trained.findings)),
        "provenance": _provenance(trained, columns, stages, seed),
        "script": _script(job.path),
        "program": trained.program.source,
        "commands": _commands(trained),
    }
    return _environment().get_template("report.html.j2").render(context)


# ---- checks and estimates


def _findings(trained: Trained, columns: Columns, seed: int) -> list[Finding]:
    """All checks of every query, whether the script asks for them or not."""
    job = trained.job
    names = [s.name.text for s in job.script.queries if s.name.text in job.estimands]
    values = {q: trained.fixed(q) for q in names}
    checks = [CheckedCheck(name, CHECKS) for name in names]
    return list(run_checks(checks, trained.sampler, columns, values, seed))


# ---- where it comes from


def _script(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _provenance(
    trained: Trained, columns: Columns, stages: Sequence[Stage], seed: int
) -> list[tuple[str, str]]:
    from importlib.metadata import version

    options = trained.options
    text = _script(trained.job.path)
    packages = ("torch", "diffusers", "numpy")
    return [
        ("causalc", __version__),
        ("Python", platform.python_version()),
        *((name, version(name)) for name in packages),
        ("script", f"{trained.job.path.name}, sha256 {hashlib.sha256(text.encode()).hexdigest()}"),
        ("data", f"{_source(trained)}: {columns.rows:,} rows, {len(columns)} columns used"),
        ("data fingerprint", columns.fingerprint()),
        ("seed", str(seed)),
        ("budget", f"{options['budget']:g} s a model" if options.get("budget") else "none"),
        (
            "training",
            f"{sum(s.seconds for s in stages):,.0f} s, CPU {sum(s.cpu for s in stages):,.0f} s",
        ),
    ]


def _source(trained: Trained) -> str:
    source = trained.source
    if isinstance(source, str | Path):
        return Path(source).name
    return Path(trained.job.data.path).name if trained.job.data is not None else "a table"


def _commands(trained: Trained) -> list[str]:
    """The commands that make this report again, file names as they are here."""
    options, name = trained.options, shlex.quote(trained.job.path.name)
    said = [f"--seed {options['seed']}" if options.get("seed") is not None else ""]
    said.append(f"--budget {options['budget']:g}" if options.get("budget") else "")
    strategy = trained.program.compiled.strategy
    said.append(f"--strategy {strategy}" if strategy != "auto" else "")
    named = trained.job.data.path if trained.job.data is not None else ""
    if Path(named).name != _source(trained):
        said.append(f"--data {shlex.quote(_source(trained))}")
    tail = " ".join(word for word in said if word)
    return [
        f"causalc run {name} {tail}".strip(),
        f"causalc report {name} {tail}".strip(),
    ]
