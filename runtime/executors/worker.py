"""Train one stage after another: the process at the other end of a pipe, or a task of a cluster."""

from __future__ import annotations

import io
import json
import os
import queue
import signal
import sys
import threading
import traceback
import types
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from causalc.errors import CausalcError
from causalc.runtime.executors.protocol import BUG, DONE, ELSEWHERE, Reply, Task, take_over
from causalc.runtime.interrupt import stopped, terminable


def work(task: Task) -> Reply:
    """Train the stage of a task with one thread, or find it in the store.

    What is at fault comes back as the reply; only what is a bug is raised.
    """
    from causalc.runtime.run import Unfinished

    try:
        with terminable():
            train, part = _begun(task.program, task.data, json.dumps(task.options, sort_keys=True))
            part.do(train, frozenset(task.calls), task.options, task.waits)
    except Unfinished:
        return Reply(ELSEWHERE)
    except CausalcError as error:
        return Reply(str(error), error.exit_code)
    except KeyboardInterrupt:
        return Reply(f"{task.label}: {stopped()}", 3)
    except (MemoryError, OSError) as error:
        reason = (str(error).splitlines() or ["out of memory"])[0]
        return Reply(f"{task.label}: the run stopped: {reason}; finished stages are kept", 3)
    return Reply(DONE)


@lru_cache(maxsize=1)  # a worker serves one run: its rows are read once
def _begun(program: str, data: str, options: str) -> tuple[Any, Any]:
    import torch

    from causalc.runtime.part import Part

    torch.set_num_threads(1)
    module = types.ModuleType("causalc_program")
    # The program whose `train` the user has just called, in a process of its own.
    exec(compile(program, "<causalc program>", "exec"), module.__dict__)
    return module.train, Part(take_over(Path(data)))


class _Plain(io.TextIOWrapper):
    """A stream that is no terminal: several workers would draw their bars over each other."""

    def isatty(self) -> bool:
        return False


def main() -> None:
    """Do the tasks of standard input, a line each; stop at the next step once it is closed.

    So a worker stops, its state kept, when its run wants it to, and when its run has died.
    """
    replies = os.fdopen(os.dup(1), "w")
    sys.stderr = _Plain(sys.stderr.buffer, line_buffering=True)
    sys.stdout = sys.stderr  # what a program prints is no reply
    tasks: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            tasks.put(line)
        tasks.put("")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=listen, daemon=True).start()
    try:
        with terminable():
            while line := tasks.get():
                replies.write(json.dumps(asdict(work(Task.from_json(line)))) + "\n")
                replies.flush()
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    except Exception:
        replies.write(json.dumps(asdict(Reply(traceback.format_exc(), BUG))) + "\n")
        replies.flush()
    os._exit(0)  # the listening thread may hold standard input


if __name__ == "__main__":
    main()
