"""What ``train``, ``sample`` and ``run`` do with a compiled script: models, samples, estimates and checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from causalc.checks import Finding, run_checks
from causalc.compiler.check_estimates import moments, open_variables
from causalc.errors import CausalcError, RunFailed
from causalc.estimates import Answer, Estimate, Point, evaluate, points, refitted
from causalc.grammar.tree import Arithmetic, Moment
from causalc.moments import moment_of
from causalc.program import Program, Sampler
from causalc.runtime.data import Columns, labels, load
from causalc.runtime.image_files import image_file
from causalc.runtime.noise import derive
from causalc.runtime.written import frames
from causalc.script import Job
from causalc.sensitivity import NO_CONTRAST, contrast, of_estimate

CHECK_DRAWS = 10_000
TRAINING = ("seed", "device", "budget")  # what a script may set


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A script's models, and how they were trained. ``options`` are those of ``Program.fit``."""

    job: Job
    program: Program
    sampler: Sampler
    source: Any = field(repr=False)
    options: Mapping[str, Any]

    @property
    def findings(self) -> tuple[str, ...]:
        """What training noticed, one line each."""
        return tuple(self.sampler.models.findings)

    def columns(self) -> Columns:
        """The observed rows, checked. Raises ``CausalcError`` if they changed since training."""
        found = load(self.source, self.program.module.SCHEMA)
        trained = self.sampler.models.data
        if trained and found.fingerprint() != trained:
            raise CausalcError(
                f"{self.source}: changed since the models were trained on it; run the same command again"
            )
        return found

    def sample(
        self,
        query: str,
        n: int,
        seed: int,
        given: Mapping[str, object],
        folder: Path | None = None,
    ) -> Any:
        """Draw a data frame; ``given`` sets inputs by name, images by the path of a file.

        Paths in the script are relative to it, those of ``given`` to ``folder`` (by default the same).

        Raises ``CausalcError`` for an input that is missing, unknown or out of range.
        """
        return self.sampler.sample(n, query, seed, **self._inputs(query, given, folder))

    def frames(
        self,
        query: str,
        n: int,
        seed: int,
        given: Mapping[str, object],
        folder: Path | None = None,
    ) -> Iterator[Any]:
        """The rows of ``sample`` in parts that memory holds, whatever ``n`` is."""
        values = self._inputs(query, given, folder)
        return frames(lambda k, i: self.sampler.sample(k, query, seed, first=i, **values), n)

    def _inputs(
        self, query: str, given: Mapping[str, object], folder: Path | None
    ) -> dict[str, object]:
        chosen = self.job.values(query, given)
        values = {name: self.read(name, v, folder) for name, v in chosen.items()}
        return {**self.fixed(query), **values}

    def fixed(self, query: str) -> dict[str, object]:
        """The values that a query itself sets, images read."""
        fixed = self.job.estimands[query].question.fixed
        return {name: self.read(name, value) for name, value in fixed.items()}

    def read(self, name: str, value: object, folder: Path | None = None) -> object:
        """A value as samplers take it: images from their file, by default beside the script."""
        folder = folder or self.job.path.parent
        kind = self.sampler.models.schema.kind(name)
        if kind.name == "image" and isinstance(value, str):
            data = self.job.data
            resize = data.options.get("resize") if data is not None else None
            return image_file(folder / value, kind, None if resize is None else str(resize))
        return value

    def estimates(self, draws: int, seed: int) -> list[Answer]:
        """Every estimate whose queries are identifiable; with ``bootstrap`` refits where the script asks."""
        places = {e.name: points(e, self.columns) for e in self._wanted}
        answers = self._answers(self.sampler, draws, seed, places)
        refits = int(self.job.options.get("bootstrap", 0))
        if not refits or not answers:
            return answers
        again = [
            self._answers(sampler, draws, derive(seed, "refit", number), places)
            for number, sampler in enumerate(self._refitted(refits, seed))
        ]
        return [
            refitted(answer, [run[i].value for run in again]) for i, answer in enumerate(answers)
        ]

    @property
    def _wanted(self) -> list[Estimate]:
        return [e for e in self.job.estimates if e.name not in self.job.refused]

    def _answers(
        self, sampler: Sampler, draws: int, seed: int, places: Mapping[str, tuple[Point, ...]]
    ) -> list[Answer]:
        trained = replace(self, sampler=sampler)

        @cache
        def rows(query: str, values: tuple[tuple[str, object], ...]) -> Any:
            return trained.sample(query, draws, seed, dict(values))

        def draw(query: str, values: Mapping[str, object]) -> Any:
            return rows(query, tuple(values.items()))

        schema = sampler.models.schema
        return [evaluate(e, draw, schema, draws, at) for e in self._wanted for at in places[e.name]]

    def _refitted(self, refits: int, seed: int) -> Iterator[Sampler]:
        """Models trained on rows drawn with replacement from the data."""
        columns = self.columns()
        for number in range(refits):
            index = np.random.default_rng([seed, number]).integers(0, columns.rows, columns.rows)
            rows = {n: labels(columns[n][index], columns.schema[n]) for n in columns}
            yield self.program.fit(rows, **self.options)

    def checks(self, seed: int, answers: Sequence[Answer] = ()) -> list[Finding]:
        """Every check of a query or an estimate that is identifiable; ``answers`` are those of the estimates."""
        wanted = [c for c in self.job.checks if c.query not in self.job.refused]
        if not wanted:
            return []
        estimates = {e.name: e for e in self._wanted}
        of_queries = [c for c in wanted if c.query not in estimates]
        values = {c.query: self.fixed(c.query) for c in of_queries}
        columns = self.columns()
        found = list(run_checks(of_queries, self.sampler, columns, values, seed))
        by_name = {a.name: a for a in answers or self.estimates(CHECK_DRAWS, seed) if not a.at}
        for statement in wanted:
            if statement.query in estimates:
                verdict = self._sensitivity(estimates[statement.query], by_name, columns, seed)
                found.append(Finding(statement.query, "sensitivity", *verdict))
        return found

    def _sensitivity(
        self, estimate: Estimate, answers: Mapping[str, Answer], columns: Columns, seed: int
    ) -> tuple[str, str]:
        if estimate.name not in answers or contrast(estimate.expression) is None:
            return NO_CONTRAST
        expression = estimate.expression
        assert isinstance(expression, Arithmetic) and isinstance(expression.right, Moment)
        source = estimate.sources[-1]
        rows = self.sample(source.query, CHECK_DRAWS, seed, dict(source.values))
        base = moment_of(expression.right, rows, self.sampler.models.schema).value
        answer = answers[estimate.name]
        return of_estimate(expression, answer, self.job.graph, columns, base)


