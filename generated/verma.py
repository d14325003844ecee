"""Compiled from verma.causal.
Graph: V1 -> V2; V2 -> V3; V3 -> V4; V2 <-> V4
P(V4 | do(V3)) = sum_{V1, V2} P(V1, V2) P(V4 | V1, V2, V3)

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "V1": runtime.binary(),
    "V2": runtime.binary(),
    "V3": runtime.binary(),
    "V4": runtime.binary(),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["V1", "V2", "V3", "V4"])

    # P(V4 | V1, V2, V3)
    V4_given_V1_V2_V3 = run.fit(["V4"], given=["V1", "V2", "V3"], on=observed)

    # V1, V2: real rows, no model
    rows_of_V1_V2 = run.bootstrap(["V1", "V2"], on=observed)

    return run.finish({"rows_of_V1_V2": rows_of_V1_V2, "V4_given_V1_V2_V3": V4_given_V1_V2_V3})


def sample(
    models: runtime.Models,
    n: int,
    *,
    V3: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(V4 | do(V3))."""
    draw = runtime.sampling(models, n, **options)
    V3_set = draw.input("V3", V3)
    V1, V2_behind_V4 = draw.sample(models["rows_of_V1_V2"], {})
    (V4,) = draw.sample(models["V4_given_V1_V2_V3"], {"V1": V1, "V2": V2_behind_V4, "V3": V3_set})
    return draw.table({"V4": V4})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample, {"V3": "V3"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
