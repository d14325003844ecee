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
import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import sys
import sysconfig
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = len(list(ROOT.glob("examples/*.causal")))
LIMIT = 1.0  # CPU seconds a case; a graph text is read by eleven readers, each in its own time
MEMORY = 4 << 30  # bytes a folder may make us ask for, beyond what is in use
TOKEN = re.compile(r'"[^"\n]*"|#[^\n]*|\w+|<->|->|<-|--|[^\w\s]|\s+')
_WORDS = """
graph latent var data model train query estimate check sample do P E in to from under csv binary categorical
ordinal integer real vector image text exposure outcome dag digraph ( ) { } [ ] , ; : = | ~ -> <- <-> -- @-> " '
# \\ / * + - . .. $ % & ! ? ` ^ _ 0 1 -1 1e999 99999999999999999999 0x10 1_000 nan inf None True é Ω 𝒳
"""
WORDS = [*_WORDS.split(), "\u202e", "\0", "\ufeff", "\u2028", "\n", "\t", " ", "\r\n"]


class Hang(BaseException):
    """A case took more than its time."""


def corpus() -> tuple[list[str], list[str]]:
    """Return scripts and graph texts: examples, known mistakes, and graphs in every format."""
    from causalc.compiler import formats

    scripts = [p.read_text() for p in sorted(ROOT.glob("examples/*.causal"))]
    scripts += [
        p.read_bytes().decode("utf-8", "replace")
        for p in sorted(ROOT.glob("tests/golden/errors/*.causal"))
    ]
    graphs = [
        "W1 -> W2 -> X -> Y; W1 <-> X; W1 <-> Y; Z",
        "dag { x [exposure] y [outcome] z [latent] z -> {x y} x -> y }",
        'dag { bb="0,0,1,1" a [pos="0,1"] b [pos="1,1"] a -> b a <-> b }',
        "digraph { a -> b [dir=both]; subgraph s { c -> d } b -> { c d } }",
        'strict digraph "g" { node [shape=box]; a [label="x"]; a -> b -> c; }',
        'graph [ directed 1 node [ id 0 label "a" ] node [ id 1 label "b" ] edge [ source 0 target 1 ] ]',
        "{A, B, C} -> D -> E <-> F; `odd name` -> A",
        "y ~ 0.5*x + z\nx ~~ z; u =~ x + y # latent\n",
    ]
    napkin = formats.read(graphs[0], "text")
    graphs += [formats.write(napkin, form) for form in formats.READ]
    return scripts, graphs


def tokens_mutated(text: str, rng: random.Random, pool: list[str]) -> str:
    """Change one to six tokens: drop, repeat, swap, replace, move a line, or nest."""
    parts = TOKEN.findall(text) or [""]
    for _ in range(rng.randint(1, 6)):
        i, j = rng.randrange(len(parts)), rng.randrange(len(parts))
        match rng.randrange(8):
            case 0:
                parts[i] = ""
            case 1:
                parts.insert(i, parts[j])
            case 2:
                parts[i], parts[j] = parts[j], parts[i]
            case 3:
                parts[i] = rng.choice(pool)
            case 4:
                parts.insert(i, rng.choice(WORDS))
            case 5:
                a, b = min(i, j), min(max(i, j), min(i, j) + 40)
                parts[i:i] = parts[a:b] * rng.randint(1, 3)
            case 6:
                n = rng.choice((3, 30, 300, 3000)) if rng.random() < 0.05 else 3
                pair = rng.choice(("()", "{}", "[]"))
                parts[i] = pair[0] * n + parts[i] + pair[1] * n
            case _:
                n = rng.choice((10, 5000)) if rng.random() < 0.05 else 2
                parts[i] = parts[i] * n
    return "".join(parts)


def bytes_mutated(text: str, rng: random.Random, other: str) -> str:
    """Change one to eight places: flip, insert, delete, copy, or splice with another text."""
    raw = bytearray(text.encode())
    for _ in range(rng.randint(1, 8)):
        i = rng.randrange(len(raw) + 1)
        match rng.randrange(6):
            case 0 if raw:
                raw[min(i, len(raw) - 1)] ^= 1 << rng.randrange(8)
            case 1:
                raw.insert(i, rng.randrange(256))
            case 2:
                del raw[i : i + rng.randint(1, 10)]
            case 3:
                raw[i:i] = raw[i : i + rng.randint(1, 30)]
            case 4:
                donor = other.encode()
                k = rng.randrange(len(donor) + 1)
                raw[i:i] = donor[k : k + rng.randint(1, 60)]
            case _:
                del raw[i:]
    return raw.decode("utf-8", rng.choice(("replace", "surrogateescape", "ignore")))


