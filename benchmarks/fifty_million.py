"""A table larger than memory: trained from and sampled to parquet, peak resident memory of each.

    python benchmarks/fifty_million.py                      50 million rows, about 10 GB of disk, deleted at the end
    python benchmarks/fifty_million.py --route reweight     the same of a query that weighs its rows

Ten columns each. ``adjust``: X a treatment, Y an outcome, Z0 to Z7 what confounds them, half of them numbers;
``train`` fits P(Y | X, Z0, …, Z7) with a mixture and P(Z0 | Z1) with counts, ``sample`` draws as many rows of
P(Z0, …, Z7, Y | do(X = 1)) as there are data into a parquet file. ``reweight``: the napkin graph, W between
Z0 to Z6 and X; ``train`` fits the propensity of W in three folds, and P(Y | X) on all rows weighted by it.

Each step is a process of its own. Its peak is the larger of two figures: the largest resident set that the
system saw of it (``ru_maxrss``), and the largest sum of the resident sets of it and all processes it began,
looked at every 50 ms. Pages of files that are mapped count.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

PART = 1_000_000
DISCRETE, NUMBERS = ("Z0", "Z1", "Z2", "Z3"), ("Z4", "Z5", "Z6", "Z7")
SCRIPTS = {
    "adjust": """
graph {{
  {{Z0 Z1 Z2 Z3 Z4 Z5 Z6 Z7}} -> {{X Y}}; X -> Y
}}
var X : binary
var Z0, Z1, Z2, Z3 : categorical(4)
var Z4, Z5, Z6, Z7, Y : real
data rows = parquet("rows.parquet")
model Y = mixture(steps = {steps}, width = 32)
query effect = P(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Y | do(X))
query first = P(Z0 | Z1)
""",
    "reweight": """
graph {{
  {{Z0 Z1 Z2 Z3 Z4 Z5 Z6}} -> W -> X -> Y
  {{Z0 Z1 Z2 Z3 Z4 Z5 Z6}} <-> X
  {{Z0 Z1 Z2 Z3 Z4 Z5 Z6}} <-> Y
}}
var X, W : binary
var Z0, Z1, Z2, Z3 : categorical(4)
var Z4, Z5, Z6, Y : real
data rows = parquet("rows.parquet")
model Y = mixture(steps = {steps}, width = 32)
model W = softmax(steps = {steps}, width = 32)
query effect = P(Y | do(X))
""",
}


def rows_of(route: str, number: int, n: int) -> dict[str, np.ndarray]:
    """Return ``n`` rows of one part, in which E(Y | do(X = 1)) is 1 and E(Y | X = 1) is not."""
    rng = np.random.default_rng([7, number])
    columns = {name: rng.integers(0, 4, n, dtype=np.int8) for name in DISCRETE}
    columns |= {name: rng.normal(size=n) for name in NUMBERS}
    if route == "adjust":
        index = 0.5 * columns["Z4"] + 0.4 * (columns["Z0"] - 1.5)
        columns["X"] = heads(index, rng)
        columns["Y"] = columns["X"] + index + 0.3 * columns["Z5"] + rng.normal(size=n)
        return columns
    of_x, of_y = rng.normal(size=n), columns.pop("Z7")  # never seen; the one moves Z4, the other Z5
    columns["Z4"], columns["Z5"] = (
        0.6 * columns["Z4"] + 0.8 * of_x,
        0.6 * columns["Z5"] + 0.8 * of_y,
    )
    columns["W"] = heads(0.6 * columns["Z4"] + columns["Z5"] + 0.4 * (columns["Z0"] - 1.5), rng)
    columns["X"] = heads(2.0 * columns["W"] - 1 + of_x, rng)
    columns["Y"] = columns["X"] + of_y + 0.5 * rng.normal(size=n)
    return columns


def heads(index: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return 1 with the probability that the logistic function gives of ``index``."""
    return (rng.random(len(index)) < 1 / (1 + np.exp(-index))).astype(np.int8)


