"""The measurements as a page of tables and a plot."""

from __future__ import annotations

import math
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

from peers.tools import OURS, PEERS
from peers.truth import CHECKED

Row = dict[str, Any]
NAMES = [OURS.name, *(peer.name for peer in PEERS)]
LEAST_FITTED = 50  # nodes: below, what every query costs hides the growth
TITLES = {
    "chain": "chain",
    "skipchain": "skip chain",
    "fdladder": "front-door ladder",
    "napkin": "napkin chain",
    "longitudinal": "longitudinal",
    "condchain": "conditional chain",
    "sparse": "random sparse",
}
GROUPS = {
    "textbook": "Queries from the literature",
    "random": "Random queries, 4 to 10 variables",
    "hard": "Random hard queries: they fix a variable and then use the changed distribution",
}
COUNTED = ("right", "inexact", "accepts", "denies", "crash", "timeout", "unsupported", "not run")


def write(rows: Sequence[Row], folder: Path, settings: str) -> None:
    """Write ``compile.md`` and ``compile.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    plot(rows, folder / "compile.svg")
    parts = [
        _preface(rows, settings),
        *(_group(rows, group) for group in GROUPS),
        _lengths(rows),
        _growth_of_all(rows),
        _slower(rows),
        _ours(rows),
        _growth(rows),
    ]
    (folder / "compile.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def seconds(row: Row, stage: str) -> float | None:
    """CPU seconds from graph to verdict, estimand or program, all stages on the way; None where there is none.

    A tool without a verdict of its own gives it with the estimand; a program is timed from the graph on.
    """
    took = row.get("seconds") or {}
    if stage == "program":
        return took.get("program")
    stages = [name for name in ("verdict", "estimand") if name in took]
    if stage == "verdict":
        return took[stages[0]] if stages else None
    if stage not in stages:
        return None
    return sum(took[name] for name in stages[: stages.index(stage) + 1])


def answer(row: Row) -> float | None:
    """Seconds until what the tool answers with: the estimand, or the verdict where that is all it gives."""
    found = seconds(row, "estimand")
    return seconds(row, "verdict") if found is None else found


def _answered(row: Row) -> bool:
    return row["outcome"] not in ("crash", "timeout", "unsupported", "not run")


def _ms(value: float | None) -> str:
    if value is None:
        return ""
    value *= 1000
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def _of(rows: Sequence[Row], tool: str, **wanted: Any) -> list[Row]:
    return [r for r in rows if r["tool"] == tool and all(r[k] == v for k, v in wanted.items())]


def _present(rows: Sequence[Row]) -> list[str]:
    return [name for name in NAMES if any(r["tool"] == name for r in rows)]


def _preface(rows: Sequence[Row], settings: str) -> str:
    versions = {r["tool"]: r["version"] for r in rows}
    listed = ", ".join(f"{name} {versions[name]}" for name in _present(rows))
    return f"""# The compiler and other tools for identification

Written by `benchmarks/compile.py`; measured in several runs, each for some of the tools
(`--tools`), together equal to

{settings}

on two cores of a virtual machine shared with other work, Python {platform.python_version()}. Tools: {listed}.
Each runs in a process and a virtual environment of its own, made by the script. R's causaleffect and cfid, and
grapl, are not compared, since pip does not install them.

**Time** is CPU time of the tool's process, the least of up to five runs of a query (one run where it takes more
than 0.03 s), without building the tool's graph and without starting Python. Other work on the machine still
shows in it, through caches and clock rates: a factor below two means little. antecedent starts a thread for each
query; the time of a thread that has ended is waited for. This compiler's program is timed from the graph on,
with a verdict and an estimand of its own. y0, pyAgrum, causaleffect, pqp
and DoWhy give verdict and estimand in one call; Ananke, antecedent and pgmpy give a verdict.