@dataclass
class Watch:
    """Counts faults and keeps the first case of each."""

    out: Path
    allowed: tuple[str, ...]
    faults: dict[str, tuple[int, str]] = field(default_factory=dict)
    count: int = 0
    refused: int = 0
    slowest: float = 0.0
    touched: list[str] = field(default_factory=list)
    active: bool = False
    began: float = 0.0

    def lap(self) -> None:
        """End one reading of a case and begin the next: each has the whole of its time."""
        now = time.process_time()
        self.slowest, self.began = max(self.slowest, now - self.began), now
        signal.setitimer(signal.ITIMER_PROF, LIMIT)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note what a case opens, changes or starts."""
        if not self.active:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int):
                return
            name = os.path.realpath(os.fsdecode(path))
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if (writes and name != "/dev/null") or not name.startswith(self.allowed):
                self.touched.append(f"{'wrote' if writes else 'read'} {name}")
        elif event in ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.system"):
            self.touched.append(f"{event} {arguments[:1]}")
        elif event in ("subprocess.Popen", "socket.connect", "os.exec", "pickle.find_class"):
            self.touched.append(event)

    def run(self, case: Callable[[], object], errors: type[BaseException], keep: Any) -> None:
        """Do one case."""
        self.count += 1
        self.touched, fault = [], ""
        self.active, self.began = True, time.process_time()
        signal.setitimer(signal.ITIMER_PROF, LIMIT)
        try:
            case()
        except errors as error:
            self.refused += 1
            if not str(error).strip():
                fault = f"an empty message ({type(error).__name__})"
        except Hang:
            fault = "more than a second"
        except BaseException as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = frame.filename.replace(str(ROOT), "")
            fault = f"{type(error).__name__} at {where}:{frame.lineno}: {str(error)[:100]!r}"
            fault = re.sub(r"0x[0-9a-f]+|/tmp/\S+|/dev/shm/\S+", "…", fault)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self.active = False
        spent = time.process_time() - self.began
        self.slowest = max(self.slowest, spent)
        if not fault and spent > LIMIT:
            fault = "more than a second"
        if not fault and self.touched:
            fault = f"touched: {self.touched[0]}"
        if fault:
            self._keep(fault, keep)

    def _keep(self, fault: str, keep: Any) -> None:
        number, name = self.faults.get(fault, (0, ""))
        if not number:
            name = f"{len(self.faults):03}"
            print(f"FAULT {name}: {fault}", flush=True)
            keep(self.out / name)
        self.faults[fault] = (number + 1, name)

    def summary(self, what: str, start: float) -> int:
        """Print figures; returns the exit code."""
        spent = time.process_time() - start
        total = sum(number for number, _ in self.faults.values())
        taken = self.count - self.refused - total
        print(f"{self.count:,} {what}: {taken:,} taken, {self.refused:,} refused with a message,")
        print(f"{total} faults of {len(self.faults)} sorts;", end=" ")
        print(f"slowest {self.slowest:.2f} s, {spent:,.0f} CPU s in all")
        return 1 if self.faults else 0


def _hang(number: int, frame: object) -> None:
    raise Hang


@contextlib.contextmanager
def watching(out: Path, *folders: Path) -> Iterator[Watch]:
    """A watch that allows reading the program, Python itself and ``folders``."""
    allowed = {str(ROOT), sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()}
    allowed |= {os.path.realpath(path) for path in allowed}
    allowed |= {os.path.realpath(path) for path in folders}
    system = ("/proc/", "/sys/", "/dev/null", "/usr/", "/lib", "/etc/mime", "/etc/localtime")
    watch = Watch(out, (*sorted(allowed), *system))
    sys.addaudithook(watch.audit)
    before = signal.signal(signal.SIGPROF, _hang)
    try:
        yield watch
    finally:
        watch.active = False
        signal.signal(signal.SIGPROF, before)


# ---- scripts and graph texts


def text_case(i: int, seed: int, known: tuple[list[str], list[str]]) -> tuple[bool, str]:
    """Return case ``i``: whether it is a script, and its text."""
    rng = random.Random(f"{seed}/{i}")
    scripts, graphs = known
    script = rng.random() < 0.7
    own = scripts if script else graphs
    # Half of the scripts are mutated examples, half mutated mistakes.
    base = rng.choice(own[:EXAMPLES] if script and rng.random() < 0.5 else own)
    other = rng.choice(rng.choice((scripts, graphs)))
    if rng.random() < 0.5:
        return script, tokens_mutated(base, rng, TOKEN.findall(other) or WORDS)
    return script, bytes_mutated(base, rng, other)


def do_text(script: bool, text: str, folder: Path, lap: Callable[[], None] = lambda: None) -> None:
    """Do all that reading a text can lead to, short of training; ``lap`` is called between readings."""
    import causalc
    from causalc.compiler import convert, formats
    from causalc.compiler.graph import Graph
    from causalc.errors import CausalcError
    from causalc.grammar import format_script
    from causalc.script import compile_script

    if script:
        job = compile_script(folder / "case.causal")
        if format_script(job.script) is None or (job.program and not job.program.source):
            raise AssertionError("nothing emitted")
        return
    for form in formats.READ:
        with contextlib.suppress(CausalcError):
            graph = convert.from_text(text, form)
            if Graph.parse(convert.to_text(graph)) != graph:
                raise AssertionError("a graph does not come back from its text")
        lap()
    with contextlib.suppress(CausalcError):
        causalc.parse_query(text)
    lap()
    Graph.parse(text)


def texts(count: int, seed: int, out: Path, first: int = 0) -> int:
    """Fuzz scripts and graph texts."""
    from causalc.errors import CausalcError

    known = corpus()
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    start = time.process_time()
    with tempfile.TemporaryDirectory(dir=shared) as name, watching(out, Path(name)) as watch:
        folder = Path(name)
        for text in known[
            0
        ]:  # what is imported on first use is imported before anything is watched
            (folder / "case.causal").write_bytes(text.encode("utf-8", "surrogateescape"))
            with contextlib.suppress(CausalcError):
                do_text(True, text, folder)
        for text in known[1]:
            with contextlib.suppress(CausalcError):
                do_text(False, text, folder)
        for i in range(first, first + count):
            script, text = text_case(i, seed, known)
            raw = (
                text.encode("utf-8", "surrogateescape")
                if _plain(text)
                else text.encode("utf-8", "replace")
            )
            if script:
                (folder / "case.causal").write_bytes(raw)

            def keep(path: Path, raw: bytes = raw, script: bool = script) -> None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.with_suffix(".causal" if script else ".graph").write_bytes(raw)

            watch.run(partial(do_text, script, text, folder, watch.lap), CausalcError, keep)
            if watch.count % 100_000 == 0:
                print(f"… {watch.count:,}, {time.process_time() - start:,.0f} CPU s", flush=True)
        return watch.summary("scripts and graph texts", start)


def _plain(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


# ---- model folders


def model_folders(place: Path) -> list[Path]:
    """Train and save samplers that hold every family and kind of input."""
    import numpy as np

    import causalc
    from causalc.compiler.view import Spec

    rng = np.random.default_rng(0)
    n = 60
    rows = {
        "Z": rng.integers(0, 3, n),
        "X": rng.integers(0, 2, n),
        "R": rng.normal(size=n),
        "I": rng.integers(0, 256, (n, 4, 4, 1), dtype=np.uint8),
        "Y": rng.integers(0, 2, n),
        "T": np.array([f"{word} lung" for word in rng.choice(["left", "right"], n)], object),
    }
    kinds = {
        "Z": "categorical(3)",
        "X": "binary",
        "R": "real",
        "I": "image(4, 4, channels=1)",
        "Y": "binary",
        "T": "text(max_tokens=8)",
    }
    few = (("steps", 2), ("width", 8), ("depth", 1))
    made = []
    for number, models in enumerate(
        (
            {"Y": Spec("table", (), ()), "R": Spec("mixture", (), few)},
            {"Y": Spec("softmax", (), few), "R": Spec("diffusion", (), few)},
            {
                "Y": Spec("diffusion", (), few),
                "I": Spec("diffusion", (), (*few, ("backbone", "mlp"))),
            },
            {"Y": Spec("vae", (), few), "R": Spec("flow", (), few), "I": Spec("gan", (), few)},
            {"Y": Spec("rows"), "I": Spec("rows"), "T": Spec("transformer", (), few)},
        )
    ):
        names = sorted({"X", "Z", *models})
        graph = "Z -> X; Z -> Y; X -> Y" + "".join(
            f"; X -> {v}; Z -> {v}" for v in models if v != "Y"
        )
        outcomes = ", ".join(models)
        program = causalc.compile(
            f"P({outcomes} | do(X))", graph, {v: kinds[v] for v in names}, models=models
        )
        sampler = program.fit({v: rows[v] for v in names}, progress=False)
        made.append(sampler.save(place / str(number)))
    return made


STRANGE: list[Any] = [
    *(None, True, -1, 0, 1, 2, 2**31, 2**63, 10**30, 1e308, -1e308, 0.5, "", "x", [], {}, [[]]),
    *("../../../etc/passwd", "/etc/passwd", "..", ".", "model-0", "a\0b", "é" * 5000, "__class__"),
    *("torch.nn.Linear", "os.system", "pickle", "table", "softmax", "diffusion", "rows", "image"),
    *([1, 2, 3], [10**9], [65536, 65536], [8, 10**7], [-1, -1], ["a"], {"a": 1}, float("nan")),
    {"kind": "image", "shape": [60000, 60000, 4]},
    {"kind": "categorical", "levels": list(range(1000))},
]


def json_mutated(value: Any, rng: random.Random) -> Any:
    """Change one node of a JSON value."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        match rng.randrange(10):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {
                    (rng.choice(("x", "", "type", "../x")) if k == key else k): v
                    for k, v in value.items()
                }
            case _:
                return {k: json_mutated(v, rng) if k == key else v for k, v in value.items()}
    if isinstance(value, list) and value and rng.random() < 0.85:
        i = rng.randrange(len(value))
        match rng.randrange(10):
            case 0:
                return value[:i] + value[i + 1 :]
            case 1:
                return value[:i] + [value[i]] * rng.choice((2, 50)) + value[i:]
            case _:
                return [*value[:i], json_mutated(value[i], rng), *value[i + 1 :]]
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.4:
        return value * rng.choice((-1, 2, 1000, 10**9))
    return rng.choice(STRANGE)


