"""Which family for which query: the error of every one, on random models with latents over variables of every kind.

    python benchmarks/accuracy.py [--cases napkin ...] [--kinds real mixed ...] [--rows 2000 20000]
        [--families diffusion ...] [--seeds 0] [--budget SECONDS] [--json out.json] [--markdown]
        [--peer causalflows=/path/of/its/python gcm=...]

The error is ½-L1 where the outcome is a code, Wasserstein-1 in standard deviations where it is a number, of
20,000 draws at each value of the treatment (and of what is given), averaged. `floor` is what as many fresh draws
of the truth score; `plain` a perfect model of the rows, P(y | x). A family models what it can and the compiler
chooses for the rest; steps follow from the rows, or from a budget of seconds a model. A peer is another tool in a
virtual environment of its own, given the same rows and the same graph without its latents. Seconds are CPU seconds
of training and drawing, on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from kept import keep, read
from worlds import CASES, KINDS, Case, Columns, Probe, World, distance

import causalc
from causalc.compiler.view import Spec

OF_CODES, OF_NUMBERS = ("table", "softmax"), ("mixture", "flow", "gan")  # the others: of all kinds
FAMILIES = (*OF_CODES, *OF_NUMBERS, "vae", "diffusion")
DRAWS = 20_000
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Score:
    """One line of the table."""

    case: str
    kinds: str
    rows: int
    family: str
    seed: int
    error: float
    floor: float
    plain: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.case:16}{self.kinds:8}{self.rows:7} {self.family:12}{self.seed:4}  {self.error:.4f}"
            f"  {self.floor:.4f}  {self.plain:.4f} {self.seconds:6.1f}"
        )


def able(family: str, world: World) -> bool:
    """Whether a family has what it models in a world."""
    codes = [bool(world.levels(name)) for name in world.kinds]
    return all(codes) if family in OF_CODES else not (all(codes) and family in OF_NUMBERS)


def ours(
    world: World, family: str, data: Columns, probes: list[Probe], seed: int, budget: float | None
) -> list[np.ndarray]:
    """Compile, train, and draw for every probe, as a user would."""
    fits = {
        name: Spec(family)
        for name in world.kinds
        if not (family in OF_NUMBERS and world.levels(name))
    }
    case = world.case
    program = causalc.compile(case.query, case.graph, dict(world.kinds), models=fits)
    with tempfile.TemporaryDirectory() as store:
        sampler = program.fit(data, seed=seed, budget=budget, store=store, progress=False)
        return [
            sampler.sample(DRAWS, seed=i, **probe.at)[case.outcome].to_numpy()
            for i, probe in enumerate(probes)
        ]


def theirs(
    python: str, peer: str, world: World, data: Columns, probes: list[Probe]
) -> list[np.ndarray] | None:
    """The same of another tool; None where it says that it cannot."""
    case = world.case
    if case.given:
        return None
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        np.savez(at / "rows.npz", **data)  # type: ignore[arg-type]
        question = {
            "order": case.order,
            "directed": case.directed,
            "levels": {name: world.levels(name) for name in case.order},
            "treatment": case.treatment,
            "outcome": case.outcome,
            "values": [probe.at[case.treatment] for probe in probes],
            "draws": DRAWS,
        }
        (at / "question.json").write_text(json.dumps(question), encoding="utf-8")
        command = [python, str(HERE / "peers" / f"{peer}_samples.py"), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{peer}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr, flush=True)
            return None
        return list(np.load(at / "drawn.npy"))


def scores(name: str, case: Case, scheme: str, chosen: argparse.Namespace) -> Iterator[Score]:
    """One score a seed, number of rows and family or peer."""
    peers = dict(one.split("=", 1) for one in chosen.peer)
    for seed in chosen.seeds:
        world = World.random(case, scheme, seed)
        probes, levels = list(world.probes()), world.levels(case.outcome)
        rng = np.random.default_rng([seed, 5])
        floor = mean(distance(rng.choice(p.truth, DRAWS), p.truth, levels) for p in probes)
        plain = mean(distance(p.naive, p.truth, levels) for p in probes)
        for n in chosen.rows:
            data = world.simulate(np.random.default_rng([seed, n]), n)
            for family in (*chosen.families, *peers):
                start, drawn = _spent(), None
                if family in peers:
                    drawn = theirs(peers[family], family, world, data, probes)
                elif able(family, world):
                    drawn = ours(world, family, data, probes, seed, chosen.budget)
                if drawn is None:
                    continue
                took = _spent() - start
                pairs = zip(drawn, probes, strict=True)
                error = mean(distance(one, probe.truth, levels) for one, probe in pairs)
                yield Score(name, scheme, n, family, seed, error, floor, plain, took)


def _spent() -> float:
    """CPU seconds of this process and of those it started that have ended."""
    return sum(os.times()[:4])


def markdown(found: list[Score]) -> str:
    """A table: a row a case, kinds and rows, a column a family; means over seeds."""
    columns = list(dict.fromkeys(score.family for score in found))
    lines = [
        "| query | kinds | rows | " + " | ".join(columns) + " | plain | floor |",
        "|" + "---|" * (len(columns) + 5),
    ]
    for key in dict.fromkeys((s.case, s.kinds, s.rows) for s in found):
        here = [s for s in found if (s.case, s.kinds, s.rows) == key]
        cells = {
            family: mean(errors)
            for family in columns
            if (errors := [s.error for s in here if s.family == family])
        }
        best = min(cells.values())
        shown = [("–" if family not in cells else _bold(cells[family], best)) for family in columns]
        plain, floor = mean(s.plain for s in here), mean(s.floor for s in here)
        row = [key[0], key[1], f"{key[2]:,}", *shown, f"{plain:.3f}", f"{floor:.3f}"]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _bold(error: float, best: float) -> str:
    text = f"{error:.3f}"
    return f"**{text}**" if error <= 1.1 * best else text


def main() -> None:
    """Print a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", nargs="+", default=[*CASES], choices=CASES)
    parser.add_argument("--kinds", nargs="+", default=[*KINDS], choices=KINDS)
    parser.add_argument("--rows", nargs="+", type=int, default=[2_000, 20_000])
    parser.add_argument("--families", nargs="*", default=[*FAMILIES], choices=FAMILIES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--budget", type=float, help="seconds of each model")
    parser.add_argument("--peer", nargs="*", default=[], help="name=python of another tool")
    parser.add_argument("--json", type=Path, help="add the scores to this file")
    parser.add_argument("--markdown", action="store_true", help="print what the file holds")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found = read(chosen.json, Score)
    if chosen.markdown:
        print(markdown(found))
        return
    print("query           kinds      rows family      seed   error   floor   plain  seconds")
    for scheme in chosen.kinds:
        for name in chosen.cases:
            for score in scores(name, CASES[name], scheme, chosen):
                print(score, flush=True)
                found.append(score)
            keep(chosen.json, found)


if __name__ == "__main__":
    main()
