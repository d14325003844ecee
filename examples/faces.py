"""P(I2 | do(Male)) on drawn faces, by an image-to-image model that was trained elsewhere and is bound by path.

    python examples/faces.py [--seed 0] [--rows 4000]

Draws the people (see drawn_faces). Trains the translator on edits of other portraits, whose labels were chosen by
coins, and saves it as diffusers does: a stand-in for a model that somebody published. Then runs faces.causal as
`causalc run` does, and judges what came out. Leaves in out/faces/: the people and their table, the translator, the
models, three pictures, report.html, table.txt and table.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel
from drawn_faces import SIDE, TONES, Look, People, law, people, portraits, translated
from judges import Judge, frechet
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table
from whole_run import run_script

from causalc.execute import Trained
from causalc.runtime import pipelines
from causalc.runtime.families.protocol import Setting, Shape
from causalc.runtime.progress import Report
from causalc.runtime.schema import binary, image
from causalc.runtime.train import Plan, seeded

HERE = Path(__file__).parent
OUT = HERE.parent / "out" / "faces"
SIGN = np.array([-1, 1])  # codes as CelebA writes them
SEX, AGE = ("female", "male"), ("old", "young")
EDITS, STEPS, DRAWS = 3_000, 1_200, 1_500


def write_people(rows: People, folder: Path) -> None:
    """Write two PNG files a person and list_attr.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    table: dict[str, object] = {}
    for name, look in (("I1", rows.one), ("I2", rows.two)):
        files = [f"{name}_{i:05}.png" for i in range(len(rows.male))]
        for file, picture in zip(files, look.paint(), strict=True):
            Image.fromarray(picture).save(folder / file)
        table[name] = files
    labels = {"Male": SIGN[rows.male], "Young": SIGN[rows.young]}
    pd.DataFrame({**table, **labels}).to_csv(folder / "list_attr.csv", index=False)


def publish_translator(folder: Path, seed: int) -> None:
    """Train an image-to-image pipeline on edits that coins chose, and save it."""
    with seeded(seed):
        unet = UNet2DModel(
            sample_size=SIDE,
            in_channels=6,
            out_channels=3,
            num_class_embeds=4,
            layers_per_block=1,
            block_out_channels=(8, 16, 32),
            norm_num_groups=2,  # a group of one channel would lose how strong a colour is
            down_block_types=("DownBlock2D",) * 3,
            up_block_types=("UpBlock2D",) * 3,
            add_attention=False,
        )
    scheduler = DDIMScheduler(
        beta_schedule="linear",  # much noise for most of the time: the tone is settled there
        prediction_type="sample",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
    )
    raw = folder.with_name("untrained")
    DDIMPipeline(unet, scheduler).save_pretrained(raw)
    face = image(SIDE, SIDE, channels=3)
    shape = Shape((("I2", face),), (("I1", face), ("Male", binary()), ("Young", binary())))
    pipeline = pipelines.load(raw, shape, 1, "cpu")
    plan = Plan(steps=STEPS, lr=4e-3, batch=16)
    pipelines.tune(pipeline, edits(seed), plan, Setting(seed, "cpu"), Report(quiet=True))
    shutil.rmtree(folder, ignore_errors=True)
    pipeline.save(folder)
    shutil.rmtree(raw)


def edits(seed: int) -> dict[str, torch.Tensor]:
    """Other portraits, labels by coins, and what an editor made of them, as the network sees them."""
    rng = np.random.default_rng([seed, 7])
    one = portraits(EDITS, rng)
    male, young = rng.integers(2, size=EDITS), rng.integers(2, size=EDITS)
    pictures = {"I1": one.paint(), "I2": translated(one, male, young, rng).paint()}
    tensors = {
        name: torch.from_numpy(p.transpose(0, 3, 1, 2).copy()) for name, p in pictures.items()
    }
    return {**tensors, "Male": torch.from_numpy(male), "Young": torch.from_numpy(young)}


# ---- judging


def judges(seed: int) -> dict[str, Judge]:
    """A judge for each thing a face shows."""
    rng = np.random.default_rng([seed, 8])
    n = 4_000
    codes = (rng.integers(k, size=n) for k in (2, 2, TONES))
    look = Look(*codes, portraits(n, rng).pose)
    shown, pictures = {"male": look.male, "young": look.young, "tone": look.tone}, look.paint()
    return {name: Judge.trained(pictures, codes) for name, codes in shown.items()}


