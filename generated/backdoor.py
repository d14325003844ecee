"""Compiled from backdoor.causal.
Graph: Z -> X; Z -> Y; X -> Y
P(Y | do(X)) = sum_{Z} P(Z) P(Y | Z, X)

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "Z": runtime.binary(),
    "X": runtime.binary(),
    "Y": runtime.binary(),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["Z", "X", "Y"])

    # Z: real rows, no model
    rows_of_Z = run.bootstrap(["Z"], on=observed)

    # P(Y | Z, X)
    Y_given_Z_X = run.fit(["Y"], given=["Z", "X"], on=observed)

    return run.finish({"rows_of_Z": rows_of_Z, "Y_given_Z_X": Y_given_Z_X})


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
    (Z,) = draw.sample(models["rows_of_Z"], {})
    (Y,) = draw.sample(models["Y_given_Z_X"], {"Z": Z, "X": X_set})
    return draw.table({"Y": Y})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample, {"X": "X"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
