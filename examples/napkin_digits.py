"""P(Y | do(X = a picture)) on coloured handwritten digits: the napkin experiment, end to end.

    python examples/napkin_digits.py [--seed 0] [--rows 20000]

Draws the rows, compiles napkin_digits.causal, trains, sets X to pictures of red and of green digits, and reads what
comes out with a classifier. Leaves in out/napkin_digits/: the rows, the program, the trained models, a picture and
a table. The true effect of X on Y's colour is none, although the colours of X and Y go together in the data.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch
from coloured_digits import (
    BRIGHTNESS,
    COLOURS,
    DIGITS,
    Judge,
    Look,
    colour_law,
    digit_law,
    rows,
    world,
)
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table

from causalc.script import compile_script

HERE = Path(__file__).parent
OUT = HERE.parent / "out" / "napkin_digits"
SET = ("red", "green")
HANDS = 10  # pictures of each digit that X is set to
SHOWN = 14  # samples of a picture in the grid


@dataclass(frozen=True, slots=True)
class Reading:
    """What the judge read off samples for several pictures x: for each the shares of Y's colours ``(x, 6)``
    and the share of Y's that show x's digit ``(x,)``."""

    colours: np.ndarray
    matches: np.ndarray

    @property
    def law(self) -> np.ndarray:
        """The shares of Y's colours over all pictures x."""
        return np.asarray(self.colours.mean(axis=0))


