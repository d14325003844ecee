"""Compare this compiler with other tools for identification: answers, time, memory and growth.

    python benchmarks/compile.py                      # everything: measures, then writes docs/compile.{md,svg}
    python benchmarks/compile.py --tools y0 --random 50 --hard 20 --sizes 10 20
    python benchmarks/compile.py --render             # writes the two files from the last measurements

Every other tool runs in a process and a virtual environment of its own, which are made here. Crashes,
timeouts and wrong answers are counted; wrong is what an oracle that shares no code with the compiler says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from peers.queries import SIZES, Item, families, small
from peers.report import write
from peers.tools import OURS, PEERS, Gone, Peer, Session, python_of
from peers.truth import CHECKED, Truth

ROOT = Path(__file__).resolve().parent.parent
LOST = ("timeout", "crash")
PATIENCE = 10  # processes lost in a set without sizes before the rest of it is skipped


def outcome(item: Item, reply: dict[str, Any], truth: Truth | None) -> tuple[str, str]:
    """How a reply is counted, and why."""
    if "unsupported" in reply:
        return "unsupported", reply["unsupported"]
    if "error" in reply:
        return "crash", reply["error"]
    if reply["identifiable"] != item.identifiable:
        return ("accepts" if reply["identifiable"] else "denies"), ""
    for shown in ("formula", "shortest formula"):
        if truth is not None and shown in reply:
            flaw = truth.flaw(reply[shown])
            if flaw:
                return "inexact", flaw
    return "right", ""


def measure(
    peer: Peer, items: Iterable[Item], args: argparse.Namespace, truths: dict[str, Truth]
) -> list[dict[str, Any]]:
    """Ask one tool every query; larger sizes of a family are dropped after the first that it does not survive."""
    session = Session([python_of(peer, args.peers), peer.script])
    rows: list[dict[str, Any]] = []
    beyond: dict[str, int] = {}  # the size at which a family was given up
    losses: Counter[str] = Counter()
    for item in items:
        row = {"group": item.group, "family": item.family, "size": item.size, "name": item.name}
        rows.append(row)
        if item.size > beyond.get(item.family, item.size) or losses[item.group] >= PATIENCE:
            row["outcome"] = "not run"
            continue
        truth = truths.get(item.name)
        limit = args.limit if item.size <= max(SIZES) else args.long
        try:
            more = peer == OURS and not item.family
            reply = session.ask(_question(item, truth is not None, more), limit)
            row["outcome"], row["detail"] = outcome(item, reply, truth)
            row |= {key: reply[key] for key in ("seconds",) if key in reply}
            if peer == OURS and item.family:
                whole = alone(session, item, limit)
                row["seconds"] = whole.get("seconds", {}) | row["seconds"]
                row |= {key: whole.get(key) for key in ("peak_mib", "characters")}
            row["length"] = len(reply["text"]) if "text" in reply else None
            if "shortest text" in reply:
                row["shortest"] = len(reply["shortest text"])
        except Gone as why:
            row["outcome"] = str(why)
        if row["outcome"] in LOST:
            if item.family:
                beyond.setdefault(item.family, item.size)
            elif session.process is None:
                losses[item.group] += 1
    session.end()
    print(peer.name, dict(Counter(f"{r['group']}: {r['outcome']}" for r in rows)), flush=True)
    return [row | {"tool": peer.name, "version": session.hello.get("version", "")} for row in rows]


def alone(session: Session, item: Item, limit: float) -> dict[str, Any]:
    """The reply of a fresh process, asked for the program as well; nothing where it takes too long."""
    fresh = Session(session.command)
    try:
        return fresh.ask(_question(item, False, True), limit)
    except Gone:
        return {}
    finally:
        fresh.end()


def _question(item: Item, shown: bool, after: bool) -> dict[str, Any]:
    case = item.case
    return {
        "name": item.name,
        "nodes": case.graph.nodes,
        "directed": case.graph.directed,
        "bidirected": case.graph.bidirected,
        "y": case.y,
        "x": case.x,
        "z": case.z,
        "repeats": 5,
        "shown": shown,
        "after": after,
    }


def _command(args: argparse.Namespace) -> str:
    """The command that measures with these settings."""
    sizes = " ".join(map(str, args.sizes))
    large = " ".join(map(str, args.large))
    return (
        f"    python benchmarks/compile.py --random {args.random} --hard {args.hard} --graphs {args.graphs} \\\n"
        f"        --sizes {sizes} --large {large} --limit {args.limit:g} --long {args.long:g} --seed {args.seed}"
    )


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [peer.name for peer in (OURS, *PEERS)]
    parser.add_argument("--tools", nargs="+", choices=names, default=names)
    parser.add_argument("--peers", type=Path, default=ROOT / "build" / "peers", help="environments")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "compile")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--random", type=int, default=500, help="random queries")
    parser.add_argument("--hard", type=int, default=240, help="random hard queries")
    parser.add_argument("--graphs", type=int, default=3, help="random sparse graphs of each size")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--large", type=int, nargs="*", default=[1000, 10000], help="ours alone")
    parser.add_argument("--limit", type=float, default=20, help="CPU seconds a query")
    parser.add_argument("--long", type=float, default=120, help="CPU seconds a large query")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--render", action="store_true", help="write the files, measure nothing")
    return parser.parse_args()


def main() -> int:
    """Measure, save the rows of each tool, write the report; 1 where this compiler was wrong."""
    args = arguments()
    args.results.mkdir(parents=True, exist_ok=True)
    if not args.render:
        rng = np.random.default_rng(args.seed)
        items = [
            *small(args.random, args.hard, rng),
            *families(tuple(args.sizes), args.graphs, rng),
        ]
        large = list(families(tuple(args.large), 1, rng)) if OURS.name in args.tools else []
        truths = {
            item.name: Truth.of(item.case, i)
            for i, item in enumerate(items)
            if item.identifiable and item.size <= CHECKED
        }
        print(f"{len(items)} queries, {len(truths)} answers known by number", flush=True)
        for peer in (OURS, *PEERS):
            if peer.name in args.tools:
                rows = measure(peer, items + large if peer == OURS else items, args, truths)
                path = args.results / f"{peer.name}.json"
                path.write_text(json.dumps(rows, indent=0), encoding="utf-8")
    names = [peer.name for peer in (OURS, *PEERS)]
    paths = [args.results / f"{name}.json" for name in names]
    rows = [row for p in paths if p.exists() for row in json.loads(p.read_text(encoding="utf-8"))]
    write(rows, args.docs, _command(args))
    bad = [r for r in rows if r["tool"] == OURS.name and r["outcome"] not in ("right", "not run")]
    for row in bad:
        print("ours:", row["name"], row["outcome"], row.get("detail", ""))
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
