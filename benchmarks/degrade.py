"""Make one model of a compiled program worse, keep what it was fitted on, and watch where it is asked.

The program runs as emitted: ``Watched`` is its run, ``Watching`` hands it over, ``Spy`` stands for its models when
it draws. Models that are not touched, and train on rows that are not, come from the store: the very same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from worlds import Columns as Arrays

from causalc.compiler.plan import Fit
from causalc.runtime.data import Columns
from causalc.runtime.datasets import Dataset
from causalc.runtime.draw import Draw
from causalc.runtime.fitted import Conditional, Models
from causalc.runtime.program import Backend
from causalc.runtime.propensity import Propensity
from causalc.runtime.run import Network, Run
from causalc.runtime.schema import Schema
from causalc.runtime.specs import ModelSpec
from causalc.runtime.train import density_plan

_STEPS_OF_CODES = 1500  # of softmax, from 2,000 rows on
_RIGID = {"softmax": {"width": 1, "depth": 1}, "mixture": {"components": 1}}

Made = Conditional | Propensity


@dataclass(frozen=True)
class Change:
    """What makes a model worse: a share of the steps, of rows with another's target, or a family too rigid."""

    name: str
    steps: float = 1.0
    noise: float = 0.0
    rigid: bool = False

    def spec(self, spec: ModelSpec, on: Dataset) -> ModelSpec:
        """The specification to train by; its steps are always written out, so that it is trained anew."""
        options = {"steps": max(1, round(self.steps * _planned(spec, on)))}
        options |= _RIGID[spec.family] if self.rigid else {}
        return ModelSpec(spec.family, tuple(sorted(options.items())))

    def rows(self, on: Dataset, targets: Sequence[str], seed: int) -> Dataset:
        """The rows to train on: targets of some exchanged among themselves, so that shares stay what they are."""
        if not self.noise:
            return on

        def exchanged() -> Columns:
            rows, rng = on.columns, np.random.default_rng([seed, 11])
            some = rng.choice(rows.rows, round(self.noise * rows.rows), replace=False)
            arrays = {name: rows[name][:].copy() for name in rows}
            for name in targets:
                arrays[name][some] = arrays[name][np.roll(some, 1)]
            return Columns(rows.schema, arrays)

        def identify(used: tuple[str, ...]) -> object:
            return ["exchanged", on.identity(used), list(targets), self.noise, seed]

        return Dataset(on.names, identify, exchanged, lambda: on.weights, on.smoother)


AGAIN = Change("again")  # as good: another seed of training
CHANGES = (
    AGAIN,
    Change("steps / 4", steps=1 / 4),
    Change("steps / 16", steps=1 / 16),
    Change("steps / 64", steps=1 / 64),
    Change("noise 5 %", noise=0.05),
    Change("noise 15 %", noise=0.15),
    Change("noise 40 %", noise=0.40),
    Change("too rigid", rigid=True),
)


def _planned(spec: ModelSpec, on: Dataset) -> int:
    if spec.family == "softmax":
        return _STEPS_OF_CODES
    weights = None if on.weights is None else torch.as_tensor(on.weights[:])
    return density_plan(weights, on.columns.rows).steps


def label(targets: Sequence[str], given: Sequence[str]) -> str:
    """A model's name, as the plan writes it."""
    return str(Fit(tuple(targets), tuple(given), data=0))


@dataclass(frozen=True)
class Stage:
    """A model, the rows it was to be fitted on, and their weights (None: all alike)."""

    made: Made
    columns: Columns
    weights: np.ndarray | None