def margins(joint: np.ndarray) -> dict[str, np.ndarray]:
    """The margins of P(young, tone) that are judged."""
    return {"young": joint.sum(axis=1), "tone": joint.sum(axis=0), "both": joint.ravel()}


def read(found: Mapping[str, Judge], pictures: np.ndarray) -> np.ndarray:
    """Shares of what pictures show, ``(2, 4)``: young, tone."""
    joint = np.zeros((2, TONES))
    np.add.at(joint, (found["young"].read(pictures), found["tone"].read(pictures)), 1)
    return joint / len(pictures)


def compared(made: np.ndarray, true: np.ndarray, plain: np.ndarray) -> dict[str, float]:
    """½-L1 to the truth of what was made, and of the plain conditional, for each margin."""
    parts = [margins(joint) for joint in (made, true, plain)]
    values = {}
    for name in parts[0]:
        a, b, c = (part[name] for part in parts)
        values[name] = float(np.abs(a - b).sum() / 2)
        values[f"{name}, plain"] = float(np.abs(c - b).sum() / 2)
    return values


def effects(trained: Trained, found: Mapping[str, Judge], seed: int) -> dict[str, dict[str, float]]:
    """What the pictures of do(Male) show, and of do(Male) among the young and the old."""
    result: dict[str, dict[str, float]] = {}
    rng = np.random.default_rng([seed, 9])
    for m, sex in enumerate(SEX):
        frame = trained.sample("effect", DRAWS, seed + m, {"Male": int(SIGN[m])})
        pictures = np.stack(list(frame["I2"]))
        values = compared(read(found, pictures), law(do=True)[m], law(do=False)[m])
        real = [people(DRAWS, rng, do_male=m).two.paint() for _ in range(2)]
        marks = [found["young"].features(some) for some in (pictures, *real)]
        values["as set"] = float((found["male"].read(pictures) == m).mean())
        values["Fréchet"] = frechet(marks[0], marks[1])
        values["Fréchet, real"] = frechet(marks[1], marks[2])
        result[f"do({sex})"] = values
        for y, age in enumerate(AGE):
            given = {"Male": int(SIGN[m]), "Young": int(SIGN[y])}
            pictures = np.stack(list(trained.sample("among", DRAWS, seed + 2 + m, given)["I2"]))
            tones = [law(do)[m, y] / law(do)[m, y].sum() for do in (True, False)]
            joint = np.zeros((3, 2, TONES))
            joint[0], joint[1, y], joint[2, y] = read(found, pictures), tones[0], tones[1]
            values = compared(*joint)
            values["as set"] = float((found["male"].read(pictures) == m).mean())
            result[f"do({sex}), {age}"] = values
    return result


def shown(found: Mapping[str, Mapping[str, float]]) -> Table:
    """A table with a line for each setting."""
    columns = next(iter(found.values()))
    table = Table("I2", *columns, title="½-L1 to the truth; Fréchet distances", box=box.SIMPLE_HEAD)
    for name, values in found.items():
        table.add_row(name, *(f"{values[c]:.3f}" if c in values else "" for c in columns))
    return table


def main() -> None:
    """Draw, publish, run, judge."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--rows", type=int, default=4_000)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    start, console = time.monotonic(), Console(record=True, highlight=False, width=150)
    write_people(people(chosen.rows, np.random.default_rng([chosen.seed, 6])), OUT / "people")
    publish_translator(OUT / "translator", chosen.seed)
    console.print(f"The translator is published: {time.monotonic() - start:.0f} s")
    ran = run_script(HERE / "faces.causal", OUT, chosen.seed)
    console.print(str(ran))
    trained = ran.trained

    found = judges(chosen.seed)
    for name, judge in found.items():
        console.print(f"Judge of {name}: {judge.accuracy:.1%} of held-out faces read right.")
    results = effects(trained, found, chosen.seed)
    console.print(shown(results))
    console.print(f"{OUT}: report.html, male.png, female.png, male_old.png, table.txt, table.json")
    console.print(f"{time.monotonic() - start:.0f} s, {time.process_time():.0f} s of them here")
    seconds = {"clock": ran.clock, "cpu": ran.cpu}
    summary = {
        "seconds": seconds,
        "judges": {n: j.accuracy for n, j in found.items()},
        "I2": results,
    }
    (OUT / "table.txt").write_text(console.export_text(), encoding="utf-8")
    (OUT / "table.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