def generate(path: Path, route: str, rows: int) -> None:
    """Write the data, a part of a million rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet

    writer = None
    for number in range(-(-rows // PART)):
        table = pa.table(rows_of(route, number, min(PART, rows - number * PART)))
        writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def step(name: str, given: argparse.Namespace) -> None:
    """Do one step in this process and note its figures."""
    from causalc.__main__ import main as command_line

    script, store = str(given.folder / "large.causal"), str(given.folder / "store")
    if name == "generate":
        generate(given.folder / "rows.parquet", given.route, given.rows)
    else:
        drawn = str(given.folder / "effect.parquet")
        draw = ["effect", "-n", str(given.rows), "--set", "X=1", "-o", drawn]
        options = ["--store", store, "--quiet"]
        try:
            command_line([name, script, *(draw if name == "sample" else ()), *options])
        except SystemExit as ended:
            if ended.code:
                raise
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {"cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024}
    (given.folder / "figures.json").write_text(json.dumps(figures))


def resident(process: int) -> int:
    """Return the bytes of the resident sets of a process and all that it began."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        tasks = [*Path(f"/proc/{process}/task").iterdir()]
        children = [pid for task in tasks for pid in (task / "children").read_text().split()]
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(resident(int(pid)) for pid in children)


def measured(name: str, given: argparse.Namespace) -> bool:
    """Do a step in a process of its own; whether it stayed below 2 GiB."""
    start, tree, disk = time.monotonic(), 0, shutil.disk_usage(given.folder).used
    options = ["--rows", str(given.rows), "--folder", str(given.folder), "--route", given.route]
    process = subprocess.Popen([sys.executable, __file__, "--step", name, *options])
    most = disk
    while process.poll() is None:
        tree = max(tree, resident(process.pid))
        most = max(most, shutil.disk_usage(given.folder).used)
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{name} ended with exit code {process.returncode}")
    found = json.loads((given.folder / "figures.json").read_text())
    peak, wall = max(found["peak"], tree), time.monotonic() - start
    print(
        f"  {name:9} peak {peak / 2**30:.2f} GiB (ru_maxrss {found['peak'] / 2**30:.2f}, tree {tree / 2**30:.2f}), "
        f"{found['cpu']:,.0f} CPU s, {wall:,.0f} s, {(most - disk) / 1e9:.1f} GB more on the disk at most",
        flush=True,
    )
    return name == "generate" or peak < 2 << 30


def run(given: argparse.Namespace) -> bool:
    """Do every step; whether all stayed below 2 GiB and the answer is right."""
    given.folder.mkdir(parents=True)
    script = SCRIPTS[given.route].format(steps=given.steps)
    (given.folder / "large.causal").write_text(script)
    print(f"{given.rows:,} rows × 10 columns, {given.route}")
    try:
        good = [measured(name, given) for name in ("generate", "train", "sample")]
        return answer(given) and all(good)
    finally:
        shutil.rmtree(given.folder)


def mean_of(path: Path, treated: bool) -> tuple[float, int, int]:
    """Return the mean of Y in a file, among X = 1 if ``treated``, its rows and its columns."""
    import pyarrow.compute as pc
    import pyarrow.parquet

    file, total, count = pyarrow.parquet.ParquetFile(path, pre_buffer=False), 0.0, 0
    for batch in file.iter_batches(columns=["X", "Y"] if treated else ["Y"]):
        values = batch.column("Y")
        if treated:
            values = values.filter(pc.equal(batch.column("X"), 1))
        total, count = total + pc.sum(values).as_py(), count + len(values)
    return total / count, file.metadata.num_rows, file.metadata.num_columns


def answer(given: argparse.Namespace) -> bool:
    """Compare the mean drawn with E(Y | do(X = 1)) = 1, which the mean among X = 1 is far from."""
    path = given.folder / "effect.parquet"
    mean, rows, columns = mean_of(path, treated=False)
    plain, _, _ = mean_of(given.folder / "rows.parquet", treated=True)
    size = path.stat().st_size / 1e6
    print(f"  {rows:,} rows × {columns} columns drawn, {size:,.0f} MB")
    print(f"  E(Y | do(X = 1)) = {mean:.3f}, in truth 1; E(Y | X = 1) is {plain:.3f}")
    return rows == given.rows and abs(mean - 1) < 0.05


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--route", choices=tuple(SCRIPTS), default="adjust")
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--steps", type=int, default=2500, help="of each network")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/causalc-large"))
    parser.add_argument("--step", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        step(given.step, given)
    else:
        sys.exit(not run(given))


if __name__ == "__main__":
    main()
