"""Train a program's stages: here one after another, on local processes, or on a Ray cluster.

Who trains a stage makes no difference to its bytes: each runs the part of the program that the stage
needs on the same rows, and leaves the result in the store, where the program then finds all of them.
Order and room are left to ``graphlib``, ``concurrent.futures`` and Ray.
"""

from __future__ import annotations

import linecache
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalc.errors import CausalcError, RunFailed
from causalc.runtime.interrupt import stopped
from causalc.runtime.outline import Stage, outline
from causalc.runtime.program import Backend
from causalc.table import Table

if TYPE_CHECKING:
    from causalc.runtime.data import Columns
    from causalc.runtime.executors.protocol import Executor, Reply, Task
    from causalc.runtime.run import Run
    from causalc.runtime.schema import Schema

EXECUTORS = ("inprocess", "processes", "ray")
_ALONE = 1 << 29  # bytes that a worker takes before it has read any rows

Train = Callable[..., Any]


def execute(
    train: Train, data: Any, *, jobs: int | None = None, executor: Any = None, **options: Any
) -> Any:
    """Return the models of a program's ``train``, its stages trained by an executor.

    ``executor`` is "inprocess", "processes" (``jobs`` at a time, by default one a core), "ray", or an
    object with ``submit`` (see ``protocol.Executor``); with ``jobs`` above 1 it is "processes". ``options`` are those
    of ``Run``. A stage that another run on the same store trains is left to it while there are others
    to train. Raises CausalcError for a wrong choice, and what training raises.
    """
    name = _chosen(jobs, executor)
    if isinstance(data, Table):
        return train(data, **options)
    if name == "inprocess":
        return train(data, meanwhile=partial(_others, train, options), **options)
    from causalc.runtime.run import Unfinished

    stages, begun = outline(train), _Begun(data)
    try:
        return train(begun, **options)
    except Unfinished:
        run = begun.run
    options |= {"store": run.store}
    with (
        _tasks(train, run, stages, options) as tasks,
        _made(name, jobs) if isinstance(name, str) else executor as chosen,
    ):
        _in_order(stages, tasks, chosen, run)
    models = train(run.columns, **{**options, "progress": False})
    models.findings = tuple(dict.fromkeys((*run.diagnostics, *models.findings)))
    return models


def _chosen(jobs: int | None, executor: Any) -> str | None:
    """Return the name of an executor, or None for an object that is one."""
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise CausalcError(f"jobs={jobs!r} must be a whole number above 0.")
    if executor is None:
        return "inprocess" if jobs in (None, 1) else "processes"
    if hasattr(executor, "submit"):
        return None
    if executor not in EXECUTORS:
        raise CausalcError(f"executor={executor!r}: choose one of {', '.join(EXECUTORS)}.")
    if jobs is not None and executor != "processes":
        raise CausalcError(f"jobs={jobs} is for local processes: leave executor={executor!r} out.")
    return str(executor)


def _made(name: str, jobs: int | None) -> Executor:
    if name == "ray":
        from causalc.runtime.executors.cluster import Ray

        return Ray()
    from causalc.runtime.executors.processes import Processes

    return Processes(jobs or os.cpu_count() or 1)


class _Begun(Backend):
    """A run that trains nothing: it ends at the first stage that is not in the store."""

    run: Run

    def __init__(self, data: Any) -> None:
        self._data = data

    def begin(self, schema: Schema, **options: Any) -> Run:
        """Begin it."""
        from causalc.runtime.run import Run

        self.run = Run(schema, self._data, **options)
        self.run.trains = False
        return self.run


def _others(train: Train, options: Mapping[str, Any], run: Run, done: Callable[[], bool]) -> None:
    """Train what is left and nobody trains, until the stage that another run trains is done."""
    from causalc.runtime.part import Part
    from causalc.runtime.run import Unfinished

    try:
        stages = outline(train)
    except CausalcError:
        return
    part = Part(run.columns)
    for stage in stages:
        if done():
            return
        try:
            part.do(train, stage.calls, {**options, "store": run.store}, waits=False)
        except Unfinished:
            continue


@contextmanager
def _tasks(
    train: Train, run: Run, stages: Sequence[Stage], options: Mapping[str, Any]
) -> Iterator[dict[int, Task]]:
    """Yield the task of each stage; rows that lie in no file lie in one of the store meanwhile."""
    from causalc.runtime.executors.protocol import Task, hand_over

    program = "".join(linecache.getlines(train.__code__.co_filename))
    plain = {**options, "store": str(run.store.root.resolve())}
    if plain.pop("callables", None):
        raise CausalcError(
            "callables= cannot be handed to other processes: leave jobs= and executor= out."
        )
    plain["base"] = str(Path(options.get("base", ".")).resolve())
    with run.store.scratch() as folder:
        data, memory = hand_over(run.columns, folder), _memory(run.columns)
        yield {
            stage.number: Task(
                stage.label,
                program,
                tuple(sorted(stage.calls)),
                data,
                plain,
                int(stage.family != "table" and run.device in ("cuda", "mps")),
                memory,
            )
            for stage in stages
        }


def _memory(columns: Columns) -> int:
    from causalc.runtime.stored import IN_MEMORY, size

    return _ALONE + 2 * min(size(columns.schema, columns.rows), IN_MEMORY)


def _in_order(
    stages: Sequence[Stage], tasks: Mapping[int, Task], executor: Executor, run: Run
) -> None:
    """Train every stage once those it waits for are done. Raises what the first to fail says."""
    order = TopologicalSorter({stage.number: stage.after for stage in stages})
    order.prepare()
    running: dict[Future[Reply], int] = {}
    elsewhere: list[int] = []  # other runs train them
    try:
        while order.is_active():
            for number in order.get_ready():
                running[executor.submit(tasks[number])] = number
            if not running:
                for number in elsewhere:
                    running[executor.submit(replace(tasks[number], waits=True))] = number
                elsewhere = []
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                number = running.pop(future)
                if future.result().finished():
                    run.say(f"{tasks[number].label}: done")
                    order.done(number)
                else:
                    elsewhere.append(number)
    except KeyboardInterrupt:
        raise RunFailed(
            stopped("", f", and the states of the {len(running)} in training")
        ) from None
