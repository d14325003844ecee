"""Compiled from condition_moved.causal.
Graph: X -> Z; Z -> Y; X <-> Z
P(Y | do(X), Z) = P(Y | Z)

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "Z": runtime.binary(),
    "Y": runtime.binary(),
    "X": runtime.binary(),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["Z", "Y"])

    # P(Y | Z)
    Y_given_Z = run.fit(["Y"], given=["Z"], on=observed)

    return run.finish({"Y_given_Z": Y_given_Z})


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
    (Y,) = draw.sample(models["Y_given_Z"], {"Z": Z_set})
    return draw.table({"Y": Y})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample, {"X": "X", "Z": "Z"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
