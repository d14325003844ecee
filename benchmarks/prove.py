"""Prove the compiler on many random queries, or on every query of a few variables, by enumeration.

    python benchmarks/prove.py --graphs 200000 --min 5 --max 9 --strategies auto
    python benchmarks/prove.py --exhaustive 4 --strategies auto --shard 1/4

Each case compares verdict, hedge, estimand and compiled programs with an oracle that shares no code
with the compiler; a hedge is made into two models that agree on P(v) and differ in the answer. A failure
is printed as the smallest graph and query that fail alike; the exit status is then 1.

Exhaustive means every graph whose arrows follow one causal order (an acyclic graph is one of these up to
names) with every disjoint y, x and z, y not empty: 719,197 queries of up to 4 variables. Shard i of n takes every
n-th of them, or of the random ones, which are the same whatever n is.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from oracle.admg import Case
from oracle.decider import depth
from oracle.queries import (
    CONDITIONAL,
    HARD,
    NESTED,
    every_case,
    hard_case,
    random_case,
    textbook,
)
from proof import STRATEGIES, Result, minimal, prove


@dataclass
class Tally:
    """What was seen so far."""

    counts: Counter[str] = field(default_factory=Counter)
    worst: float = 0.0
    failures: list[Result] = field(default_factory=list)

    def add(self, result: Result, computed: bool) -> None:
        """Count a case by verdict and difficulty."""
        self.counts["queries"] += 1
        self.counts["identifiable" if result.identifiable else "not identifiable"] += 1
        self.counts["conditional"] += bool(result.case.z)
        self.counts["below the intervention"] += _below(result.case)
        if result.identifiable:
            level = depth(result.case) or 0
            self.counts["checked by number"] += computed
            self.counts["through step 7"] += level > 0
            self.counts["nested step 7"] += level > 1
        else:
            self.counts["hedges with two models"] += computed and not result.failure
        self.worst = max(self.worst, result.error)
        if result.failure:
            self.counts["failed"] += 1
            self.failures.append(result)

    def __str__(self) -> str:
        lines = [f"{name:24}{count:10,}" for name, count in self.counts.items()]
        return "\n".join([*lines, f"{'worst error':24}{self.worst:10.1e}"])


def _below(case: Case) -> bool:
    """Some condition lies below an intervention."""
    return any(set(case.x) & case.graph.ancestors({z}) for z in case.z)


def random_cases(args: argparse.Namespace, rng: np.random.Generator) -> Iterator[Case]:
    """The known cases, then random ones, one in four of them through step 7."""
    yield from (*textbook(), *NESTED, *HARD, *CONDITIONAL)
    for i in range(args.graphs):
        case = hard_case(rng, args.max) if i % 4 == 0 else random_case(rng, args.min, args.max)
        while not args.min <= len(case.graph.nodes) <= args.max:
            case = hard_case(rng, args.max)
        yield case


def exhaustive_cases(args: argparse.Namespace) -> Iterator[Case]:
    """Every query on every graph of up to so many variables."""
    for n in range(1, args.exhaustive + 1):
        yield from every_case(n)


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
    parser.add_argument("--graphs", type=int, default=2000, help="how many random queries")
    parser.add_argument("--min", type=int, default=3, help="fewest variables")
    parser.add_argument("--max", type=int, default=7, help="most variables")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=STRATEGIES)
    parser.add_argument("--kinds", action="store_true", help="declare random kinds of variable")
    parser.add_argument("--exhaustive", type=int, metavar="N", help="every query of N variables")
    parser.add_argument(
        "--numeric", type=float, default=1.0, help="share of the cases checked by number"
    )
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help="part I of N")
    parser.add_argument("--shown", type=int, default=10, help="how many failures to shrink")
    return parser.parse_args()


def main() -> int:
    """Run the cases, print the tally; 1 where anything failed."""
    args = arguments()
    rng = np.random.default_rng(args.seed)
    tally, start, said = Tally(), time.process_time(), time.monotonic()
    part, parts = args.shard
    cases = exhaustive_cases(args) if args.exhaustive else random_cases(args, rng)
    for i, case in enumerate(cases):
        if i % parts != part - 1:
            continue
        own = np.random.default_rng([args.seed, i])  # the case's, whatever the shard
        computed = bool(args.numeric >= 1 or own.random() < args.numeric)
        seed = int(own.integers(1 << 31))
        options = {"numeric": computed, "mixed_kinds": args.kinds}
        levels = 3 if len(case.graph.nodes) <= 5 else 2
        result = prove(case, seed, args.strategies, levels=levels, **options)
        tally.add(result, computed)
        if result.failure and len(tally.failures) <= args.shown:
            print(f"\n{minimal(result, args.strategies, levels=levels, **options)}\n", flush=True)
        if time.monotonic() - said > 60:
            said = time.monotonic()
            print(
                f"{tally.counts['queries']:,} so far, {tally.counts['failed']} failed", flush=True
            )
    print(tally)
    print(f"{'CPU seconds':24}{time.process_time() - start:10.1f}")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
