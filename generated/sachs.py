"""Compiled from sachs.causal.
Graph: PKA -> Raf; PKA -> Mek; PKA -> Jnk; PKA -> P38; PKA -> Erk; PKA -> Akt; Raf -> Mek;
Mek -> Erk; Erk -> Akt; Plcg -> PIP3; Plcg -> PIP2; PIP3 -> PIP2; PKA <-> Raf; PKA <-> Mek;
PKA <-> Jnk; PKA <-> P38; Raf <-> Mek; Raf <-> Jnk; Raf <-> P38; Mek <-> Jnk; Mek <-> P38;
Jnk <-> P38
P(Akt | do(Mek)) = sum_{PKA, Erk} P(PKA) P(Erk | PKA, Mek) P(Akt | PKA, Erk)
P(Akt | do(Mek = "HIGH")) = sum_{PKA, Erk} P(PKA) P(Erk | PKA, Mek) P(Akt | PKA, Erk)
P(Akt | do(Mek = "HIGH"), PKA = "LOW") = sum_{Erk} P(Erk | PKA, Mek) P(Akt | PKA, Erk)

Compiled by causalc 0.1.0. `python PROGRAM DATA` trains and samples; see --help.
"""

from collections.abc import Mapping
from typing import Any

from causalc import runtime

SCHEMA = runtime.Schema({
    "PKA": runtime.ordinal("LOW", "AVG", "HIGH"),
    "Mek": runtime.ordinal("LOW", "AVG", "HIGH"),
    "Erk": runtime.ordinal("LOW", "AVG", "HIGH"),
    "Akt": runtime.ordinal("LOW", "AVG", "HIGH"),
})


def train(data: Any, **options: Any) -> runtime.Models:
    """Train what the sampling functions need; finished stages are taken from ``store``."""
    run = runtime.start(SCHEMA, data, **options)
    observed = run.observed(["PKA", "Mek", "Erk", "Akt"])

    # PKA: real rows, no model
    rows_of_PKA = run.bootstrap(["PKA"], on=observed)

    # P(Erk | PKA, Mek)
    Erk_given_PKA_Mek = run.fit(["Erk"], given=["PKA", "Mek"], on=observed)

    # P(Akt | PKA, Erk)
    Akt_given_PKA_Erk = run.fit(["Akt"], given=["PKA", "Erk"], on=observed)

    return run.finish({
        "rows_of_PKA": rows_of_PKA,
        "Erk_given_PKA_Mek": Erk_given_PKA_Mek,
        "Akt_given_PKA_Erk": Akt_given_PKA_Erk,
    })


def sample_response(
    models: runtime.Models,
    n: int,
    *,
    Mek: runtime.Input,
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(Akt | do(Mek))."""
    draw = runtime.sampling(models, n, **options)
    Mek_set = draw.input("Mek", Mek)
    (PKA,) = draw.sample(models["rows_of_PKA"], {})
    (Erk,) = draw.sample(models["Erk_given_PKA_Mek"], {"PKA": PKA, "Mek": Mek_set})
    (Akt,) = draw.sample(models["Akt_given_PKA_Erk"], {"PKA": PKA, "Erk": Erk})
    return draw.table({"Akt": Akt})


def sample_high(
    models: runtime.Models,
    n: int,
    *,
    Mek: runtime.Input = "HIGH",
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(Akt | do(Mek = "HIGH"))."""
    draw = runtime.sampling(models, n, **options)
    Mek_set = draw.input("Mek", Mek)
    (PKA,) = draw.sample(models["rows_of_PKA"], {})
    (Erk,) = draw.sample(models["Erk_given_PKA_Mek"], {"PKA": PKA, "Mek": Mek_set})
    (Akt,) = draw.sample(models["Akt_given_PKA_Erk"], {"PKA": PKA, "Erk": Erk})
    return draw.table({"Akt": Akt})


def sample_context(
    models: runtime.Models,
    n: int,
    *,
    Mek: runtime.Input = "HIGH",
    PKA: runtime.Input = "LOW",
    **options: Any,
) -> runtime.Frame:
    """Draw ``n`` rows from P(Akt | do(Mek = "HIGH"), PKA = "LOW")."""
    draw = runtime.sampling(models, n, **options)
    Mek_set = draw.input("Mek", Mek)
    PKA_set = draw.input("PKA", PKA)
    (Erk,) = draw.sample(models["Erk_given_PKA_Mek"], {"PKA": PKA_set, "Mek": Mek_set})
    (Akt,) = draw.sample(models["Akt_given_PKA_Erk"], {"PKA": PKA_set, "Erk": Erk})
    return draw.table({"Akt": Akt})


# Every query: its function, and the parameter that sets each of its variables.
QUERIES: Mapping[str, runtime.Query] = {
    "response": runtime.Query(sample_response, {"Mek": "Mek"}),
    "high": runtime.Query(sample_high, {"Mek": "Mek"}),
    "context": runtime.Query(sample_context, {"Mek": "Mek", "PKA": "PKA"}),
}

if __name__ == "__main__":
    runtime.main(__doc__, train, QUERIES)
