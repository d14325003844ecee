"""Part of a program: what one stage needs, and no more.

Given a ``Part`` for data, ``runtime.start`` returns it as the run. Calls are numbered as they are made, as
``outline`` numbers them; those that are wanted are made on a run like any other, those that are not
return nothing. So a stage is trained by the very text and code that train the whole program, wherever
that happens, and comes to the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from causalc.runtime.datasets import Dataset
from causalc.runtime.program import Backend
from causalc.runtime.run import Run
from causalc.runtime.schema import Schema
from causalc.runtime.specs import ModelSpec


class Part(Backend):
    """Makes the calls that are wanted, each once however often the program is gone through."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self._made: dict[int, Any] = {}
        self._run: Run | None = None
        self._wanted: frozenset[int] = frozenset()
        self._waits, self._count = True, 0

    def do(
        self,
        train: Callable[..., Any],
        calls: frozenset[int],
        options: Mapping[str, Any],
        waits: bool = True,
    ) -> None:
        """Make these calls of a program; every ``do`` takes the same program and options.

        Raises Unfinished where another process trains one of the stages, unless it is waited for.
        """
        self._wanted, self._waits, self._count = calls, waits, 0
        train(self, **options)

    def begin(self, schema: Schema, **options: Any) -> Part:
        """Be the run."""
        if self._run is None:
            self._run = Run(schema, self._data, **options)
        self._run.waits = self._waits
        return self

    def observed(self, columns: Sequence[str]) -> Dataset:
        """The rows that are there."""
        assert self._run is not None
        return self._run.observed(columns)

    def _call(self, method: str, *arguments: Any) -> Any:
        number, self._count = self._count, self._count + 1
        if number in self._wanted and number not in self._made:
            self._made[number] = getattr(self._run, method)(*arguments)
        return self._made.get(number)

    def fit(
        self,
        targets: Sequence[str],
        given: Sequence[str],
        on: Any,
        model: ModelSpec | None = None,
        purpose: str = "sample",
    ) -> Any:
        """Train, find or leave out a stage."""
        return self._call("fit", targets, given, on, model, purpose)

    def bootstrap(self, columns: Sequence[str], on: Any) -> Any:
        """Real rows, or nothing."""
        return self._call("bootstrap", columns, on)

    def reweight(self, base: Any, by: Sequence[Any]) -> Any:
        """Weighted rows, or nothing."""
        return self._call("reweight", base, by)

    def generate(
        self, network: Callable[[Any], Any], columns: Sequence[str], parents: Sequence[Any]
    ) -> Any:
        """Generated rows, or nothing."""
        return self._call("generate", network, columns, parents)

    def finish(self, models: Mapping[str, Any]) -> Any:
        """What was wanted lies in the store."""
        return models
