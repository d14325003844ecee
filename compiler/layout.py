"""Layered layout of a directed acyclic graph of boxes, left to right, the same on every run.

Sugiyama's four steps: layers by longest path, dummies on edges that span several layers, an order in each
layer with few crossings (median sweeps), and coordinates. Coordinates are least squares: each box as near as its
order and size allow to the middle of its neighbours, which is isotonic regression, solved exactly.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Point = tuple[float, float]
Edge = tuple[str, str]

ROW_GAP = 26.0
COLUMN_GAP = 58.0
DUMMY = 10.0
SWEEPS = 12
STRAIGHT = 8.0  # how much more a bend inside a long edge counts than an edge between boxes


@dataclass(frozen=True, slots=True)
class Box:
    """A box of width and height ``w`` and ``h`` with its centre at ``x, y``."""

    x: float
    y: float
    w: float
    h: float

    def inside(self, point: Point, margin: float = 0.0) -> bool:
        """Whether a point lies in the box grown by ``margin``."""
        return (
            abs(point[0] - self.x) < self.w / 2 + margin
            and abs(point[1] - self.y) < self.h / 2 + margin
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes by name, the course of every edge, and the size of it all.

    A course is a list of points: where it leaves its first box on the right, two points for each layer that
    it passes (where it enters and leaves it), and where it enters its last box on the left.
    """

    boxes: Mapping[str, Box]
    courses: Mapping[Edge, tuple[Point, ...]]
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Dummy:
    """Where an edge passes a layer."""

    edge: Edge
    layer: int


_Item = str | _Dummy


def place(
    sizes: Mapping[str, tuple[float, float]], edges: Iterable[Edge], ties: Iterable[Edge] = ()
) -> Layout:
    """Lay boxes of given sizes ``(w, h)`` out; ``edges`` must be acyclic.

    ``ties`` join boxes that should come near each other without one being before the other.
    """
    arrows = list(dict.fromkeys(edges))
    bonds = list(dict.fromkeys(ties))
    layer = _layers(list(sizes), arrows, bonds)
    rows, links = _with_dummies(list(sizes), layer, arrows)
    _order(rows, links, [(a, b) for a, b in bonds if layer[a] == layer[b]])
    heights = {name: h for name, (_, h) in sizes.items()}
    y = _coordinates(rows, links, heights)
    return _placed(sizes, rows, arrows, layer, y)


# ---- layers


def _layers(names: Sequence[str], arrows: Sequence[Edge], bonds: Sequence[Edge]) -> dict[str, int]:
    """Longest path from a source; then sources move to just before their first child."""
    parents, children = defaultdict(list), defaultdict(list)
    for a, b in arrows:
        parents[b].append(a)
        children[a].append(b)
    layer: dict[str, int] = {}
    waiting = {name: len(parents[name]) for name in names}
    ready = [name for name in names if not waiting[name]]
    for name in ready:
        layer[name] = max((layer[p] + 1 for p in parents[name]), default=0)
        for child in children[name]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    assert len(layer) == len(names), "the edges have a cycle"
    for name in reversed(ready):
        if children[name]:
            least = min(layer[c] for c in children[name]) - 1
            if not parents[name] or len(parents[name]) < len(children[name]):
                layer[name] = least
    tied = {v: w for pair in bonds for v, w in (pair, pair[::-1])}
    for name in names:
        if not parents[name] and not children[name] and name in tied:
            layer[name] = layer[tied[name]]
    first = min(layer.values(), default=0)
    return {name: layer[name] - first for name in names}


