"""P(Akt | do(Mek)) in the Sachs network with PKC hidden: trained samplers against the exact truth.

    python examples/sachs.py [--seeds 10] [--families table softmax diffusion]

Rows come from the published tables of the network, so truncated factorisation gives the truth. `plug-in` is
the estimand evaluated on the empirical joint of the same rows; `plain` the empirical P(Akt | Mek). The error is
½-L1 for each value of Mek, and `ratio` is to the plug-in's. One data set can make the plug-in's error tiny by luck, so
the last lines give the ratio of errors averaged over seeds, and the share of seeds with a ratio of at most 1.5.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from bif import Network, inside, read

import causalc
from causalc.compiler.view import Spec
from causalc.script import Job, compile_script

HERE = Path(__file__).parent
OUT = HERE.parent / "out" / "sachs"
AT_ONCE = 2_000_000  # draws held in memory
USED = ("PKA", "Mek", "Erk", "Akt")


def network() -> Network:
    """The Sachs network, from the file inside pgmpy."""
    return read(inside("pgmpy", "example_models/sachs.bif.gz"))


def truth(net: Network) -> np.ndarray:
    """P(Akt | do(Mek)), axes Mek, Akt."""
    return net.marginal(["Mek", "Akt"], do=["Mek"])


def plain(net: Network) -> np.ndarray:
    """P(Akt | Mek), axes Mek, Akt."""
    joint = net.marginal(["Mek", "Akt"])
    return np.asarray(joint / joint.sum(1, keepdims=True))


def tvd(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """½-L1 over the last axis."""
    return np.asarray(np.abs(found - wanted).sum(-1) / 2)


def cells(net: Network, n: int, seed: int) -> dict[str, np.ndarray]:
    """``n`` rows of the observed variables, as labels: PKC is left out."""
    rows = net.draw(n, seed)
    return {v: np.array(net.states[v])[rows[v]] for v in net.states if v != "PKC"}


def empirical(net: Network, rows: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray:
    """The share of each combination of values of ``names``."""
    codes = [[net.states[v].index(s) for s in rows[v]] for v in names]
    counts, _ = np.histogramdd(np.array(codes).T, bins=[np.arange(4) - 0.5] * len(names))
    return np.asarray(counts / counts.sum())


def trained(
    job: Job, rows: dict[str, np.ndarray], family: str, draws: int, seed: int
) -> np.ndarray:
    """Shares of Akt among ``draws`` samples for each value of Mek, every conditional of one family."""
    models = {v: Spec(family, (), ()) for v in ("Erk", "Akt")}
    program = causalc.compile("P(Akt | do(Mek))", job.graph, job.schema, models=models)
    sampler = program.fit(rows, seed=seed, progress=False, store=OUT / "store")
    shares = []
    for i, level in enumerate(("LOW", "AVG", "HIGH")):
        count = np.zeros(3)
        for first in range(0, draws, AT_ONCE):
            n = min(AT_ONCE, draws - first)
            drawn = sampler.sample(n, Mek=level, seed=100 * seed + i, first=first)["Akt"].to_numpy()
            count += [(drawn == label).sum() for label in ("LOW", "AVG", "HIGH")]
        shares.append(count / draws)
    return np.array(shares)


def report(label: str, found: np.ndarray, wanted: np.ndarray, base: np.ndarray | None) -> None:
    """One line: errors for Mek = LOW, AVG, HIGH and, given the plug-in's, ratios to them."""
    errors = tvd(found, wanted)
    line = f"  {label:10s}" + "".join(f" {e:8.4f}" for e in errors)
    if base is not None:
        line += "   ratio" + "".join(f" {r:6.2f}" for r in errors / base)
    print(line, flush=True)


def summary(pairs: np.ndarray) -> str:
    """Ratio of mean errors and share of ratios up to 1.5, from ``(seeds, 2, levels)`` errors and plug-in errors."""
    mean = pairs.mean(0)
    good = (pairs[:, 0] <= 1.5 * pairs[:, 1]).mean(0)
    ratios = " ".join(f"{r:.2f}" for r in mean[0] / mean[1])
    return f"ratio of mean errors {ratios}, share of seeds at most 1.5 {' '.join(f'{g:.2f}' for g in good)}"


def main() -> None:
    """Draw, train, compare."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--draws", type=int, default=2_000_000)
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--families", nargs="+", default=["table", "softmax", "diffusion"])
    chosen = options.parse_args()
    torch.set_num_threads(1)
    net = network()
    wanted = truth(net)
    print(f"P(Akt = HIGH | do(Mek = HIGH)) = {wanted[2, 2]:.4f}")
    print(f"P(Akt = HIGH |    Mek = HIGH)  = {plain(net)[2, 2]:.4f}")
    OUT.mkdir(parents=True, exist_ok=True)
    job = compile_script(HERE / "sachs.causal")
    errors: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for seed in range(chosen.seeds):
        rows = cells(net, chosen.rows, seed)
        if seed == 0:
            lines = [",".join(rows), *(",".join(row) for row in zip(*rows.values(), strict=True))]
            (OUT / "cells.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        joint = causalc.Table(USED, empirical(net, rows, USED))
        plug_in = job.estimands["response"].evaluate(joint).array
        naive = empirical(net, rows, ("Mek", "Akt"))
        print(f"seed {seed}: error at Mek = LOW, AVG, HIGH")
        report("plain", naive / naive.sum(1, keepdims=True), wanted, None)
        report("plug-in", plug_in, wanted, None)
        for family in chosen.families:
            start = time.process_time()
            found = trained(job, rows, family, chosen.draws, seed)
            report(family, found, wanted, tvd(plug_in, wanted))
            print(f"  {'':10s} {time.process_time() - start:.0f} CPU seconds")
            errors.setdefault(family, []).append((tvd(found, wanted), tvd(plug_in, wanted)))
    for family, pairs in errors.items():
        print(f"{family}, {len(pairs)} seeds: {summary(np.array(pairs))}")


if __name__ == "__main__":
    main()
