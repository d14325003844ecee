"""``E[Y | do(X), Z]`` as an estimator in the manner of scikit-learn, which is not needed for it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from causalc.errors import CausalcError
from causalc.program import Sampler

_AT_ONCE = 1 << 18  # draws


class Effect:
    """The mean of an outcome under do(), as a function of what is set and of what is known.

    ``fit(data)`` compiles the query, trains what it needs and returns itself; ``predict(rows)`` averages ``draws``
    draws for each row of inputs. Every row meets the same noise, so predictions are a function of the row alone and
    differences between rows are not blurred; their standard error is the spread of Y over the root of ``draws``.

    Has ``get_params`` and ``set_params`` and changes no argument, so that scikit-learn's ``clone``, pipelines and
    ``cross_val_score`` take it.
    """

    def __init__(
        self,
        query: str = "P(Y | do(X))",
        graph: Any = "X -> Y",
        *,
        schema: Mapping[str, Any] | None = None,
        strategy: str = "auto",
        event: Any = None,
        draws: int = 256,
        seed: int = 0,
        store: str | Path | None = None,
        device: str = "auto",
        budget: float | None = None,
    ) -> None:
        """``query`` has one outcome and leaves open (without a value) what ``predict`` is given.

        ``graph``, ``schema`` and ``strategy`` are those of ``causalc.compile``; ``seed`` is that of training and of
        the draws, ``device`` where models train ("auto", "cpu", "cuda"). ``event``: predict P(Y = event) instead of
        the mean of Y, for an outcome of levels. ``store`` is a folder of trained models (none: they live as long as
        the estimator), ``budget`` the most seconds of training a model.
        """
        self.query = query
        self.graph = graph
        self.schema = schema
        self.strategy = strategy
        self.event = event
        self.draws = draws
        self.seed = seed
        self.store = store
        self.device = device
        self.budget = budget

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return tuple(n for n in inspect.signature(cls.__init__).parameters if n != "self")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name; ``deep`` changes nothing: none has arguments of its own."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Effect:
        """Set arguments of the constructor by ``params``.

        Raises ``ValueError`` for an unknown one, as scikit-learn's do.
        """
        for name, value in params.items():
            if name not in self._names():
                known = ", ".join(self._names())
                raise ValueError(f"Effect has no parameter {name!r}; it has {known}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        return f"Effect({self.query!r}, {self.graph!r})"

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks of a regressor; called by scikit-learn alone."""
        from sklearn.utils import InputTags, RegressorTags, Tags, TargetTags

        return Tags(
            estimator_type="regressor",
            target_tags=TargetTags(required=False),
            regressor_tags=RegressorTags(),
            input_tags=InputTags(two_d_array=False),
        )

    def fit(self, data: Any, y: Any = None) -> Effect:
        """Train on ``data``: every variable of the query's graph that was observed, one column each.

        A pandas or pyarrow table, a mapping of arrays or a path. ``y``, where it is given, is the column of the
        outcome, and must not contradict the one in ``data``.

        Raises ``NotIdentifiable``, or another ``CausalcError`` where query, graph and data do not fit.
        """
        from causalc.api import compile

        program = compile(self.query, self.graph, schema=self.schema, strategy=self.strategy)
        outcome, *more = program.estimand.question.outcomes
        if more:
            raise CausalcError(f"{self.query}: Effect is of one outcome, here are {len(more) + 1}")
        self.sampler_: Sampler = program.fit(
            data if y is None else _with(data, outcome, y),
            store=self.store,
            seed=self.seed,
            device=self.device,
            budget=self.budget,
            progress=False,
        )
        self.outcome_ = outcome
        self.inputs_ = tuple(program.estimand.question.free)
        self._check_outcome()
        return self

    def _check_outcome(self) -> None:
        kind = self.sampler_.models.schema[self.outcome_]
        numeric = kind.scalar or all(isinstance(level, int | float) for level in kind.levels)
        if self.event is None and (kind.shape or not numeric):
            raise CausalcError(
                f"{self.outcome_} is {kind} and has no mean: give an event, Effect(..., event=LEVEL)"
            )
        if self.event is not None and kind.discrete and self.event not in kind.levels:
            raise CausalcError(f"event={self.event!r} is no level of {self.outcome_}, {kind}")

    def predict(self, rows: Any = None) -> np.ndarray:
        """``E[Y | do(X), Z]`` at each row, float64 ``(n,)`` in the units of Y; with an event its probability.

        ``rows`` hold a column for every input of the query (``inputs_``); others are passed over. For a query
        without inputs, the number of rows counts, or None for one. Raises ``CausalcError`` before ``fit``, for a
        column that is missing and for values out of range.
        """
        if not hasattr(self, "sampler_"):
            raise CausalcError("predict: this Effect is not fitted yet; call fit(data) first")
        if isinstance(self.draws, bool) or not isinstance(self.draws, int) or self.draws < 1:
            raise CausalcError(f"draws={self.draws!r} must be a whole number above 0")
        columns = {name: _column(rows, name) for name in self.inputs_}
        n = len(next(iter(columns.values()))) if columns else (1 if rows is None else len(rows))
        distinct, where = _distinct(columns, n)
        step = max(1, _AT_ONCE // self.draws)
        count = len(distinct) if columns else 1
        parts = [self._means(columns, distinct[i : i + step]) for i in range(0, count, step)]
        return np.concatenate(parts)[where] if parts else np.empty(0)

    def _means(self, columns: Mapping[str, np.ndarray], at: np.ndarray) -> np.ndarray:
        import torch

        from causalc.embedding.function import SamplingFunction
        from causalc.runtime.data import labels

        function = SamplingFunction(self.sampler_)
        m = len(at)
        given = function.columns(m, {n: columns[n][at] for n in function.inputs})
        inputs = {n: v.repeat_interleave(self.draws, dim=0) for n, v in given.items()}
        noise = function.noise(self.draws, self.seed)
        with torch.no_grad():
            drawn = function(
                inputs, {n: v.repeat(m, *[1] * (v.ndim - 1)) for n, v in noise.items()}
            )
        values = labels(drawn[self.outcome_].numpy(), self.sampler_.models.schema[self.outcome_])
        found = values.astype(np.float64) if self.event is None else values == self.event
        return np.asarray(found.reshape(m, self.draws).mean(axis=1), np.float64)

    def score(self, rows: Any, y: Any) -> float:
        """R² of the predictions at ``rows`` against ``y`` ``(n,)``, meant to be outcomes of an experiment.

        Raises ``CausalcError`` as ``predict`` does.
        """
        truth = np.asarray(y, np.float64)
        left = ((truth - self.predict(rows)) ** 2).sum()
        return float(1 - left / ((truth - truth.mean()) ** 2).sum())


def _with(data: Any, outcome: str, y: Any) -> Any:
    """``data`` with a column for the outcome where it has none."""
    if isinstance(data, str | Path):
        raise CausalcError(f"fit: data in a file hold {outcome} themselves; leave y out")
    names = list(data.column_names if hasattr(data, "column_names") else data)
    if outcome in names:
        if not np.array_equal(np.asarray(data[outcome]), np.asarray(y)):
            raise CausalcError(f"fit: y is not the column {outcome!r} of the data; leave one out")
        return data
    return {**{name: np.asarray(data[name]) for name in names}, outcome: np.asarray(y)}


def _column(rows: Any, name: str) -> np.ndarray:
    from causalc.runtime.sources import to_array

    try:
        return np.asarray(to_array(name, rows[name]))
    except (KeyError, TypeError, IndexError, ValueError):
        raise CausalcError(f"predict: the rows have no column {name!r}") from None


def _distinct(columns: Mapping[str, np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of distinct inputs, and which of them each row has."""
    key = np.zeros(n, np.int64)
    for values in columns.values():
        flat = values.astype(str) if values.dtype == object else values
        flat = flat.reshape(n, -1) if flat.ndim > 1 else flat
        _, code = np.unique(flat, axis=0 if flat.ndim > 1 else None, return_inverse=True)
        _, key = np.unique(key * (code.max() + 1) + code.reshape(-1), return_inverse=True)
    _, first, where = np.unique(key, return_index=True, return_inverse=True)
    return first, where
