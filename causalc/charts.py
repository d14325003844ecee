"""Small charts as SVG for the report: bars, histograms, clouds, curves; and images as one PNG.

Two groups are told apart by shape as well as by colour: the first is filled, the second an outline. Every chart
carries its content as text for screen readers.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from markupsafe import Markup

from causalc.compiler.drawing import clean, shortened, svg, width_of

WIDTH, HEIGHT = 300.0, 170.0
LEFT, BOTTOM, TOP = 8.0, 22.0, 8.0
MOST_LEVELS = 14
BINS = 24
WHOLE = 40  # most bins for whole numbers
DOTS = 400
STYLE = """\
svg.cg .a{fill:var(--a);fill-opacity:.55;stroke:var(--a);stroke-width:1}
svg.cg .b{fill:none;stroke:var(--b);stroke-width:2;stroke-dasharray:5 3}
svg.cg path.line{fill:none;stroke:var(--a);stroke-width:1.8}
svg.cg path.thin{fill:none;stroke:var(--edge);stroke-width:1}
svg.cg path.span{stroke:var(--a);stroke-width:5;stroke-opacity:.3;fill:none}
svg.cg path.axis{stroke:var(--edge);stroke-width:1;fill:none}
svg.cg text.start{text-anchor:start}svg.cg text.end{text-anchor:end}
svg.cg circle.a{fill-opacity:.5;stroke:none}
svg.cg circle.best{fill:var(--a);stroke:var(--bg);stroke-width:1.5}
svg.cg circle.b{stroke-width:1.2;stroke-dasharray:none}
ul.texts{margin:0;padding-left:1.2em}ul.texts li{margin-bottom:.4em}
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart or an image with its caption; ``alt`` is what a screen reader says."""

    body: Markup
    caption: str


def number(value: float) -> str:
    """A number to three or four digits."""
    if value == 0 or 1e-4 <= abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:,.0f}" if 100 <= abs(value) < 1e7 else f"{value:.2e}"


def _frame(parts: list[str], label: str, width: float = WIDTH, height: float = HEIGHT) -> Markup:
    return Markup(svg(parts, (0, 0, width, height), label, alone=False))


def _text(x: float, y: float, text: str, css: str = "", size: str = "small") -> str:
    return f'<text class="{size} {css}" x="{x:.1f}" y="{y:.1f}">{escape(clean(text))}</text>'


def bars(levels: Sequence[object], groups: Mapping[str, np.ndarray], name: str) -> Markup:
    """Shares of each level, one horizontal bar a group; ``groups`` map a name to shares ``(levels,)``.

    Levels beyond ``MOST_LEVELS`` are put together.
    """
    labels, shares = _few(levels, groups)
    widest = 96.0
    gutter = min(widest, max(width_of(clean(text), 12) for text in labels)) + 8
    room, row = WIDTH - gutter - 48, 13.0 * len(groups) + 7
    top = max(float(np.max(s)) for s in shares.values()) or 1.0
    parts, y = [], TOP
    for i, label in enumerate(labels):
        text = shortened(clean(label), widest)
        parts.append(_text(gutter - 4, y + row / 2 + 1, text, "end"))
        for j, share in enumerate(shares.values()):
            w, at = room * float(share[i]) / top, y + 13 * j
            parts.append(
                f'<rect class="{"ab"[j]}" x="{gutter:.1f}" y="{at:.1f}" width="{max(w, 0.5):.1f}" height="11"/>'
            )
            parts.append(_text(gutter + w + 4, at + 10, f"{share[i]:.1%}", "start"))
        y += row
    said = "; ".join(
        f"{group}: " + ", ".join(f"{text} {s:.1%}" for text, s in zip(labels, share, strict=True))
        for group, share in shares.items()
    )
    return _frame(parts, f"Shares of {name}. {said}", height=y + 4)


def _few(
    levels: Sequence[object], groups: Mapping[str, np.ndarray]
) -> tuple[list[str], dict[str, np.ndarray]]:
    if len(levels) <= MOST_LEVELS:
        return [str(level) for level in levels], dict(groups)
    total = np.sum(list(groups.values()), axis=0)
    kept = np.sort(np.argsort(-total, kind="stable")[: MOST_LEVELS - 1])
    rest = np.setdiff1d(np.arange(len(levels)), kept)
    labels = [str(levels[i]) for i in kept] + [f"{len(rest)} others"]
    return labels, {g: np.append(s[kept], s[rest].sum()) for g, s in groups.items()}


def histogram(groups: Mapping[str, np.ndarray], name: str) -> Markup:
    """Densities of numbers: the first group filled, the second an outline, over the same bins.

    The range leaves out the farthest half percent at each end, so that one value does not flatten the rest.
    """
    edges = _edges(np.concatenate(list(groups.values())))
    bins, low, high = len(edges) - 1, float(edges[0]), float(edges[-1])
    heights = {g: _density(v, edges) for g, v in groups.items()}
    top = max(float(h.max()) for h in heights.values()) or 1.0
    base, room = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    xs = LEFT + (WIDTH - 2 * LEFT) * np.arange(bins + 1) / bins
    parts = [f'<path class="axis" d="M{LEFT} {base}H{WIDTH - LEFT}"/>']
    for j, h in enumerate(heights.values()):
        ys = base - room * h / top
        steps = "".join(f"L{xs[i]:.1f} {ys[i]:.1f}H{xs[i + 1]:.1f}" for i in range(bins))
        parts.append(f'<path class="{"ab"[j]}" d="M{xs[0]:.1f} {base}{steps}V{base}"/>')
    parts += [
        _text(LEFT, HEIGHT - 6, number(low), "start"),
        _text(WIDTH / 2, HEIGHT - 6, name),
        _text(WIDTH - LEFT, HEIGHT - 6, number(high), "end"),
    ]
    said = "; ".join(
        f"{g}: mean {number(float(v.mean()))}, standard deviation {number(float(v.std()))}"
        for g, v in groups.items()
    )
    return _frame(parts, f"Histogram of {name}. {said}")


def _edges(values: np.ndarray) -> np.ndarray:
    """Bins over all but the farthest half percent at each end; whole numbers get a bin each, if they are few."""
    low, high = _range(values)
    if high - low <= WHOLE and (values == np.round(values)).all():
        return np.arange(np.floor(low) - 0.5, np.ceil(high) + 1)
    return np.linspace(low, high, BINS + 1)


def _density(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    counts, _ = np.histogram(values, edges)
    return np.asarray(counts / max(1, len(values)))


def cloud(groups: Mapping[str, tuple[np.ndarray, np.ndarray]], names: tuple[str, str]) -> Markup:
    """Pairs of numbers as dots: the first group filled, the second rings; at most ``DOTS`` of each."""
    xs = np.concatenate([x for x, _ in groups.values()])
    ys = np.concatenate([y for _, y in groups.values()])
    (x0, x1), (y0, y1) = (_range(v) for v in (xs, ys))
    base, room = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{base}H{WIDTH - LEFT}"/>']
    for j, (x, y) in enumerate(groups.values()):
        inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        for u, v in list(zip(x[inside], y[inside], strict=True))[:DOTS]:
            cx = LEFT + (WIDTH - 2 * LEFT) * (u - x0) / (x1 - x0)
            cy = base - room * (v - y0) / (y1 - y0)
            parts.append(f'<circle class="{"ab"[j]}" cx="{cx:.1f}" cy="{cy:.1f}" r="2"/>')
    parts += [
        _text(LEFT + 4, TOP + 8, f"{names[1]} ↑", "start"),
        _text(WIDTH - LEFT, HEIGHT - 6, f"{names[0]} →", "end"),
    ]
    said = "; ".join(f"{g}: correlation {_correlation(x, y)}" for g, (x, y) in groups.items())
    return _frame(parts, f"{names[1]} against {names[0]}. {said}")


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = (float(v) for v in np.quantile(values, [0.005, 0.995]))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _correlation(x: np.ndarray, y: np.ndarray) -> str:
    if len(x) < 2 or x.std() == 0 or y.std() == 0:
        return "none"
    return f"{np.corrcoef(x, y)[0, 1]:.2f}"


def curves(points: Sequence[Mapping[str, float]], name: str) -> list[Markup]:
    """Loss over steps, a chart for each model that was trained in turn: held-out bold, training thin.

    A dot marks the best on held-out rows, which is what was kept.
    """
    runs: list[list[tuple[float, float, float]]] = []
    for point in points:
        if not {"step", "loss", "held_out"} <= point.keys():
            continue
        row = (float(point["step"]), float(point["loss"]), float(point["held_out"]))
        if not np.isfinite(row).all():
            continue
        if not runs or row[0] <= runs[-1][-1][0]:
            runs.append([])
        runs[-1].append(row)
    part = " (part {} of {})" if len(runs) > 1 else ""
    return [_curve(run, name + part.format(i + 1, len(runs))) for i, run in enumerate(runs)]


def _curve(run: Sequence[tuple[float, float, float]], name: str) -> Markup:
    """One chart of (step, loss, held-out loss); what lies far above is cut off."""
    values = [v for _, loss, held in run for v in (loss, held)]
    low, high = min(values), float(np.quantile(values, 0.97))
    high = high if high > low else low + 1.0
    last = run[-1][0]
    base, room = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP - 16

    def at(step: float, value: float) -> tuple[float, float]:
        up = room * (min(value, high) - low) / (high - low)
        return LEFT + (WIDTH - 2 * LEFT - 4) * step / last, base - up

    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{base}H{WIDTH - LEFT}"/>']
    for column, css in ((1, "thin"), (2, "line")):
        dots = _thinned([at(row[0], row[column]) for row in run])
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in dots)
        parts.append(f'<path class="{css}" d="M{path}"/>')
    best = min(run, key=lambda row: row[2])
    x, y = at(best[0], best[2])
    parts += [
        f'<circle class="best" cx="{x:.1f}" cy="{y:.1f}" r="4"/>',
        _text(WIDTH - LEFT, TOP + 8, f"best {number(best[2])}", "end"),
        _text(LEFT + 4, TOP + 8, number(high), "start"),
        _text(LEFT, HEIGHT - 6, "0", "start"),
        _text(WIDTH - LEFT, HEIGHT - 6, f"{last:,.0f} steps", "end"),
    ]
    said = f"first {number(run[0][2])}, best {number(best[2])} at step {best[0]:,.0f}"
    return _frame(parts, f"Loss of {name} on held-out rows: {said}, {last:,.0f} steps in all.")


def response(
    at: Sequence[object],
    values: Sequence[float],
    spans: Sequence[tuple[float, float]],
    names: tuple[str, str],
    what: str,
) -> Markup:
    """The values of an estimate ``names[0]`` over those of a variable ``names[1]``, each with its span.

    Numbers stand where they belong, with a line through the values; levels stand side by side. ``what`` says what
    the spans are.
    """
    ends = [end for span in spans for end in span if np.isfinite(end)]
    known = [v for v in values if np.isfinite(v)]
    low, high = _span([*known, *ends])
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in at)
    xs = np.array(at, float) if numeric else np.arange(len(at), dtype=float)
    left, right = _span(xs)
    base, room, start = HEIGHT - BOTTOM - 8, HEIGHT - BOTTOM - TOP - 22, LEFT + 48

    def place(x: float, y: float) -> tuple[float, float]:
        across = (WIDTH - start - 24) * (x - left) / (right - left)
        return start + 8 + across, base - room * (y - low) / (high - low)

    parts = [f'<path class="axis" d="M{start} {TOP}V{base + 6}H{WIDTH - LEFT}"/>']
    for y in (low, high):
        parts.append(_text(start - 4, place(left, y)[1] + 4, number(y), "end"))
    dots = []
    for x, value, (bottom, top) in zip(xs, values, spans, strict=True):
        if not np.isfinite(value):
            continue
        dots.append(place(x, value))
        if np.isfinite(bottom) and np.isfinite(top):
            (across, y1), (_, y2) = place(x, bottom), place(x, top)
            parts.append(f'<path class="span" d="M{across:.1f} {y1:.1f}V{y2:.1f}"/>')
    if numeric and len(dots) > 1:
        parts.append(
            '<path class="line" d="M' + "L".join(f"{x:.1f} {y:.1f}" for x, y in dots) + '"/>'
        )
    parts += [f'<circle class="best" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in dots]
    shown = range(len(at)) if len(at) <= 5 else (0, len(at) // 2, len(at) - 1)
    for i in shown:
        label = shortened(number(float(xs[i])) if numeric else str(at[i]), 52)
        parts.append(_text(place(xs[i], low)[0], HEIGHT - 8, label))
    said = "; ".join(f"{_said(a)}: {number(v)}" for a, v in list(zip(at, values, strict=True))[:12])
    return _frame(parts, f"{names[0]} over {names[1]}, bars are {what}: {said}.")


def _span(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    low, high = (float(min(values)), float(max(values))) if len(values) else (0.0, 0.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _said(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _thinned(dots: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    step = max(1, len(dots) // 240)
    return [*dots[::step], dots[-1]] if step > 1 else dots


def images(pixels: np.ndarray, alt: str, across: int = 8) -> Markup:
    """Images ``(n, h, w, c)`` uint8 as one PNG inside the page, rows of ``across``; at most 512 wide."""
    from PIL import Image

    n, h, w, c = pixels.shape
    if c not in (1, 3):
        pixels = pixels[..., :1]
    colour = np.broadcast_to(pixels, (n, h, w, 3))
    across = min(across, n)
    rows = -(-n // across)
    sheet = np.full((rows * (h + 1) + 1, across * (w + 1) + 1, 3), 128, np.uint8)
    for i in range(n):
        y, x = divmod(i, across)
        sheet[y * (h + 1) + 1 : (y + 1) * (h + 1), x * (w + 1) + 1 : (x + 1) * (w + 1)] = colour[i]
    picture = Image.fromarray(sheet)
    width = picture.width * max(1, round(280 / picture.width))
    height = picture.height * max(1, round(280 / picture.width))
    if picture.width > 512:
        picture = picture.resize((512, picture.height * 512 // picture.width))
        width, height = picture.size
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return Markup(
        f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" alt="{escape(clean(alt))}">'
    )
