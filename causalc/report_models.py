"""The report's part on models: what was fitted, on which rows, for how long, and how far weights spread."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from causalc import charts
from causalc.compiler.plan import Bootstrap, Fit, Observed
from causalc.errors import CausalcError
from causalc.plan_drawing import headline
from causalc.runtime import weights as weighting
from causalc.runtime.data import Columns
from causalc.runtime.propensity import Propensity
from causalc.runtime.store import Store
from causalc.runtime.stored import some

if TYPE_CHECKING:
    from causalc.execute import Trained


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


def stages_of(trained: Trained) -> Iterator[Stage]:
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


def notes_of(trained: Trained, stages: Sequence[Stage], columns: Columns) -> dict[int, list[str]]:
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
