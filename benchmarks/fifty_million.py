"""A table larger than memory: trained from and sampled to parquet, peak resident memory of each.

    python benchmarks/fifty_million.py --rows 50000000 --folder /tmp/large    about 2.5 GB of disk, deleted at the end

Ten columns: X a treatment, Y an outcome, Z0 to Z7 what confounds them, half of them numbers. Each step is
a process of its own, and its peak the largest resident set that the system saw of it. ``train`` fits
P(Y | X, Z0, …, Z7) with a mixture and P(Z0 | Z1) with counts; ``sample`` draws as many rows of
P(Y | do(X = 1)) as there are data into a parquet file.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

PART = 1_000_000
DISCRETE, NUMBERS = ("Z0", "Z1", "Z2", "Z3"), ("Z4", "Z5", "Z6", "Z7")
SCRIPT = """
graph {{
  {{Z0 Z1 Z2 Z3 Z4 Z5 Z6 Z7}} -> {{X Y}}; X -> Y
}}
var X : binary
var Z0, Z1, Z2, Z3 : categorical(4)
var Z4, Z5, Z6, Z7, Y : real
data rows = parquet("{rows}")
model Y = mixture(steps = {steps}, width = 32)
query effect = P(Y | do(X))
query first = P(Z0 | Z1)
"""


def generate(path: Path, rows: int) -> None:
    """Write the data, a part of a million rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet

    writer = None
    for number in range(-(-rows // PART)):
        rng, n = np.random.default_rng([7, number]), min(PART, rows - number * PART)
        columns = {name: rng.integers(0, 4, n, dtype=np.int8) for name in DISCRETE}
        columns |= {name: rng.normal(size=n) for name in NUMBERS}
        index = 0.5 * columns["Z4"] + 0.4 * (columns["Z0"] - 1.5)
        columns["X"] = (rng.random(n) < 1 / (1 + np.exp(-index))).astype(np.int8)
        columns["Y"] = columns["X"] + index + 0.3 * columns["Z5"] + rng.normal(size=n)
        table = pa.table(columns)
        writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def step(name: str, given: argparse.Namespace) -> None:
    """Do one step in this process and print its figures."""
    from causalc.__main__ import main as command_line

    script, store = given.folder / "large.causal", given.folder / "store"
    if name == "generate":
        generate(given.folder / "rows.parquet", given.rows)
    else:
        common = [str(script), "--store", str(store), "--quiet"]
        draw = [
            "effect",
            "-n",
            str(given.rows),
            "--set",
            "X=1",
            "-o",
            str(given.folder / "effect.parquet"),
        ]
        try:
            command_line([name, common[0], *(draw if name == "sample" else ()), *common[1:]])
        except SystemExit as ended:
            if ended.code:
                raise
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {"cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024}
    (given.folder / "figures.json").write_text(json.dumps(figures))


def run(given: argparse.Namespace) -> bool:
    """Do every step in a process of its own; whether all stayed below 2 GiB and the answer is right."""
    given.folder.mkdir(parents=True)
    (given.folder / "large.causal").write_text(
        SCRIPT.format(rows="rows.parquet", steps=given.steps)
    )
    good = True
    print(f"{given.rows:,} rows × 10 columns")
    try:
        for name in ("generate", "train", "sample"):
            start = time.monotonic()
            command = [sys.executable, __file__, "--step", name, "--rows", str(given.rows)]
            subprocess.run([*command, "--folder", str(given.folder)], check=True)
            found = json.loads((given.folder / "figures.json").read_text())
            peak, wall = found["peak"] / 2**30, time.monotonic() - start
            print(
                f"  {name:9} peak {peak:.2f} GiB, {found['cpu']:,.0f} CPU s, {wall:,.0f} s",
                flush=True,
            )
            good = good and (name == "generate" or peak < 2)
        return good and answer(given)
    finally:
        shutil.rmtree(given.folder)


def answer(given: argparse.Namespace) -> bool:
    """Compare the mean drawn with E(Y | do(X = 1)) = 1, which the confounded mean among X = 1 is far from."""
    import pyarrow.compute as pc
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(given.folder / "effect.parquet")
    total = sum(pc.sum(batch.column("Y")).as_py() for batch in file.iter_batches())
    mean = total / file.metadata.num_rows
    size = (given.folder / "effect.parquet").stat().st_size / 1e6
    print(
        f"  {file.metadata.num_rows:,} rows drawn, {size:,.0f} MB; E(Y | do(X = 1)) = {mean:.3f}, in truth 1"
    )
    return file.metadata.num_rows == given.rows and abs(mean - 1) < 0.05


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--steps", type=int, default=2500, help="of the mixture")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/causalc-large"))
    parser.add_argument("--step", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        step(given.step, given)
    else:
        sys.exit(not run(given))


if __name__ == "__main__":
    main()
