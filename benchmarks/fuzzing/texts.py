"""Scripts and graph texts, mutated by tokens or by bytes."""

from __future__ import annotations

import contextlib
import os
import random
import re
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fuzzing.watch import ROOT, watching

EXAMPLES = len(list(ROOT.glob("examples/*.causal")))
TOKEN = re.compile(r'"[^"\n]*"|#[^\n]*|\w+|<->|->|<-|--|[^\w\s]|\s+')
_WORDS = """
graph latent var data model train query estimate check sample do P E in to from under csv binary categorical
ordinal integer real vector image text exposure outcome dag digraph ( ) { } [ ] , ; : = | ~ -> <- <-> -- @-> " '
# \\ / * + - . .. $ % & ! ? ` ^ _ 0 1 -1 1e999 99999999999999999999 0x10 1_000 nan inf None True é Ω 𝒳
"""
WORDS = [*_WORDS.split(), "\u202e", "\0", "\ufeff", "\u2028", "\n", "\t", " ", "\r\n"]


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
