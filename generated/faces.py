"""Compiled from faces.causal.
Graph: I1 -> Male; I1 -> Young; I1 -> I2; Male -> I2; Young -> I2; Male <-> Young
P(I2 | do(Male)) = sum_{I1, Young} P(I1, Young) P(I2 | I1, Male, Young)
P(I2 | do(Male), Young) = sum_{I1} P(I1 | Young) P(I2 | I1, Male, Young)

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "I1": runtime.image(24, 24, channels=3),
    "Male": runtime.binary(-1, 1),
    "Young": runtime.binary(-1, 1),
    "I2": runtime.image(24, 24, channels=3),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["I1", "Male", "Young", "I2"])

    # P(I2 | I1, Male, Young)
    I2_given_I1_Male_Young = run.fit(
        ["I2"],
        given=["I1", "Male", "Young"],
        on=observed,
        model=runtime.pretrained("../out/faces/translator", inputs=["I1", "Male", "Young"], evaluations=8),
    )

    # P(I1 | Young)
    I1_given_Young = run.fit(["I1"], given=["Young"], on=observed, model=runtime.rows())

    # I1, Young: real rows, no model
    rows_of_I1_Young = run.bootstrap(["I1", "Young"], on=observed)

    return run.finish({
        "rows_of_I1_Young": rows_of_I1_Young,
        "I2_given_I1_Male_Young": I2_given_I1_Male_Young,
        "I1_given_Young": I1_given_Young,
    })


def sample_effect(
    models: runtime.Models,
    n: int,
    *,
    Male: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(I2 | do(Male))."""
    draw = runtime.sampling(models, n, **options)
    Male_set = draw.input("Male", Male)
    I1, Young = draw.sample(models["rows_of_I1_Young"], {})
    (I2,) = draw.sample(models["I2_given_I1_Male_Young"], {"I1": I1, "Male": Male_set, "Young": Young})
    return draw.table({"I2": I2})


def sample_among(
    models: runtime.Models,
    n: int,
    *,
    Male: runtime.Input,
    Young: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(I2 | do(Male), Young)."""
    draw = runtime.sampling(models, n, **options)
    Male_set = draw.input("Male", Male)
    Young_set = draw.input("Young", Young)
    (I1,) = draw.sample(models["I1_given_Young"], {"Young": Young_set})
    (I2,) = draw.sample(models["I2_given_I1_Male_Young"], {"I1": I1, "Male": Male_set, "Young": Young_set})
    return draw.table({"I2": I2})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample_effect, {"Male": "Male"}),
    "among": runtime.Query(sample_among, {"Male": "Male", "Young": "Young"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
