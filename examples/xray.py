"""P(N, E, A, L, X | do(R = a report in words)): reports, findings and pictures of chest_reports.py, end to end.

    python examples/xray.py [--seed 0] [--rows 20000]

Draws the studies (a table and PNG files, MIMIC-CXR's layout), runs xray.causal as `causalc run` does, sets R to
reports that were never seen, and compares findings and pictures with the truth; then has reports written for given
findings. Leaves in out/xray/: studies/, the models, severe.png, reports.csv, report.html, samples.png, table.txt and
table.json. The report and pneumonia have a common cause that was not recorded: among those who have a bad report
there is more pneumonia than setting the report gives.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from chest_reports import FINDINGS, MEANINGS, Judge, compose, law, meanings_given, read_report, rows
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table
from whole_run import run_script

from causalc.execute import Trained
from causalc.script import compile_script

HERE = Path(__file__).parent
OUT = HERE.parent / "out" / "xray"
TEXTS = 4  # reports of each meaning
SHOWN = 16  # pictures of a report
PICTURED = 500  # pictures of each meaning that are judged


def write_studies(columns: Mapping[str, np.ndarray], folder: Path) -> None:
    """A table with a row a study, and its pictures as PNG files beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [f"{row:06}.png" for row in range(len(columns["X"]))]
    for file, picture in zip(files, columns["X"], strict=True):
        Image.fromarray(picture[..., 0]).save(folder / file)
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(columns[n] for n in columns if n != "X"), files, strict=True))


# ---- findings and pictures


@dataclass(frozen=True, slots=True)
class Effect:
    """What came of reports of each meaning: the law of N, E, A, L ``(meanings, 2, 2, 2, 2)``, the share of
    pictures in which the judge sees E, A and L as drawn ``(3,)``, that law with E, A, L as the judge sees them,
    and some pictures ``(meanings, SHOWN, 24, 24)``."""

    law: np.ndarray
    seen: np.ndarray
    judged: np.ndarray
    pictures: np.ndarray


