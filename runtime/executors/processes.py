"""Stages on processes of this machine, as many at a time as there are jobs."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from causalc.errors import RunFailed
from causalc.runtime.executors.protocol import Reply, Task

TRIES = 3  # a stage whose worker dies goes on from its state that often


class _Worker:
    """A process that does one task after another (see ``worker``)."""

    def __init__(self) -> None:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "causalc.runtime.executors.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the run: it stops its workers itself
        )
        self.pid = self._process.pid

    def ask(self, task: Task) -> Reply | None:
        """Return what became of a task, or None where the process died of it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(task.to_json() + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except (BrokenPipeError, ValueError):
            return None
        return Reply(**json.loads(line)) if line else None

    def stop(self) -> None:
        """Let it stop at its next step."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def wait(self) -> None:
        """Wait until it has ended."""
        assert self._process.stdout is not None
        self._process.wait()
        self._process.stdout.close()


class Processes:
    """``jobs`` workers, begun when there is work for them; one that dies is replaced."""

    def __init__(self, jobs: int) -> None:
        self._threads = ThreadPoolExecutor(jobs)  # each waits for one worker at a time
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._lock, self._stopping = threading.Lock(), False
        self.workers: list[_Worker] = []

    def submit(self, task: Task) -> Future[Reply]:
        """Begin a task as soon as one of the workers is free."""
        return self._threads.submit(self._do, task)

    def _do(self, task: Task) -> Reply:
        for _ in range(TRIES):
            with self._lock:
                if self._stopping:
                    break
                try:
                    worker = self._idle.get_nowait()
                except queue.Empty:
                    worker = _Worker()
                    self.workers.append(worker)
            reply = worker.ask(task)
            if reply is not None:
                self._idle.put(worker)
                return reply
        if self._stopping:
            return Reply("stopped", 3)
        raise RunFailed(
            f"{task.label}: its worker was killed {TRIES} times, by the system for want of memory as a rule; "
            "finished stages are kept. Run again with fewer jobs."
        )

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all workers at their next step, and wait for them."""
        with self._lock:
            self._stopping = True
            for worker in self.workers:
                worker.stop()
        self._threads.shutdown(cancel_futures=True)
        for worker in self.workers:
            worker.wait()