**Right** is the verdict of an oracle that shares no code with the compiler (the fixing criterion of Richardson,
Evans, Robins and Shpitser; for large random graphs Tian's). Up to {CHECKED} variables an estimand must also give the
interventional distribution of a random model with explicit latents to 1e-6: *inexact* ones do not, or mention
what is not observed. *Accepts* and *denies* are wrong verdicts. *Crash* is an exception or the end of the
process; *unsupported* a query that the tool has no way to be asked (conditions, several interventions, variables
without edges). After a timeout or crash a tool is not asked the larger sizes of that family: *not run*.
DoWhy's ID algorithm takes a graph in which latent causes are ordinary variables, so that its formulas mention
them; pgmpy looks for adjustment and front-door sets, and says no where there is another way."""


def _group(rows: Sequence[Row], group: str) -> str:
    ours = {r["name"]: r for r in _of(rows, OURS.name, group=group)}
    head = ["tool", *COUNTED, "verdict, ms", "estimand, ms", "ours there, ms", "program, ms"]
    lines = []
    for tool in _present(rows):
        mine = _of(rows, tool, group=group)
        counts = Counter(r["outcome"] for r in mine)
        there = [r for r in mine if _answered(r)]
        gives = any(seconds(r, "estimand") is not None for r in there)
        compared = answer if gives else partial(seconds, stage="verdict")
        same = [ours[r["name"]] for r in there if r["name"] in ours]
        mine_there = [v for r in same if tool != OURS.name and (v := compared(r)) is not None]
        lines.append(
            [
                tool,
                *(str(counts[c] or "") for c in COUNTED),
                _median(there, "verdict"),
                _median(there, "estimand"),
                _ms(median(mine_there)) if mine_there else "",
                _median(there, "program"),
            ]
        )
    count = len(ours)
    note = (
        "Medians over the queries that the tool answers, the estimand's including the verdict's and the program's "
        "all; *ours there* is this compiler's median on the same queries, to the estimand where the tool gives one."
    )
    return f"## {GROUPS[group]} ({count})\n\n{note}\n\n{_table(head, lines)}"


def _median(rows: Iterable[Row], stage: str) -> str:
    values = [v for r in rows if (v := seconds(r, stage)) is not None]
    return _ms(median(values)) if values else ""


def _lengths(rows: Sequence[Row]) -> str:
    def length(tool: str, group: str, kind: str = "length") -> str:
        values = [r[kind] for r in _of(rows, tool, group=group) if r.get(kind)]
        return f"{median(values):.0f}" if values else ""

    with_text = [t for t in _present(rows) if any(r.get("length") for r in _of(rows, t))]
    lines = [[tool, *(length(tool, group) for group in GROUPS)] for tool in with_text]
    lines[1:1] = [
        ["causalc, shortest", *(length(OURS.name, group, "shortest") for group in GROUPS)]
    ]
    hard = [r["seconds"] for r in _of(rows, OURS.name, group="hard") if "seconds" in r]
    took = [1000 * seconds["shortest"] for seconds in hard if "shortest" in seconds] or [0.0]
    return (
        "## Length of the estimand in LaTeX\n\nMedian characters, right or not. *Shortest* is "
        "`Estimand.shortest()`, which `causalc show` prints and whose numbers are checked as well: "
        f"{median(took):.2f} ms more on the hard queries, {max(took):.0f} at most.\n\n"
    ) + _table(["tool", *GROUPS], lines)


def _curve(rows: Sequence[Row], tool: str, family: str) -> dict[int, float]:
    """Median seconds to the answer by size, where every answer of the size is right."""
    found: dict[int, list[Row]] = {}
    for r in _of(rows, tool, family=family):
        found.setdefault(r["size"], []).append(r)
    return {
        size: median(v for r in part if (v := answer(r)) is not None)
        for size, part in sorted(found.items())
        if all(r["outcome"] == "right" for r in part)
    }


def _flawed(rows: Sequence[Row], tool: str, family: str) -> bool:
    """Where the size at which numbers are checked is inexact, larger ones are not trusted."""
    return any(r["outcome"] == "inexact" for r in _of(rows, tool, family=family))


def _growth_of_all(rows: Sequence[Row]) -> str:
    tools = _present(rows)
    parts = [
        "## Families of growing size\n\n![Time to the answer by size](compile.svg)\n\n"
        "Milliseconds to the answer: the estimand, or the verdict where a tool gives no more (Ananke, antecedent, "
        "pgmpy; of this compiler the verdict is the column `verdict`). † the tool's estimand of the smallest "
        "size, which is checked by number, is wrong. Random sparse: the median of the graphs."
    ]
    for family, title in TITLES.items():
        sizes = sorted({r["size"] for r in rows if r["family"] == family and r["size"] <= 500})
        head = ["nodes", "verdict", *tools]
        lines = []
        for size in sizes:
            ours = _of(rows, OURS.name, family=family, size=size)
            cells = [_cell(_of(rows, t, family=family, size=size)) for t in tools]
            flawed = [_flawed(rows, t, family) for t in tools]
            marked = [
                c + " †" if f and c[:1].isdigit() else c for c, f in zip(cells, flawed, strict=True)
            ]
            lines.append([str(size), _median(ours, "verdict"), *marked])
        if lines:
            parts.append(f"### {title.capitalize()}\n\n{_table(head, lines)}")
    return "\n\n".join(parts)


def _cell(part: Sequence[Row]) -> str:
    bad = [r["outcome"] for r in part if r["outcome"] not in ("right", "inexact")]
    values = [
        v for r in part if r["outcome"] in ("right", "inexact") and (v := answer(r)) is not None
    ]
    shown = _ms(median(values)) if values else ""
    if bad:
        worst = Counter(bad).most_common(1)[0][0]
        return f"{worst}" if len(bad) == len(part) else f"{shown} ({len(bad)} {worst})"
    return shown


def _slower(rows: Sequence[Row]) -> str:
    """Every size at which a right answer came faster from a peer."""
    lines = []
    for family, title in TITLES.items():
        for tool in _present(rows)[1:]:
            if _flawed(rows, tool, family):
                continue
            stage = next(peer.answers for peer in PEERS if peer.name == tool)
            for size, theirs in _curve(rows, tool, family).items():
                own = _of(rows, OURS.name, family=family, size=size)
                timed = [v for r in own if (v := seconds(r, stage)) is not None]
                if timed and (ours := median(timed)) > theirs:
                    peers = _of(rows, tool, family=family, size=size)
                    graphs = [median(r["seconds"]["graph"] for r in rs) for rs in (peers, own)]
                    cells = [title, str(size), tool, stage, _ms(theirs), _ms(ours)]
                    cells += [f"{ours / theirs:.1f}", *map(_ms, graphs)]
                    lines.append(cells)
    head = ["family", "nodes", "tool", "answer", "theirs, ms", "ours, ms", "ratio"]
    head += ["their graph, ms", "our graph, ms"]
    text = _table(head, lines) if lines else "Nowhere in this run."
    return (
        "## Where another tool is faster\n\nEvery family and size at which a tool that answers rightly needs less "
        f"time for the same kind of answer, and what it takes to build the graph before.\n\n{text}"
    )


def _ours(rows: Sequence[Row]) -> str:
    head = ["family", "nodes", "outcome", "graph", "verdict", "estimand", "program", "exponent"]
    head = [*head, "program, kB", "peak memory, MiB"]
    lines = []
    for family, title in TITLES.items():
        before: tuple[int, float] | None = None
        sizes = sorted({r["size"] for r in rows if r["family"] == family})
        for size in sizes:
            part = _of(rows, OURS.name, family=family, size=size)
            if not part:
                continue
            cells = [title, str(size), Counter(r["outcome"] for r in part).most_common(1)[0][0]]
            timed = [r["seconds"] for r in part if "seconds" in r]
            stages = ("graph", "verdict", "estimand", "program")
            alone = [[t[s] for t in timed if s in t] for s in stages]
            cells += [_ms(median(values)) if values else "" for values in alone]
            total = [v for r in part if (v := seconds(r, "program")) is not None]
            growth = ""
            if total:
                here = median(total)
                if before:
                    growth = f"{math.log(here / before[1]) / math.log(size / before[0]):.2f}"
                before = size, here
            peaks = [r["peak_mib"] for r in part if r.get("peak_mib")]
            texts = [r["characters"] / 1000 for r in part if r.get("characters")]
            cells += [growth, f"{median(texts):,.0f}" if texts else ""]
            cells += [f"{max(peaks):.0f}" if peaks else ""]
            lines.append(cells)
    return (
        "## This compiler by stage\n\nMilliseconds of each stage alone: the graph from its edges, the verdict, the "
        "estimand; and of the whole from the graph to the program's text, whose growth since the size before has the "
        "exponent. Where a conditional reads all before it, as in most of these families, the program's text itself is "
        "quadratic in the nodes. Memory is the most that a fresh process had resident, of which some 27 MiB are "
        f"there before the query.\n\n{_table(head, lines)}"
    )


def _growth(rows: Sequence[Row]) -> str:
    lines = []
    for family, title in TITLES.items():
        cells = [title]
        for stage in ("graph", "verdict", "estimand", "program"):
            points = []
            for size in sorted({r["size"] for r in rows if r["family"] == family}):
                part = _of(rows, OURS.name, family=family, size=size)
                timed = [r["seconds"][stage] for r in part if stage in r.get("seconds", {})]
                if timed and size >= LEAST_FITTED:
                    points.append((math.log(size), math.log(median(timed))))
            cells.append(
                f"{linear_regression(*zip(*points, strict=True)).slope:.2f}"
                if len(points) > 2
                else ""
            )
        lines.append(cells)
    head = ["family", "graph", "verdict", "estimand", "program"]
    return (
        f"## Growth\n\nThe exponent with which the time of each stage grows in the nodes, fitted by least squares to "
        f"all sizes from {LEAST_FITTED} on; edges are in proportion to nodes in every family. At most 2 is wanted.\n\n"
        f"{_table(head, lines)}"
    )


def plot(rows: Sequence[Row], path: Path) -> None:
    """Time to the answer by size, a panel a family, on logarithmic axes; right answers only."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "causalc", "font.size": 9})
    colours = dict(
        zip(
            NAMES[1:],
            (
                "#0072b2",
                "#d55e00",
                "#009e73",
                "#cc79a7",
                "#e69f00",
                "#56b4e9",
                "#8c564b",
                "#7f7f7f",
            ),
            strict=True,
        )
    )
    figure, axes = plt.subplots(
        2, 4, figsize=(11, 5.6), sharex=True, sharey=True, facecolor="white"
    )
    flat = list(axes.flat)
    for axis, (family, title) in zip(flat, TITLES.items(), strict=False):
        for tool in _present(rows)[1:]:
            curve = _curve(rows, tool, family)
            if curve and not _flawed(rows, tool, family):
                dashed = next(p.answers for p in PEERS if p.name == tool) == "verdict"
                xs, ys = list(curve), [1000 * v for v in curve.values()]
                line = "--" if dashed else "-"
                axis.plot(xs, ys, line, marker="o", ms=2.5, lw=1, color=colours[tool])
        for stage, line in (("verdict", "--"), ("estimand", "-"), ("program", ":")):
            points = _stage(rows, family, stage)
            axis.plot(list(points), [1000 * v for v in points.values()], line, color="black", lw=2)
        axis.set(xscale="log", yscale="log", title=title)
        axis.minorticks_off()
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.yaxis.set_major_formatter("{x:,g}")
        axis.grid(which="major", color="#dddddd", lw=0.6)
        axis.tick_params(labelbottom=True)
    legend = [plt.Line2D([], [], color="black", lw=2, ls=ls) for ls in ("--", "-", ":")]
    texts = ["causalc: verdict", "causalc: estimand", "causalc: program text"]
    for tool in _present(rows)[1:]:
        dashed = next(p.answers for p in PEERS if p.name == tool) == "verdict"
        legend.append(plt.Line2D([], [], color=colours[tool], lw=1.2, ls="--" if dashed else "-"))
        texts.append(tool + (" (verdict)" if dashed else ""))
    flat[-1].axis("off")
    flat[-1].legend(legend, texts, loc="center", frameon=False)
    figure.supxlabel("variables")
    figure.supylabel("CPU time to the answer, ms")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _stage(rows: Sequence[Row], family: str, stage: str) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for r in _of(rows, OURS.name, family=family):
        value = seconds(r, stage)
        if value is not None and r["outcome"] == "right":
            found.setdefault(r["size"], []).append(value)
    return {size: median(values) for size, values in sorted(found.items())}
