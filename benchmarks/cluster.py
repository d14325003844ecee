"""A Ray cluster of two nodes on this machine: stages in parallel, a worker killed, and what Ray costs.

    python benchmarks/cluster.py --kill              eight stages, a worker killed, the bytes compared
    python benchmarks/cluster.py --overhead 14000    two stages of that many steps, here and on the cluster

Each node has one core and memory of its own as Ray counts them. Costs are compared in CPU seconds, since
those of the wall also tell what else the machine does: of the stages themselves, and of everything: this
process and all that it began, Ray's own processes on both nodes among them, from handing over to the last byte.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch

import causalc
from causalc.compiler.view import Spec
from causalc.runtime.seal import read_json
from causalc.runtime.store import Store


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


def spent(process: int) -> float:
    """Return the CPU seconds of a process and all that it began, ended ones included."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        tasks = [*Path(f"/proc/{process}/task").iterdir()]
        children = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") + sum(map(spent, children))


def overhead(folder: Path, steps: int) -> bool:
    """Train two stages one after the other, at once on two processes, and on the cluster: what handing over costs.

    Two cores that are busy at once are slower than one, so Ray is held against two processes.
    """
    made, data = program(2, steps), rows(2)
    whole = {}
    ways = ("in process", {}), ("two processes", {"jobs": 2}), ("Ray", {"executor": "ray"})
    for name, options in ways:
        start, before = time.monotonic(), spent(os.getpid())
        made.fit(data, store=folder / name, progress=False, **options)
        whole[name], wall = spent(os.getpid()) - before, time.monotonic() - start
        print(
            f"  2 stages of {steps:,} steps, {name}: {cpu(folder / name):.1f} CPU s in stages, "
            f"{whole[name]:.1f} in all, {wall:.1f} s waited",
            flush=True,
        )
    ratio = cpu(folder / "Ray") / cpu(folder / "two processes") - 1
    print(f"  CPU seconds of the stages on Ray, over those on two processes: {ratio:+.1%}")
    more = whole["Ray"] / whole["two processes"] - 1
    print(f"  of everything, Ray itself included: {more:+.1%}")
    return contents(folder / "in process") == contents(folder / "Ray")


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--steps", type=int, default=600, help="of each of the eight stages")
    parser.add_argument("--overhead", type=int, default=0, metavar="STEPS")
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="causalc-cluster-"))
    before = spent(os.getpid())
    two_nodes()
    print(f"  begun with {spent(os.getpid()) - before:.1f} CPU s")
    try:
        good = not given.kill or kill(folder / "kill", given.steps)
        good = (not given.overhead or overhead(folder / "overhead", given.overhead)) and good
    finally:
        shutil.rmtree(folder)
    sys.exit(not good)


if __name__ == "__main__":
    main()
