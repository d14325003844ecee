"""Runs that are killed, stores that are damaged, full, read-only or shared: what comes of each.

    python benchmarks/reliability.py                all figures, about eight minutes of one core
    python benchmarks/reliability.py --kills 60     one part: --kills, --flips, --full, --readonly or --shared

Kills come in equal numbers while a run trains, writes a finished stage, generates rows to train on, and draws its
samples: a run notes what it begins and ends, and is killed at a random moment within it.

A run is four stages (a propensity, a fit on weighted rows, one on observed rows, one on generated rows;
three model families) and ends with samples in a file. Every run is a process of its own, killed by the
system. "The same bytes" compares the samples and all files of all finished stages but ``meta.json``, which
tells times, with those of an undisturbed run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from causalc.errors import CausalcError
from causalc.runtime import specs
from causalc.runtime.draw import Draw
from causalc.runtime.run import Run
from causalc.runtime.schema import Schema, binary, categorical, real
from causalc.runtime.store import Store

SCHEMA = Schema({"Z": categorical(3), "X": binary(), "M": real(), "Y": real()})
STAGES = 4
KINDS = ("training", "writing", "generating", "sampling")
WAITING = os.WEXITED | os.WNOHANG | os.WNOWAIT  # whether a child has ended, which it stays
ROWS = 2000  # drawn at the end of a run


def data(n: int = 600) -> dict[str, np.ndarray]:
    """Return rows of Z -> X -> M -> Y, Z -> Y."""
    rng = np.random.default_rng(0)
    z = rng.integers(0, 3, n)
    x = (rng.random(n) < (z + 1) / 4).astype(int)
    m = x + rng.normal(size=n)
    return {"Z": z, "X": x, "M": m, "Y": m + z + rng.normal(size=n)}


def four_stages(store: Path, save_every: float, log: Path, shown: bool = False) -> None:
    """Train and draw samples beside ``log``, which notes what was trained, as opposed to found."""
    run = Run(SCHEMA, data(), store=store, progress=shown, save_every=save_every)
    train, moments = run._train, Moments(log.with_suffix(".moments"))

    def noted(key: str, *rest: object) -> object:
        with log.open("a") as file:
            file.write(f"{key}\n")
        with moments.of("training"):
            return train(key, *rest)  # type: ignore[arg-type]

    run._train = noted  # type: ignore[method-assign,assignment]
    run.store.put = moments.during("writing", run.store.put)  # type: ignore[method-assign]
    run._drawn = moments.during("generating", run._drawn)  # type: ignore[method-assign]
    rows = run.observed(list(SCHEMA))
    x = run.fit(["X"], ["Z"], rows, specs.softmax(steps=30, width=32), "propensity")
    m = run.fit(["M"], ["X"], run.reweight(rows, [x]), specs.mixture(steps=80, width=32))
    y = run.fit(["Y"], ["M", "Z"], rows, specs.diffusion(steps=80, width=32))
    real_rows = run.bootstrap(["X", "Z"], rows)

    def network(draw: Any) -> dict[str, Any]:
        x, z = draw.sample(real_rows, {})
        (m_drawn,) = draw.sample(m, {"X": x})
        (y_drawn,) = draw.sample(y, {"M": m_drawn, "Z": z})
        return {"Z": z, "Y": y_drawn}

    made = run.generate(network, ["Z", "Y"], [real_rows, m, y])
    z = run.fit(["Z"], ["Y"], made, specs.softmax(steps=80, width=32))
    models = run.finish({"m": m, "y": y, "z": z})
    with moments.of("sampling"):
        samples(models, m, y, z, log)


def samples(models: Any, m: Any, y: Any, z: Any, log: Path) -> None:
    """Draw samples into a file beside ``log``."""
    draw = Draw(models, ROWS, seed=1)
    (m_drawn,) = draw.sample(m, {"X": draw.input("X", 1)})
    (y_drawn,) = draw.sample(y, {"M": m_drawn, "Z": draw.input("Z", 0)})
    (z_drawn,) = draw.sample(z, {"Y": y_drawn})
    frame = draw.table({"M": m_drawn, "Y": y_drawn, "Z": z_drawn})
    frame.to_csv(log.with_suffix(".csv"), index=False)


class Moments:
    """Notes in a file what a run is at, and since when, whenever that changes."""

    def __init__(self, path: Path) -> None:
        self._path, self._stack = path, ["between"]

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Be at ``what`` for as long as the block lasts."""
        self._stack.append(what)
        self._note()
        try:
            yield
        finally:
            self._stack.pop()
            self._note()

    def during(self, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, which is at ``what`` while it runs."""

        def noted(*given: Any, **options: Any) -> Any:
            with self.of(what):
                return function(*given, **options)

        return noted

    def _note(self) -> None:
        with self._path.open("a") as file:
            file.write(f"{self._stack[-1]} {time.monotonic()}\n")


@dataclass(frozen=True, slots=True)
class Child:
    """A process that runs the four stages; what it said is in ``said``, what it trained in ``log``."""

    pid: int
    said: Path
    log: Path

    def wait(self) -> int:
        """Return the exit code, negative for a signal."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)

    def kill(self) -> int:
        """Kill it with SIGKILL; 0 if it had ended by then."""
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    @property
    def samples(self) -> bytes:
        """The file it drew, if it came to that."""
        path = self.log.with_suffix(".csv")
        return path.read_bytes() if path.exists() else b""

    @property
    def words(self) -> str:
        """What it said."""
        return self.said.read_text()

    @property
    def moments(self) -> list[tuple[str, float]]:
        """What it was at, and since when."""
        path = self.log.with_suffix(".moments")
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [(what, float(when)) for what, when in (line.split() for line in lines)]

    @property
    def trained(self) -> list[str]:
        """The keys of the stages it began to train."""
        return self.log.read_text().split() if self.log.exists() else []


class Bench:
    """A scratch folder, an undisturbed run to compare with, and children made by fork."""

    def __init__(self, folder: Path, save_every: float) -> None:
        self.folder, self.save_every, self._count = folder, save_every, 0
        lives = []
        for name, every in (
            ("whole", 1e9),
            ("a", save_every),
            ("b", save_every),
            ("c", save_every),
        ):
            start = time.monotonic()
            child = self.start(folder / name, every)
            if child.wait() != 0:
                raise SystemExit(child.words)
            lives.append(time.monotonic() - start)
            self.samples = child.samples
            self.pieces = [(at, t - s) for (at, s), (_, t) in pairwise(child.moments)]
        self.seconds = median(lives[1:])
        self.whole = contents(folder / "whole")

    def same(self, store: Path, child: Child) -> bool:
        """Whether a run that ended holds the bytes of the undisturbed one."""
        return contents(store) == self.whole and child.samples == self.samples

    def start(
        self, store: Path, save_every: float | None = None, before: Callable[[], None] | None = None
    ) -> Child:
        """Begin a run; ``before`` is called in the new process."""
        self._count += 1
        child = Child(0, self.folder / f"{self._count}.err", self.folder / f"{self._count}.log")
        pid = os.fork()
        if pid:
            return Child(pid, child.said, child.log)
        code = 70
        try:
            os.dup2(os.open(child.said, os.O_WRONLY | os.O_CREAT), 2)
            if before is not None:
                before()
            every = self.save_every if save_every is None else save_every
            four_stages(store, every, child.log, shown=True)
            code = 0
        except CausalcError as error:
            os.write(2, f"error: {error}\n".encode())
            code = error.exit_code
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(code)


def contents(store: Path) -> dict[str, bytes]:
    """Return the files of finished stages, but those that tell times."""
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in sorted(store.glob("[0-9a-f][0-9a-f]/[0-9a-f]*/**/*"))
        if path.is_file() and path.name != "meta.json"
    }


