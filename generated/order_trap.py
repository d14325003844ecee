"""Compiled from order_trap.causal.
Graph: A -> C; C -> D; B -> C; A <-> D; A <-> B
P(D | do(B)) = sum_{A, C} P(C | A, B) sum_{B'} P(A, B') P(D | A, B', C)

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
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["A", "B", "C", "D"])

    # P(D | A, B, C)
    D_given_A_B_C = run.fit(["D"], given=["A", "B", "C"], on=observed)

    # P(C | A, B)
    C_given_A_B = run.fit(["C"], given=["A", "B"], on=observed)

    # A, B: real rows, no model
    rows_of_A_B = run.bootstrap(["A", "B"], on=observed)

    return run.finish({
        "rows_of_A_B": rows_of_A_B,
        "C_given_A_B": C_given_A_B,
        "D_given_A_B_C": D_given_A_B_C,
    })


def sample(
    models: runtime.Models,
    n: int,
    *,
    B: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(D | do(B))."""
    draw = runtime.sampling(models, n, **options)
    B_set = draw.input("B", B)
    A, B_behind_A = draw.sample(models["rows_of_A_B"], {})
    (C,) = draw.sample(models["C_given_A_B"], {"A": A, "B": B_set})
    (D,) = draw.sample(models["D_given_A_B_C"], {"A": A, "B": B_behind_A, "C": C})
    return draw.table({"D": D})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample, {"B": "B"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
