"""Compiled from nested.causal.
Graph: A -> B; B -> C; B -> E; C -> D; D -> E; A <-> C; A <-> E; B <-> C
P(E | do(A, B, D)) = sum_{A, C} P(A) P(C | A, B) P(E | A, B, C, D)

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "A": runtime.binary(),
    "B": runtime.binary(),
    "C": runtime.binary(),
    "D": runtime.binary(),
    "E": runtime.binary(),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["A", "B", "C", "D", "E"])

    # P(D | C)
    propensity_D_given_C = run.fit(["D"], given=["C"], on=observed, purpose="propensity")

    # Rows as if D had been set: weights q / propensity
    weighted = run.reweight(observed, by=[propensity_D_given_C])

    # A: real rows, no model
    rows_of_A = run.bootstrap(["A"], on=observed)

    # P(E | A, B, D), on the weighted rows
    E_given_A_B_D = run.fit(["E"], given=["A", "B", "D"], on=weighted)

    return run.finish({"rows_of_A": rows_of_A, "E_given_A_B_D": E_given_A_B_D})


def sample(
    models: runtime.Models,
    n: int,
    *,
    A: runtime.Input,
    B: runtime.Input,
    D: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(E | do(A, B, D))."""
    draw = runtime.sampling(models, n, **options)
    A_set = draw.input("A", A)
    B_set = draw.input("B", B)
    D_set = draw.input("D", D)
    (A_behind_E,) = draw.sample(models["rows_of_A"], {})
    (E,) = draw.sample(models["E_given_A_B_D"], {"A": A_behind_E, "B": B_set, "D": D_set})
    return draw.table({"E": E})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample, {"A": "A", "B": "B", "D": "D"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
