"""Estimates as a table that people read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from causalc.estimates import Answer


def table_of(answers: Sequence[Answer]) -> str:
    """Estimates as aligned text, with what the error is and what it is not."""
    refits = any(a.refit_error is not None for a in answers)
    errors = ("± sampling", *(("± refits", "95 % interval") if refits else ()))
    rows = [("estimate", "value", *errors, "")]
    for _, group in groupby(answers, lambda a: a.name):
        rows += _rows(list(group), refits)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines += [f"{_label(a)}: {note}" for a in answers for note in a.notes]
    return "\n".join([*lines, *_caveats(answers[0].draws, refits)])


def _rows(group: Sequence[Answer], refits: bool) -> Iterator[tuple[str, ...]]:
    """One line an answer; those of a table stand under its name."""
    first = group[0]
    if first.at:
        yield (first.name, *("" for _ in range(4 if refits else 2)), first.text)
    for a in group:
        numbers = [written(a.value, a.refit_error or a.error), written(a.error, a.error)]
        if refits:
            numbers.append(written(a.refit_error, a.refit_error or 0.0))
            ends = [written(end, a.refit_error or a.error) for end in a.interval or ()]
            numbers.append(f"{ends[0]} to {ends[1]}" if ends else "-")
        name = f"  {place(a)}" if a.at else a.name
        yield (name, *numbers, "" if a.at else a.text)


def place(answer: Answer) -> str:
    """What is left open, and at which values."""
    return ", ".join(f"{name} = {_level(value)}" for name, value in answer.at)


def _label(answer: Answer) -> str:
    return f"{answer.name}, {place(answer)}" if answer.at else answer.name


def _level(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _caveats(draws: int, refits: bool) -> tuple[str, ...]:
    sampling = (
        f"± sampling: Monte-Carlo standard error of {draws:,} draws from the trained models alone;"
    )
    if refits:
        return (
            sampling,
            "± refits: standard deviation over models refitted to resampled rows, sampling included;",
            "95 % interval: the value ± as many of these as Student's t has for the number of refits.",
        )
    return (
        sampling,
        "it leaves out the error of the models and of finite data: train { bootstrap = 20 } adds that.",
    )


def written(value: float | None, error: float) -> str:
    """A number to the second digit of its error, and an error to two digits."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "undefined"
    if not (math.isfinite(error) and error > 0):
        return f"{value:.5g}"
    return f"{value:,.{max(0, 1 - math.floor(math.log10(error)))}f}"
