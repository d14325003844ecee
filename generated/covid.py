"""Compiled from covid.causal.
Graph: C -> X; X -> N; C <-> N
P(N | do(C)) = sum_{X} P(X | C) sum_{C'} P(C') P(N | C', X)
P(X, N | do(C)) = P(X | C) sum_{C'} P(C') P(N | C', X)

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "C": runtime.binary("negative", "positive"),
    "X": runtime.image(48, 48),
    "N": runtime.binary("clear", "pneumonia"),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["C", "X", "N"])

    # C: real rows, no model
    rows_of_C = run.bootstrap(["C"], on=observed)

    # P(N | C, X)
    N_given_C_X = run.fit(
        ["N"],
        given=["C", "X"],
        on=observed,
        model=runtime.softmax(weight_decay=0.5),
    )

    # P(X | C)
    X_given_C = run.fit(["X"], given=["C"], on=observed, model=runtime.diffusion(steps=1500))

    return run.finish({"X_given_C": X_given_C, "rows_of_C": rows_of_C, "N_given_C_X": N_given_C_X})


def sample_effect(
    models: runtime.Models,
    n: int,
    *,
    C: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(N | do(C))."""
    draw = runtime.sampling(models, n, **options)
    C_set = draw.input("C", C)
    (X,) = draw.sample(models["X_given_C"], {"C": C_set})
    (C_behind_N,) = draw.sample(models["rows_of_C"], {})
    (N,) = draw.sample(models["N_given_C_X"], {"C": C_behind_N, "X": X})
    return draw.table({"N": N})


def sample_picture(
    models: runtime.Models,
    n: int,
    *,
    C: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(X, N | do(C))."""
    draw = runtime.sampling(models, n, **options)
    C_set = draw.input("C", C)
    (X,) = draw.sample(models["X_given_C"], {"C": C_set})
    (C_behind_N,) = draw.sample(models["rows_of_C"], {})
    (N,) = draw.sample(models["N_given_C_X"], {"C": C_behind_N, "X": X})
    return draw.table({"X": X, "N": N})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample_effect, {"C": "C"}),
    "picture": runtime.Query(sample_picture, {"C": "C"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
