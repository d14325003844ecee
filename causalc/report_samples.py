"""The report's part on samples: outcomes at settings of a query, beside the rows that have these by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from causalc import charts, report_text
from causalc.runtime.data import Columns, labels
from causalc.runtime.schema import Kind

if TYPE_CHECKING:
    from causalc.execute import Trained

DRAWS = 2000
PICTURES = 40  # of an image outcome
MOST = 3  # values of an open variable that are shown
MIXED = 400  # draws of images and other outcomes
NEAREST = 200  # rows taken as those "at" a number; of images, vectors and texts, PICTURES
PAIRS = 3  # outcomes and components of vectors that pair plots are made of

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """Samples at one setting of the query's inputs, beside the rows that have these values by themselves."""

    label: str
    picture: Markup | None
    naive: str
    charts: tuple[charts.Picture, ...]
    rows: tuple[tuple[str, str, str, str], ...]


def settings_of(trained: Trained, query: str, columns: Columns, seed: int) -> Iterator[Setting]:
    """Samples of a query at a few settings of what it leaves open."""
    question = trained.job.estimands[query].question
    fixed = trained.fixed(query)
    wanted = [s.values for s in trained.job.samples if s.query == query and s.values]
    free = [name for name in question.free if name in columns]
    chosen: list[Values] = [*wanted]
    chosen += [v for v in _chosen(free, columns, seed) if not any(_same(v, w) for w in wanted)]
    images = [columns.schema[y].name == "image" for y in question.outcomes]
    draws = PICTURES if all(images) else MIXED if any(images) else DRAWS
    for i, values in enumerate(chosen[:MOST]):
        frame = trained.sample(query, draws, seed + i, values)
        given = {**fixed, **{n: trained.read(n, v) for n, v in values.items()}}
        yield _setting(trained, query, frame, given, columns)


def _same(a: Values, b: Values) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def _chosen(free: Sequence[str], columns: Columns, seed: int) -> Iterator[Values]:
    """Values for the open variables: the first takes several, the others stay at one that is usual.

    Levels by how often they occur, numbers at quantiles, images, vectors and texts from rows of the data.
    """
    if not free:
        yield {}
        return
    first, *others = free
    rows = np.random.default_rng([seed, 7]).permutation(columns.rows)[:MOST]
    usual = {name: _usual(columns[name], columns.schema[name], int(rows[0])) for name in others}
    for value in _several(columns[first], columns.schema[first], rows):
        yield {first: value, **usual}


def _several(values: np.ndarray, kind: Kind, rows: np.ndarray) -> list[Any]:
    if kind.discrete:
        counts = np.bincount(values, minlength=len(kind.levels))
        codes = np.sort(np.argsort(-counts, kind="stable")[:MOST])
        return [kind.levels[c] for c in codes if counts[c]]
    if kind.scalar:
        found = np.quantile(values, [0.1, 0.5, 0.9], method="nearest")
        return [v.item() for v in np.unique(found)]
    return list(labels(values[rows], kind))


def _usual(values: np.ndarray, kind: Kind, row: int) -> Any:
    if kind.discrete:
        return kind.levels[int(np.bincount(values, minlength=len(kind.levels)).argmax())]
    if kind.scalar:
        return np.quantile(values, 0.5, method="nearest").item()
    return labels(values[row : row + 1], kind)[0]


def _setting(trained: Trained, query: str, frame: Any, given: Values, columns: Columns) -> Setting:
    question = trained.job.estimands[query].question
    seen = {n: v for n, v in given.items() if n in columns}
    index, how = alike(columns, seen)
    said = ", ".join(f"{n} = {_said(columns.schema[n], v)}" for n, v in given.items())
    arrays = [n for n in given if columns.schema[n].name == "image"]
    picture = None
    if arrays:
        pixels = np.stack([np.asarray(given[n], np.uint8) for n in arrays])
        picture = charts.images(_channels(pixels), f"{', '.join(arrays)} as set", across=4)
    drawn = {y: _canonical(frame[y], columns.schema[y]) for y in question.outcomes}
    rows = {y: columns[y][index] for y in question.outcomes if y in columns}
    shown, table = [], []
    for y in question.outcomes:
        for part in _outcome(y, columns.schema[y], drawn[y], rows[y]):
            shown.append(part)
        table += _compared(y, columns.schema[y], drawn[y], rows[y])
    shown += _pairs(columns.schema, drawn, rows)
    return Setting(said, picture, how, tuple(shown), tuple(table))


def _said(kind: Kind, value: Any) -> str:
    if kind.name == "image":
        return "the picture shown"
    if kind.name == "text":
        return report_text.said(str(value))
    if kind.shape:
        return "a vector of the data"
    return charts.number(value) if isinstance(value, float) else str(value)


def _canonical(column: Any, kind: Kind) -> np.ndarray:
    """Drawn values as the data hold them: codes, numbers or arrays."""
    if kind.name == "text":
        return report_text.codes_of(column, kind)
    if kind.discrete:
        code = {level: i for i, level in enumerate(kind.levels)}
        return np.array([code[v.item() if isinstance(v, np.generic) else v] for v in column])
    values = np.stack([np.asarray(v) for v in column])
    return values.reshape(len(values), *kind.shape)


