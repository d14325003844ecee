"""Compiled from napkin.causal.
Graph: W1 -> W2; W2 -> X; X -> Y; W1 <-> X; W1 <-> Y
P(Y | do(X)) = sum_{W2} P(W2) [sum_{W1} P(W1) P(X, Y | W1, W2)] / [sum_{W1} P(W1) P(X | W1,
W2)]

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "W1": runtime.binary(),
    "W2": runtime.binary(),
    "X": runtime.binary(),
    "Y": runtime.binary(),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["W1", "W2", "X", "Y"])

    # P(W2 | W1)
    propensity_W2_given_W1 = run.fit(["W2"], given=["W1"], on=observed, purpose="propensity")

    # Rows as if W2 had been set: weights q / propensity
    weighted = run.reweight(observed, by=[propensity_W2_given_W1])

    # P(Y | X), on the weighted rows
    Y_given_X = run.fit(["Y"], given=["X"], on=weighted)

    return run.finish({"Y_given_X": Y_given_X})


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
    (Y,) = draw.sample(models["Y_given_X"], {"X": X_set})
    return draw.table({"Y": Y})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample, {"X": "X"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
