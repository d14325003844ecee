"""Serve one tool: a query a line in, an answer a line out, both in JSON.

A tool is a chain of named stages, each a function of the query and of what the stage before it made. The first
stage builds the tool's own graph; one that returns ``None`` says "not identifiable" and ends the chain. Seconds
are CPU seconds of this process, the least of several runs of the whole chain where it is quick; what comes after the
answer is run afterwards, so that it does not empty the caches of what others are not asked for. A tool may work in
threads of its own; the time of one that has ended is read once the system has added it up.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

TASKS = "/proc/self/task" if os.path.isdir("/proc/self/task") else None
Pair = tuple[str, str]
Stage = Callable[["Query", Any], Any]
Formula = list[Any]
"""``["P", vars, given]``, ``["product", *factors]``, ``["sum", vars, body]`` or ``["ratio", top, bottom]``."""


@dataclass(frozen=True)
class Query:
    """P(y | do(x), z) in a graph of directed and bidirected edges."""

    nodes: tuple[str, ...]
    directed: tuple[Pair, ...]
    bidirected: tuple[Pair, ...]
    y: tuple[str, ...]
    x: tuple[str, ...]
    z: tuple[str, ...]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Query:
        """From a row of JSON."""
        directed, bidirected = (
            tuple((a, b) for a, b in row[key]) for key in ("directed", "bidirected")
        )
        y, x, z = (tuple(row[key]) for key in "yxz")
        return cls(tuple(row["nodes"]), directed, bidirected, y, x, z)

    @property
    def hidden(self) -> dict[str, Pair]:
        """One named latent variable for each bidirected edge."""
        return {f"latent{i}": pair for i, pair in enumerate(self.bidirected)}


@dataclass(frozen=True)
class Tool:
    """How to ask a tool. ``refuses`` gives the reason for which it cannot be asked a query, or None.

    ``after`` are stages that go on from the answer where that is asked for. ``formula`` and ``text`` show what the
    stage named "estimand" returned; they are not timed.
    """

    package: str
    stages: Mapping[str, Stage]
    refuses: Callable[[Query], str | None] = lambda query: None
    after: Mapping[str, Stage] = field(default_factory=dict)
    formula: Callable[[Query, Any], Formula] | None = None
    text: Callable[[Query, Any], str] | None = None


def no_conditions(query: Query) -> str | None:
    """Refuse conditions."""
    return "conditions" if query.z else None


def one_of_each(query: Query) -> str | None:
    """Refuse all but one intervention, one outcome and no condition."""
    if query.z:
        return "conditions"
    return None if len(query.x) == len(query.y) == 1 else "several interventions or outcomes"


def serve(tool: Tool, memory_gib: float = 8) -> None:
    """Answer queries until the input ends; what the tool prints is dropped."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    limit = int(memory_gib * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def say(reply: Mapping[str, Any]) -> None:
        out.write(json.dumps(reply) + "\n")
        out.flush()

    warm_up = Query(("A", "X", "Y"), (("A", "X"), ("X", "Y"), ("A", "Y")), (), ("Y",), ("X",), ())
    _answer(tool, warm_up, {"repeats": 1, "shown": True, "after": True})
    gc.collect()
    gc.freeze()  # what the imports made is not looked through before each run
    say({"version": version(tool.package), "peak_mib": peak_mib()})
    for line in sys.stdin:
        row = json.loads(line)
        say({"name": row["name"], **_answer(tool, Query.of(row), row)})


def _answer(tool: Tool, query: Query, options: Mapping[str, Any]) -> dict[str, Any]:
    reason = tool.refuses(query)
    if reason:
        return {"unsupported": reason}
    try:
        made, seconds = _timed(tool.stages, query, None, options["repeats"])
        answer = made[list(made)[-1]]
        if answer is not None and options.get("after"):
            more, later = _timed(tool.after, query, answer, options["repeats"])
            made, seconds = made | more, seconds | later
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # Rust panics derive from BaseException
        return {"error": f"{type(error).__name__}: {error}"[:300]}
    reply: dict[str, Any] = {
        "identifiable": made[list(tool.stages)[1]] is not None,
        "seconds": seconds,
        "peak_mib": peak_mib(),
    }
    if "program" in made:
        reply["characters"] = len(made["program"])
    result = made.get("estimand")
    if result is not None and options.get("shown"):
        reply |= {name: show(query, result) for name, show in _shows(tool).items()}
        short = made.get("shortest")
        if short is not None:
            shows = _shows(tool).items()
            reply |= {f"shortest {name}": show(query, short) for name, show in shows}
    return reply


def _shows(tool: Tool) -> dict[str, Callable[[Query, Any], Any]]:
    found = {"formula": tool.formula, "text": tool.text}
    return {name: show for name, show in found.items() if show is not None}


def _timed(
    stages: Mapping[str, Stage], query: Query, first: Any, repeats: int
) -> tuple[dict[str, Any], dict[str, float]]:
    """What the stages made, each of the one before it, and the least seconds of each."""
    best: dict[str, float] = {}
    made: dict[str, Any] = {}
    spent = 0.0
    for turn in range(repeats):
        if turn and spent > 0.03:
            break
        gc.collect()
        made.clear()
        value = first
        for name, stage in stages.items():
            start = time.process_time()
            value = stage(query, value)
            took = time.process_time() - start + _late()
            spent += took
            made[name] = value
            best[name] = min(took, best.get(name, took))
            if value is None:
                break
    return made, best


def _late() -> float:
    """CPU seconds of threads that have just ended and were not yet added to those of the process."""
    if TASKS is None:
        return 0.0
    end, own = time.process_time(), time.thread_time()
    while len(os.listdir(TASKS)) > 1 and time.thread_time() - own < 0.002:
        time.sleep(0.0002)
    return max(0.0, time.process_time() - end - (time.thread_time() - own))


def peak_mib() -> float:
    """The most memory that this process has ever had resident, in MiB."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(s.split()[1]) for s in status if s.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
