"""What a generated program is written against: two backends run the same text.

``start`` and ``sampling`` choose the backend by what they are given: a ``causalc.Table`` is computed with exactly,
anything else is data to train on.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol

from causalc.errors import CausalcError
from causalc.policy import Policy
from causalc.runtime.schema import Schema
from causalc.runtime.specs import ModelSpec
from causalc.table import Table

if TYPE_CHECKING:
    from pandas import DataFrame

    Frame = DataFrame
else:  # pandas is loaded by the first draw
    Frame = Any

Input = Any
"""A value for a do or condition variable: a scalar, an array of length n, or FREE in the exact backend."""

Row = Mapping[str, Any]
"""One column a name, as a network returns it."""


class Free:
    """The value of an input that the exact backend turns into an axis."""

    def __repr__(self) -> str:
        return "FREE"


FREE = Free()


class Draw(Protocol):
    """Draws columns one factor at a time."""

    def input(self, name: str, value: Input) -> Any:
        """The column of a variable that the caller sets."""

    def sample(self, model: Any, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """One column a target, drawn from ``model`` given the columns of its inputs."""

    def policy(self, policy: Policy, inputs: Mapping[str, Any]) -> Any:
        """The column of a variable that a policy sets, given the columns of what it reads."""

    def table(self, columns: Mapping[str, Any]) -> Frame:
        """The outcomes as a data frame, or as a ``Table`` in the exact backend."""


class Models(Protocol):
    """Trained models by name."""

    def __getitem__(self, name: str) -> Any:
        """The model of that name."""

    def drawing(self, n: int, **options: Any) -> Draw:
        """Begin drawing ``n`` rows."""


class Run(Protocol):
    """Trains and simulates; every method returns a handle for the next."""

    def observed(self, columns: Sequence[str]) -> Any:
        """The user's rows."""

    def fit(
        self,
        targets: Sequence[str],
        given: Sequence[str],
        on: Any,
        model: ModelSpec | None = None,
        purpose: str = "sample",
    ) -> Any:
        """Train P(targets | given) on the rows ``on``."""

    def bootstrap(self, columns: Sequence[str], on: Any) -> Any:
        """Real rows of ``columns``, drawn jointly."""

    def reweight(self, base: Any, by: Sequence[Any]) -> Any:
        """Rows of ``base`` weighted by q / propensity for the targets of the models ``by``."""

    def generate(
        self, network: Callable[[Draw], Row], columns: Sequence[str], parents: Sequence[Any]
    ) -> Any:
        """Rows made by running ``network``."""

    def finish(self, models: Mapping[str, Any]) -> Models:
        """Everything a sampling function needs."""


@dataclass(frozen=True, slots=True)
class Query:
    """A sampling function of a program, and the parameter that sets each do or condition variable."""

    sample: Callable[..., Any]
    parameters: Mapping[str, str]


class Backend(ABC):
    """What ``train`` may be given in place of data: it says what run there is."""

    @abstractmethod
    def begin(self, schema: Schema, **options: Any) -> Run:
        """The run."""


def start(schema: Schema, data: Any, **options: Any) -> Run:
    """Begin training on ``data``, or exact computation where ``data`` is a ``Table``.

    Raises ``CausalcError`` for an option that does not exist.
    """
    if isinstance(data, Backend):
        return data.begin(schema, **options)
    if isinstance(data, Table):
        from causalc.runtime.exact import ExactRun

        fill = options.get("fill")
        return ExactRun(data) if fill is None else ExactRun(data, fill)
    from causalc.runtime.run import Run as SamplingRun

    known = inspect.signature(SamplingRun).parameters
    unknown = next((name for name in options if name not in known), None)
    if unknown is not None:
        near = get_close_matches(unknown, known, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join([*known][2:])}"
        raise CausalcError(f"there is no option `{unknown}` of training; {hint}")
    return SamplingRun(schema, data, **options)


def sampling(models: Models, n: int, **options: Any) -> Draw:
    """Begin drawing ``n`` rows; the exact backend ignores ``n`` and returns probabilities."""
    return models.drawing(n, **options)
