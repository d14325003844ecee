"""Train from data: what the ``train`` function of a generated program calls."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from causalc.errors import CausalcError
from causalc.runtime import binding, datasets, propensity_of_many, stored
from causalc.runtime import weights as weighting
from causalc.runtime.binding import Pretrained
from causalc.runtime.checkpoint import EVERY, Checkpoints
from causalc.runtime.data import Columns, load
from causalc.runtime.datasets import Dataset
from causalc.runtime.draw import Draw, Trace
from causalc.runtime.families.protocol import Setting, Shape
from causalc.runtime.fitted import Conditional, Model, Models, Rows, load_model, pick_device
from causalc.runtime.fitting import fit_conditional, shape_of
from causalc.runtime.held_out import Diverged
from causalc.runtime.noise import derive
from causalc.runtime.progress import Report
from causalc.runtime.propensity import Propensity, fit_propensity
from causalc.runtime.schema import Schema, near
from causalc.runtime.seal import read_json
from causalc.runtime.smoothing import Smoother
from causalc.runtime.specs import ModelSpec
from causalc.runtime.store import Store, key_of
from causalc.runtime.stored import Spool, Stored, slices, some
from causalc.runtime.team import team

_MOST_GENERATED = 50_000
_EXTREME = 1000  # times the distance that nine rows in ten keep from the median
_WIDE = 8  # numbers
_TIMES = 4  # generated rows for each observed one, where drawing them is cheap

Network = Callable[[Any], Mapping[str, Any]]
Made = Conditional | Pretrained | Propensity
Make = Callable[[Setting, Report], Made]
Meanwhile = Callable[["Run", Callable[[], bool]], None]


class Unfinished(Exception):
    """A stage is not in the store, and this run is not to train it or to wait for who does."""


class Run:
    """One training run: data in, models out, every finished stage kept in the store.

    ``diagnostics`` are one-line findings in the order they arose, each with a remedy where one is
    called for. ``budget`` is the most seconds of training for each model; by default the number of
    steps is set by the kinds of variable. ``smooth`` averages uneven weights over what a fit does
    not see (see ``smoothing``); without it they are used as they are. A stage in training keeps its
    state in a store that was named every ``save_every`` seconds and when a signal stops it. Folders of
    pretrained models are relative to ``base``, their functions are in ``callables`` by name.

    A stage that is not in the store raises Unfinished unless the run ``trains``, and one that another
    process trains unless it ``waits``; before it does, ``meanwhile`` may see to others, until its
    second argument says that the stage is done.
    """

    def __init__(
        self,
        schema: Schema,
        data: Any,
        *,
        store: str | Path | Store | None = None,
        seed: int = 0,
        device: str = "auto",
        budget: float | None = None,
        truncate: float | None = None,
        smooth: bool = True,
        progress: bool = True,
        save_every: float = EVERY,
        base: str | Path = ".",
        callables: Mapping[str, Callable[..., Any]] | None = None,
        meanwhile: Meanwhile | None = None,
    ) -> None:
        _check_options(seed, budget, truncate, save_every)
        self.store = store if isinstance(store, Store) else Store(store)
        self.columns = load(data, schema, self.store.root)
        if self.columns.rows < 2:
            raise CausalcError(f"The data hold {self.columns.rows} rows: too few to learn from.")
        self.schema = self.columns.schema
        self._told = False
        self.seed, self.device = seed, pick_device(device)
        self._budget, self._truncate, self._quiet = (
            budget,
            truncate,
            not progress or team().rank > 0,
        )
        self._smooth, self._save_every = smooth, save_every
        self.diagnostics: list[str] = list(self.columns.findings)
        self._stages: list[str] = []
        self._base, self._callables = Path(base), dict(callables or {})
        self.trains, self.waits, self._meanwhile = True, True, meanwhile

    def observed(self, columns: Sequence[str]) -> Dataset:
        """Return the observed rows of these columns."""
        for name in columns:
            self.schema.kind(name)
        return datasets.observed(self.columns, tuple(columns))

    def fit(
        self,
        targets: Sequence[str],
        given: Sequence[str],
        on: Dataset,
        model: ModelSpec | None = None,
        purpose: str = "sample",
    ) -> Model | Propensity:
        """Train P(targets | given) on a data set, or find it in the store.

        ``purpose="propensity"`` trains it for ``reweight`` only, cross-fitted and calibrated.
        """
        names = tuple(targets), tuple(given)
        _check_columns(on, (*names[0], *names[1]))
        shape = shape_of(self.columns, *names)
        if model is not None and model.family == "pretrained":
            return self._pretrained(shape, on, model)
        key = self._key("fit", shape, on, binding.named(model, self._base), purpose)
        model = binding.located(model, self._base)

        def make(setting: Setting, report: Report) -> Made:
            weights = _weights(on, shape, setting, report)
            rows = key, on.columns, weights, shape
            if purpose == "propensity":
                return fit_propensity(*rows, model, setting, report, self.store.root)
            return fit_conditional(*rows, model, setting, report)

        return self._stage(key, shape, on, purpose, make)

    def _stage(
        self, key: str, shape: Shape, on: Dataset, purpose: str, make: Make
    ) -> Model | Propensity:
        """Return a finished stage from the store, or make it and put it there."""
        self._stages.append(key)
        found = self.store.find(key)
        if team().first(found is not None):
            return self._reopen(self.store.folder(key), purpose)
        if not self.trains:
            self._note_change(shape, purpose)
            raise Unfinished(str(shape))
        report = Report(self._quiet)

        def wait() -> None:
            if not self.waits:
                raise Unfinished(str(shape))
            report.line(f"{shape}: another run is training this; waiting for it")
            if self._meanwhile is not None:
                self._meanwhile(self, lambda: self.store.folder(key).is_dir())

        with nullcontext() if team().rank else self.store.claim(key, wait):
            found = self.store.find(key)  # the other run may have finished it
            if team().first(found is not None):
                return self._reopen(self.store.folder(key), purpose)
            return self._train(key, shape, on, purpose, make, report)

    def _pretrained(self, shape: Shape, on: Dataset, spec: ModelSpec) -> Model:
        """Return a model that somebody else trained; trained further where ``steps`` says so."""
        found = binding.bound(shape, spec, on.columns, self._base, self.device, self._callables)
        if not spec.get("steps", 0):
            return found
        key = self._key("tune", found.shape, on, spec, found.key)

        def make(setting: Setting, report: Report) -> Made:
            return binding.tuned(found, key, on.columns, spec, setting, report)

        return self._stage(key, shape, on, "sample", make)  # type: ignore[return-value]

    def _train(
        self,
        key: str,
        shape: Shape,
        on: Dataset,
        purpose: str,
        make: Make,
        report: Report,
    ) -> Model | Propensity:
        start, cpu = time.monotonic(), time.process_time()
        states = Checkpoints(self.store.partial(key), self._save_every, report.line)
        kept = None if self.store.temporary else states
        setting = Setting(derive(self.seed, key), self.device, self._budget, kept)
        try:
            made = make(setting, report)
        except Diverged as error:
            raise Diverged(_about(shape, f"{error} {_cause(on.columns, shape)}")) from error
        except CausalcError as error:
            raise type(error)(_about(shape, str(error))) from error
        findings = [_about(shape, line) for line in report.findings]
        label, data = self._note_change(shape, purpose)
        meta = {
            "label": label,
            "data": data,
            "rows": on.columns.rows,
            "seconds": round(time.monotonic() - start, 3),
            "cpu_seconds": round(time.process_time() - cpu, 3),
            "findings": findings,
        }
        if team().rank == 0:
            self.store.put(key, lambda folder: _write(folder, made, report), meta)
            states.clear()
        team().first(True)  # it is there for all
        self.diagnostics += findings
        return made

    def _key(
        self, what: str, shape: Shape, on: Dataset, spec: ModelSpec | None, purpose: str
    ) -> str:
        used = (*shape.target_names, *(name for name, _ in shape.inputs))
        value = [what, shape.to_json(), on.identity(used), spec and spec.to_json(), purpose]
        return key_of([*value, self.seed, self._budget])

    def _note_change(self, shape: Shape, purpose: str) -> tuple[str, dict[str, str | None]]:
        """Return the label of a stage and what tells its rows; say so if the file is not what it was for it."""
        label = str(shape) if purpose == "sample" else f"{shape} {purpose}"
        data = {"source": self.columns.source, "fingerprint": self.columns.fingerprint()}
        if self.columns.source is None or self._told:
            return label, data
        for entry in self.store.entries():
            meta = read_json(entry.path / "meta.json") or {}
            before = meta.get("data", {})
            if (
                entry.label != label
                or before.get("source") != self.columns.source
                or before == data
            ):
                continue
            self._told = True
            self.diagnostics.append(
                f"{self.columns.source} has changed since {label} was trained on it ({entry.created}): what it "
                f"concerns is trained again; `causalc cache rm {entry.key[:12]}` removes the old one."
            )
            break
        return label, data

    def _reopen(self, folder: Path, purpose: str) -> Model | Propensity:
        meta = json.loads((folder / "meta.json").read_text())
        self.diagnostics += meta.get("findings", [])
        self.say(f"{meta['label']}: found in the store")
        if purpose == "propensity":
            return Propensity.load(folder)
        return load_model(folder, self.device)

    def say(self, line: str) -> None:
        """Print a line, unless there is to be no progress."""
        Report(self._quiet).line(line)

    def bootstrap(self, columns: Sequence[str], on: Dataset) -> Rows:
        """Return a model that draws real rows of these columns jointly, by weight if weighted."""
        names = tuple(columns)
        _check_columns(on, names)
        kinds = {name: self.schema[name] for name in names}
        weights = on.weights
        key = key_of(["rows", list(names), on.identity(names)])
        chosen = some(on.columns.rows, derive(self.seed, key))
        if len(chosen) < on.columns.rows:
            self.diagnostics.append(
                f"real rows of {', '.join(names)} are drawn from {len(chosen):,} of {on.columns.rows:,}, "
                "chosen at random."
            )
        arrays = {name: on.columns[name][chosen] for name in names}
        cumulative = None if weights is None else np.cumsum(weights[chosen])
        return Rows(key, kinds, arrays, cumulative)

    def reweight(self, base: Dataset, by: Sequence[Propensity]) -> Dataset:
        """Return ``base`` with each row weighted by q(v) / P(v | …) over the fixed variables v.

        They are the targets of ``by``, fitted on ``base`` with ``purpose="propensity"``. The
        numerator q is their weighted marginal, joint where they are discrete.
        """
        weights = self._weigh(base, list(by))  # at once, so that a resumed run reports it too
        smoother = self._smoother(base, list(by), weights) if self._smooth else None
        options = [self._truncate, smoother is not None]
        keys = [model.key for model in by]
        return datasets.reweighted(base, keys, options, weights, smoother)

    def _smoother(
        self, base: Dataset, by: list[Propensity], weights: stored.Column
    ) -> Smoother | None:
        """Return what averages these weights, where one network gave them all and rows are not too many."""
        if (
            isinstance(weights, Stored)
            or len(by) != 1
            or by[0].log_all is None
            or base.weights is not None
        ):
            return None
        (fixed,) = by[0].targets
        return Smoother(base.columns, fixed, by[0].inputs, by[0].log_all, weights)

    def _weigh(self, base: Dataset, by: list[Propensity]) -> stored.Column:
        fixed = [name for model in by for name in model.targets]
        if any(len(model.log_p) != base.columns.rows for model in by):
            raise CausalcError("reweight: the propensities were fitted on other rows than these.")
        if stored.many(base.columns.rows):
            options = base.weights, self._truncate, self.store.root
            weights: stored.Column = propensity_of_many.weights_of(base.columns, by, *options)
        else:
            weights = self._ratio(base, by, fixed)
        line = weighting.spread(weights).line(f"weights that fix {', '.join(fixed)}")
        self.diagnostics.append(line)
        return weights

    def _ratio(self, base: Dataset, by: list[Propensity], fixed: list[str]) -> np.ndarray:
        given = None if base.weights is None else base.weights[:]
        if all(model.discrete for model in by):
            log_q = weighting.marginal([base.columns[name] for name in fixed], given)
        else:
            log_q = np.sum([model.log_q[:] for model in by], axis=0)
        weights = weighting.ratio(log_q, np.sum([model.log_p[:] for model in by], axis=0), given)
        return weights if self._truncate is None else weighting.truncate(weights, self._truncate)

    def generate(
        self,
        network: Network,
        columns: Sequence[str],
        parents: Sequence[Model],
        rows: int | None = None,
    ) -> Dataset:
        """Return the rows that ``network(draw)`` will generate, all of ``columns`` recorded.

        By default four rows for each observed one (at most 50,000, at least the observed number),
        or as many as observed where the network draws images or wide vectors.
        """
        names = tuple(columns)
        count = rows or self._count(parents)
        trace = Trace()
        wires = network(trace)
        _check_returned(wires, names)
        wiring = {"calls": trace.calls, "columns": {name: wires[name] for name in names}}
        seed = derive(self.seed, "generate", key_of(wiring))

        def make() -> Columns:
            schema = Schema({name: self.schema[name] for name in names})
            made = Columns(schema, self._drawn(network, schema, count, seed))
            self._check_support(made)
            return made

        return datasets.generated(names, wiring, count, self.seed, make)

    def _drawn(self, network: Network, schema: Schema, count: int, seed: int) -> dict[str, Any]:
        """Draw generated rows, into files where they are too many for memory."""
        if stored.size(schema, count) <= stored.IN_MEMORY:
            drawn = network(Draw(None, count, seed=seed))
            return {name: drawn[name] for name in schema}
        with Spool(schema, self.store.root) as spool:
            for part in slices(count):
                drawn = network(Draw(None, part.stop - part.start, seed=seed, first=part.start))
                spool.add({name: drawn[name] for name in schema})
            return {**spool.columns()}

    def _count(self, parents: Sequence[Model]) -> int:
        rows = self.columns.rows
        drawn = {self.schema[name] for model in parents for name in model.targets}
        if any(kind.name == "image" or kind.width > _WIDE for kind in drawn if not kind.discrete):
            return rows
        return max(rows, min(_TIMES * rows, _MOST_GENERATED))

    def _check_support(self, made: Columns) -> None:
        for name, kind in made.schema.items():
            if not kind.scalar or name not in self.columns:
                continue
            low, high = _range(self.columns[name])
            middle, width = (high + low) / 2, high - low
            values = made[name]
            outside = sum(
                int((np.abs(values[part] - middle) > width).sum()) for part in slices(made.rows)
            )
            if outside > 0.001 * made.rows:
                self.diagnostics.append(
                    f"generated rows: {outside / made.rows:.1%} of {name} lie far outside the data; a "
                    "model feeding it is off: train it longer, or use strategy='reweight'."
                )

    def finish(self, models: Mapping[str, Model]) -> Models:
        """Return the models by name, with schema, seed and findings; they can be saved."""
        findings = tuple(self.diagnostics)
        data, stages = self.columns.fingerprint(), tuple(self._stages)
        trained = tuple(_summary(self.store.folder(key)) for key in stages)
        return Models(models, self.schema, self.seed, findings, data, stages, trained)


def _summary(folder: Path) -> dict[str, Any]:
    """What a finished stage has to say of itself: label, rows, seconds, and the best held-out loss of each network."""
    meta = read_json(folder / "meta.json") or {}
    best: list[float] = []
    last = 0
    for line in (folder / "curve.jsonl").read_text().splitlines():
        point = json.loads(line)
        if "held_out" not in point:
            continue
        if point["step"] <= last or not best:
            best.append(math.inf)
        last, best[-1] = point["step"], min(best[-1], point["held_out"])
    said = {name: meta.get(name) for name in ("label", "rows", "seconds")}
    return {**said, "held_out": [value for value in best if math.isfinite(value)]}


def _range(values: np.ndarray) -> tuple[float, float]:
    """Return the least and the greatest value of a column."""
    ends = [(values[part].min(), values[part].max()) for part in slices(len(values))]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _weights(on: Dataset, shape: Shape, setting: Setting, report: Report) -> stored.Column | None:
    names = (*shape.target_names, *(name for name, _ in shape.inputs))
    if on.smoother is None or not on.smoother.applies(names):
        return on.weights
    return on.smoother.smooth(names, setting, report)


def _cause(columns: Columns, shape: Shape) -> str:
    """Name the value that most likely made training diverge, or say that none stands out."""
    found = []
    for name, kind in (*shape.targets, *shape.inputs):
        if kind.levels or kind.name == "image":
            continue
        values = columns[name][:].reshape(columns.rows, -1).astype(np.float64)
        gaps = np.abs(values - np.median(values, axis=0))
        spread = np.quantile(gaps, 0.9, axis=0)
        far = (gaps / np.where(spread > 0, spread, 1.0)).max(axis=1)
        found.append((float(far.max()), name, int(far.argmax())))
    worst, name, row = max(found, default=(0.0, "", 0))
    if worst < _EXTREME:
        return "No value stands out, so the learning rate is the likely cause."
    return (
        f"The likely cause: {name} is {columns[name][row]} in row {row} (counted from 0), {worst:.0e} times "
        "the usual spread; correct or drop that row."
    )


def _about(shape: Shape, line: str) -> str:
    return line if str(shape) in line else f"{shape}: {line}"


def _write(folder: Path, made: Made, report: Report) -> None:
    made.save(folder)
    lines = "".join(json.dumps(point) + "\n" for point in report.curve)
    (folder / "curve.jsonl").write_text(lines)


def _check_options(
    seed: int, budget: float | None, truncate: float | None, save_every: float
) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise CausalcError(f"seed={seed!r} must be a whole number.")
    if budget is not None and not budget > 0:
        raise CausalcError(f"budget={budget!r} must be a number of seconds above 0.")
    if not save_every >= 0:
        raise CausalcError(f"save_every={save_every!r} must be a number of seconds, 0 or more.")
    if truncate is not None and not truncate >= 1:
        raise CausalcError(f"truncate={truncate!r} must be at least 1 (times the mean weight).")


def _check_columns(on: Dataset, names: tuple[str, ...]) -> None:
    for name in names:
        if name not in on.names:
            hint = near(name, on.names)
            raise CausalcError(f"The data set has no column {name!r}{hint}: {', '.join(on.names)}.")


def _check_returned(wires: Mapping[str, Any], names: tuple[str, ...]) -> None:
    lacking = [name for name in names if name not in wires]
    if lacking:
        raise CausalcError(f"generate: the network returns no column {lacking[0]!r}.")
