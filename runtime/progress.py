"""Progress of long stages: one line a stage, plain where there is no terminal, or silent."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

_EVERY = 10.0  # seconds between lines where there is no terminal


@dataclass(slots=True)
class Report:
    """Shows stages as they run and collects their curve; ``quiet`` shows nothing.

    ``curve`` holds one JSON object a measurement, ``findings`` one-line remarks with remedies.
    """

    quiet: bool = True
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    curve: list[dict[str, float]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    _label: str = ""
    _bar: Any = None
    _task: Any = None
    _last: float = 0.0

    @contextmanager
    def stage(self, label: str) -> Iterator[None]:
        """Name what runs inside the block and show its line."""
        self._label, self._last = label, time.monotonic()
        try:
            if not self.quiet and self.stream.isatty():
                with _bar(self.stream) as self._bar:
                    self._task = self._bar.add_task(label, total=1.0, note="")
                    yield
            else:
                yield
        finally:
            self._bar = None

    def update(self, fraction: float, note: str = "") -> None:
        """Say how far the stage is, from 0 to 1."""
        if self.quiet:
            return
        if self._bar is not None:
            self._bar.update(self._task, completed=fraction, note=note)
            return
        now = time.monotonic()
        if now - self._last >= _EVERY or fraction >= 1:
            self._last = now
            self.line(f"{self._label}: {fraction:.0%} {note}".rstrip())

    def line(self, text: str) -> None:
        """Print one plain line."""
        if not self.quiet:
            print(text, file=self.stream, flush=True)


def _bar(stream: TextIO) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(file=stream),
    )