def _with_dummies(
    names: Sequence[str], layer: Mapping[str, int], arrows: Sequence[Edge]
) -> tuple[list[list[_Item]], list[tuple[_Item, _Item]]]:
    rows: list[list[_Item]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for name in names:
        rows[layer[name]].append(name)
    links: list[tuple[_Item, _Item]] = []
    for edge in arrows:
        a, b = edge
        last: _Item = a
        for at in range(layer[a] + 1, layer[b]):
            dummy = _Dummy(edge, at)
            rows[at].append(dummy)
            links.append((last, dummy))
            last = dummy
        links.append((last, b))
    return rows, links


# ---- order


def _order(
    rows: list[list[_Item]], links: Sequence[tuple[_Item, _Item]], bonds: Sequence[Edge]
) -> None:
    """Median sweeps down and up; the rows of the fewest crossings are kept."""
    before, after = _neighbours(links)
    beside: dict[_Item, list[_Item]] = defaultdict(list)
    for a, b in bonds:
        beside[a].append(b)
        beside[b].append(a)
    best, fewest = [list(row) for row in rows], _cost(rows, after, bonds)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            near = before if down else after
            at = {v: float(i) for r in rows for i, v in enumerate(r)}

            def middle(v: _Item, near: _Near = near, at: dict[_Item, float] = at) -> float:
                own = sorted(at[u] for u in near[v])
                bond = [at[u] for u in beside[v]]
                if not own:
                    return sum(bond, at[v]) / (1 + len(bond))
                centre = (own[(len(own) - 1) // 2] + own[len(own) // 2]) / 2
                return (2 * centre + sum(bond)) / (2 + len(bond))

            row.sort(key=middle)
            _swap(row, before, after, at)
        cost = _cost(rows, after, bonds)
        if cost < fewest:
            best, fewest = [list(row) for row in rows], cost
    for row, kept in zip(rows, best, strict=True):
        row[:] = kept


_Near = Mapping[_Item, Sequence[_Item]]


def _neighbours(links: Sequence[tuple[_Item, _Item]]) -> tuple[_Near, _Near]:
    before, after = defaultdict(list), defaultdict(list)
    for a, b in links:
        after[a].append(b)
        before[b].append(a)
    return before, after


def _swap(row: list[_Item], before: _Near, after: _Near, at: Mapping[_Item, float]) -> None:
    """Exchange neighbours while that removes crossings."""
    improved = True
    while improved:
        improved = False
        for i in range(len(row) - 1):
            a, b = row[i], row[i + 1]
            now = _crossings(a, b, before, at) + _crossings(a, b, after, at)
            then = _crossings(b, a, before, at) + _crossings(b, a, after, at)
            if then < now:
                row[i], row[i + 1], improved = b, a, True


def _crossings(a: _Item, b: _Item, near: _Near, at: Mapping[_Item, float]) -> int:
    """Crossings between the links of ``a`` and ``b``, ``a`` being above."""
    return sum(at[u] > at[v] for u in near[a] for v in near[b])


def _cost(rows: Sequence[Sequence[_Item]], after: _Near, bonds: Sequence[Edge]) -> float:
    """Crossings, and how far apart tied boxes of one layer are."""
    at = {v: float(i) for row in rows for i, v in enumerate(row)}
    crossings = 0
    for row in rows:
        passed: list[float] = []  # where the links of the boxes above end, in order
        for v in row:
            ends = [at[u] for u in after[v]]
            crossings += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return crossings + sum(abs(at[a] - at[b]) - 1 for a, b in bonds) / 4


# ---- coordinates


def _coordinates(
    rows: Sequence[Sequence[_Item]],
    links: Sequence[tuple[_Item, _Item]],
    heights: Mapping[str, float],
) -> dict[_Item, float]:
    """The middle of every item, across the layers."""

    def height(v: _Item) -> float:
        return heights[v] if isinstance(v, str) else DUMMY

    near: dict[_Item, list[tuple[_Item, float]]] = defaultdict(list)
    for a, b in links:
        long = isinstance(a, _Dummy) + isinstance(b, _Dummy)
        weight = (1.0, 2.0, STRAIGHT)[long]
        near[a].append((b, weight))
        near[b].append((a, weight))
    y: dict[_Item, float] = {}
    for row in rows:
        low = 0.0
        for v in row:
            y[v] = low + height(v) / 2
            low += height(v) + ROW_GAP
        for v in row:
            y[v] -= (low - ROW_GAP) / 2
    for sweep in range(2 * SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            gaps = [0.0]
            for u, v in itertools.pairwise(row):
                gaps.append(gaps[-1] + (height(u) + height(v)) / 2 + ROW_GAP)
            wanted, weights = [], []
            for v, gap in zip(row, gaps, strict=True):
                total = sum(w for _, w in near[v])
                mean = sum(y[u] * w for u, w in near[v]) / total if total else y[v]
                wanted.append(mean - gap)
                weights.append(total or 0.1)
            for v, gap, found in zip(row, gaps, isotonic(wanted, weights), strict=True):
                y[v] = found + gap
    return y


def isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The nondecreasing sequence nearest to ``values`` in weighted least squares.

    >>> isotonic([1, 3, 2], [1, 1, 1])
    [1.0, 2.5, 2.5]
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, length
    for value, weight in zip(values, weights, strict=True):
        mean, total, count = float(value), float(weight), 1
        while blocks and blocks[-1][0] > mean:
            other, mass, length = blocks.pop()
            mean = (mean * total + other * mass) / (total + mass)
            total, count = total + mass, count + length
        blocks.append((mean, total, count))
    return [mean for mean, _, count in blocks for _ in range(count)]


def _placed(
    sizes: Mapping[str, tuple[float, float]],
    rows: Sequence[Sequence[_Item]],
    arrows: Sequence[Edge],
    layer: Mapping[str, int],
    y: Mapping[_Item, float],
) -> Layout:
    """Columns side by side; wide gaps where edges climb far."""
    top = min(
        (y[v] - (sizes[v][1] if isinstance(v, str) else DUMMY) / 2 for r in rows for v in r),
        default=0.0,
    )
    bottom = max(
        (y[v] + (sizes[v][1] if isinstance(v, str) else DUMMY) / 2 for r in rows for v in r),
        default=0.0,
    )
    widths = [max((sizes[v][0] for v in row if isinstance(v, str)), default=DUMMY) for row in rows]
    climb = [0.0] * len(rows)
    for edge in arrows:
        stops = _stops(edge, layer)
        for at, (u, v) in enumerate(itertools.pairwise(stops), layer[edge[0]]):
            climb[at] = max(climb[at], abs(y[u] - y[v]))
    left, lefts = 0.0, []
    for width, steep in zip(widths, climb, strict=True):
        lefts.append(left)
        left += width + min(COLUMN_GAP + steep / 6, 2.2 * COLUMN_GAP)
    boxes = {
        name: Box(lefts[layer[name]] + widths[layer[name]] / 2, y[name] - top, w, h)
        for name, (w, h) in sizes.items()
    }
    courses = {}
    for edge in arrows:
        a, b = (boxes[v] for v in edge)
        course = [(a.x + a.w / 2, a.y)]
        for at, dummy in enumerate(_stops(edge, layer)[1:-1], layer[edge[0]] + 1):
            level = y[dummy] - top
            course += [(lefts[at], level), (lefts[at] + widths[at], level)]
        courses[edge] = (*course, (b.x - b.w / 2, b.y))
    width = lefts[-1] + widths[-1] if rows else 0.0
    return Layout(boxes, courses, width, bottom - top)


def _stops(edge: Edge, layer: Mapping[str, int]) -> list[_Item]:
    a, b = edge
    return [a, *(_Dummy(edge, at) for at in range(layer[a] + 1, layer[b])), b]
