"""P(N | do(C)) through a chest film: the front door with a picture as the mediator, against the exact truth.

    python examples/covid.py [--seed 0] [--rows 10000]

Draws the films (see chest_films), runs covid.causal as `causalc run` does, and judges what came out: the effect, what
the made films show, how far they lie from real ones, and whether the classifier in the program means what it says.
Leaves in out/covid/: the films and their table, the models, two pictures, report.html, table.txt and table.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from chest_films import HAZY, LUNGS, Patients, films, law, patients, report_law
from judges import Judge, calibration, frechet
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table
from whole_run import run_script

from causalc.execute import Trained

HERE = Path(__file__).parent
OUT = HERE.parent / "out" / "covid"
C, N = ("negative", "positive"), ("clear", "pneumonia")
DRAWS, FRESH = 10_000, 4_000


def write_rows(rows: Patients, pictures: np.ndarray, folder: Path) -> None:
    """Write one PNG file a patient and metadata.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{i:05}.png" for i in range(len(rows.c))]
    for name, film in zip(names, pictures, strict=True):
        Image.fromarray(film).save(folder / name)
    table = {"X": names, "C": np.array(C)[rows.c], "N": np.array(N)[rows.n]}
    pd.DataFrame(table).to_csv(folder / "metadata.csv", index=False)


def effects(trained: Trained, rows: Patients, seed: int) -> dict[str, dict[str, float]]:
    """P(N = pneumonia | do(C)): the program's, the exact one and that of the rows with this C."""
    found = {}
    for c, name in enumerate(C):
        drawn = trained.sample("effect", DRAWS, seed + c, {"C": name})["N"] == N[1]
        made, true = float(drawn.mean()), float(law(do=True)[c])
        plain = float(rows.n[rows.c == c].mean())
        errors = {"error": abs(made - true), "plain error": abs(plain - true)}
        found[name] = {"program": made, "truth": true, "plain": plain, **errors}
    return found


def pictures(trained: Trained, judge: Judge, seed: int) -> dict[str, dict[str, float]]:
    """What the films of do(C) show: ½-L1 of the shares of K, and Fréchet distances to real films."""
    rng, found = np.random.default_rng([seed, 2]), {}
    for c, name in enumerate(C):
        drawn = trained.sample("picture", FRESH, seed + 10 + c, {"C": name})
        film = np.stack(list(drawn["X"]))[..., 0]
        shares = np.bincount(judge.read(film), minlength=HAZY) / len(film)
        real, again = (films(patients(FRESH, rng, do_c=c).k, rng) for _ in range(2))
        marks = [judge.features(some) for some in (film, real, again)]
        found[name] = {
            "TVD of K": float(np.abs(shares - LUNGS[c]).sum() / 2),
            "Fréchet to real": frechet(marks[0], marks[1]),
            "real to real": frechet(marks[1], marks[2]),
        }
    return found


def meant(trained: Trained, seed: int) -> dict[str, float]:
    """How well P(N | C, X) is calibrated on fresh patients; ``chance`` is what a perfect one would score."""
    rng = np.random.default_rng([seed, 3])
    fresh = patients(DRAWS, rng)
    columns = {"C": fresh.c, "X": films(fresh.k, rng)[..., None], "N": np.ones(DRAWS, int)}
    p = np.exp(trained.sampler.models["N_given_C_X"].log_prob(columns))
    exact = report_law()[fresh.c, fresh.k]
    return {
        "expected calibration error": calibration(p, fresh.n),
        "by chance": calibration(p, rng.random(DRAWS) < p),
        "mean distance to the exact P(N | C, X)": float(np.abs(p - exact).mean()),
    }


def shown(title: str, found: dict[str, dict[str, float]]) -> Table:
    """A table with a line for each value of C."""
    columns = next(iter(found.values()))
    table = Table("C", *columns, title=title, box=box.SIMPLE_HEAD)
    for name, values in found.items():
        table.add_row(name, *(f"{value:.3f}" for value in values.values()))
    return table


def main() -> None:
    """Draw, run, judge."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--rows", type=int, default=10_000)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    start, console = time.monotonic(), Console(record=True, highlight=False)
    rng = np.random.default_rng([chosen.seed, 1])
    rows = patients(chosen.rows, rng)
    write_rows(rows, films(rows.k, rng), OUT / "films")
    ran = run_script(HERE / "covid.causal", OUT, chosen.seed)
    console.print(str(ran))
    trained = ran.trained

    k = rng.integers(HAZY, size=6_000)
    judge = Judge.trained(films(k, rng), k)
    console.print(f"Judge: {judge.accuracy:.1%} of held-out films read right (hazy lungs, 0 to 2).")
    found = effects(trained, rows, chosen.seed)
    made, reader = pictures(trained, judge, chosen.seed), meant(trained, chosen.seed)
    console.print(shown("P(N = pneumonia | do(C))", found))
    console.print(shown("The films", made))
    for name, value in reader.items():
        console.print(f"P(N | C, X), {name}: {value:.4f}")
    console.print(f"{OUT}: report.html, negative.png, positive.png, table.txt, table.json")
    console.print(f"{time.monotonic() - start:.0f} s")
    seconds = {"clock": ran.clock, "cpu": ran.cpu}
    summary = {
        "seconds": seconds,
        "judge": judge.accuracy,
        "effect": found,
        "films": made,
        "reader": reader,
    }
    (OUT / "table.txt").write_text(console.export_text(), encoding="utf-8")
    (OUT / "table.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