def effect(trained: Trained, judge: Judge, draws: int, seed: int) -> Effect:
    """Set R to ``TEXTS`` new reports of every meaning: ``draws`` findings of each, ``PICTURED`` of them pictured."""
    rng = np.random.default_rng([seed, 2])
    reports = np.array([compose(m, rng) for m in MEANINGS for _ in range(TEXTS)], object)
    many = np.repeat(reports, draws // TEXTS)
    alone = trained.sampler.sample(len(many), "findings", seed + 1, R=many)
    repeated = np.repeat(reports, PICTURED // TEXTS)
    frame = trained.sampler.sample(len(repeated), "effect", seed, R=repeated)
    drawn = frame[list(FINDINGS)].to_numpy().astype(int)
    pictures = np.stack(list(frame["X"]))
    read = judge.read(pictures)
    each = len(repeated) // len(MEANINGS)
    return Effect(
        _laws(alone[list(FINDINGS)].to_numpy().astype(int), len(many) // len(MEANINGS)),
        (read == drawn[:, 1:]).mean(axis=0),
        _laws(np.column_stack([drawn[:, :1], read]), each),
        pictures.reshape(len(MEANINGS), each, *pictures.shape[1:3])[:, :: each // SHOWN][:, :SHOWN],
    )


def _laws(findings: np.ndarray, each: int) -> np.ndarray:
    """Shares of N, E, A, L in every ``each`` rows."""
    cells = findings @ [8, 4, 2, 1]
    shares = [np.bincount(part, minlength=16) / each for part in cells.reshape(-1, each)]
    return np.array(shares).reshape(-1, 2, 2, 2, 2)


def margins(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """½-L1 between laws of N, E, A, L ``(meanings, 2, 2, 2, 2)``: of each finding, each pair, and all four."""
    found = {}
    for count in (1, 2, 4):
        for kept in combinations(range(4), count):
            axes = tuple(i + 1 for i in range(4) if i not in kept)
            gap = np.abs(a.sum(axis=axes) - b.sum(axis=axes)).reshape(len(a), -1)
            found["".join(FINDINGS[i] for i in kept)] = gap.sum(axis=1) / 2
    return found


def effect_table(found: Effect) -> tuple[Table, dict[str, object]]:
    """How far each margin is from the truth, on average over meanings and at worst; the plain conditional beside it."""
    truth = np.array([law(m, do=True) for m in MEANINGS])
    plain = margins(np.array([law(m, do=False) for m in MEANINGS]), truth)
    ours, judged = margins(found.law, truth), margins(found.judged, truth)
    shown = Table(
        *("", "drawn", "worst", "judged", "worst", "plain, exact", "worst"),
        title="½-L1 to P(. | do(R)), mean over 12 meanings of R",
        box=box.SIMPLE_HEAD,
    )
    for name in ours:
        parts = (one[name] for one in (ours, judged, plain))
        shown.add_row(name, *(f"{v:.3f}" for one in parts for v in (one.mean(), one.max())))
    single = [(one, plain[name]) for name, one in ours.items() if len(name) == 1]
    missed = [b for one, other in single for a, b in zip(one, other, strict=True) if 3 * a > b]
    shown.caption = (
        f"{len(missed)} of {sum(len(one) for one, _ in single)} single margins, meaning by meaning, are above a "
        f"third of plain, which errs there by {max(missed, default=0):.3f} at most."
    )
    figures = {
        label: {name: [round(float(v), 4) for v in one] for name, one in values.items()}
        for label, values in (("drawn", ours), ("judged", judged), ("plain", plain))
    }
    return shown, figures


# ---- reports


def reports_table(
    trained: Trained, known_reports: np.ndarray, draws: int, seed: int
) -> tuple[Table, dict[str, object]]:
    """Reports written for each E, A, L: how many are word for word such a report, and what they say."""
    cells = list(np.ndindex(2, 2, 2))
    given = np.repeat(np.array(cells), draws, axis=0)
    columns = dict(zip("EAL", given.T, strict=True))
    texts = trained.sampler.sample(len(given), "report", seed, **columns)["R"].to_numpy()
    known = set(known_reports)
    said = [read_report(text) for text in texts]
    exact, fresh = (
        np.array([s is not None for s in said]),
        np.array([t not in known for t in texts]),
    )
    rng = np.random.default_rng([seed, 3])
    far, floor = [], []
    for i, cell in enumerate(cells):
        truth = meanings_given(cell)
        codes = [MEANINGS.index(s) for s in said[i * draws : (i + 1) * draws] if s is not None]
        far.append(_tvd(np.bincount(codes, minlength=len(MEANINGS)) / max(1, len(codes)), truth))
        floor += [_tvd(rng.multinomial(draws, truth) / draws, truth) for _ in range(50)]
    shown = Table("", "", title=f"P(R | E, A, L), {draws} reports for each", box=box.SIMPLE_HEAD)
    figures: dict[str, object] = {
        "word for word a report": f"{exact.mean():.1%}",
        "of them not in the data": f"{fresh[exact].mean():.1%}",
        "½-L1 of what they say to the truth": f"{np.mean(far):.3f}, worst {max(far):.3f}",
        "as many draws from the truth": f"{np.mean(floor):.3f}",
    }
    for name, value in figures.items():
        shown.add_row(name, str(value))
    for cell, text in zip(cells, texts[::draws], strict=True):
        shown.add_row("E, A, L = {}, {}, {}".format(*cell), text)
    return shown, figures


def _tvd(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).sum() / 2)


def picture(pictures: np.ndarray, path: Path) -> None:
    """Pictures ``(meanings, n, 24, 24)``, a row a meaning."""
    framed = np.pad(pictures, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=255)
    m, n, h, w = framed.shape
    image = Image.fromarray(framed.swapaxes(1, 2).reshape(m * h, n * w))
    image.resize((3 * image.width, 3 * image.height), Image.Resampling.NEAREST).save(path)


def main() -> None:
    """Draw, compile, train, sample, judge."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--draws", type=int, default=20_000, help="findings for each meaning of R")
    options.add_argument("--written", type=int, default=500, help="reports for each E, A, L")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    start, cpu = time.monotonic(), time.process_time()
    console = Console(record=True, highlight=False, width=120)

    job = compile_script(HERE / "xray.causal")
    for name, estimand in job.estimands.items():
        console.print(f"{name}: {estimand.text}", markup=False)
    columns = rows(chosen.rows, chosen.seed)
    write_studies(columns, OUT / "studies")
    judge = Judge.trained()
    shares = ", ".join(f"{n} {a:.1%}" for n, a in zip("EAL", judge.accuracy, strict=True))
    console.print(f"Judge of pictures, on held-out ones: {shares}.")

    ran = run_script(HERE / "xray.causal", OUT, chosen.seed)
    console.print(str(ran))
    trained = ran.trained
    for line in trained.findings:
        console.print(line, style="dim", markup=False)
    found = effect(trained, judge, chosen.draws, chosen.seed)
    picture(found.pictures, OUT / "samples.png")
    shown, figures = effect_table(found)
    console.print(shown)
    seen = dict(zip("EAL", found.seen, strict=True))
    console.print(
        "The picture shows what was drawn: " + ", ".join(f"{n} {s:.1%}" for n, s in seen.items())
    )
    written, said = reports_table(trained, columns["R"], chosen.written, chosen.seed)
    console.print(written)
    console.print(f"{OUT}: studies/, report.html, samples.png, table.txt, table.json", markup=False)
    console.print(f"{time.monotonic() - start:.0f} s, {time.process_time() - cpu:.0f} s of CPU")
    everything = {
        "seconds": {"clock": ran.clock, "cpu": ran.cpu},
        "effect": figures,
        "seen": {n: round(float(s), 4) for n, s in seen.items()},
        "report": said,
    }
    (OUT / "table.txt").write_text(console.export_text(), encoding="utf-8")
    (OUT / "table.json").write_text(json.dumps(everything, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
