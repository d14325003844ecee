"""Graphs as SVG, with a layout of our own: no ``dot``, no scripts, no fonts to fetch.

Directed edges are solid and run from left to right; bidirected ones are dashed arcs with two heads. All text is
escaped, all colours follow the reader's light or dark setting, and what a colour says is said by a shape as well.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from causalc.compiler.graph import Graph
from causalc.compiler.layout import Box, Edge, Layout, Point, place

FONT = 14.0
LINE = 18.0
PAD_X, PAD_Y = 12.0, 8.0
WIDEST = 168.0  # of a line of a name; longer names are broken, then shortened
MARGIN = 10.0
HEAD = 8.0
SAMPLES = 28

STYLE = """\
svg.cg{--ink:#1b1f24;--line:#4a525c;--box:#fff;--edge:#8c959f;--dash:#8a3ffc;--y:#ddf4ff;--yline:#0550ae;\
--x:#fff1e5;--xline:#953800;--z:#eceff2;--part:#bf8700;max-width:100%;height:auto;\
font-family:system-ui,-apple-system,"Segoe UI","Noto Sans",sans-serif;font-size:14px}
svg.cg text{fill:var(--ink);text-anchor:middle}
svg.cg .small{font-size:12px}
svg.cg rect{fill:var(--box);stroke:var(--edge);stroke-width:1.3}
svg.cg .y rect{fill:var(--y);stroke:var(--yline);stroke-width:2.4}
svg.cg .x rect{fill:var(--x);stroke:var(--xline);stroke-width:2.4}
svg.cg .z rect{fill:var(--z);stroke-dasharray:2 3;stroke-width:2;stroke:var(--line)}
svg.cg .part rect.ring{fill:none;stroke:var(--part);stroke-width:2;stroke-dasharray:none}
svg.cg path{fill:none;stroke:var(--line);stroke-width:1.5}
svg.cg path.head{fill:var(--line);stroke:none}
svg.cg .both path{stroke:var(--dash);stroke-dasharray:6 4}
svg.cg .both path.head{fill:var(--dash);stroke:none}
svg.cg .gone{opacity:.22}
@media screen and (prefers-color-scheme:dark){svg.cg{--ink:#e6edf3;--line:#a7b1bc;--box:#161b22;--edge:#768390;\
--dash:#c297ff;--y:#0c2d6b;--yline:#6cb6ff;--x:#4a2205;--xline:#f69d50;--z:#2d333b;--part:#e3b341}}
"""


@dataclass(frozen=True, slots=True)
class Marks:
    """What a drawing says besides the graph: roles of variables, and what is no longer there.

    ``part`` gets a ring; ``gone`` variables and all edges at them are faint, and so are the edges with an
    arrowhead at one of ``cut``.
    """

    outcomes: frozenset[str] = frozenset()
    do: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    part: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    cut: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Picture:
    """A graph laid out once, to be drawn with any number of marks."""

    graph: Graph
    lines: Mapping[str, tuple[str, ...]]
    layout: Layout
    arcs: Mapping[Edge, tuple[Point, Point, Point, Point]] = field(repr=False)


def picture(graph: Graph) -> Picture:
    """Lay a graph out."""
    lines = {name: fitted(name) for name in graph.nodes}
    layout = place(
        {name: box_of(text) for name, text in lines.items()}, graph.directed, graph.bidirected
    )
    return Picture(graph, lines, layout, _arcs(graph.bidirected, layout))


def draw(
    source: Graph | Picture, marks: Marks | None = None, label: str = "", *, alone: bool = True
) -> str:
    """Draw a graph as one SVG element; ``label`` is what a screen reader says, by default the graph in words.

    With ``alone`` it carries its style sheet and can be a file; without, the page must hold ``STYLE``.
    """
    shown = source if isinstance(source, Picture) else picture(source)
    marks = marks or Marks()
    parts = [
        *_both(shown, marks),
        *_directed(shown, marks),
        *(_node(shown, name, marks) for name in shown.graph.nodes),
    ]
    return svg(parts, _bounds(shown), label or in_words(shown.graph), alone)


def in_words(graph: Graph) -> str:
    """The graph as a sentence, for those who cannot see it."""
    causes = [
        f"{a} causes {', '.join(b for c, b in graph.directed if c == a)}"
        for a in dict.fromkeys(a for a, _ in graph.directed)
    ]
    shared = [f"{a} and {b} share an unmeasured cause" for a, b in graph.bidirected]
    joined = {v for pair in (*graph.directed, *graph.bidirected) for v in pair}
    alone = [f"{v} stands alone" for v in graph.nodes if v not in joined]
    return "Causal graph: " + ("; ".join([*causes, *shared, *alone]) or "no variables") + "."


def svg(
    parts: Iterable[str], bounds: tuple[float, float, float, float], label: str, alone: bool
) -> str:
    """An SVG element around ``parts``; ``bounds`` are left, top, right and bottom."""
    left, top, right, bottom = bounds
    w, h = right - left, bottom - top
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cg" role="img" aria-label={quoteattr(clean(label))} '
        f'viewBox="{left:.0f} {top:.0f} {w:.0f} {h:.0f}" width="{w:.0f}" height="{h:.0f}" '
        f'style="min-width:{0.6 * w:.0f}px">'
    )
    style = f"<style>\n{STYLE}</style>\n" if alone else ""
    return head + "\n" + style + "\n".join(parts) + "\n</svg>"


# ---- text


def clean(text: str) -> str:
    """Text that XML may hold: control characters and what turns the line around become a replacement sign."""
    return "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs", "Cn", "Zl", "Zp") or c in _TURNS else c
        for c in text
    )


_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\ufeff")


def width_of(text: str, size: float = FONT) -> float:
    """About how wide a text is; no font is at hand, so by the kind of each character, rather too wide."""
    return size * sum(map(_em, text))


def _em(c: str) -> float:
    if unicodedata.combining(c) or unicodedata.category(c) in ("Mn", "Me", "Cf"):
        return 0.0
    if unicodedata.east_asian_width(c) in "WF":
        return 1.06
    if c in "iljtf.,:;'|!()[] I":
        return 0.36
    if c in "mwMW@%":
        return 0.92
    if c.isascii():
        return 0.68 if c.isupper() else 0.58
    return 0.72


def fitted(name: str, widest: float = WIDEST) -> tuple[str, ...]:
    """A name on one or two lines of at most ``widest``; what does not fit is left out in the middle."""
    text = clean(name)
    if width_of(text) <= widest:
        return (text,)
    pieces = re.findall(r"[^\s_.\-/]*[\s_.\-/]?", text)
    best: tuple[str, str] | None = None
    for i in range(1, len(pieces)):
        first, second = "".join(pieces[:i]).rstrip(), "".join(pieces[i:])
        if first and second and (best is None or _longer(first, second) < _longer(*best)):
            best = (first, second)
    if best is not None:
        return tuple(shortened(part, widest) for part in best)
    return (shortened(text, widest),)


def _longer(a: str, b: str) -> float:
    return max(width_of(a), width_of(b))


def shortened(text: str, widest: float) -> str:
    """The text with its middle replaced by an ellipsis, so that both ends can be told."""
    if width_of(text) <= widest:
        return text
    left, right = "", ""
    # Measured as it will stand: sums of floats depend on their order.
    for a, b in zip(text, reversed(text), strict=True):
        if width_of(f"{left}{a}…{right}") > widest:
            break
        left += a
        if width_of(f"{left}…{b}{right}") > widest:
            break
        right = b + right
    return f"{left}…{right}"


def box_of(lines: Sequence[str]) -> tuple[float, float]:
    """The size of the box around lines of text."""
    widest = max((width_of(line) for line in lines), default=0.0)
    return max(widest + 2 * PAD_X, 40.0), LINE * len(lines) + 2 * PAD_Y


def text_lines(lines: Sequence[str], x: float, y: float, small_from: int = 99) -> str:
    """Lines of text centred at a point; those from ``small_from`` on in the small size."""
    first, small = y - LINE * (len(lines) - 1) / 2 + FONT * 0.35, ' class="small"'
    return "".join(
        f'<text x="{x:.1f}" y="{first + i * LINE:.1f}"{small if i >= small_from else ""}>'
        f"{escape(line)}</text>"
        for i, line in enumerate(lines)
    )


# ---- nodes


def _node(shown: Picture, name: str, marks: Marks) -> str:
    box, lines = shown.layout.boxes[name], shown.lines[name]
    roles = [
        css
        for css, members in (
            ("y", marks.outcomes),
            ("x", marks.do),
            ("z", marks.given),
            ("part", marks.part),
            ("gone", marks.gone),
        )
        if name in members
    ]
    said = {"y": "outcome", "x": "set by do()", "z": "condition", "gone": "left out"}
    note = ", ".join(said[r] for r in roles if r in said)
    round_ = 2 if name in marks.do else box.h / 2 if name in marks.outcomes else 9
    title = escape(clean(name) + (f" ({note})" if note else ""))
    ring = ""
    if name in marks.part and name not in marks.gone:
        ring = rect(Box(box.x, box.y, box.w + 9, box.h + 9), round_ + 4, "ring")
    return (
        f'<g class="{" ".join(["node", *roles])}"><title>{title}</title>{ring}{rect(box, round_)}'
        f"{text_lines(lines, box.x, box.y)}</g>"
    )


def rect(box: Box, radius: float, css: str = "") -> str:
    """A rectangle with round corners."""
    return (
        f'<rect{f" class={quoteattr(css)}" if css else ""} x="{box.x - box.w / 2:.1f}" '
        f'y="{box.y - box.h / 2:.1f}" width="{box.w:.1f}" height="{box.h:.1f}" rx="{radius:.1f}"/>'
    )


# ---- edges


def _faint(pair: Edge, marks: Marks, both: bool) -> bool:
    a, b = pair
    return bool({a, b} & marks.gone) or b in marks.cut or (both and a in marks.cut)


def _directed(shown: Picture, marks: Marks) -> Iterator[str]:
    for edge, course in ports(shown.layout).items():
        css = " gone" if _faint(edge, marks, False) else ""
        said = escape(clean(f"{edge[0]} → {edge[1]}"))
        yield f'<g class="edge{css}"><title>{said}</title>{arrow(course)}</g>'


def ports(layout: Layout) -> dict[Edge, tuple[Point, ...]]:
    """The courses with their ends spread over the sides of the boxes, in the order of where they go."""
    shift: dict[tuple[Edge, int], float] = {}
    for end in (0, -1):
        groups: dict[str, list[Edge]] = {}
        for edge in layout.courses:
            groups.setdefault(edge[end], []).append(edge)
        for name, edges in groups.items():
            towards = 1 if end == 0 else -2
            edges.sort(key=lambda e, at=towards: layout.courses[e][at][1])  # type: ignore[misc]
            room = layout.boxes[name].h * 0.5
            step = min(7.0, room / max(1, len(edges) - 1))
            for i, edge in enumerate(edges):
                shift[edge, end] = (i - (len(edges) - 1) / 2) * step
    moved = {}
    for edge, course in layout.courses.items():
        (x0, y0), (x1, y1) = course[0], course[-1]
        moved[edge] = (
            (x0, y0 + shift[edge, 0]),
            *course[1:-1],
            (x1, y1 + shift[edge, -1]),
        )
    return moved


def arrow(course: Sequence[Point]) -> str:
    """A smooth line through a course that ends in an arrowhead, level at every point."""
    (x0, y0), end = course[0], course[-1]
    tip = (end[0] - HEAD + 1, end[1])
    points = [*course[:-1], tip]
    path = [f"M{x0:.1f} {y0:.1f}"]
    for i, (a, b) in enumerate(pairwise(points)):
        if i % 2:  # through a layer
            path.append(f"L{b[0]:.1f} {b[1]:.1f}")
            continue
        half = (b[0] - a[0]) / 2
        path.append(
            f"C{a[0] + half:.1f} {a[1]:.1f} {b[0] - half:.1f} {b[1]:.1f} {b[0]:.1f} {b[1]:.1f}"
        )
    return f'<path d="{"".join(path)}"/>{_head(end, (1.0, 0.0))}'


def _head(tip: Point, way: Point) -> str:
    """A filled arrowhead at ``tip`` that points along the unit vector ``way``."""
    (x, y), (dx, dy) = tip, way
    bx, by = x - HEAD * dx, y - HEAD * dy
    half = HEAD * 0.45
    return (
        f'<path class="head" d="M{x:.1f} {y:.1f}L{bx - half * dy:.1f} {by + half * dx:.1f}'
        f'L{bx + half * dy:.1f} {by - half * dx:.1f}z"/>'
    )


def _both(shown: Picture, marks: Marks) -> Iterator[str]:
    for (a, b), curve in shown.arcs.items():
        css = " gone" if _faint((a, b), marks, True) else ""
        said = escape(clean(f"{a} ↔ {b}: an unmeasured common cause"))
        low = _leaves(curve, shown.layout.boxes[a], 0.0, 0.5)
        high = _leaves(curve, shown.layout.boxes[b], 1.0, 0.5)
        ends = [_at(curve, low), _at(curve, high)]
        ways = [_way(_at(curve, low + 0.05), ends[0]), _way(_at(curve, high - 0.05), ends[1])]
        body = _between(curve, low, high)
        (x0, y0), *rest = body
        line = f"M{x0:.1f} {y0:.1f}C" + " ".join(f"{x:.1f} {y:.1f}" for x, y in rest)
        heads = "".join(_head(end, way) for end, way in zip(ends, ways, strict=True))
        yield f'<g class="both{css}"><title>{said}</title><path d="{line}"/>{heads}</g>'


Curve = tuple[Point, Point, Point, Point]


def _arcs(pairs: Sequence[Edge], layout: Layout) -> dict[Edge, Curve]:
    """An arc for each pair: of several bulges to both sides, the one that runs over the fewest boxes and arcs."""
    pieces = [piece for course in layout.courses.values() for piece in pairwise(course)]
    taken: list[list[Point]] = []
    arcs: dict[Edge, Curve] = {}
    for pair in sorted(pairs, key=lambda p: _distance(layout.boxes[p[0]], layout.boxes[p[1]])):
        a, b = layout.boxes[pair[0]], layout.boxes[pair[1]]
        others = [box for name, box in layout.boxes.items() if name not in pair]
        best = min(_bulges(a, b), key=lambda c: _badness(c, others, taken, pieces, layout))
        arcs[pair] = best
        taken.append([_at(best, (i + 0.5) / SAMPLES) for i in range(SAMPLES)])
    return {pair: arcs[pair] for pair in pairs}


def _distance(a: Box, b: Box) -> float:
    return math.hypot(a.x - b.x, a.y - b.y)


def _bulges(a: Box, b: Box) -> Iterator[Curve]:
    length = _distance(a, b) or 1.0
    nx, ny = (b.y - a.y) / length, (a.x - b.x) / length
    if ny > 0 or (ny == 0 and nx < 0):  # upwards first
        nx, ny = -nx, -ny
    for size in (0.28, 0.42, 0.6, 0.85, 1.2):
        for side in (1, -1):
            bulge = side * min(max(size * length, 52.0 * (1 + size)), 420.0 * (1 + size))
            yield (
                (a.x, a.y),
                (a.x + 0.2 * (b.x - a.x) + nx * bulge, a.y + 0.2 * (b.y - a.y) + ny * bulge),
                (b.x - 0.2 * (b.x - a.x) + nx * bulge, b.y - 0.2 * (b.y - a.y) + ny * bulge),
                (b.x, b.y),
            )


def _badness(
    curve: Curve,
    others: Sequence[Box],
    taken: Sequence[Sequence[Point]],
    pieces: Sequence[tuple[Point, Point]],
    layout: Layout,
) -> float:
    points = [_at(curve, (i + 0.5) / SAMPLES) for i in range(SAMPLES)]
    covered = sum(box.inside(p, 5.0) for box in others for p in points)
    near = sum(_near(p, q) for arc in taken for p, q in zip(points, arc, strict=True))
    near += sum(_near(p, q) for arc in taken for p, q in zip(points, reversed(arc), strict=True))
    crossed = _crosses(points, pieces)
    outside = sum(max(0.0, -p[1], p[1] - layout.height, -p[0], p[0] - layout.width) for p in points)
    length = sum(math.dist(p, q) for p, q in pairwise(points))
    return 40 * covered + 6 * near + 8 * crossed + 0.012 * outside + 0.03 * length


def _near(p: Point, q: Point) -> bool:
    return abs(p[0] - q[0]) < 12 and abs(p[1] - q[1]) < 12


def _crosses(points: Sequence[Point], pieces: Sequence[tuple[Point, Point]]) -> int:
    """How many straight pieces, each from left to right, a polyline crosses; every fourth point of it."""
    coarse = [*points[::4], points[-1]]
    return sum(
        _cut(p, q, r, s)
        for p, q in pairwise(coarse)
        for r, s in _between_x(pieces, min(p[0], q[0]), max(p[0], q[0]))
    )


def _between_x(
    pieces: Sequence[tuple[Point, Point]], low: float, high: float
) -> list[tuple[Point, Point]]:
    return [piece for piece in pieces if piece[1][0] >= low and piece[0][0] <= high]


def _cut(p: Point, q: Point, r: Point, s: Point) -> bool:
    """Whether two straight pieces cross."""

    def side(a: Point, b: Point, c: Point) -> bool:
        return (b[0] - a[0]) * (c[1] - a[1]) > (b[1] - a[1]) * (c[0] - a[0])

    return side(p, q, r) != side(p, q, s) and side(r, s, p) != side(r, s, q)


def _at(c: Curve, t: float) -> Point:
    """A point of a cubic Bézier curve."""
    u = 1 - t
    k = (u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t)
    return (
        sum(w * p[0] for w, p in zip(k, c, strict=True)),
        sum(w * p[1] for w, p in zip(k, c, strict=True)),
    )


def _between(c: Curve, low: float, high: float) -> Curve:
    """The piece of a curve between two parameters (blossoming)."""

    def blossom(r: float, s: float, t: float) -> Point:
        points = list(c)
        for w in (r, s, t):
            points = [
                ((1 - w) * p[0] + w * q[0], (1 - w) * p[1] + w * q[1]) for p, q in pairwise(points)
            ]
        return points[0]

    return (
        blossom(low, low, low),
        blossom(low, low, high),
        blossom(low, high, high),
        blossom(high, high, high),
    )


def _leaves(curve: Curve, box: Box, inside: float, outside: float) -> float:
    """Where a curve that is in the box at one parameter leaves it, by bisection."""
    if box.inside(_at(curve, outside)):
        return inside
    for _ in range(24):
        middle = (inside + outside) / 2
        if box.inside(_at(curve, middle), 1.0):
            inside = middle
        else:
            outside = middle
    return outside


def _way(start: Point, end: Point) -> Point:
    length = math.dist(start, end) or 1.0
    return (end[0] - start[0]) / length, (end[1] - start[1]) / length


def _bounds(shown: Picture) -> tuple[float, float, float, float]:
    xs, ys = [0.0, shown.layout.width], [0.0, shown.layout.height]
    for curve in shown.arcs.values():
        for i in range(SAMPLES + 1):
            x, y = _at(curve, i / SAMPLES)
            xs.append(x)
            ys.append(y)
    return min(xs) - MARGIN, min(ys) - MARGIN, max(xs) + MARGIN, max(ys) + MARGIN
