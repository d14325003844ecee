"""Compiled from several.causal.
Graph: Z -> X; Z -> Y; X -> M; M -> Y; X <-> Y
P(Y | do(X)) = sum_{Z, M} P(M | X) sum_{X'} P(Z, X') P(Y | Z, X', M)
P(M | do(X)) = P(M | X)
P(Y, M | do(X)) = P(M | X) sum_{Z, X'} P(Z, X') P(Y | Z, X', M)
P(Y | do(X), Z) = sum_{M} P(M | X) sum_{X'} P(X' | Z) P(Y | Z, X', M)
P(Y | X, Z) = sum_{M} P(M | X) P(Y | Z, X, M)

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "Z": runtime.binary(),
    "X": runtime.binary(),
    "M": runtime.binary(),
    "Y": runtime.categorical("low", "middle", "high"),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["Z", "X", "M", "Y"])

    # P(M | X)
    M_given_X = run.fit(["M"], given=["X"], on=observed)

    # P(X | Z)
    X_given_Z = run.fit(["X"], given=["Z"], on=observed)

    # P(Y | Z, X, M)
    Y_given_Z_X_M = run.fit(["Y"], given=["Z", "X", "M"], on=observed)

    # P(Y | Z, X)
    Y_given_Z_X = run.fit(["Y"], given=["Z", "X"], on=observed)

    # Z, X: real rows, no model
    rows_of_Z_X = run.bootstrap(["Z", "X"], on=observed)

    # Z, X: real rows, no model
    rows_of_Z_X_2 = run.bootstrap(["Z", "X"], on=observed)

    return run.finish({
        "rows_of_Z_X": rows_of_Z_X,
        "M_given_X": M_given_X,
        "Y_given_Z_X_M": Y_given_Z_X_M,
        "rows_of_Z_X_2": rows_of_Z_X_2,
        "X_given_Z": X_given_Z,
        "Y_given_Z_X": Y_given_Z_X,
    })


def sample_effect(
    models: runtime.Models,
    n: int,
    *,
    X: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(Y | do(X))."""
    draw = runtime.sampling(models, n, **options)
    X_set = draw.input("X", X)
    Z, X_behind_Y = draw.sample(models["rows_of_Z_X"], {})
    (M,) = draw.sample(models["M_given_X"], {"X": X_set})
    (Y,) = draw.sample(models["Y_given_Z_X_M"], {"Z": Z, "X": X_behind_Y, "M": M})
    return draw.table({"Y": Y})


def sample_mediator(
    models: runtime.Models,
    n: int,
    *,
    X: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(M | do(X))."""
    draw = runtime.sampling(models, n, **options)
    X_set = draw.input("X", X)
    (M,) = draw.sample(models["M_given_X"], {"X": X_set})
    return draw.table({"M": M})


def sample_both(
    models: runtime.Models,
    n: int,
    *,
    X: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(Y, M | do(X))."""
    draw = runtime.sampling(models, n, **options)
    X_set = draw.input("X", X)
    Z, X_behind_Y = draw.sample(models["rows_of_Z_X_2"], {})
    (M,) = draw.sample(models["M_given_X"], {"X": X_set})
    (Y,) = draw.sample(models["Y_given_Z_X_M"], {"Z": Z, "X": X_behind_Y, "M": M})
    return draw.table({"Y": Y, "M": M})


def sample_stratum(
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
    (M,) = draw.sample(models["M_given_X"], {"X": X_set})
    (X_behind_Y,) = draw.sample(models["X_given_Z"], {"Z": Z_set})
    (Y,) = draw.sample(models["Y_given_Z_X_M"], {"Z": Z_set, "X": X_behind_Y, "M": M})
    return draw.table({"Y": Y})


def sample_plain(
    models: runtime.Models,
    n: int,
    *,
    X: runtime.Input,
    Z: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(Y | X, Z)."""
    draw = runtime.sampling(models, n, **options)
    X_set = draw.input("X", X)
    Z_set = draw.input("Z", Z)
    (Y,) = draw.sample(models["Y_given_Z_X"], {"Z": Z_set, "X": X_set})
    return draw.table({"Y": Y})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample_effect, {"X": "X"}),
    "mediator": runtime.Query(sample_mediator, {"X": "X"}),
    "both": runtime.Query(sample_both, {"X": "X"}),
    "stratum": runtime.Query(sample_stratum, {"X": "X", "Z": "Z"}),
    "plain": runtime.Query(sample_plain, {"X": "X", "Z": "Z"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
