"""Compiled from xray.causal.
Graph: R -> E; R -> A; R -> L; E -> A; E -> L; E -> X; A -> L; A -> X; L -> X; N -> E; N ->
A; N -> L; R <-> N
P(N, E, A, L, X | do(R)) = P(N) P(E, A, L | R, N) P(X | E, A, L)
P(N, E, A, L | do(R)) = P(N) P(E, A, L | R, N)
P(R | E, A, L) = P(R | E, A, L)

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "R": runtime.text(max_tokens=40),
    "N": runtime.binary(),
    "E": runtime.binary(),
    "A": runtime.binary(),
    "L": runtime.binary(),
    "X": runtime.image(24, 24),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["R", "N", "E", "A", "L", "X"])

    # N: real rows, no model
    rows_of_N = run.bootstrap(["N"], on=observed)

    # P(E | R, N)
    E_given_R_N = run.fit(["E"], given=["R", "N"], on=observed, model=runtime.softmax(steps=160))

    # P(A | R, N, E)
    A_given_R_N_E = run.fit(
        ["A"],
        given=["R", "N", "E"],
        on=observed,
        model=runtime.softmax(steps=160),
    )

    # P(L | R, N, E, A)
    L_given_R_N_E_A = run.fit(
        ["L"],
        given=["R", "N", "E", "A"],
        on=observed,
        model=runtime.softmax(steps=160),
    )

    # P(X | E, A, L)
    X_given_E_A_L = run.fit(
        ["X"],
        given=["E", "A", "L"],
        on=observed,
        model=runtime.diffusion(steps=800),
    )

    # P(R | E, A, L)
    R_given_E_A_L = run.fit(
        ["R"],
        given=["E", "A", "L"],
        on=observed,
        model=runtime.transformer(steps=300),
    )

    return run.finish({
        "rows_of_N": rows_of_N,
        "E_given_R_N": E_given_R_N,
        "A_given_R_N_E": A_given_R_N_E,
        "L_given_R_N_E_A": L_given_R_N_E_A,
        "X_given_E_A_L": X_given_E_A_L,
        "R_given_E_A_L": R_given_E_A_L,
    })


def sample_effect(
    models: runtime.Models,
    n: int,
    *,
    R: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(N, E, A, L, X | do(R))."""
    draw = runtime.sampling(models, n, **options)
    R_set = draw.input("R", R)
    (N,) = draw.sample(models["rows_of_N"], {})
    (E,) = draw.sample(models["E_given_R_N"], {"R": R_set, "N": N})
    (A,) = draw.sample(models["A_given_R_N_E"], {"R": R_set, "N": N, "E": E})
    (L,) = draw.sample(models["L_given_R_N_E_A"], {"R": R_set, "N": N, "E": E, "A": A})
    (X,) = draw.sample(models["X_given_E_A_L"], {"E": E, "A": A, "L": L})
    return draw.table({"N": N, "E": E, "A": A, "L": L, "X": X})


def sample_findings(
    models: runtime.Models,
    n: int,
    *,
    R: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(N, E, A, L | do(R))."""
    draw = runtime.sampling(models, n, **options)
    R_set = draw.input("R", R)
    (N,) = draw.sample(models["rows_of_N"], {})
    (E,) = draw.sample(models["E_given_R_N"], {"R": R_set, "N": N})
    (A,) = draw.sample(models["A_given_R_N_E"], {"R": R_set, "N": N, "E": E})
    (L,) = draw.sample(models["L_given_R_N_E_A"], {"R": R_set, "N": N, "E": E, "A": A})
    return draw.table({"N": N, "E": E, "A": A, "L": L})


def sample_report(
    models: runtime.Models,
    n: int,
    *,
    E: runtime.Input,
    A: runtime.Input,
    L: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(R | E, A, L)."""
    draw = runtime.sampling(models, n, **options)
    E_set = draw.input("E", E)
    A_set = draw.input("A", A)
    L_set = draw.input("L", L)
    (R,) = draw.sample(models["R_given_E_A_L"], {"E": E_set, "A": A_set, "L": L_set})
    return draw.table({"R": R})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample_effect, {"R": "R"}),
    "findings": runtime.Query(sample_findings, {"R": "R"}),
    "report": runtime.Query(sample_report, {"E": "E", "A": "A", "L": "L"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
