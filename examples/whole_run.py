"""What the drivers of examples share: `causalc run SCRIPT` as a user types it, its seconds, and its models."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from causalc.execute import Trained, train
from causalc.script import compile_script


@dataclass(frozen=True, slots=True)
class Ran:
    """The models of a script that was run, and the seconds that it took: by the clock, and of CPU."""

    trained: Trained
    clock: float
    cpu: float

    def __str__(self) -> str:
        return f"causalc run: {self.clock:.0f} s, {self.cpu:.0f} s of CPU"


def run_script(script: Path, out: Path, seed: int) -> Ran:
    """Do all that a script asks for, with a page in ``out``; read its models back from the store there."""
    store, start, before = out / "store", time.monotonic(), _children()
    command = [sys.executable, "-m", "causalc", "run", script, "--quiet", "--report"]
    options = [out / "report.html", "--store", store, "--seed", seed]
    subprocess.run([*map(str, [*command, *options])], check=True)
    clock, cpu = time.monotonic() - start, _children() - before
    trained = train(compile_script(script), None, str(store), False, {"seed": seed})
    return Ran(trained, clock, cpu)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