def alike(columns: Columns, given: Values) -> tuple[np.ndarray, str]:
    """The rows that have these values by themselves, and in words which those are.

    Levels are matched; of what remains, the rows nearest to the numbers and arrays, each scaled by its spread
    (arrays by one for all their components; texts by the words that one has and the other has not).
    """
    kept = np.ones(columns.rows, bool)
    near = np.zeros(columns.rows)
    close = []
    for name, value in given.items():
        kind, values = columns.schema[name], columns[name]
        if kind.discrete:
            kept &= values == _canonical([value], kind)[0]
            continue
        close.append(name)
        if kind.name == "text":
            near += report_text.gaps(values, kind, str(value))
            continue
        near += _squared_gaps(values.reshape(columns.rows, -1), np.asarray(value).reshape(-1))
    index = np.flatnonzero(kept)
    if not close or len(index) <= 1:
        return index, f"{len(index):,} rows with these values"
    most = NEAREST if all(columns.schema[n].scalar for n in close) else PICTURES
    count = min(most, max(1, len(index) // 10))
    index = index[np.argsort(near[index], kind="stable")[:count]]
    return index, f"the {count:,} rows nearest in {', '.join(close)}"


def _squared_gaps(rows: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Mean squared distance of rows ``(n, d)`` to a point, in units of the rows' variance.

    In parts, since images as floats may not fit.
    """
    variance = float(np.var(rows[:4096].astype(np.float64))) or 1.0
    parts = np.array_split(rows, -(-len(rows) // 4096))
    gaps = [((part.astype(np.float64) - point) ** 2).mean(axis=1) for part in parts]
    return np.asarray(np.concatenate(gaps) / variance)


def _channels(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., None] if pixels.ndim == 3 else pixels


def _outcome(
    name: str, kind: Kind, drawn: np.ndarray, rows: np.ndarray
) -> Iterator[charts.Picture]:
    """Charts of one outcome, drawn against rows."""
    if kind.name == "image":
        alt = f"{len(drawn[:PICTURES])} samples of {name}"
        yield charts.Picture(
            charts.images(_channels(drawn[:PICTURES]), alt), f"{name}, drawn under do()"
        )
        if len(rows):
            alt = f"{len(rows[:PICTURES])} rows' {name}"
            yield charts.Picture(
                charts.images(_channels(rows[:PICTURES]), alt), f"{name} in the rows (naive)"
            )
        return
    if kind.name == "text":
        yield from report_text.pictures(name, kind, drawn, rows)
        return
    if kind.discrete:
        size = len(kind.levels)
        groups = {"do": _shares(drawn, size)} | ({"rows": _shares(rows, size)} if len(rows) else {})
        yield charts.Picture(charts.bars(kind.levels, groups, name), name)
        return
    for part, (a, b) in _numbers({name: (drawn, rows)}).items():
        groups = {"do": a} | ({"rows": b} if len(b) else {})
        yield charts.Picture(charts.histogram(groups, part), part)


def _shares(codes: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(np.bincount(codes, minlength=size) / max(1, len(codes)))


def _numbers(
    outcomes: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Numbers by name; of a vector its first components."""
    found = {}
    for name, (a, b) in outcomes.items():
        if a.ndim == 1:
            found[name] = (a.astype(np.float64), b.astype(np.float64))
            continue
        for i in range(min(PAIRS, a.shape[1])):
            found[f"{name}[{i}]"] = (a[:, i].astype(np.float64), b[:, i].astype(np.float64))
    return found


def _pairs(
    schema: Mapping[str, Kind], drawn: Mapping[str, np.ndarray], rows: Mapping[str, np.ndarray]
) -> list[charts.Picture]:
    """Clouds of all pairs of the first few numbers among the outcomes."""
    numeric = {
        y: (drawn[y], rows[y])
        for y in drawn
        if not schema[y].discrete and schema[y].name not in ("image", "text")
    }
    parts = [list(_numbers({y: pair}).items()) for y, pair in numeric.items()]
    turns = zip_longest(*parts)  # the first number of each outcome before the second of any
    numbers = [item for turn in turns for item in turn if item is not None][:PAIRS]
    made = []
    for i, (one, (a, b)) in enumerate(numbers):
        for two, (c, d) in numbers[i + 1 :]:
            groups = {"do": (a, c)} | ({"rows": (b, d)} if len(b) else {})
            made.append(charts.Picture(charts.cloud(groups, (one, two)), f"{two} against {one}"))
    return made


def _compared(
    name: str, kind: Kind, drawn: np.ndarray, rows: np.ndarray
) -> list[tuple[str, str, str, str]]:
    """Lines of the table: what is compared, under do(), in the rows, and how far apart."""
    if not len(rows) or kind.name == "image":
        return []
    if kind.name == "text":
        return report_text.compared(name, drawn, rows)
    if kind.discrete:
        size = len(kind.levels)
        a, b = _shares(drawn, size), _shares(rows, size)
        far = f"{float(np.abs(a - b).sum() / 2):.1%} total variation"
        top = int(a.argmax())
        return [(f"share of {name} = {kind.levels[top]}", f"{a[top]:.1%}", f"{b[top]:.1%}", far)]
    found = []
    for part, (a, b) in _numbers({name: (drawn, rows)}).items():
        gap = float(a.mean() - b.mean())
        mine, naive = (
            f"{charts.number(float(v.mean()))} ± {charts.number(float(v.std()))}" for v in (a, b)
        )
        found.append((f"mean ± spread of {part}", mine, naive, f"{charts.number(gap)} apart"))
    return found
