"""Compiled from condition_trained.causal.
Graph: W -> X; W -> Y; X -> Z; Y -> Z
P(Y | do(X), Z) = [P(Y) P(Z | X, Y)] / [sum_{Y'} P(Y') P(Z | X, Y')]

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "W": runtime.binary(),
    "X": runtime.binary(),
    "Y": runtime.binary(),
    "Z": runtime.binary(),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["W", "X", "Y", "Z"])

    # P(X | W)
    propensity_X_given_W = run.fit(["X"], given=["W"], on=observed, purpose="propensity")

    # Rows as if X had been set: weights q / propensity
    weighted = run.reweight(observed, by=[propensity_X_given_W])

    # P(Y | X, Z), on the weighted rows
    Y_given_X_Z = run.fit(["Y"], given=["X", "Z"], on=weighted)

    return run.finish({"Y_given_X_Z": Y_given_X_Z})


def sample(
    models: runtime.Models,
    n: int,
    *,
    X: runtime.Input,
    Z: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(Y | do(X), Z)."""
    draw = runtime.sampling(models, n, **options)
    X_set = draw.input("X", X)
    Z_set = draw.input("Z", Z)
    (Y,) = draw.sample(models["Y_given_X_Z"], {"X": X_set, "Z": Z_set})
    return draw.table({"Y": Y})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample, {"X": "X", "Z": "Z"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
