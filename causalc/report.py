"""The report of a trained script: one HTML file that fetches nothing and runs nothing.

What it shows is computed here and laid out by ``templates/report.html.j2``; all text is escaped there.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from causalc import __version__, charts, report_estimates, report_text
from causalc.advice import advice
from causalc.checks import Finding, run_checks
from causalc.compiler.checked import CheckedCheck
from causalc.compiler.page import ShownQuery, environment, shown_queries
from causalc.compiler.plan import Bootstrap, Fit, Observed
from causalc.errors import CausalcError
from causalc.plan_drawing import draw_plan, headline
from causalc.runtime import weights as weighting
from causalc.runtime.data import Columns, labels
from causalc.runtime.propensity import Propensity
from causalc.runtime.schema import Kind
from causalc.runtime.store import Store
from causalc.runtime.stored import some

if TYPE_CHECKING:
    from jinja2 import Environment

    from causalc.execute import Trained

DRAWS = 2000
PICTURES = 40  # of an image outcome
MOST = 3  # values of an open variable that are shown
MIXED = 400  # draws of images and other outcomes
NEAREST = 200  # rows taken as those "at" a number; of images, vectors and texts, PICTURES
PAIRS = 3  # outcomes and components of vectors that pair plots are made of
CHECKS = ("positivity", "fit", "independences")

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """A fitted conditional as the report shows it."""

    number: int
    what: str
    rows_of: str
    families: str
    rows: int
    seconds: float
    cpu: float
    size: str
    key: str
    findings: tuple[str, ...]
    curves: tuple[Markup, ...]
    overlap: Markup | None


@dataclass(frozen=True, slots=True)
class Setting:
    """Samples at one setting of the query's inputs, beside the rows that have these values by themselves."""

    label: str
    picture: Markup | None
    naive: str
    charts: tuple[charts.Picture, ...]
    rows: tuple[tuple[str, str, str, str], ...]


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
            tuple(_settings(trained, name, columns, seed)) if name not in job.refused else (),
            tuple(f for f in findings if f.query == name and f.check != "independences"),
        )
        for name in declared
        if name in shown
    ]
    stages = list(_stages(trained))
    answers = list(trained.estimates(draws, seed))
    context: dict[str, Any] = {
        "title": f"Report of {job.path.name}",
        "sections": sections,
        "estimates": list(report_estimates.shown(answers)),
        "refits": any(a.refit_error is not None for a in answers),
        "draws": draws,
        "stages": stages,
        "plan": Markup(draw_plan(plan, _notes(trained, stages, columns))),
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


# ---- models


def _stages(trained: Trained) -> Iterator[Stage]:
    """What was fitted, in the order of the plan, as the store has it."""
    plan, store = trained.program.plan, Store(trained.options.get("store"))
    frozen = _frozen(trained)
    numbers = [number for number in plan.models if number not in frozen]
    for number, key in zip(numbers, trained.sampler.models.stages, strict=True):
        folder = store.folder(key)
        op = plan.operations[number]
        assert isinstance(op, Fit)
        try:
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            lines = (folder / "curve.jsonl").read_text(encoding="utf-8").splitlines()
            size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        except (OSError, ValueError) as error:
            raise CausalcError(f"{folder}: this stage cannot be read ({error})") from None
        what = headline(plan, op)
        yield Stage(
            number,
            what,
            headline(plan, plan.operations[op.data]),
            ", ".join(dict.fromkeys(config.get("families", ["propensity"]))),
            int(meta["rows"]),
            float(meta["seconds"]),
            float(meta.get("cpu_seconds", 0.0)),
            size_of(size),
            key,
            tuple(meta.get("findings", ())),
            tuple(charts.curves([json.loads(line) for line in lines], what)),
            _overlap(Propensity.load(folder), what) if op.propensity else None,
        )


def _frozen(trained: Trained) -> list[int]:
    """The models of somebody else's that serve as they are: no stage of ours."""
    specs = trained.program.compiled.models
    return [
        i for i, s in specs.items() if s.name == "pretrained" and "steps" not in dict(s.options)
    ]


def size_of(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _overlap(propensity: Propensity, name: str) -> Markup:
    """How unequal the weights q / p of this propensity are."""
    rows = some(len(propensity.log_p), 0)
    weights = weighting.ratio(propensity.log_q[rows], propensity.log_p[rows])
    logs = np.log10(np.maximum(weights, 1e-12))
    return charts.histogram({"weights": logs}, "log10 of the weight; 0 is the mean")


def _notes(trained: Trained, stages: Sequence[Stage], columns: Columns) -> dict[int, list[str]]:
    plan = trained.program.plan
    notes = {
        s.number: [s.families, f"{s.rows:,} rows, {s.seconds:,.0f} s, {s.size}"] for s in stages
    }
    notes |= {number: ["pretrained", "taken as it is"] for number in _frozen(trained)}
    for i, op in enumerate(plan.operations):
        if isinstance(op, Observed):
            notes[i] = [f"{columns.rows:,} rows, {len(op.columns)} columns"]
        elif isinstance(op, Bootstrap):
            notes[i] = ["no model"]
    return notes


# ---- checks and estimates


def _findings(trained: Trained, columns: Columns, seed: int) -> list[Finding]:
    """All checks of every query, whether the script asks for them or not."""
    job = trained.job
    names = [s.name.text for s in job.script.queries if s.name.text in job.estimands]
    values = {q: trained.fixed(q) for q in names}
    checks = [CheckedCheck(name, CHECKS) for name in names]
    return list(run_checks(checks, trained.sampler, columns, values, seed))


# ---- samples


def _settings(trained: Trained, query: str, columns: Columns, seed: int) -> Iterator[Setting]:
    question = trained.job.estimands[query].question
    fixed = trained.fixed(query)
    wanted = [s.values for s in trained.job.samples if s.query == query and s.values]
    free = [name for name in question.free if name in columns]
    chosen: list[Values] = [*wanted]
    chosen += [v for v in _chosen(free, columns, seed) if not any(_same(v, w) for w in wanted)]
    images = [columns.schema[y].name == "image" for y in question.outcomes]
    draws = PICTURES if all(images) else MIXED if any(images) else DRAWS
    for i, values in enumerate(chosen[:MOST]):
        frame = trained.sample(query, draws, seed + i, values)
        given = {**fixed, **{n: trained.read(n, v) for n, v in values.items()}}
        yield _setting(trained, query, frame, given, columns)


def _same(a: Values, b: Values) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def _chosen(free: Sequence[str], columns: Columns, seed: int) -> Iterator[Values]:
    """Values for the open variables: the first takes several, the others stay at one that is usual.

    Levels by how often they occur, numbers at quantiles, images, vectors and texts from rows of the data.
    """
    if not free:
        yield {}
        return
    first, *others = free
    rows = np.random.default_rng([seed, 7]).permutation(columns.rows)[:MOST]
    usual = {name: _usual(columns[name], columns.schema[name], int(rows[0])) for name in others}
    for value in _several(columns[first], columns.schema[first], rows):
        yield {first: value, **usual}


def _several(values: np.ndarray, kind: Kind, rows: np.ndarray) -> list[Any]:
    if kind.discrete:
        counts = np.bincount(values, minlength=len(kind.levels))
        codes = np.sort(np.argsort(-counts, kind="stable")[:MOST])
        return [kind.levels[c] for c in codes if counts[c]]
    if kind.scalar:
        found = np.quantile(values, [0.1, 0.5, 0.9], method="nearest")
        return [v.item() for v in np.unique(found)]
    return list(labels(values[rows], kind))


def _usual(values: np.ndarray, kind: Kind, row: int) -> Any:
    if kind.discrete:
        return kind.levels[int(np.bincount(values, minlength=len(kind.levels)).argmax())]
    if kind.scalar:
        return np.quantile(values, 0.5, method="nearest").item()
    return labels(values[row : row + 1], kind)[0]


def _setting(trained: Trained, query: str, frame: Any, given: Values, columns: Columns) -> Setting:
    question = trained.job.estimands[query].question
    seen = {n: v for n, v in given.items() if n in columns}
    index, how = alike(columns, seen)
    said = ", ".join(f"{n} = {_said(columns.schema[n], v)}" for n, v in given.items())
    arrays = [n for n in given if columns.schema[n].name == "image"]
    picture = None
    if arrays:
        pixels = np.stack([np.asarray(given[n], np.uint8) for n in arrays])
        picture = charts.images(_channels(pixels), f"{', '.join(arrays)} as set", across=4)
    drawn = {y: _canonical(frame[y], columns.schema[y]) for y in question.outcomes}
    rows = {y: columns[y][index] for y in question.outcomes if y in columns}
    shown, table = [], []
    for y in question.outcomes:
        for part in _outcome(y, columns.schema[y], drawn[y], rows[y]):
            shown.append(part)
        table += _compared(y, columns.schema[y], drawn[y], rows[y])
    shown += _pairs(columns.schema, drawn, rows)
    return Setting(said, picture, how, tuple(shown), tuple(table))


def _said(kind: Kind, value: Any) -> str:
    if kind.name == "image":
        return "the picture shown"
    if kind.name == "text":
        return report_text.said(str(value))
    if kind.shape:
        return "a vector of the data"
    return charts.number(value) if isinstance(value, float) else str(value)


def _canonical(column: Any, kind: Kind) -> np.ndarray:
    """Drawn values as the data hold them: codes, numbers or arrays."""
    if kind.name == "text":
        return report_text.codes_of(column, kind)
    if kind.discrete:
        code = {level: i for i, level in enumerate(kind.levels)}
        return np.array([code[v.item() if isinstance(v, np.generic) else v] for v in column])
    values = np.stack([np.asarray(v) for v in column])
    return values.reshape(len(values), *kind.shape)


def alike(columns: Columns, given: Values) -> tuple[np.ndarray, str]:
    """The rows that have these values by themselves, and in words which those are.

    Levels are matched; of what remains, the rows nearest to the numbers and arrays, each scaled by its spread
    (arrays by one for all their components; texts by the words that one has and the other has not).
    """
    kept = np.ones(columns.rows, bool)
    near = np.zeros(columns.rows)
    close = []
    for name, value in given.items():
        kind, values = columns.schema[name], columns[name]
        if kind.discrete:
            kept &= values == _canonical([value], kind)[0]
            continue
        close.append(name)
        if kind.name == "text":
            near += report_text.gaps(values, kind, str(value))
            continue
        near += _squared_gaps(values.reshape(columns.rows, -1), np.asarray(value).reshape(-1))
    index = np.flatnonzero(kept)
    if not close or len(index) <= 1:
        return index, f"{len(index):,} rows with these values"
    most = NEAREST if all(columns.schema[n].scalar for n in close) else PICTURES
    count = min(most, max(1, len(index) // 10))
    index = index[np.argsort(near[index], kind="stable")[:count]]
    return index, f"the {count:,} rows nearest in {', '.join(close)}"


def _squared_gaps(rows: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Mean squared distance of rows ``(n, d)`` to a point, in units of the rows' variance.

    In parts, since images as floats may not fit.
    """
    variance = float(np.var(rows[:4096].astype(np.float64))) or 1.0
    parts = np.array_split(rows, -(-len(rows) // 4096))
    gaps = [((part.astype(np.float64) - point) ** 2).mean(axis=1) for part in parts]
    return np.asarray(np.concatenate(gaps) / variance)


def _channels(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., None] if pixels.ndim == 3 else pixels


def _outcome(
    name: str, kind: Kind, drawn: np.ndarray, rows: np.ndarray
) -> Iterator[charts.Picture]:
    """Charts of one outcome, drawn against rows."""
    if kind.name == "image":
        alt = f"{len(drawn[:PICTURES])} samples of {name}"
        yield charts.Picture(
            charts.images(_channels(drawn[:PICTURES]), alt), f"{name}, drawn under do()"
        )
        if len(rows):
            alt = f"{len(rows[:PICTURES])} rows' {name}"
            yield charts.Picture(
                charts.images(_channels(rows[:PICTURES]), alt), f"{name} in the rows (naive)"
            )
        return
    if kind.name == "text":
        yield from report_text.pictures(name, kind, drawn, rows)
        return
    if kind.discrete:
        size = len(kind.levels)
        groups = {"do": _shares(drawn, size)} | ({"rows": _shares(rows, size)} if len(rows) else {})
        yield charts.Picture(charts.bars(kind.levels, groups, name), name)
        return
    for part, (a, b) in _numbers({name: (drawn, rows)}).items():
        groups = {"do": a} | ({"rows": b} if len(b) else {})
        yield charts.Picture(charts.histogram(groups, part), part)


def _shares(codes: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(np.bincount(codes, minlength=size) / max(1, len(codes)))


def _numbers(
    outcomes: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Numbers by name; of a vector its first components."""
    found = {}
    for name, (a, b) in outcomes.items():
        if a.ndim == 1:
            found[name] = (a.astype(np.float64), b.astype(np.float64))
            continue
        for i in range(min(PAIRS, a.shape[1])):
            found[f"{name}[{i}]"] = (a[:, i].astype(np.float64), b[:, i].astype(np.float64))
    return found


def _pairs(
    schema: Mapping[str, Kind], drawn: Mapping[str, np.ndarray], rows: Mapping[str, np.ndarray]
) -> list[charts.Picture]:
    """Clouds of all pairs of the first few numbers among the outcomes."""
    numeric = {
        y: (drawn[y], rows[y])
        for y in drawn
        if not schema[y].discrete and schema[y].name not in ("image", "text")
    }
    parts = [list(_numbers({y: pair}).items()) for y, pair in numeric.items()]
    turns = zip_longest(*parts)  # the first number of each outcome before the second of any
    numbers = [item for turn in turns for item in turn if item is not None][:PAIRS]
    made = []
    for i, (one, (a, b)) in enumerate(numbers):
        for two, (c, d) in numbers[i + 1 :]:
            groups = {"do": (a, c)} | ({"rows": (b, d)} if len(b) else {})
            made.append(charts.Picture(charts.cloud(groups, (one, two)), f"{two} against {one}"))
    return made


def _compared(
    name: str, kind: Kind, drawn: np.ndarray, rows: np.ndarray
) -> list[tuple[str, str, str, str]]:
    """Lines of the table: what is compared, under do(), in the rows, and how far apart."""
    if not len(rows) or kind.name == "image":
        return []
    if kind.name == "text":
        return report_text.compared(name, drawn, rows)
    if kind.discrete:
        size = len(kind.levels)
        a, b = _shares(drawn, size), _shares(rows, size)
        far = f"{float(np.abs(a - b).sum() / 2):.1%} total variation"
        top = int(a.argmax())
        return [(f"share of {name} = {kind.levels[top]}", f"{a[top]:.1%}", f"{b[top]:.1%}", far)]
    found = []
    for part, (a, b) in _numbers({name: (drawn, rows)}).items():
        gap = float(a.mean() - b.mean())
        mine, naive = (
            f"{charts.number(float(v.mean()))} ± {charts.number(float(v.std()))}" for v in (a, b)
        )
        found.append((f"mean ± spread of {part}", mine, naive, f"{charts.number(gap)} apart"))
    return found


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
