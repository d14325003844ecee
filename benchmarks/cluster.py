"""A Ray cluster of two nodes on this machine: stages in parallel, a worker killed, and what Ray costs.

    python benchmarks/cluster.py --kill              eight stages, a worker killed, the bytes compared
    python benchmarks/cluster.py --overhead 16000    a stage of that many steps, here and on the cluster at once

Each node has one core and memory of its own as Ray counts them. What is waited runs from handing over to the last
byte.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import causalc
from causalc.compiler.view import Spec
from causalc.runtime.seal import read_json
from causalc.runtime.store import Store

_NICENESS = 15  # of Ray's workers, unless RAY_worker_niceness says otherwise


def program(stages: int, steps: int) -> causalc.Program:
    """P(A0, A1, … | do(X)): a stage each."""
    names = [f"A{i}" for i in range(stages)]
    graph = "; ".join(f"X -> {name}" for name in names)
    few = Spec("softmax", (), (("steps", steps), ("width", 64), ("patience", 1000)))
    kinds = dict.fromkeys(("X", *names), "categorical(3)")
    models = dict.fromkeys(names, few)
    return causalc.compile(f"P({', '.join(names)} | do(X))", graph, kinds, models=models)


def rows(stages: int, n: int = 2000) -> dict[str, np.ndarray]:
    """Return rows of X and its effects."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, n)
    return {"X": x} | {f"A{i}": (x + rng.integers(0, 2, n)) % 3 for i in range(stages)}


def contents(store: Path) -> dict[str, bytes]:
    """Return the files of finished stages, but those that tell times."""
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in sorted(store.glob("[0-9a-f][0-9a-f]/[0-9a-f]*/**/*"))
        if path.is_file() and path.name != "meta.json"
    }


def cpu(store: Path) -> float:
    """Return the CPU seconds of all finished stages."""
    return sum(
        (read_json(e.path / "meta.json") or {})["cpu_seconds"] for e in Store(store).entries()
    )


def two_nodes() -> None:
    """Begin a cluster of two nodes of one core each, and connect to it."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    nodes = [node for node in ray.nodes() if node["Alive"]]
    print(f"a Ray cluster of {len(nodes)} nodes, {ray.cluster_resources()['CPU']:.0f} cores")


def workers() -> list[int]:
    """Return the processes that train a stage now: Ray names them after it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::P("):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def kill(folder: Path, steps: int) -> bool:
    """Train eight stages, kill the worker of one of them while two train, compare."""
    made, data = program(8, steps), rows(8)
    made.fit(data, store=folder / "here", progress=False)
    killed: list[int] = []
    most: list[int] = [0]
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            found = workers()
            most[0] = max(most[0], len(found))
            states = list((folder / "there").glob("partial/*/0.json"))
            if len(found) == 2 and states and not killed:
                killed.append(found[0])
                os.kill(found[0], signal.SIGKILL)
            time.sleep(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    made.fit(data, store=folder / "there", executor="ray", progress=False, save_every=0.5)
    done.set()
    thread.join()
    same = contents(folder / "here") == contents(folder / "there")
    print(
        f"  8 stages, {most[0]} at a time; workers killed: {len(killed)}; same bytes as in process: {same}"
    )
    return same and len(killed) == 1 and most[0] == 2


def here(steps: int, store: Path, ready: Any, start: Any, found: Any) -> None:
    """Train a stage in a process that does nothing else, once told to start; send the seconds it took."""
    torch.set_num_threads(1)
    os.nice(_NICENESS)
    made, data = program(1, steps), rows(1)
    ready.set()
    start.wait()
    began = time.monotonic()
    made.fit(data, store=store, progress=False)
    found.put(time.monotonic() - began)


def overhead(folder: Path, steps: int, pairs: int) -> bool:
    """Train a stage in process and on the cluster at the same time: what handing over costs.

    One after the other would compare two moments: a shared machine does the same work in 14 or in 23 seconds.
    Both are as nice as Ray makes its workers, or whatever else runs would take its time from Ray's alone.
    """
    made, data = program(1, steps), rows(1)
    context = multiprocessing.get_context("spawn")
    ratios, good = [], True
    for pair in range(pairs):
        ready, start, found = context.Event(), context.Event(), context.Queue()
        stores = [folder / f"{pair} {name}" for name in ("here", "there")]
        beside = context.Process(target=here, args=(steps, stores[0], ready, start, found))
        beside.start()
        ready.wait()
        start.set()
        began = time.monotonic()
        made.fit(data, store=stores[1], executor="ray", progress=False)
        there, alone = time.monotonic() - began, found.get()
        beside.join()
        ratios.append(there / alone - 1)
        good &= contents(stores[0]) == contents(stores[1])
        print(
            f"  {steps:,} steps: in process {alone:.1f} s waited, {cpu(stores[0]):.1f} CPU s in the stage; "
            f"on Ray {there:.1f} and {cpu(stores[1]):.1f}: {ratios[-1]:+.1%}",
            flush=True,
        )
    mean, error = np.mean(ratios), np.std(ratios, ddof=1) / len(ratios) ** 0.5
    print(f"  waited for Ray over in process: mean {mean:+.1%}, standard error {error:.1%}")
    return good


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--steps", type=int, default=600, help="of each of the eight stages")
    parser.add_argument("--overhead", type=int, default=0, metavar="STEPS")
    parser.add_argument("--pairs", type=int, default=6, help="of runs in process and on Ray")
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="causalc-cluster-"))
    two_nodes()
    try:
        good = not given.kill or kill(folder / "kill", given.steps)
        if given.overhead:
            good &= overhead(folder, given.overhead, given.pairs)
    finally:
        shutil.rmtree(folder)
    sys.exit(not good)


if __name__ == "__main__":
    main()
