"""Estimates as the report shows them: numbers in one table; those over open variables in a table and a chart each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from causalc import charts
from causalc.estimates import Answer
from causalc.estimates_table import place, written


@dataclass(frozen=True, slots=True)
class Line:
    """One answer: what is left open and at which value, the number, its errors and its 95 % interval."""

    place: str
    value: str
    error: str
    refits: str
    interval: str


@dataclass(frozen=True, slots=True)
class Shown:
    """An estimate; where it leaves variables ``over`` open, its lines go through their values."""

    name: str
    text: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    chart: Markup | None
    over: str


def shown(answers: Sequence[Answer]) -> Iterator[Shown]:
    """The estimates in the order of the script."""
    for name, group in groupby(answers, lambda a: a.name):
        found = list(group)
        notes = [f"{place(a)}: {n}" if a.at else n for a in found for n in a.notes]
        over = ", ".join(variable for variable, _ in found[0].at)
        chart = _chart(found) if over and len(found) > 1 else None
        yield Shown(name, found[0].text, tuple(map(_line, found)), tuple(notes), chart, over)


def _line(a: Answer) -> Line:
    scale = a.refit_error or a.error
    ends = [written(end, scale) for end in a.interval or ()]
    return Line(
        place(a),
        written(a.value, scale),
        written(a.error, a.error),
        written(a.refit_error, scale),
        f"{ends[0]} to {ends[1]}" if ends else "–",
    )


def _chart(answers: Sequence[Answer]) -> Markup | None:
    """The values over one open variable, with their intervals where there are any."""
    if len(answers[0].at) != 1:
        return None
    ((variable, _),) = answers[0].at
    at = [a.at[0][1] for a in answers]
    spans = [a.interval or (a.value - 2 * a.error, a.value + 2 * a.error) for a in answers]
    what = "95 % interval" if answers[0].interval else "two standard errors of the draws"
    return charts.response(at, [a.value for a in answers], spans, (answers[0].name, variable), what)
