"""Draw from trained models: what the ``sample`` function of a generated program calls."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from causalc.errors import CausalcError
from causalc.policy import Policy, draw
from causalc.runtime.data import canonical, labels
from causalc.runtime.fitted import Arrays, Model, Models
from causalc.runtime.noise import Noise
from causalc.runtime.schema import Schema
from causalc.runtime.sources import to_array
from causalc.runtime.stored import together

_LEAST = 4096  # rows of a batch


class Draw:
    """One run of a sampling network: ``n`` rows, in batches, with noise that ignores batches.

    Columns are canonical arrays (see ``Kind``); ``table`` returns them as users write them. A row
    depends on the seed, its number and the order of ``sample`` calls, not on ``batch_size`` (up to
    the rounding of float sums) or ``n``; by default a batch is smaller the wider its columns are. Rows are
    numbered from ``first``: a large draw is the draws of its parts, one after another.
    """

    def __init__(
        self,
        models: Models | None,
        n: int,
        *,
        seed: int = 0,
        batch_size: int | None = None,
        first: int = 0,
    ) -> None:
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise CausalcError(f"n={n!r}: the number of samples must be a whole number above 0.")
        most = _memory() // 8  # rows of one number each
        if n > most:
            raise CausalcError(
                f"n={n}: more rows than this machine's memory holds (at most {most:,}); draw fewer at a "
                "time, each with a seed of its own."
            )
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise CausalcError(f"seed={seed!r} must be a whole number.")
        if batch_size is not None and (
            isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1
        ):
            raise CausalcError(f"batch_size={batch_size!r} must be a whole number above 0.")
        if isinstance(first, bool) or not isinstance(first, int) or first < 0:
            raise CausalcError(f"first={first!r} must be a whole number, 0 or more.")
        self.n, self.seed, self.batch_size = int(n), int(seed), batch_size
        self._first = first
        self._schema = models.schema if models is not None else Schema({})
        self._position = 0

    def input(self, name: str, value: Any) -> np.ndarray:
        """Return an input column from one value, or from an array of one value a row.

        Raises CausalcError for labels outside the levels, wrong lengths and shapes, missing and
        non-finite values.
        """
        kind = self._schema.kind(name)
        if value is None:
            raise CausalcError(f"{name}: give a value, or an array of {self.n} values.")
        try:
            array = _boxed(value)
        except CausalcError as error:
            raise CausalcError(f"Input {name!r}: {error}") from error
        whole = () if kind.name == "text" else kind.shape  # a text is one value
        one = kind.shape[:2] if kind.shape[2:] == (1,) else whole
        single = array.shape in (whole, one)
        if not single and (array.ndim == 0 or len(array) != self.n):
            raise CausalcError(
                f"{name}: values of shape {array.shape}, expected one {kind} or {self.n} of them."
            )
        column = canonical(name, array[None] if single else to_array(name, value), kind, "Input")
        return np.broadcast_to(column, (self.n, *column.shape[1:])) if single else column

    def sample(self, model: Model, inputs: Arrays) -> tuple[np.ndarray, ...]:
        """Draw the model's targets, one row for each row of ``inputs``; columns in target order."""
        lacking = [name for name in model.inputs if name not in inputs]
        if lacking:
            raise CausalcError(
                f"P({', '.join(model.targets)}): the input {lacking[0]!r} is missing."
            )
        key, self._position = str(self._position), self._position + 1
        parts, start, size = [], 0, self.batch_size or _LEAST
        while start < self.n:
            stop = min(start + size, self.n)
            given = {name: inputs[name][start:stop] for name in model.inputs}
            noise = Noise(self.seed, key, self._first + start, self._first + stop)
            parts.append(model.sample(stop - start, given, noise))
            width = sum(math.prod(column.shape[1:]) for column in (*given.values(), *parts[0]))
            start, size = stop, self.batch_size or together(width, _LEAST)
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def policy(self, policy: Policy, inputs: Arrays) -> np.ndarray:
        """Set a variable as its policy says, one row for each row of ``inputs``.

        Raises CausalcError where the policy gives what its variable cannot take.
        """
        kind = self._schema.kind(policy.variable)
        columns = {v: labels(inputs[v], self._schema.kind(v)) for v in policy.inputs}
        noise = Noise(self.seed, str(self._position), self._first, self._first + self.n)
        self._position += 1
        levels = kind.levels if kind.discrete else None
        whole = kind.name == "integer"
        made = draw(policy, levels, whole, columns, noise.uniform(), noise.normal())
        return canonical(policy.variable, made, kind, f"Policy {policy.text}:")

    def table(self, columns: Arrays) -> Any:
        """Return a pandas DataFrame: labels for codes, texts, one array a row for images and vectors."""
        import pandas as pd

        data: dict[str, Any] = {}
        for name, values in columns.items():
            kind = self._schema.kind(name)
            shown = labels(values, kind)
            if kind.shape:
                boxed = np.empty(len(shown), object)
                boxed[:] = list(shown)
                shown = boxed
            data[name] = shown
        return pd.DataFrame(data)


def _memory() -> int:
    """Return the bytes of memory of this machine, or 1 TiB where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 40


def _boxed(value: Any) -> np.ndarray:
    if isinstance(value, str):
        return np.array(value, object)
    try:
        if hasattr(value, "detach"):
            return to_array("", value) if value.ndim else np.asarray(value.item())
        return np.asarray(value)
    except ValueError:  # rows of different shapes: refused as a column
        return np.empty(len(value), object)
    except Exception as error:  # whatever a foreign object's conversion raises
        raise CausalcError(f"{type(value).__name__} cannot be read as values ({error}).") from error


class Trace:
    """A draw that samples nothing and records the wiring of a network, as a JSON value."""

    def __init__(self) -> None:
        self.calls: list[dict[str, object]] = []

    def policy(self, policy: Policy, inputs: Mapping[str, Any]) -> Any:
        """Record a policy; its column is a reference too."""
        self.calls.append({"policy": policy.text, "inputs": {v: inputs[v] for v in policy.inputs}})
        return [len(self.calls) - 1, 0]

    def sample(self, model: Model, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Record a call; columns are references ``[call, target]``."""
        number = len(self.calls)
        wires = {name: inputs[name] for name in model.inputs}
        self.calls.append({"model": model.key, "inputs": wires})
        return tuple([number, i] for i in range(len(model.targets)))
