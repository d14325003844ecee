"""What is handed to whoever trains a stage: plain data, so that it may be another process or machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from causalc.errors import CausalcError, RunFailed
from causalc.runtime import arrays
from causalc.runtime.data import Columns
from causalc.runtime.schema import Schema
from causalc.runtime.stored import canonical_type

DONE, ELSEWHERE = "done", "elsewhere"  # trained or found; another run trains it
BUG = 70  # the exit code of what no user is to blame for


@dataclass(frozen=True, slots=True)
class Task:
    """One stage to train: the text of its program, the calls it takes (see ``part``), where the rows are.

    ``options`` are those of ``Run``, the path of the store among them. ``gpus`` and ``memory`` (bytes) are
    what it needs. Unless it ``waits``, a stage that another run trains is left to that run.
    """

    label: str
    program: str
    calls: tuple[int, ...]
    data: str
    options: Mapping[str, Any]
    gpus: int = 0
    memory: int = 0
    waits: bool = False

    def to_json(self) -> str:
        """Return one line of text."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Task:
        """Read what ``to_json`` wrote."""
        value = json.loads(text)
        return Task(**{**value, "calls": tuple(value["calls"])})


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a task: DONE, ELSEWHERE, or why not, with the exit code of such an error."""

    outcome: str
    exit_code: int = 0

    def finished(self) -> bool:
        """Whether the stage is in the store. Raises CausalcError with what its worker said, and for a bug another."""
        if self.exit_code == BUG:
            raise RuntimeError(self.outcome)
        if self.exit_code:
            raise (RunFailed if self.exit_code == 3 else CausalcError)(self.outcome)
        return self.outcome == DONE


class Executor(Protocol):
    """Trains stages somewhere; as a context, what it began ends with it: states kept, workers gone."""

    def submit(self, task: Task) -> Future[Reply]:
        """Begin a task as soon as there is room for it."""
        ...

    def __enter__(self) -> Executor:
        """Be ready."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let no task begin, stop those that run at their next step, and wait for them."""
        ...


def hand_over(columns: Columns, folder: Path) -> str:
    """Return the path at which a worker finds these rows: their own file, or one written into ``folder``."""
    if columns.source is not None and Path(columns.source).is_file():
        return columns.source
    about = {
        "schema": columns.schema.to_json(),
        "findings": columns.findings,
        "source": columns.source,
    }
    path = folder / "columns.safetensors"
    arrays.write(path, columns, json.dumps(about))
    return str(path)


def take_over(path: Path) -> Path | Columns:
    """Return what ``hand_over`` left there."""
    if path.suffix != ".safetensors":
        return path
    about = json.loads(arrays.read(path)[1])
    schema = Schema.from_json(about["schema"])
    found, _ = arrays.read(path, {name: canonical_type(kind) for name, kind in schema.items()})
    return Columns(schema, found, tuple(about["findings"]), about["source"])
