"""How well the growth of an error was foretold: tables and a plot of the lines of ``propagation.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
import pandas as pd
from degrade import AGAIN, CHANGES

CLEAR = 2  # times the noise
PREDICTORS = ("told", "asked")
_COLOURS = {"binary": "#4477aa", "ten": "#228833", "real": "#cc6677"}
_LEAST = 3e-4  # smaller growth, or none, is shown there


@dataclass(frozen=True)
class Line:
    """A model made worse: nats lost, the bounds they give, and the error of the answer."""

    case: str
    kinds: str
    seed: int
    model: str
    change: str
    nats_told: float
    nats_asked: float
    told: float
    asked: float
    before: float
    after: float
    shift: float  # distance of the answer now to the answer before
    noise: float

    @property
    def growth(self) -> float:
        """By how much the error grew."""
        return self.after - self.before

    def bound(self, predictor: str) -> float:
        """What was foretold."""
        return self.told if predictor == "told" else self.asked

    def over(self, predictor: str) -> bool:
        """Whether the error grew by more than was foretold, and not by noise."""
        return self.growth > self.bound(predictor) + CLEAR * self.noise

    def __str__(self) -> str:
        return (
            f"{self.case:14}{self.kinds:7}{self.seed:3}  {self.model:16}{self.change:11}{self.nats_told:9.4f}"
            f"{self.nats_asked:9.4f}{self.told:8.4f}{self.asked:8.4f}{self.before:8.4f}{self.after:8.4f}"
            f"{self.shift:8.4f}{self.noise:8.4f}"
        )


HEADER = (
    "query         kinds seed  model           change        nats: told    asked"
    "    told   asked  before   after   shift   noise"
)

Lines = Sequence[Line]


def worsened(lines: Lines) -> list[Line]:
    """The lines of models made worse, without those that were only trained again."""
    return [line for line in lines if line.change != AGAIN.name]


def grouped(lines: Lines, key: Callable[[Line], object]) -> list[list[Line]]:
    """Lines with the same key, in order."""
    return [[line for line in lines if key(line) == one] for one in dict.fromkeys(map(key, lines))]


def correlation(lines: Lines, predictor: str) -> float:
    """Spearman's rank correlation of what was foretold with the growth."""
    foretold = pd.Series([line.bound(predictor) for line in lines]).rank()
    return float(np.corrcoef(foretold, pd.Series([line.growth for line in lines]).rank())[0, 1])


def slope(lines: Lines, of: Callable[[Line], float]) -> float:
    """Least squares of the growth through the origin."""
    at = np.array([of(line) for line in lines])
    return float(at @ [line.growth for line in lines] / max(at @ at, 1e-12))


# ---- tables


def markdown(lines: Lines) -> str:
    """All tables."""
    return "\n\n".join([foretold(lines), models(lines), changes(lines)])


def foretold(lines: Lines) -> str:
    """A row for the lines of some kinds and a predictor."""
    rows = []
    for some in grouped(worsened(lines), lambda line: line.kinds):
        programs = grouped(some, lambda line: (line.case, line.seed))
        for predictor in PREDICTORS:
            slopes = [
                slope(one, lambda line: line.bound(predictor))  # noqa: B023
                for one in grouped(some, lambda line: line.case)
            ]
            within = median(correlation(one, predictor) for one in programs)
            over = sum(line.over(predictor) for line in some)
            rows.append(
                [
                    some[0].kinds,
                    predictor,
                    str(len(some)),
                    f"{correlation(some, predictor):.2f}",
                    f"{within:.2f}",
                    f"{median(slopes):.2f} ({min(slopes):.2f} to {max(slopes):.2f})",
                    f"{over} ({over / len(some):.0%})",
                ]
            )
    columns = "kinds|foretold by|lines|rank correlation|in one program|growth ÷ bound|grew by more"
    return _table(columns.split("|"), rows)


def models(lines: Lines) -> str:
    """A row a model: the growth by the root of a nat lost on held-out rows, and nats asked by nats told."""
    kinds = list(dict.fromkeys(line.kinds for line in lines))
    rows = []
    for some in grouped(worsened(lines), lambda line: (line.case, line.model)):
        here = {one[0].kinds: one for one in grouped(some, lambda line: line.kinds)}
        hurt = [f"{slope(here[k], _root):.2f}" if k in here else "–" for k in kinds]
        far = [f"{_farther(here[k]):.1f}" if k in here else "–" for k in kinds]
        rows.append([some[0].case, some[0].model.replace("|", "\\|"), *hurt, *far])
    rows.sort(key=lambda row: list(dict.fromkeys(line.case for line in lines)).index(row[0]))
    return _table(
        [
            "query",
            "model",
            *(f"{k}: growth by √nat" for k in kinds),
            *(f"{k}: asked ÷ told" for k in kinds),
        ],
        rows,
    )


def _root(line: Line) -> float:
    return float(max(line.nats_told, 0.0) ** 0.5)


def _farther(lines: Lines) -> float:
    """Nats lost where the program asks for each lost on held-out rows."""
    return sum(line.nats_asked for line in lines) / sum(line.nats_told for line in lines)


def changes(lines: Lines) -> str:
    """A row a change: medians of the nats lost, and the mean growth."""
    kinds = list(dict.fromkeys(line.kinds for line in lines))
    rows = []
    for change in CHANGES:
        cells = []
        for k in kinds:
            some = [line for line in lines if (line.change, line.kinds) == (change.name, k)]
            told = median(line.nats_told for line in some)
            asked = median(line.nats_asked for line in some)
            cells.append(f"{told:.4f}, {asked:.4f}, {mean(line.growth for line in some):+.3f}")
        rows.append([change.name, *cells])
    return _table(["change", *kinds], rows)


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# ---- the plot


def plot(lines: Lines, path: Path) -> None:
    """What was foretold against the growth, a panel a predictor."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "propagation", "font.size": 10}
    from matplotlib import pyplot

    some = worsened(lines)
    figure, axes = pyplot.subplots(1, 2, figsize=(9.5, 4.6), sharex=True, sharey=True)
    titles = {"told": "nats lost on held-out rows", "asked": "nats lost where the program asks"}
    for axis, predictor in zip(axes, PREDICTORS, strict=True):
        for k, colour in _COLOURS.items():
            here = [line for line in some if line.kinds == k]
            x = [max(line.bound(predictor), _LEAST) for line in here]
            y = [max(line.growth, _LEAST) for line in here]
            axis.scatter(x, y, s=16, c=colour, alpha=0.75, linewidths=0, label=k)
        axis.plot([_LEAST, 3], [_LEAST, 3], color="black", linewidth=0.8)
        noise = CLEAR * median(line.noise for line in some)
        axis.axhspan(_LEAST * 0.8, noise, color="black", alpha=0.07, linewidth=0)
        axis.set(xscale="log", yscale="log", xlim=(_LEAST * 0.8, 3), ylim=(_LEAST * 0.8, 3))
        axis.set_xlabel(f"bound by {titles[predictor]}")
    axes[0].set_ylabel("growth of the answer's error")
    axes[0].legend(frameon=False, loc="upper left")
    axes[1].text(2.7, noise * 0.93, "noise of two draws", ha="right", va="top", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