def finished(store: Path) -> dict[str, bytes]:
    """Return the card of each finished stage: it would tell another time if it was trained again."""
    return {e.key: (e.path / "meta.json").read_bytes() for e in Store(store).entries()}


def killed_at(bench: Bench, store: Path, what: str, rng: random.Random) -> str:
    """Begin a run and kill it at a random moment of a random time that it is at ``what``.

    Returns what it was at by its own last note; "" if it had ended.
    """
    place, length = rng.choice([(i, t) for i, (at, t) in enumerate(bench.pieces) if at == what])
    child = bench.start(store)
    while len(child.moments) <= place and os.waitid(os.P_PID, child.pid, WAITING) is None:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, length))
    if child.kill() != -signal.SIGKILL:
        return ""
    return child.moments[-1][0] if child.moments else "between"


def kills(bench: Bench, count: int, seed: int) -> bool:
    """Kill runs at random moments of their life, as many of each kind, go on, compare.

    A kill that was not where it should be counts for where it was; runs are killed until all kinds have theirs.
    """
    rng, same, kept, resumed, total, missed = random.Random(seed), 0, 0, 0, 0, 0
    found = dict.fromkeys((*KINDS, "between"), 0)
    while lacking := [what for what in KINDS if found[what] < -(-count // len(KINDS))]:
        store = bench.folder / f"kill-{total + missed}"
        at = killed_at(bench, store, min(lacking, key=found.__getitem__), rng)
        if not at:
            missed += 1
            shutil.rmtree(store)
            continue
        total, found[at] = total + 1, found[at] + 1
        before = finished(store)
        states = {path.parent.name for path in store.glob("partial/*/*.json")} - set(before)
        again = bench.start(store)
        code, after = again.wait(), finished(store)
        same += code == 0 and bench.same(store, again)
        unchanged = all(after.get(k) == v for k, v in before.items())
        kept += unchanged and not set(again.trained) & set(before)
        resumed += bool(states)
        shutil.rmtree(store)
        if total % 5 == 0:
            shown = ", ".join(f"{what} {n}" for what, n in found.items())
            print(f"… {shown}: same bytes {same}, nothing trained again {kept}", flush=True)
    print(f"kill -9 at random moments of a run of {STAGES} stages ({bench.seconds:.1f} s):")
    print(f"  killed by the signal ({missed} more had ended: not counted)      {total}")
    print(f"  while {', '.join(f'{what} {n}' for what, n in found.items())}")
    print(f"  the resumed run ends with the bytes of the undisturbed one   {same} of {total}")
    print(f"  no finished stage was trained again                          {kept} of {total}")
    print(f"  went on from inside a stage                                  {resumed}")
    return same == kept == total


def flips(bench: Bench, each: int, seed: int) -> bool:
    """Change one bit of every file in turn, of finished stages and of the state of one in training."""
    rng = random.Random(seed)
    store = bench.folder / "flips"
    # A run killed inside a stage, with others finished: both kinds of file are there to be damaged.
    while not (list(store.glob("partial/*/*.json")) and len(Store(store).entries()) > 1):
        shutil.rmtree(store, ignore_errors=True)
        child = bench.start(store)
        time.sleep(bench.seconds * rng.uniform(0.3, 1.2))
        child.kill()
    files = sorted(p for p in store.rglob("*") if p.is_file() and p.stat().st_size)
    done = {e.path for e in Store(store).entries()}
    found = {"named": [0, 0], "set aside": [0, 0]}
    for path in files:
        stage = any(folder in path.parents for folder in done)
        if not stage and "partial" not in path.parts:
            continue  # what the killed run left half-written is never read
        for _ in range(each):
            copy = bench.folder / "flipped"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(store, copy)
            flip(copy / path.relative_to(store), rng)
            child = bench.start(copy, 1e9)
            code, name = child.wait(), str(copy / path.relative_to(store))
            kind = "named" if stage else "set aside"
            good = code == 1 and name in child.words and "causalc cache rm" in child.words
            if not stage:
                good = code == 0 and bench.same(copy, child) and "its start" in child.words
            found[kind][0] += good
            found[kind][1] += 1
            if not good:
                print(f"  MISSED {path.relative_to(store)}: exit {code}, {child.words[-200:]}")
    (named, of_stages), (aside, of_states) = found["named"], found["set aside"]
    print(f"one bit changed in every file of a store in turn, {each} times each:")
    print(f"  of finished stages: refused, naming the file and the remedy  {named} of {of_stages}")
    print(f"  of a state: set aside, said, trained to the same bytes       {aside} of {of_states}")
    return named == of_stages > 0 and aside == of_states > 0


def flip(path: Path, rng: random.Random) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))


