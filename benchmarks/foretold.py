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
PREDICTORS = {
    "told": "nats lost on held-out rows",
    "asked": "nats lost where the program asks",
    "shift": "the answer drawn with both",
}
_COLOURS = {"binary": "#4477aa", "ten": "#228833", "real": "#cc6677"}
_MARKERS = {"steps": "o", "noise": "^", "too rigid": "s"}  # by the beginning of a change's name
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
        return float(getattr(self, predictor))

    def over(self, predictor: str) -> bool:
        """Whether the error grew by more than was foretold, and not by noise."""
        return self.growth > self.bound(predictor) + CLEAR * self.noise

    def __str__(self) -> str:
        return (
            f"{self.case:14}{self.kinds:7}{self.seed:3}  {self.model:18}{self.change:11}{self.nats_told:9.4f}"
            f"{self.nats_asked:9.4f}{self.told:8.4f}{self.asked:8.4f}{self.before:8.4f}{self.after:8.4f}"
            f"{self.shift:8.4f}{self.noise:8.4f}"
        )


HEADER = (
    "query         kinds seed  model             change        nats: told    asked"
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


def near(lines: Lines, predictor: str) -> float:
    """The share of clear growths within a factor of two of the bound times the slope of the other queries."""

    def bound(line: Line) -> float:
        return line.bound(predictor)

    hits = []
    for line in lines:
        others = [one for one in lines if one.case != line.case]
        if others and line.growth > CLEAR * line.noise:
            ratio = line.growth / max(slope(others, bound) * bound(line), 1e-12)
            hits.append(0.5 <= ratio <= 2)
    return mean(hits) if hits else float("nan")


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
                    f"{near(some, predictor):.0%}",
                    f"{over} ({over / len(some):.0%})",
                ]
            )
    columns = "kinds|foretold by|lines|rank correlation|in one program|growth ÷ bound|within twice|grew by more"
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
    """A row a change: medians of the nats lost, told and asked, and the mean growth with its range."""
    kinds = list(dict.fromkeys(line.kinds for line in lines))
    rows = []
    for change in CHANGES:
        cells = []
        for k in kinds:
            some = [line for line in lines if (line.change, line.kinds) == (change.name, k)]
            told = median(line.nats_told for line in some)
            asked = median(line.nats_asked for line in some)
            grew = [line.growth for line in some]
            between = f"({min(grew):+.3f} to {max(grew):+.3f})"
            cells.append(f"{told:.4f}, {asked:.4f}, {mean(grew):+.3f} {between}")
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

    some, ends = worsened(lines), (_LEAST * 0.8, 1.5)
    noise = CLEAR * median(line.noise for line in some)
    figure, axes = pyplot.subplots(1, 2, figsize=(9.5, 5), sharex=True, sharey=True)
    for axis, predictor in zip(axes, ("told", "asked"), strict=True):
        for kinds, colour in _COLOURS.items():
            for start, marker in _MARKERS.items():
                here = [x for x in some if x.kinds == kinds and x.change.startswith(start)]
                at = [max(line.bound(predictor), _LEAST) for line in here]
                grew = [max(line.growth, _LEAST) for line in here]
                axis.scatter(at, grew, s=18, c=colour, marker=marker, alpha=0.7, linewidths=0)
        axis.plot(ends, ends, color="black", linewidth=0.8)
        axis.axhspan(0, noise, color="black", alpha=0.07, linewidth=0)
        axis.set(xscale="log", yscale="log", xlim=ends, ylim=ends, box_aspect=1)
        axis.set_xlabel(f"bound by {PREDICTORS[predictor]}")
        axis.text(7e-4, noise * 0.85, "noise", va="top", fontsize=8)
    axes[0].set_ylabel("growth of the answer's error")
    shown = {kinds: {"color": colour, "marker": "o"} for kinds, colour in _COLOURS.items()}
    shown |= {start: {"color": "grey", "marker": marker} for start, marker in _MARKERS.items()}
    names = {"steps": "fewer steps", "noise": "exchanged targets"}
    for name, style in shown.items():
        axes[0].plot([], [], linestyle="", markersize=5, label=names.get(name, name), **style)
    axes[0].legend(frameon=False, loc="upper left", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
