"""Compiled from interleaved.causal.
Graph: X -> W1; W1 -> W2; W2 -> Y; X <-> W2; W1 <-> Y
P(Y | do(X)) = sum_{W1, W2} P(W1 | X) P(Y | X, W1, W2) sum_{X'} P(X') P(W2 | X', W1)

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "X": runtime.binary(),
    "W1": runtime.binary(),
    "W2": runtime.binary(),
    "Y": runtime.binary(),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["X", "W1", "W2", "Y"])

    # P(W1 | X)
    W1_given_X = run.fit(["W1"], given=["X"], on=observed)

    # P(Y | X, W1, W2)
    Y_given_X_W1_W2 = run.fit(["Y"], given=["X", "W1", "W2"], on=observed)

    # X: real rows, no model
    rows_of_X = run.bootstrap(["X"], on=observed)

    # P(W2 | X, W1)
    W2_given_X_W1 = run.fit(["W2"], given=["X", "W1"], on=observed)

    return run.finish({
        "W1_given_X": W1_given_X,
        "rows_of_X": rows_of_X,
        "W2_given_X_W1": W2_given_X_W1,
        "Y_given_X_W1_W2": Y_given_X_W1_W2,
    })


def sample(
    models: runtime.Models,
    n: int,
    *,
    X: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(Y | do(X))."""
    draw = runtime.sampling(models, n, **options)
    X_set = draw.input("X", X)
    (W1,) = draw.sample(models["W1_given_X"], {"X": X_set})
    (X_behind_W2,) = draw.sample(models["rows_of_X"], {})
    (W2,) = draw.sample(models["W2_given_X_W1"], {"X": X_behind_W2, "W1": W1})
    (Y,) = draw.sample(models["Y_given_X_W1_W2"], {"X": X_set, "W1": W1, "W2": W2})
    return draw.table({"Y": Y})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample, {"X": "X"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