def bytes_changed(path: Path, rng: random.Random) -> None:
    """Flip, cut, extend or repeat the bytes of a file."""
    raw = bytearray(path.read_bytes())
    match rng.randrange(5):
        case 0:
            del raw[rng.randrange(len(raw) + 1) :]
        case 1:
            raw += rng.randbytes(rng.randint(1, 100))
        case 2 if len(raw) > 8 and path.suffix == ".safetensors":
            size = rng.choice((0, 1, len(raw), 2**31, 2**63, rng.randrange(2 * len(raw))))
            raw[:8] = struct.pack("<Q", size)
        case _:
            for _ in range(rng.randint(1, 4)):
                if raw:
                    raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(raw))


def header_changed(path: Path, rng: random.Random) -> None:
    """Change the header of a safetensors file as JSON."""
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.dumps(json_mutated(json.loads(raw[8 : 8 + size]), rng)).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + raw[8 + size :])


def folder_mutated(folder: Path, rng: random.Random) -> str:
    """Change one to three things in a saved sampler; returns what was done."""
    from causalc.runtime.store import seal

    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
        if not files:
            break
        path = rng.choice(files)
        action = rng.choice(
            ("json",) * 6 + ("bytes",) * 2 + ("header", "delete", "link", "add", "deep")
        )
        done.append(f"{action} {path.relative_to(folder)}")
        if action == "json" and path.suffix == ".json":
            with contextlib.suppress(ValueError, RecursionError):
                path.write_text(json.dumps(json_mutated(json.loads(path.read_text()), rng)))
        elif action == "header" and path.suffix == ".safetensors":
            with contextlib.suppress(ValueError, struct.error):
                header_changed(path, rng)
        elif action == "delete":
            path.unlink()
        elif action == "link":
            path.unlink()
            path.symlink_to(rng.choice(("/etc/passwd", "/dev/zero", "/", "nowhere", path.name)))
        elif action == "add":
            name = rng.choice(
                (
                    "x.bin",
                    "x.pkl",
                    "diffusion_pytorch_model.bin",
                    "x.py",
                    "model.safetensors.index.json",
                )
            )
            path.with_name(name).write_text('{"weight_map": {"a": "../../../x"}}')
        elif action == "deep" and path.suffix == ".json":
            path.write_text("[" * 100_000)
        else:
            bytes_changed(path, rng)
    if rng.random() < 0.67:
        for meta in sorted(folder.glob("models/*/meta.json")):
            if not meta.is_symlink():
                with contextlib.suppress(OSError):
                    meta.unlink()
                    seal(meta.parent, {"label": "x", "seconds": 0.0})
        done.append("sealed")
    return ", ".join(done)


