"""Stages as tasks of a Ray cluster, which places them by what they need and tries again where a worker dies."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from causalc.errors import CausalcError
from causalc.runtime.executors.protocol import Reply, Task

TRIES = 3  # a stage whose worker dies goes on from its state that often
_PATIENCE = 60.0  # seconds that a stage may take to stop


class Ray:
    """The cluster that Ray is connected to or finds by its own rules, else one of this machine alone.

    The store must lie on a path that every node sees. Raises CausalcError where Ray is not installed.
    """

    def __init__(self) -> None:
        try:
            import ray
        except ImportError:
            raise CausalcError(
                "executor 'ray' needs Ray: install it with `pip install causalc[cluster]`."
            ) from None
        self._ray: Any = ray
        self._ours = not ray.is_initialized()
        if self._ours:
            ray.init(logging_level=logging.WARNING)
        self._references: list[Any] = []
        self._work = ray.remote(_work)

    def submit(self, task: Task) -> Future[Reply]:
        """Begin a task where its resources are free."""
        gpus = min(task.gpus, int(self._ray.cluster_resources().get("GPU", 0)))
        placed = self._work.options(
            name=task.label,
            num_cpus=1,
            num_gpus=gpus,
            memory=task.memory,
            max_retries=TRIES,
            retry_exceptions=False,
        )
        reference = placed.remote(task.to_json())
        self._references.append(reference)
        future: Future[Reply] = reference.future()
        return future

    def __enter__(self) -> Ray:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Interrupt what still runs, as Ctrl-C would, and leave the cluster if it was entered for this."""
        count = len(self._references)
        _, running = (
            self._ray.wait(self._references, num_returns=count, timeout=0) if count else ([], [])
        )
        for reference in running:
            self._ray.cancel(reference, force=False)
        if running:
            self._ray.wait(running, num_returns=len(running), timeout=_PATIENCE)
        if self._ours:
            self._ray.shutdown()


def _work(text: str) -> Reply:
    from causalc.runtime.executors.worker import work

    return work(Task.from_json(text))
