"""Lines of a benchmark in a JSON file that later runs add to."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def read(path: Path | None, line: Callable[..., T]) -> list[T]:
    """Return the lines that a file holds; none where there is no file."""
    if path is None or not path.exists():
        return []
    return [line(**one) for one in json.loads(path.read_text(encoding="utf-8"))]


def keep(path: Path | None, lines: Sequence[Any]) -> None:
    """Write lines, which are dataclasses, where a file is named."""
    if path is not None:
        path.write_text(json.dumps([asdict(line) for line in lines], indent=0), encoding="utf-8")