def mounted(place: Path, size: str) -> bool:
    """Mount a small file system in memory; whether that is allowed here."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    return subprocess.run(command, capture_output=True).returncode == 0


def remount(place: Path, option: str) -> None:
    """Change an option of a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,{option}", str(place)], check=True)


def full(bench: Bench) -> bool:
    """Fill the disk at several moments of a run, make room, go on."""
    sizes = [4, 16, 64, 128, 192, 256, 384, 512]
    stopped = same = lines = failed = 0
    how = "a tmpfs that small"
    for size in sizes:
        place = bench.folder / f"full-{size}"
        tmpfs = mounted(place, f"{size}k")
        try:
            child = bench.start(place / "store", before=None if tmpfs else limited(size << 10))
            code = child.wait()
            failed += code != 0
            errors = [w for w in child.words.splitlines() if w.startswith("error: ")]
            stopped += code == 3
            lines += (
                len(errors) == 1 and "disk is full" in errors[0] and "Traceback" not in child.words
            )
            if tmpfs:
                remount(place, "size=64m")
            else:
                how = "RLIMIT_FSIZE on every file: mounting is not allowed here"
            again = bench.start(place / "store")
            same += again.wait() == 0 and bench.same(place / "store", again)
        finally:
            if tmpfs:
                subprocess.run(["umount", str(place)], check=True)
    print(f"a disk that is full at {sizes} KiB (emulated by {how}):")
    print(
        f"  runs that it stopped: exit code 3, one line with the remedy  {min(stopped, lines)} of {failed}"
    )
    print(f"  with room made, the same bytes as the undisturbed run        {same} of {len(sizes)}")
    return stopped == lines == failed > 0 and same == len(sizes)


