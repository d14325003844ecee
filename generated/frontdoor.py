"""Compiled from frontdoor.causal.
Graph: X -> M; M -> Y; X <-> Y
P(Y | do(X)) = sum_{M} P(M | X) sum_{X'} P(X') P(Y | X', M)

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "X": runtime.binary(),
    "M": runtime.binary(),
    "Y": runtime.binary(),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["X", "M", "Y"])

    # P(M | X)
    M_given_X = run.fit(["M"], given=["X"], on=observed)

    # X: real rows, no model
    rows_of_X = run.bootstrap(["X"], on=observed)

    # P(Y | X, M)
    Y_given_X_M = run.fit(["Y"], given=["X", "M"], on=observed)

    return run.finish({"M_given_X": M_given_X, "rows_of_X": rows_of_X, "Y_given_X_M": Y_given_X_M})


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
    (M,) = draw.sample(models["M_given_X"], {"X": X_set})
    (X_behind_Y,) = draw.sample(models["rows_of_X"], {})
    (Y,) = draw.sample(models["Y_given_X_M"], {"X": X_behind_Y, "M": M})
    return draw.table({"Y": Y})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample, {"X": "X"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
