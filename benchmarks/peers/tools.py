"""The tools of the comparison, each in its own virtual environment, asked through a pipe under a time limit."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """A tool by its name, what to install for it, and the stage that is its answer."""

    name: str
    requirements: tuple[str, ...]
    answers: str

    @property
    def script(self) -> Path:
        """Its adapter."""
        return HERE / f"{self.name}_tool.py"


OURS = Peer("causalc", (), "estimand")
PEERS = (
    Peer("y0", ("y0==0.2.11",), "estimand"),
    Peer("pyagrum", ("pyagrum==3.3.1",), "estimand"),
    Peer("causaleffect", ("causaleffect==0.1.0",), "estimand"),
    Peer("pqp", ("pqp==0.3.5",), "estimand"),
    Peer("ananke", ("ananke-causal==0.5.0", "scipy<1.14"), "verdict"),
    Peer("antecedent", ("antecedent==2.4.1",), "verdict"),
    Peer("dowhy", ("dowhy==0.14",), "estimand"),
    Peer("pgmpy", ("pgmpy==1.1.2",), "verdict"),
)


def python_of(peer: Peer, cache: Path) -> Path:
    """The interpreter of a tool's environment, which is made where it is missing."""
    if peer == OURS:
        return Path(sys.executable)
    home = cache / peer.name
    python, done = home / "bin" / "python", home / "installed.txt"
    wanted = "\n".join(peer.requirements)
    if not done.exists() or done.read_text(encoding="utf-8") != wanted:
        print(f"installing {peer.name} in {home}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *peer.requirements], check=True)
        done.write_text(wanted, encoding="utf-8")
    return python


class Gone(Exception):
    """The tool's process ended or was ended; the text says why."""


@dataclass
class Session:
    """A running adapter; it is started at need and ended at a limit."""

    command: Sequence[str | Path]
    process: subprocess.Popen[bytes] | None = None
    hello: dict[str, Any] = field(default_factory=dict)

    def ask(self, query: dict[str, Any], limit: float) -> dict[str, Any]:
        """The reply; raises ``Gone`` with "timeout" after ``limit`` CPU seconds, or with "crash"."""
        if self.process is None:
            self._start()
        assert self.process is not None and self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(query).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.end()
            raise Gone("crash") from None
        reply = self._reply(limit)
        if reply["name"] != query["name"]:  # never count an answer as that to another query
            self.end()
            raise RuntimeError(f"{query['name']} was asked, {reply['name']} answered")
        return reply

    def _start(self) -> None:
        quiet = os.environ | {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
        quiet |= {"OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        self.process = subprocess.Popen(
            [str(part) for part in self.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=quiet,
        )
        self.hello = self._reply(600)

    def _reply(self, limit: float) -> dict[str, Any]:
        assert self.process is not None and self.process.stdout is not None
        start, wall, text = self._seconds(), time.monotonic(), b""
        with selectors.DefaultSelector() as waiting:
            waiting.register(self.process.stdout, selectors.EVENT_READ)
            while not text.endswith(b"\n"):
                if waiting.select(0.5):
                    more = os.read(self.process.stdout.fileno(), 1 << 20)
                    if not more:
                        self.end()
                        raise Gone("crash")
                    text += more
                elif self._seconds() - start > limit or time.monotonic() - wall > 10 * limit:
                    self.end()
                    raise Gone("timeout")
        reply: dict[str, Any] = json.loads(text)
        return reply

    def _seconds(self) -> float:
        """CPU seconds that the process has used, by Linux's numbering of processes' clocks."""
        assert self.process is not None
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def end(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None