def tvd(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """½-L1 over the last axis."""
    return np.asarray(np.abs(found - wanted).sum(axis=-1) / 2)


def write_rows(columns: Mapping[str, np.ndarray], path: Path) -> None:
    """Write a parquet file; pictures as lists of numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {
        name: values
        if values.ndim == 1
        else pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values[0].size)
        for name, values in columns.items()
    }
    pyarrow.parquet.write_table(pa.table(table), path)


def pictures_of(colour: str) -> Look:
    """Bright pictures of every digit in one colour, ``HANDS`` of each."""
    digit = np.repeat(np.arange(DIGITS), HANDS)
    same = np.ones(len(digit), int)
    return Look(digit, COLOURS.index(colour) * same, (len(BRIGHTNESS) - 1) * same)


def read(judge: Judge, looks: Look, drawn: np.ndarray) -> Reading:
    """Judge samples ``(x, n, 8, 8, 3)``."""
    shares, matches = [], []
    for digit, group in zip(looks.digit, drawn, strict=True):
        count = np.bincount(judge.colour(group), minlength=len(COLOURS))
        shares.append(count / len(group))
        matches.append((judge.digit(group) == digit).mean())
    return Reading(np.array(shares), np.array(matches))


def observed(judge: Judge, columns: Mapping[str, np.ndarray], looks: Look) -> Reading:
    """What P(Y | X = x) is in the rows: real Y's where the judge sees x's digit and colour in X."""
    digit, colour = judge.digit(columns["X"]), judge.colour(columns["X"])
    shares, matches = [], []
    for d, c in zip(looks.digit, looks.colour, strict=True):
        found = columns["Y"][(digit == d) & (colour == c)]
        one = read(judge, Look(np.array([d]), np.array([c]), np.array([0])), found[None])
        shares.append(one.colours[0])
        matches.append(one.matches[0])
    return Reading(np.array(shares), np.array(matches))


def truth(judge: Judge, looks: Look, count: int, rng: np.random.Generator) -> Reading:
    """The same judge on as many draws from the structural model with X set."""
    repeated = Look(*(np.repeat(part, count) for part in _parts(looks)))
    drawn = world(len(repeated.digit), rng, repeated).y.paint(rng)
    return read(judge, looks, drawn.reshape(len(looks.digit), count, *drawn.shape[1:]))


def _parts(looks: Look) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return looks.digit, looks.colour, looks.brightness


# ---- what is shown


def grid(blocks: Iterable[tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Write one picture: for each block ``(x, 8, 8, 3)`` and samples ``(x, n, 8, 8, 3)``, x at the left of its row."""
    lines = []
    for given, drawn in blocks:
        for x, ys in zip(given, drawn, strict=True):
            cells = [_framed(x, 255), np.full((10, 4, 3), 255, np.uint8)]
            lines.append(np.concatenate([*cells, *(_framed(y, 0) for y in ys)], axis=1))
        lines.append(np.full((4, lines[0].shape[1], 3), 255, np.uint8))
    image = Image.fromarray(np.concatenate(lines[:-1]))
    image.resize((4 * image.width, 4 * image.height), Image.Resampling.NEAREST).save(path)


def _framed(picture: np.ndarray, shade: int) -> np.ndarray:
    return np.pad(picture, ((1, 1), (1, 1), (0, 0)), constant_values=shade)


def tables(found: Mapping[str, Mapping[str, Reading]]) -> tuple[Table, Table]:
    """Two tables: the shares of Y's colours with their distance to the truth; and picture by picture,
    that distance and how often Y's digit is x's."""
    hues = Table("", *COLOURS, "TVD", title="Y's colour", box=box.SIMPLE_HEAD)
    each = Table("", "TVD", "worst", "digit is x's", "worst", title="Each x", box=box.SIMPLE_HEAD)
    wanted = colour_law(do=True)[0]
    for colour, readings in found.items():
        for label, one in readings.items():
            name, far = label.format(colour), tvd(one.colours, wanted)
            shares = (f"{share:.3f}" for share in one.law)
            hues.add_row(name, *shares, f"{tvd(one.law, wanted):.3f}")
            share, worst = f"{one.matches.mean():.1%}", f"{one.matches.min():.0%}"
            each.add_row(name, f"{far.mean():.3f}", f"{far.max():.3f}", share, worst)
        hues.add_section()
        each.add_section()
    hues.add_row("truth, exactly", *(f"{p:.3f}" for p in wanted), "0")
    each.add_row("truth, exactly", "0", "0", f"{digit_law():.1%}", "")
    return hues, each


def summary(found: Mapping[str, Mapping[str, Reading]]) -> dict[str, object]:
    """The table as JSON."""
    wanted = colour_law(do=True)[0]
    return {
        colour: {
            label.format(colour): {
                "colours": dict(zip(COLOURS, one.law.round(4).tolist(), strict=True)),
                "tvd": round(float(tvd(one.law, wanted)), 4),
                "tvd_each": [round(float(d), 4) for d in tvd(one.colours, wanted)],
                "digit_is_x": [round(float(m), 4) for m in one.matches],
            }
            for label, one in readings.items()
        }
        for colour, readings in found.items()
    }


def main() -> None:
    """Draw, compile, train, sample, judge."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--draws", type=int, default=120, help="samples for each picture x")
    options.add_argument("--out", type=Path, default=OUT)
    chosen = options.parse_args()
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    start, console = time.monotonic(), Console(record=True, highlight=False)
    rng = np.random.default_rng([chosen.seed, 1])

    job = compile_script(HERE / "napkin_digits.causal")
    assert job.program is not None
    console.print(job.estimands["effect"].text, markup=False)
    columns = rows(chosen.rows, chosen.seed)
    write_rows(columns, chosen.out / "rows.parquet")
    job.program.write(chosen.out / "program.py")
    judge = Judge.trained()
    console.print(f"Judge: {judge.accuracy:.1%} of held-out digits read right.")

    source = chosen.out / "rows.parquet"
    sampler = job.program.fit(source, seed=chosen.seed, store=chosen.out / "store")
    for line in sampler.models.findings:
        console.print(line, style="dim", markup=False)

    found, blocks = {}, []
    for i, colour in enumerate(SET):
        looks = pictures_of(colour)
        given = looks.paint(rng)
        repeated = given.repeat(chosen.draws, axis=0)
        frame = sampler.sample(len(repeated), X=repeated, seed=2 * chosen.seed + i)
        drawn = np.stack(list(frame["Y"])).reshape(len(given), chosen.draws, *given.shape[1:])
        found[colour] = {
            "do(X = {})": read(judge, looks, drawn),
            "X = {}, rows": observed(judge, columns, looks),
            "truth, drawn": truth(judge, looks, chosen.draws, rng),
        }
        blocks.append((given[::HANDS], drawn[::HANDS, :SHOWN]))
        Image.fromarray(given[0]).save(chosen.out / f"{colour}.png")
    grid(blocks, chosen.out / "samples.png")
    for shown in tables(found):
        console.print(shown)
    console.print(f"{chosen.out}: program.py, samples.png, table.txt, table.json")
    console.print(f"{time.monotonic() - start:.0f} s")
    (chosen.out / "table.txt").write_text(console.export_text(), encoding="utf-8")
    (chosen.out / "table.json").write_text(json.dumps(summary(found), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
