"""P(re78 | do(treat)) from trained workers and survey controls, against the randomised experiment.

    python examples/jobs.py [--seeds 3]

The data are those of LaLonde (1986) and Dehejia and Wahba (1999), in the package causaldata: the 185 workers
trained in the National Supported Work programme, the 260 that chance kept out of it, and 15,992 people of the
Current Population Survey. Training sees the 185 and the survey only. Earnings are dollars of 1978.

The experiment's effect is that on people like the 185: `person` averaged over their covariates (ATT). `effect`
averages over the whole pool, which is 99 % survey: nobody knows its truth. Each is given for `generate` (a model of
re78 given treatment and covariates) and for `reweight` (rows weighted by a propensity), with the effective
sample sizes of the weights.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from causalc.runtime.run import Run
from causalc.runtime.schema import Schema, binary, integer, real
from causalc.runtime.weights import spread
from causalc.script import compile_script

HERE = Path(__file__).parent
OUT = HERE.parent / "out" / "jobs"
FLAGS = ("treat", "black", "hisp", "marr", "nodegree")
COVARIATES = ("age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75")
DRAWS = 40_000


def rows() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The experiment, and the pool: its treated arm with the survey in place of the randomised controls."""
    from causaldata import cps_mixtape, nsw_mixtape

    columns = [*COVARIATES, "treat", "re78"]
    experiment, survey = (d.load_pandas().data[columns] for d in (nsw_mixtape, cps_mixtape))
    whole = [*FLAGS, "age", "educ"]
    pool = pd.concat([experiment[experiment.treat == 1], survey], ignore_index=True)
    return experiment.astype(dict.fromkeys(whole, int)), pool.astype(dict.fromkeys(whole, int))


def contrast(frame: pd.DataFrame) -> tuple[float, float]:
    """Mean re78 of the treated minus that of the others, with its standard error."""
    one, other = (frame.re78[frame.treat == t] for t in (1, 0))
    return float(one.mean() - other.mean()), float(
        (one.var() / len(one) + other.var() / len(other)) ** 0.5
    )


def generated(pool: pd.DataFrame, seed: int) -> tuple[float, float]:
    """Effects on the treated and on the pool, from the compiled script."""
    program = compile_script(HERE / "jobs.causal").program
    assert program is not None
    sampler = program.fit(pool, seed=seed, progress=False)
    treated = pool[pool.treat == 1]
    many = treated.loc[treated.index.repeat(DRAWS // len(treated)), list(COVARIATES)]
    given: dict[str, Any] = {name: many[name].to_numpy() for name in COVARIATES}
    means = [
        sampler.sample(len(many), "person", seed=seed, treat=t, **given).re78.mean() for t in (0, 1)
    ]
    whole = [sampler.sample(DRAWS, "effect", seed=seed, treat=t).re78.mean() for t in (0, 1)]
    return means[1] - means[0], whole[1] - whole[0]


def weighted(pool: pd.DataFrame, seed: int) -> tuple[float, float, tuple[str, ...]]:
    """Effects on the treated and on the pool by cross-fitted propensities of the runtime, with overlap."""
    kinds = dict.fromkeys(pool.columns, real()) | dict.fromkeys(("age", "educ"), integer())
    schema = Schema({**kinds, **dict.fromkeys(FLAGS, binary())})
    run = Run(schema, pool, seed=seed, progress=False)
    propensity = run.fit(
        ["treat"], list(COVARIATES), run.observed(list(pool)), purpose="propensity"
    )
    p = np.exp(propensity.log_p)  # of the arm a row is in
    treat, y = pool.treat.to_numpy() == 1, pool.re78.to_numpy()
    odds = np.where(
        treat, 1.0, (1 - p) / p
    )  # survey rows weigh as the treated are frequent where they stand
    inverse = 1 / p

    def effect(w: np.ndarray) -> float:
        return float(
            np.average(y[treat], weights=w[treat]) - np.average(y[~treat], weights=w[~treat])
        )

    lines = (
        spread(odds[~treat]).line("survey rows weighted like the treated"),
        spread(inverse[treat]).line("treated rows weighted like the pool"),
        f"treated with propensity under 0.01: {np.mean(p[treat] < 0.01):.0%}; "
        f"survey rows with propensity under 0.001: {np.mean(1 - p[~treat] < 0.001):.0%}",
    )
    return effect(odds), effect(inverse), lines


def main() -> None:
    """Estimate with several seeds, each on a bootstrap of the pool but the first."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=3)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    experiment, pool = rows()
    OUT.mkdir(parents=True, exist_ok=True)
    pool.to_csv(OUT / "pool.csv", index=False)
    for label, frame in (
        ("randomised experiment", experiment),
        ("naive, treated minus survey", pool),
    ):
        value, error = contrast(frame)
        print(f"{label:32s} {value:+8,.0f}   standard error {error:,.0f}")
    print("seed   rows        generate: treated   pool   reweight: treated   pool   CPU s")
    found = []
    for seed in range(chosen.seeds):
        frame = (
            pool
            if seed == 0
            else pool.groupby("treat").sample(frac=1, replace=True, random_state=seed)
        )
        start = time.process_time()
        made, (on_treated, on_pool, lines) = generated(frame, seed), weighted(frame, seed)
        found.append((*made, on_treated, on_pool))
        shown = "".join(f" {value:+11,.0f}" for value in found[-1])
        label = "the data" if seed == 0 else "bootstrap"
        print(f"{seed:4d}   {label:10s}{shown} {time.process_time() - start:8.0f}", flush=True)
        if seed == 0:
            print(*(f"       {line}" for line in lines), sep="\n")
    print("mean             " + "".join(f" {v:+11,.0f}" for v in np.mean(found, 0)))
    print(
        "spread (sd)      "
        + "".join(f" {v:11,.0f}" for v in np.std(found, 0, ddof=min(1, len(found) - 1)))
    )


if __name__ == "__main__":
    main()
