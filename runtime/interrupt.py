"""Signals that ask a run to stop. Imports nothing heavy: the command line begins with it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_OURS = (signal.default_int_handler, signal.SIG_DFL)


def stopped(at: str = "", state: str = "") -> str:
    """Return the one line of every interruption: where it stopped, and what became of the state there."""
    return f"stopped{at}; finished stages are kept{state}; the same command goes on"


@contextlib.contextmanager
def _handled(handlers: Mapping[signal.Signals, Any]) -> Iterator[None]:
    """Handle signals inside the block, in the main thread and where nobody else handles them."""
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            if signal.getsignal(number) in _OURS:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt inside the block, as SIGINT does."""
    with _handled({signal.SIGTERM: signal.default_int_handler}):
        yield


@contextlib.contextmanager
def listening() -> Iterator[Callable[[], bool]]:
    """Turn the first SIGINT or SIGTERM inside the block into a question to ask: stop?

    A second one raises KeyboardInterrupt at once.
    """
    asked: list[int] = []

    def note(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    with _handled({signal.SIGINT: note, signal.SIGTERM: note}):
        yield lambda: bool(asked)
