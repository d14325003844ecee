"""The stages of a program and what each waits for, found by running its ``train`` on no data.

A program says what it trains in plain calls, one a stage. Given an ``Outline`` for data, ``runtime.start``
returns it as the run: calls train nothing and return promises, and what a promise was made of is what
its stage waits for. The third backend of the same text, beside the sampling and the exact one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from causalc.errors import CausalcError
from causalc.runtime.program import Backend, Row
from causalc.runtime.schema import Schema
from causalc.runtime.specs import ModelSpec


@dataclass(frozen=True, slots=True)
class Stage:
    """A fit of a program: the number of its call, and those of all calls it rests on, its own among them.

    ``after`` are the stages among these that it waits for. ``family`` is None where it is yet to be chosen.
    """

    number: int
    label: str
    calls: frozenset[int]
    after: frozenset[int]
    family: str | None


@dataclass(frozen=True, slots=True)
class _Promise:
    """What a call would return: the numbers of the calls that it takes to make it."""

    calls: frozenset[int] = frozenset()
    targets: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


@dataclass(slots=True)
class _Wiring:
    """A draw that samples nothing and notes the models it is asked to draw from."""

    models: list[_Promise] = field(default_factory=list)

    def input(self, name: str, value: object) -> None:
        """A column that the caller sets."""

    def sample(self, model: _Promise, inputs: Mapping[str, object]) -> tuple[None, ...]:
        """One column a target."""
        self.models.append(model)
        return (None,) * len(model.targets)

    def policy(self, policy: object, inputs: Mapping[str, object]) -> None:
        """A column that a policy sets."""

    def table(self, columns: Mapping[str, object]) -> None:
        """Nothing was drawn."""


@dataclass(slots=True)
class Outline(Backend):
    """A run that only notes the stages of the program."""

    stages: list[Stage] = field(default_factory=list)
    _count: int = 0

    def begin(self, schema: Schema, **options: object) -> Outline:
        """Be the run."""
        return self

    def _promise(
        self, on: Iterable[_Promise], targets: Sequence[str] = (), inputs: Sequence[str] = ()
    ) -> _Promise:
        number, self._count = self._count, self._count + 1
        calls = frozenset({number}).union(*(one.calls for one in on))
        return _Promise(calls, tuple(targets), tuple(inputs))

    def observed(self, columns: Sequence[str]) -> _Promise:
        """The rows that are there: no call."""
        return _Promise()

    def fit(
        self,
        targets: Sequence[str],
        given: Sequence[str],
        on: _Promise,
        model: ModelSpec | None = None,
        purpose: str = "sample",
    ) -> _Promise:
        """Note a stage."""
        made = self._promise([on], targets, given)
        number = self._count - 1
        label = f"P({', '.join(targets)}{' | ' if given else ''}{', '.join(given)})"
        after = frozenset(stage.number for stage in self.stages if stage.number in made.calls)
        family = None if model is None else model.family
        self.stages.append(Stage(number, label, made.calls, after, family))
        return made

    def bootstrap(self, columns: Sequence[str], on: _Promise) -> _Promise:
        """Note a call."""
        return self._promise([on], columns)

    def reweight(self, base: _Promise, by: Sequence[_Promise]) -> _Promise:
        """Note a call."""
        return self._promise([base, *by])

    def generate(
        self, network: Callable[[Any], Row], columns: Sequence[str], parents: Sequence[_Promise]
    ) -> _Promise:
        """Note a call that rests on all that the network draws from."""
        wiring = _Wiring()
        network(wiring)
        return self._promise([*parents, *wiring.models])

    def finish(self, models: Mapping[str, Any]) -> Any:
        """The promises."""
        return models


def outline(train: Callable[..., Any]) -> tuple[Stage, ...]:
    """Return the stages of a program's ``train``, in its order.

    Raises CausalcError where it does more with the data than give them to ``runtime.start``.
    """
    found = Outline()
    try:
        train(found)
    except Exception as error:
        raise CausalcError(
            f"the stages of this program cannot be told apart ({type(error).__name__}: {error}): its `train` may only "
            "hand `data` to runtime.start. Train it in this process, without jobs= and executor=."
        ) from error
    return tuple(found.stages)
