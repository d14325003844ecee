"""Prove the compiler on many random queries, or on every query of a few variables, by enumeration.

    python benchmarks/prove.py --queries 200000 --min 5 --max 9 --strategies auto
    python benchmarks/prove.py --exhaustive 4 --strategies auto --shard 1/4 --tally tally.1.json
    python benchmarks/prove.py --policies 2000
    python benchmarks/prove.py --add tally.*.json

Each case compares verdict, hedge, estimand and compiled programs with an oracle that shares no code
with the compiler; a hedge is made into two models that agree on P(v) and differ in the answer. A program's
text is run, with exact tables in place of trained models. A failure is printed as the smallest graph and query that
fail alike; the exit status is then 1.

Exhaustive means every graph whose arrows follow one causal order (an acyclic graph is one of these up to
names) with every disjoint y, x and z, y not empty: 719,197 queries of up to 4 variables. Of the random ones, each graph
is asked 16. One graph in four is a hand-made hard one with variables and edges added at random that still goes
through step 7, asked with its y and x and other z; the rest are random, and so are their queries. All queries of a
graph are put to one random model of it, and on one graph in eight also as one program that shares its models.
Shard i of n takes every n-th graph; the graphs are the same whatever n is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from oracle.admg import Admg, Case, random_admg
from oracle.decider import depth
from oracle.queries import (
    CONDITIONAL,
    HARD,
    NESTED,
    every_graph,
    every_query,
    hard_case,
    random_query,
    textbook,
    varied,
)
from proof import STRATEGIES, Result, World, minimal, prove, prove_policy, prove_script

import causalc

EACH = 16  # queries put to a random graph
FAULTS = ("wrong verdicts", "inexact plans", "inexact estimands", "hedges that are not", "raised")
COUNTED = (
    *("queries", "identifiable", "not identifiable", "through step 7", "nested step 7"),
    *(
        "conditional",
        "below the intervention",
        "under policies",
        "checked by number",
        "also in one program",
    ),
    *("hedges with two models", *FAULTS),
)


@dataclass
class Tally:
    """What was seen so far."""

    counts: Counter[str] = field(default_factory=Counter)
    worst: float = 0.0
    seconds: float = 0.0

    def add(self, result: Result, computed: bool) -> None:
        """Count a case by verdict and difficulty."""
        case = result.case
        self.counts["queries"] += 1
        self.counts["identifiable" if result.identifiable else "not identifiable"] += 1
        self.counts["conditional"] += bool(case.z)
        self.counts["below the intervention"] += _below(case)
        if result.identifiable:
            level = depth(case) or 0
            self.counts["checked by number"] += computed
            self.counts["through step 7"] += level > 0
            self.counts["nested step 7"] += level > 1
        else:
            self.counts["hedges with two models"] += computed and not result.failure
        self.worst = max(self.worst, result.error)
        if result.failure:
            self.counts[_fault(result.failure)] += 1

    def add_policy(self, error: float | None, failure: str | None) -> None:
        """Count a query under policies; ``error`` is None where it is not identifiable."""
        self.counts["queries"] += 1
        self.counts["under policies"] += 1
        self.counts["not identifiable" if error is None else "identifiable"] += 1
        self.worst = max(self.worst, error or 0.0)
        if failure:
            self.counts[_fault(failure)] += 1

    @property
    def failed(self) -> int:
        """The cases in which something was wrong."""
        return sum(self.counts[name] for name in FAULTS)

    def __add__(self, other: Tally) -> Tally:
        worst = max(self.worst, other.worst)
        return Tally(self.counts + other.counts, worst, self.seconds + other.seconds)

    def __str__(self) -> str:
        lines = [f"{name:24}{self.counts[name]:10,}" for name in COUNTED]
        lines += [
            f"{'worst error':24}{self.worst:10.1e}",
            f"{'CPU seconds':24}{self.seconds:10.0f}",
        ]
        return "\n".join(lines)


def _fault(failure: str) -> str:
    """The kind of a failure, from what ``prove`` says of it."""
    starts = (("a verdict", 0), ("estimand", 2), ("shortest estimand", 2), ("the hedge", 3))
    for start, kind in starts:
        if failure.startswith(start) and "raised" not in failure:
            return FAULTS[kind]
    return FAULTS[4 if "raised" in failure else 1]


def _below(case: Case) -> bool:
    """Some condition lies below an intervention."""
    return any(set(case.x) & case.graph.ancestors({z}) for z in case.z)


Group = tuple[Admg, Iterable[Case]]


def exhaustive(most: int, part: int, parts: int) -> Iterator[Group]:
    """Every graph of up to so many variables with every query; every ``parts``-th of the graphs."""
    graphs = (graph for n in range(1, most + 1) for graph in every_graph(n))
    return ((graph, every_query(graph)) for graph in islice(graphs, part - 1, None, parts))


def random_groups(args: argparse.Namespace, part: int, parts: int) -> Iterator[Group]:
    """The known cases, then random graphs with ``EACH`` queries, one graph in four a hard one."""
    known = (*textbook(), *NESTED, *HARD, *CONDITIONAL)
    yield from ((case.graph, [case]) for case in known[part - 1 :: parts])
    for number in range(part - 1, args.queries // EACH, parts):
        rng = np.random.default_rng([args.seed, number])
        if rng.random() < 0.75:
            n = int(rng.integers(args.min, args.max + 1))
            graph = random_admg(n, rng.uniform(0.2, 0.7), rng.uniform(0.1, 0.5), rng)
            yield graph, [random_query(graph, rng) for _ in range(EACH)]
            continue
        hard = hard_case(rng, args.max)
        while not args.min <= len(hard.graph.nodes) <= args.max:
            hard = hard_case(rng, args.max)
        yield hard.graph, [hard, *(varied(hard, rng) for _ in range(EACH - 1))]


def _shard(text: str) -> tuple[int, int]:
    part, parts = map(int, text.split("/"))
    if not 1 <= part <= parts:
        raise ValueError(text)
    return part, parts


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=2000, help="how many random queries")
    parser.add_argument("--min", type=int, default=3, help="fewest variables")
    parser.add_argument("--max", type=int, default=7, help="most variables")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=STRATEGIES)
    parser.add_argument("--kinds", action="store_true", help="declare random kinds of variable")
    parser.add_argument("--exhaustive", type=int, metavar="N", help="every query of N variables")
    parser.add_argument("--policies", type=int, metavar="N", help="random queries under policies")
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help="part I of N")
    parser.add_argument("--shown", type=int, default=10, help="how many failures to shrink")
    parser.add_argument("--tally", type=Path, help="write the counts to this file, every minute")
    parser.add_argument("--add", type=Path, nargs="+", help="add up such files, prove nothing")
    return parser.parse_args()


@dataclass
class Job:
    """A run: what it asks for, its tally, and when it last said so."""

    args: argparse.Namespace
    tally: Tally = field(default_factory=Tally)
    start: float = field(default_factory=time.process_time)
    said: float = field(default_factory=time.monotonic)

    def ask(self, graph: Admg, cases: Iterable[Case], number: int, together: bool) -> None:
        """Prove all queries of one graph on one random model."""
        args = self.args
        levels = 3 if len(graph.nodes) <= 5 else 2
        world = World(graph, 1000 * args.seed + number, levels)
        answered = []
        for case in cases:
            options = {"levels": levels, "mixed_kinds": args.kinds}
            result = prove(case, world.seed, args.strategies, world=world, **options)
            self.tally.add(result, True)
            if result.failure and self.tally.failed <= args.shown:
                print(f"\n{minimal(result, args.strategies, **options)}\n", flush=True)
            if result.identifiable and not result.failure:
                answered.append(case)
        if together and len(answered) > 1:
            result = prove_script(answered, world)
            self.tally.counts["also in one program"] += len(answered)
            self.tally.worst = max(self.tally.worst, result.error)
            if result.failure:
                self.tally.counts[_fault(result.failure)] += 1
                print(f"\n{result}\n", flush=True)

    def save(self) -> None:
        """Write the counts down."""
        self.tally.seconds = time.process_time() - self.start
        if self.args.tally:
            tally = self.tally
            row = {"counts": tally.counts, "worst": tally.worst, "seconds": tally.seconds}
            self.args.tally.write_text(json.dumps(row), encoding="utf-8")

    def report(self) -> None:
        """Say every minute how far it is."""
        if time.monotonic() - self.said > 60:
            self.said = time.monotonic()
            self.save()
            counts = self.tally.counts
            print(f"{counts['queries']:,} so far, {self.tally.failed} failed", flush=True)

    def policies(self, part: int, parts: int) -> None:
        """Prove random queries under policies, each on two random models of its own."""
        for number in range(part - 1, self.args.policies, parts):
            error, failure = prove_policy(np.random.default_rng([self.args.seed, number]))
            self.tally.add_policy(error, failure)
            if failure:
                print(f"\n{failure}\n", flush=True)
            self.report()


def add(paths: Iterable[Path]) -> Tally:
    """The sum of tallies that were written to files."""
    total = Tally()
    for path in paths:
        row = json.loads(path.read_text(encoding="utf-8"))
        total = total + Tally(Counter(row["counts"]), row["worst"], row["seconds"])
    return total


def main() -> int:
    """Run the cases, print the tally; 1 where anything failed."""
    args = arguments()
    if args.add:
        total = add(args.add)
        print(total)
        return 1 if total.failed else 0
    job, (part, parts) = Job(args), args.shard
    if args.policies:
        job.policies(part, parts)
    else:
        found = (
            exhaustive(args.exhaustive, part, parts)
            if args.exhaustive
            else random_groups(args, part, parts)
        )
        for i, (graph, cases) in enumerate(found):
            together = not args.exhaustive and i % 8 == 0
            job.ask(graph, cases, i * parts + part, together)
            job.report()
    job.save()
    print(f"causalc {causalc.__version__}, seed {args.seed}, shard {part} of {parts}")
    print(job.tally)
    return 1 if job.tally.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