def limited(size: int) -> Callable[[], None]:
    """Return what bounds the size of every file of this process."""

    def limit() -> None:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def readonly(bench: Bench) -> bool:
    """Use a store that cannot be written: whole, and with one stage missing."""
    place = bench.folder / "readonly"
    tmpfs, results = mounted(place, "64m"), []
    try:
        for missing in (False, True):
            if tmpfs and missing:
                remount(place, "rw")
            if not tmpfs:
                subprocess.run(["chmod", "-R", "u+w", str(place)], check=True)
            shutil.copytree(bench.folder / "whole", place / "store", dirs_exist_ok=True)
            if missing:
                Store(place / "store").remove(Store(place / "store").entries()[-1].key)
            if tmpfs:
                remount(place, "ro")
            else:
                subprocess.run(["chmod", "-R", "a-w", str(place)], check=True)
            child = bench.start(place / "store", before=None if tmpfs else common)
            code = child.wait()
            errors = [w for w in child.words.splitlines() if w.startswith("error: ")]
            if missing:
                results.append(
                    code == 1 and len(errors) == 1 and "cannot write to the store" in errors[0]
                )
            else:
                results.append(code == 0 and not child.trained)
    finally:
        if tmpfs:
            subprocess.run(["umount", str(place)], check=True)
    how = "a tmpfs mounted read-only" if tmpfs else "file modes, without the rights of root"
    print(f"a read-only store (emulated by {how}):")
    print(
        f"  whole: everything is found, nothing written                  {'yes' if results[0] else 'NO'}"
    )
    print(
        f"  one stage missing: exit code 1, one line with the remedy     {'yes' if results[1] else 'NO'}"
    )
    return all(results)


def common() -> None:
    """Give up the rights of root, which file modes do not bind."""
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def shared(bench: Bench, count: int, seed: int) -> bool:
    """Run two processes on one store, undisturbed and with the first one killed."""
    rng, once, same, after, waited = random.Random(seed), 0, 0, 0, 0
    for number in range(count):
        store = bench.folder / f"two-{number}"
        both = [bench.start(store), bench.start(store)]
        codes = [child.wait() for child in both]
        trained = [key for child in both for key in child.trained]
        once += codes == [0, 0] and len(trained) == len(set(trained)) == STAGES
        same += all(bench.same(store, child) for child in both)
        shutil.rmtree(store)
        first = bench.start(store)
        time.sleep(bench.seconds * rng.uniform(0.05, 0.3))
        second = bench.start(store)
        time.sleep(bench.seconds * rng.uniform(0.2, 0.5))
        first.kill()
        after += second.wait() == 0 and bench.same(store, second)
        waited += "waiting for it" in second.words
        shutil.rmtree(store)
    print(f"two processes on one store, {count} times:")
    print(f"  each stage trained by one of them alone                      {once} of {count}")
    print(f"  the same bytes as the undisturbed run                        {same} of {count}")
    print(
        f"  owner killed: the other goes on to the same bytes            {after} of {count} ({waited} waited)"
    )
    return once == same == after == count


def main() -> None:
    """Parse the command line and print figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, help="runs killed (60)")
    parser.add_argument("--flips", type=int, help="bits changed in each file (3)")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--readonly", action="store_true")
    parser.add_argument("--shared", type=int, help="pairs of processes (10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=float, default=0.1, help="seconds between states")
    given = parser.parse_args()
    torch.set_num_threads(1)
    every = not any((given.kills, given.flips, given.full, given.readonly, given.shared))
    with tempfile.TemporaryDirectory() as name:
        four_stages(Path(name) / "warm", 1e9, Path(name) / "warm.log")  # imports, before any fork
        bench, good = Bench(Path(name), given.save_every), []
        if every or given.kills:
            good.append(kills(bench, given.kills or 60, given.seed))
        if every or given.flips:
            good.append(flips(bench, given.flips or 3, given.seed))
        if every or given.full:
            good.append(full(bench))
        if every or given.readonly:
            good.append(readonly(bench))
        if every or given.shared:
            good.append(shared(bench, given.shared or 10, given.seed))
    print(json.dumps({"good": all(good)}))
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
