"""Mutated scripts, graph texts and model folders: every one is taken or refused in a message.

    python benchmarks/fuzz.py --count 100000 --seed 0              scripts and graph texts
    python benchmarks/fuzz.py --what folders --count 10000 --seed 0

Half of the texts are mutated by tokens (of the corpus and the grammar), half by bytes. A model folder
is mutated by JSON values, bytes, headers, links and added files, and in two of three cases sealed
again, as a stranger would who wants to be believed. Counted as faults: any exception but CausalcError,
more than one second of CPU (for each of the eleven readers of a graph text), and any file written, or
read outside the folders in use. Case i depends on the seed and i alone; the first text or folder of
each fault is kept in --out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fuzzing.folders import folders
from fuzzing.texts import texts
from fuzzing.watch import ROOT


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--what", choices=("texts", "folders"), default="texts")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "out" / "fuzz", help="where faults are kept"
    )
    given = parser.parse_args()
    work = {"texts": texts, "folders": folders}[given.what]
    sys.exit(work(given.count, given.seed, given.out / given.what, given.first))


if __name__ == "__main__":
    main()