class Watched(Run):
    """A run that keeps each model with its rows, and makes the model named ``worse`` so.

    Models in ``skip`` are not fitted but taken from there.
    """

    def __init__(
        self,
        schema: Schema,
        data: Arrays,
        store: Path,
        seed: int,
        worse: str = "",
        change: Change = AGAIN,
        skip: Mapping[str, Made] | None = None,
    ) -> None:
        super().__init__(schema, data, store=store, seed=seed, device="cpu", progress=False)
        self._worse, self._change, self._skip = worse, change, dict(skip or {})
        self.stages: dict[str, Stage] = {}
        self.networks: list[Network] = []
        self.weights: dict[str, np.ndarray] = {}  # by the propensity that gave them

    def fit(
        self,
        targets: Sequence[str],
        given: Sequence[str],
        on: Dataset,
        model: ModelSpec | None = None,
        purpose: str = "sample",
    ) -> Any:
        """Fit as the program says, or worse."""
        name, rows = label(targets, given), on
        if name in self._skip:
            made = self._skip[name]
        else:
            if name == self._worse:
                assert model is not None, "the benchmark names every family"
                model = self._change.spec(model, on)
                rows = self._change.rows(on, targets, self.seed)
            made = super().fit(targets, given, rows, model, purpose)
        if rows is not on and isinstance(made, Propensity):
            made = _of(made, on)
        self.stages[name] = Stage(made, on.columns, None if on.weights is None else on.weights[:])
        return made

    def reweight(self, base: Dataset, by: Sequence[Propensity]) -> Dataset:
        """Weigh rows, and keep the weights."""
        found = super().reweight(base, by)
        assert found.weights is not None
        self.weights |= {label(one.targets, one.inputs): found.weights[:] for one in by}
        return found

    def generate(self, network: Network, *rest: Any, **options: Any) -> Dataset:
        """Generate rows, and keep what makes them."""
        self.networks.append(network)
        return super().generate(network, *rest, **options)


def _of(made: Propensity, on: Dataset) -> Propensity:
    """A propensity that was trained with exchanged targets, at the rows' own."""
    ((target,), every) = made.targets, made.log_all
    assert every is not None
    own = every[np.arange(len(every)), on.columns[target]]
    return replace(made, log_p=own)


class Watching(Backend):
    """What a program's ``train`` is given in place of data; ``run`` is what it begins."""

    def __init__(self, data: Arrays, options: Mapping[str, Any]) -> None:
        self.data, self.options = data, options
        self.run: Watched | None = None

    def begin(self, schema: Schema, **options: Any) -> Watched:
        """Begin the run."""
        self.run = Watched(schema, self.data, **self.options)
        return self.run


@dataclass(frozen=True)
class Trained:
    """A program's models and the run that made them."""

    models: Models
    run: Watched

    @staticmethod
    def of(module: ModuleType, data: Arrays, **options: Any) -> Trained:
        """Train a program."""
        watching = Watching(data, options)
        models = module.train(watching)
        assert watching.run is not None
        return Trained(models, watching.run)


@dataclass(frozen=True)
class Visit:
    """A model asked by a network: the inputs with what it drew there."""

    key: str
    columns: Arrays


class Spy(Draw):
    """A draw that notes what every model was asked and drew."""

    def __init__(self, models: Models | None, n: int, **options: Any) -> None:
        super().__init__(models, n, **options)
        self.visits: list[Visit] = []

    def sample(self, model: Any, inputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        """Draw as ever."""
        drawn = super().sample(model, inputs)
        asked = {name: np.asarray(inputs[name]) for name in model.inputs}
        self.visits.append(Visit(model.key, asked | dict(zip(model.targets, drawn, strict=True))))
        return drawn


@dataclass(frozen=True)
class Spied:
    """Models as a program's ``sample`` takes them; ``spies`` are the draws begun."""

    models: Models
    spies: list[Spy]

    def __getitem__(self, name: str) -> Any:
        return self.models[name]

    def drawing(self, n: int, **options: Any) -> Spy:
        """Begin a draw."""
        self.spies.append(Spy(self.models, n, **options))
        return self.spies[-1]


def gap(base: Made, worse: Made, columns: Arrays, weights: np.ndarray | None = None) -> float:
    """The mean of log base − log worse over rows, in nats; of propensities, over the rows of both."""
    if isinstance(base, Propensity) or isinstance(worse, Propensity):
        assert isinstance(base, Propensity) and isinstance(worse, Propensity)
        found = base.log_p[:] - worse.log_p[:]
    else:
        found = base.log_prob(columns) - worse.log_prob(columns)
    return float(np.average(found, weights=weights))


def divergence(weights: np.ndarray, others: np.ndarray) -> float:
    """KL of rows weighted one way from the same rows weighted another; both weights have a mean of one."""
    return float(np.mean(weights * np.log(weights / others)))


def bound(nats: float, levels: int) -> float:
    """The most by which so many nats can move the answer.

    ½-L1 by Pinsker's inequality. Wasserstein-1 in standard deviations by the transport inequality of
    Bobkov and Götze, if the answer's tails are no heavier than a normal's of its own variance.
    """
    return math.sqrt(max(0.0, nats) * (1 / 2 if levels else 2))
