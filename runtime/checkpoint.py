"""The state of a stage while it trains, so that an interrupted one goes on to the same weights.

A stage makes its training calls in a fixed order; call ``i`` keeps its state in
``<folder>/i.json`` and the safetensors file that it names with its checksum. The tensors are
written and flushed first and the JSON is renamed into place, so whatever moment a process dies at,
what is found is whole and at most ``every`` seconds old. States serve the same versions of causalc
and torch and the same call alone; any other is set aside and the call starts over.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from causalc import __version__
from causalc.errors import RunFailed
from causalc.runtime.seal import put_text, read_sealed, sealed

EVERY = 120.0  # seconds between states
_FORMAT = 2

State = tuple[dict[str, Any], dict[str, torch.Tensor]]
"""What a training call is made of: a JSON value and tensors."""


@dataclass(frozen=True, slots=True)
class Point:
    """A state found: ``done`` when the call had ended."""

    done: bool
    value: dict[str, Any]
    tensors: dict[str, torch.Tensor]


class Checkpoints:
    """The states of one stage's training calls; ``say`` is given one line where one is called for."""

    def __init__(
        self, folder: Path, every: float = EVERY, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self._folder, self._every, self._say = folder, every, say
        self._calls = 0
        self._last = time.monotonic()
        self._ended: list[tuple[Call, State]] = []  # not yet on disk
        self._failed = False

    def call(self, about: Mapping[str, Any]) -> Call:
        """Begin the next training call; ``about`` is what its state must agree with."""
        number, self._calls = self._calls, self._calls + 1
        versions = {"causalc": __version__, "torch": str(torch.__version__)}
        return Call(self, number, {**about, "versions": versions})

    @property
    def due(self) -> bool:
        """Whether ``every`` seconds have passed since the last state."""
        return time.monotonic() - self._last >= self._every

    def clear(self) -> None:
        """Delete all states: the stage is finished."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def read(self, call: Call) -> Point | None:
        """Return the state of a call, or None where none can be used."""
        path = self._folder / f"{call.number}.json"
        if not path.is_file():
            return None
        value = read_sealed(path)
        if value is None or value.get("format") != _FORMAT or value.get("about") != call.about:
            self._say(
                f"{path}: damaged, or of another version; this part is trained from its start"
            )
            return None
        try:
            content = (self._folder / str(value["tensors"])).read_bytes()
            if hashlib.sha256(content).hexdigest() != value["sum"]:
                raise ValueError("changed since it was written")
            return Point(bool(value["done"]), value["state"], load(content))
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            self._say(f"{path}: its tensors cannot be read ({error}); trained from its start")
            return None

    def write(self, call: Call, state: State) -> bool:
        """Keep the state of a running call and of all that ended before it; False where that failed.

        Training goes on without: what cannot be kept is said once.
        """
        self._last = time.monotonic()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            while self._ended:
                self._put(*self._ended[0], True)
                self._ended.pop(0)
            self._put(call, state, False)
        except OSError as error:
            if not self._failed:
                reason = error.strerror or error
                self._say(
                    f"{self._folder}: the state of this stage cannot be kept ({reason}); "
                    "an interruption now would cost the stage. Free some space."
                )
            self._failed = True
            return False
        return True

    def end(self, call: Call, state: State) -> None:
        """Note the result of a call, kept with the next state."""
        self._ended.append((call, state))

    def _put(self, call: Call, state: State, done: bool) -> None:
        value, tensors = state
        content = save({k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()})
        digest = hashlib.sha256(content).hexdigest()
        name = f"{call.number}-{digest[:16]}.safetensors"
        with (self._folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        whole = {"format": _FORMAT, "about": call.about, "done": done, "state": value}
        whole |= {"tensors": name, "sum": digest}
        put_text(self._folder / f"{call.number}.json", sealed(whole))
        for old in self._folder.glob(f"{call.number}-*.safetensors"):
            if old.name != name:
                old.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Call:
    """One training call of a stage."""

    owner: Checkpoints
    number: int
    about: Mapping[str, Any]

    def found(self) -> Point | None:
        """Return the state it had reached, or None."""
        return self.owner.read(self)

    def keep(self, state: State) -> bool:
        """Write its state; whether that succeeded."""
        return self.owner.write(self, state)

    def end(self, state: State) -> None:
        """Note its result."""
        self.owner.end(self, state)


class Stopped(RunFailed):
    """A signal asked the run to stop; the message says what was kept."""
