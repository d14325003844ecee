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
    "I1": runtime.image(32, 32, channels=3),
    "Male": runtime.binary(-1, 1),
    "Young": runtime.binary(-1, 1),
    "I2": runtime.image(32, 32, channels=3),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["I1", "Male", "Young", "I2"])

    # I1: real rows, no model
    rows_of_I1 = run.bootstrap(["I1"], on=observed)

    # P(Young | I1)
    Young_given_I1 = run.fit(["Young"], given=["I1"], on=observed)

    # P(I2 | I1, Male, Young)
    I2_given_I1_Male_Young = run.fit(
        ["I2"],
        given=["I1", "Male", "Young"],
        on=observed,
        model=runtime.pretrained("../out/faces/translator", inputs=["I1", "Male", "Young"], evaluations=8),
    )

    # Male: real rows, no model
    rows_of_Male = run.bootstrap(["Male"], on=observed)

    def draw_generated(draw: runtime.Draw) -> runtime.Row:
        (Male,) = draw.sample(rows_of_Male, {})
        (I1,) = draw.sample(rows_of_I1, {})
        (Young,) = draw.sample(Young_given_I1, {"I1": I1})
        (I2,) = draw.sample(I2_given_I1_Male_Young, {"I1": I1, "Male": Male, "Young": Young})
        return {"Male": Male, "Young": Young, "I2": I2}

    generated = run.generate(
        draw_generated,
        columns=["Male", "Young", "I2"],
        parents=[rows_of_Male, rows_of_I1, Young_given_I1, I2_given_I1_Male_Young],
    )

    # P(I2 | Male, Young), on the generated rows
    I2_given_Male_Young = run.fit(["I2"], given=["Male", "Young"], on=generated)

    # I1, Young: real rows, no model
    rows_of_I1_Young = run.bootstrap(["I1", "Young"], on=observed)

    return run.finish({
        "rows_of_I1_Young": rows_of_I1_Young,
        "I2_given_I1_Male_Young": I2_given_I1_Male_Young,
        "I2_given_Male_Young": I2_given_Male_Young,
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
    (I2,) = draw.sample(models["I2_given_Male_Young"], {"Male": Male_set, "Young": Young_set})
    return draw.table({"I2": I2})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "effect": runtime.Query(sample_effect, {"Male": "Male"}),
    "among": runtime.Query(sample_among, {"Male": "Male", "Young": "Young"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