def do_folder(folder: Path) -> None:
    """Load a sampler and draw from it."""
    import causalc

    sampler = causalc.load(folder)
    sampler.sample(3, X=1)


def folders(count: int, seed: int, out: Path, first: int = 0) -> int:
    """Fuzz model folders."""
    import warnings

    import torch

    from causalc.errors import CausalcError

    torch.set_num_threads(1)
    warnings.simplefilter("error")
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    start = time.process_time()
    with (
        tempfile.TemporaryDirectory(dir=shared) as name,
        watching(out, Path(name) / "case") as watch,
    ):
        bases = model_folders(Path(name))
        case = Path(name) / "case"
        for base in bases:
            do_folder(base)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limits = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, limits[1]))
        try:
            for i in range(first, first + count):
                rng = random.Random(f"{seed}/folder/{i}")
                shutil.rmtree(case, ignore_errors=True)
                shutil.copytree(rng.choice(bases), case)
                done = folder_mutated(case, rng)

                def keep(path: Path, done: str = done, i: int = i) -> None:
                    shutil.rmtree(path, ignore_errors=True)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copytree(case, path, symlinks=True)
                    (path / "HOW").write_text(f"case {i}: {done}\n")

                watch.run(lambda: do_folder(case), CausalcError, keep)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)
        return watch.summary("model folders", start)


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
