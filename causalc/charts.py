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

from causalc.compiler.drawing import clean, fitted, svg, width_of

WIDTH, HEIGHT = 300.0, 170.0
LEFT, BOTTOM, TOP = 8.0, 22.0, 8.0
MOST_LEVELS = 14
BINS = 24
DOTS = 400
STYLE = """\
svg.cg .a{fill:var(--a);fill-opacity:.55;stroke:var(--a);stroke-width:1}
svg.cg .b{fill:none;stroke:var(--b);stroke-width:2;stroke-dasharray:5 3}
svg.cg path.line{fill:none;stroke:var(--a);stroke-width:1.8}
svg.cg path.thin{fill:none;stroke:var(--edge);stroke-width:1}
svg.cg path.axis{stroke:var(--edge);stroke-width:1;fill:none}
svg.cg text.start{text-anchor:start}svg.cg text.end{text-anchor:end}
svg.cg circle.a{fill-opacity:.5;stroke:none}
svg.cg circle.b{stroke-width:1.2;stroke-dasharray:none}
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart or an image with its caption; ``alt`` is what a screen reader says."""

    body: Markup
    caption: str


def number(value: float) -> str:
    """A number to three or four digits."""
    if value == 0 or 0.01 <= abs(value) < 1e5:
        text = f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
        return text
    return f"{value:.2e}"


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
        text = fitted(str(label), widest)[0]
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
    every = np.concatenate(list(groups.values()))
    low, high = np.quantile(every, [0.005, 0.995])
    if not high > low:
        low, high = float(low) - 0.5, float(high) + 0.5
    edges = np.linspace(low, high, BINS + 1)
    heights = {g: _density(v, edges) for g, v in groups.items()}
    top = max(float(h.max()) for h in heights.values()) or 1.0
    base, room = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    xs = LEFT + (WIDTH - 2 * LEFT) * np.arange(BINS + 1) / BINS
    parts = [f'<path class="axis" d="M{LEFT} {base}H{WIDTH - LEFT}"/>']
    for j, h in enumerate(heights.values()):
        ys = base - room * h / top
        steps = "".join(f"L{xs[i]:.1f} {ys[i]:.1f}H{xs[i + 1]:.1f}" for i in range(BINS))
        parts.append(f'<path class="{"ab"[j]}" d="M{xs[0]:.1f} {base}{steps}V{base}"/>')
    parts += [
        _text(LEFT, HEIGHT - 6, number(float(low)), "start"),
        _text(WIDTH / 2, HEIGHT - 6, name),
        _text(WIDTH - LEFT, HEIGHT - 6, number(float(high)), "end"),
    ]
    said = "; ".join(
        f"{g}: mean {number(float(v.mean()))}, standard deviation {number(float(v.std()))}"
        for g, v in groups.items()
    )
    return _frame(parts, f"Histogram of {name}. {said}")


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


def curves(points: Sequence[Mapping[str, float]], name: str) -> Markup | None:
    """Loss over steps: held-out bold, training thin, a line for each model that was trained in a row."""
    runs: list[list[Mapping[str, float]]] = []
    for point in points:
        if not {"step", "held_out"} <= point.keys():
            return None
        if not runs or point["step"] <= runs[-1][-1]["step"]:
            runs.append([])
        runs[-1].append(point)
    values = np.array([p[k] for run in runs for p in run for k in ("held_out", "loss") if k in p])
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = float(values.min()), float(np.quantile(values, 0.98))
    high = high if high > low else low + 1.0
    last = max(run[-1]["step"] for run in runs)
    base, room = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP - 6
    parts = [f'<path class="axis" d="M{LEFT} {TOP}V{base}H{WIDTH - LEFT}"/>']
    for run in runs:
        for key, css in (("loss", "thin"), ("held_out", "line")):
            dots = [
                (
                    LEFT + (WIDTH - 2 * LEFT) * p["step"] / last,
                    base - room * (min(p[key], high) - low) / (high - low),
                )
                for p in run
                if key in p and np.isfinite(p[key])
            ]
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in _thinned(dots))
            parts.append(f'<path class="{css}" d="M{path}"/>')
    parts += [
        _text(LEFT + 4, TOP + 8, number(high), "start"),
        _text(LEFT + 4, base - 4, number(low), "start"),
        _text(WIDTH - LEFT, HEIGHT - 6, f"{last:,.0f} steps", "end"),
    ]
    ends = ", ".join(
        f"{number(run[0]['held_out'])} to {number(min(p['held_out'] for p in run))}" for run in runs
    )
    return _frame(parts, f"Loss of {name} on held-out rows, from first to best: {ends}.")


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
