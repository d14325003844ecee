"""Counts faults: exceptions, hangs, and files touched that are none of a case's business."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import sysconfig
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT = 1.0  # CPU seconds a case; a graph text is read by eleven readers, each in its own time


class Hang(BaseException):
    """A case took more than its time."""


@dataclass
class Watch:
    """Counts faults and keeps the first case of each."""

    out: Path
    allowed: tuple[str, ...]
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)
    count: int = 0
    refused: int = 0
    slowest: float = 0.0
    touched: list[str] = field(default_factory=list)
    active: bool = False
    began: float = 0.0

    def lap(self) -> None:
        """End one reading of a case and begin the next: each has the whole of its time."""
        now = time.process_time()
        self.slowest, self.began = max(self.slowest, now - self.began), now
        signal.setitimer(signal.ITIMER_PROF, LIMIT)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note what a case opens, changes or starts."""
        if not self.active:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int):
                return
            name = os.path.realpath(os.fsdecode(path))
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if (writes and name != "/dev/null") or not name.startswith(self.allowed):
                self.touched.append(f"{'wrote' if writes else 'read'} {name}")
        elif event in ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.system"):
            self.touched.append(f"{event} {arguments[:1]}")
        elif event in ("subprocess.Popen", "socket.connect", "os.exec", "pickle.find_class"):
            self.touched.append(event)

    def run(self, case: Callable[[], object], errors: type[BaseException], keep: Any) -> None:
        """Do one case."""
        self.count += 1
        self.touched, fault = [], ""
        self.active, self.began = True, time.process_time()
        signal.setitimer(signal.ITIMER_PROF, LIMIT)
        try:
            case()
        except errors as error:
            self.refused += 1
            if not str(error).strip():
                fault = f"an empty message ({type(error).__name__})"
        except Hang:
            fault = "more than a second"
        except BaseException as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = frame.filename.replace(str(ROOT), "")
            fault = f"{type(error).__name__} at {where}:{frame.lineno}: {str(error)[:100]!r}"
            fault = re.sub(r"0x[0-9a-f]+|/tmp/\S+|/dev/shm/\S+", "…", fault)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self.active = False
        spent = time.process_time() - self.began
        self.slowest = max(self.slowest, spent)
        if not fault and spent > LIMIT:
            fault = "more than a second"
        if not fault and self.touched:
            fault = f"touched: {self.touched[0]}"
        if fault:
            self._keep(fault, keep)

    def _keep(self, fault: str, keep: Any) -> None:
        number, name = self.faults.get(fault, (0, ""))
        if not number:
            name = f"{len(self.faults):03}"
            print(f"FAULT {name}: {fault}", flush=True)
            keep(self.out / name)
        self.faults[fault] = (number + 1, name)

    def summary(self, what: str, start: float) -> int:
        """Print figures; returns the exit code."""
        spent = time.process_time() - start
        total = sum(number for number, _ in self.faults.values())
        taken = self.count - self.refused - total
        print(f"{self.count:,} {what}: {taken:,} taken, {self.refused:,} refused with a message,")
        print(f"{total} faults of {len(self.faults)} sorts;", end=" ")
        print(f"slowest {self.slowest:.2f} s, {spent:,.0f} CPU s in all")
        return 1 if self.faults else 0


def _hang(number: int, frame: object) -> None:
    raise Hang


@contextlib.contextmanager
def watching(out: Path, *folders: Path) -> Iterator[Watch]:
    """A watch that allows reading the program, Python itself and ``folders``."""
    allowed = {str(ROOT), sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()}
    allowed |= {os.path.realpath(path) for path in allowed}
    allowed |= {os.path.realpath(path) for path in folders}
    system = ("/proc/", "/sys/", "/dev/null", "/usr/", "/lib", "/etc/mime", "/etc/localtime")
    watch = Watch(out, (*sorted(allowed), *system))
    sys.addaudithook(watch.audit)
    before = signal.signal(signal.SIGPROF, _hang)
    try:
        yield watch
    finally:
        watch.active = False
        signal.signal(signal.SIGPROF, before)
