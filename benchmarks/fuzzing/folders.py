"""Saved models, mutated and in two of three cases sealed again."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

from fuzzing.watch import watching

MEMORY = 4 << 30  # bytes a folder may make us ask for, beyond what is in use


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