def train(
    job: Job, data: str | None, store: str, progress: bool, given: Mapping[str, Any]
) -> Trained:
    """Train a script's models, or take them from the store; ``given`` overrides its ``train`` block.

    Raises ``RunFailed`` where the machine gave out, and another ``CausalcError`` for bad input.
    """
    if job.program is None:
        raise CausalcError(f"{job.path}: no query is identifiable, so there is nothing to train")
    options = {name: job.options[name] for name in TRAINING if name in job.options}
    options |= {name: value for name, value in given.items() if value is not None}
    options |= {"store": store, "progress": progress}
    source = Path(data) if data is not None else job.source()
    with resumable(store):
        refuse_early(job, source)
        sampler = job.program.fit(source, **options)
    return Trained(job, job.program, sampler, source, options)


def refuse_early(job: Job, source: Any) -> None:
    """Raise ``CausalcError`` where an estimate cannot be taken of the kinds the data turn out to have.

    Each is computed from the first rows themselves, which the finished models would only imitate.
    """
    wanted = [e for e in job.estimates if e.name not in job.refused]
    asked = {p.name.text for e in wanted for m in moments(e.expression) for p in m.predicates}
    asked |= {name for e in wanted for name in open_variables(e.expression)}
    if job.program is None or not any(job.schema.get(name) is None for name in asked):
        return
    found = load(source, job.program.module.SCHEMA)
    rows = min(found.rows, 2)
    head = {n: labels(found[n][:rows], found.schema[n]) for n in asked}
    for estimate in wanted:
        place = points(estimate, lambda: found)[0]
        evaluate(estimate, lambda query, values: head, found.schema, rows, place)


@contextmanager
def resumable(store: str) -> Iterator[None]:
    """Turn what the machine refuses (memory, disk) into ``RunFailed``: finished stages are in the store."""
    try:
        yield
    except (MemoryError, OSError) as error:
        raise RunFailed(_stopped(error, store)) from error
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, for an accelerator
            raise
        raise RunFailed(_stopped(error, store)) from error


def _stopped(error: Exception, store: str) -> str:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return (
        f"the run stopped: {reason}\n"
        f"help: finished models are kept in {store}; make room, and the same command goes on from there"
    )
