"""From a keystroke to its diagnostics: the language server over the protocol, with a client of its own.

    python benchmarks/editor.py [--lines 200] [--keys 60] [--hidden]

Types into a script of that many lines, a character at a time: an edge into the graph, a query at the end, a
comment at the top; waits for the diagnostics of each key. With ``--hidden`` a latent cause makes most of the
37 queries unidentifiable. Prints median, 95th percentile and maximum of the time on the clock and of the server's
processor time, in milliseconds; then those of keys that come every 30 ms, none waiting for an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from itertools import pairwise

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

URI = "file:///tmp/long.causal"
PLACES = {  # where one types, after what, and what
    "graph": ("graph {\n", "  V3 -> V9 -> V12; V5 -> V8; V0 <-> V7; V2 -> V30\n"),
    "query": ("", "\nquery more = P(V9 | do(V3 = 1), V1)\nestimate e = E(V9 | do(V3 = 1))\n"),
    "comment": ("}", "  # what these queries are for, and who asked for them"),
}


def script(lines: int, hidden: bool = False) -> str:
    """A script of so many lines: 40 variables, confounded neighbours, up to 37 queries."""
    names = [f"V{i}" for i in range(40)]
    text = ["graph {", *(f"  {a} -> {b}" for a, b in pairwise(names))]
    text += [f"  {a} <-> {b}" for a, b in zip(names, names[2:], strict=False)]
    text += [f"  {a} <-> {b}" for a, b in pairwise(names[:30])] if hidden else []
    text += ["}"]
    text += [f"var {v} : binary" for v in names] + ['data rows = csv("rows.csv")']
    text += [f"query q{i} = P({names[i + 2]} | do({names[i]}))" for i in range(37)]
    text += [f"check q{i} : positivity" for i in range(37)]
    return "\n".join([*text, *["# the end"] * (lines - len(text))][:lines])


def spent(pid: int) -> float:
    """Processor time of a process so far, in seconds, by Linux's numbering of processes' clocks."""
    return time.clock_gettime((~pid << 3) | 2)


class Editor:
    """A client that sends whole texts and notes when the diagnostics of each version came."""

    def __init__(self) -> None:
        self.client = LanguageClient("benchmark", "1")
        self.version = 0
        self.came: dict[int, float] = {}
        self.told = asyncio.Event()

        @self.client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def keep(params: lsp.PublishDiagnosticsParams) -> None:
            self.came.setdefault(params.version or 0, time.perf_counter())
            self.told.set()

    async def open(self, text: str) -> int:
        """Start a server and open a text; the server's process."""
        await self.client.start_io(sys.executable, "-m", "causalc", "lsp")
        await self.client.initialize_async(
            lsp.InitializeParams(capabilities=lsp.ClientCapabilities())
        )
        self.client.initialized(lsp.InitializedParams())
        document = lsp.TextDocumentItem(URI, "causal", 0, text)
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(document))
        await self.answered(0)
        pid: int = self.client._server.pid  # type: ignore[union-attr]
        return pid

    def change(self, text: str) -> float:
        """Send the next version of the text; when."""
        self.version += 1
        place = lsp.VersionedTextDocumentIdentifier(self.version, URI)
        change = lsp.TextDocumentContentChangeWholeDocument(text)
        start = time.perf_counter()
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(place, [change]))
        return start

    async def answered(self, version: int) -> float:
        """When the diagnostics of a version, or of a later one, came."""
        while not any(v >= version for v in self.came):
            self.told.clear()
            await asyncio.wait_for(self.told.wait(), 60)
        return min(at for v, at in self.came.items() if v >= version)

    async def close(self) -> None:
        """Shut the server down."""
        await self.client.shutdown_async(None)
        self.client.exit(None)
        await self.client.stop()


def typed(text: str, place: str, keys: int) -> list[str]:
    """The texts after each of so many keys at a place."""
    before, added = PLACES[place]
    at = text.rindex(before) + len(before)
    return [text[:at] + added[:n] + text[at:] for n in range(1, min(keys, len(added)) + 1)]


async def one_by_one(text: str, place: str, keys: int) -> tuple[list[float], list[float]]:
    """Seconds on the clock and of the processor from each key to its diagnostics."""
    editor = Editor()
    pid = await editor.open(text)
    clock, processor = [], []
    for after in typed(text, place, keys):
        before = spent(pid)
        start = editor.change(after)
        clock.append(await editor.answered(editor.version) - start)
        processor.append(spent(pid) - before)
    await editor.close()
    return clock, processor


async def in_a_hurry(text: str, keys: int, pause: float = 0.03) -> list[float]:
    """Seconds on the clock from each key to diagnostics at least as new, keys coming at a steady pace."""
    editor = Editor()
    await editor.open(text)
    starts = []
    for after in typed(text, "query", keys):
        starts.append(editor.change(after))
        await asyncio.sleep(pause)
    found = [await editor.answered(v) - start for v, start in enumerate(starts, 1)]
    await editor.close()
    return found


def said(name: str, seconds: list[float]) -> str:
    """One line of figures in milliseconds."""
    ordered = sorted(1000 * s for s in seconds)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{name:20} median {statistics.median(ordered):6.1f}  p95 {high:6.1f}  max {ordered[-1]:6.1f} ms"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--keys", type=int, default=60)
    parser.add_argument("--hidden", action="store_true")
    options = parser.parse_args()
    text = script(options.lines, options.hidden)
    print(f"{len(text.splitlines())} lines, up to {options.keys} keys a place")
    for place in PLACES:
        clock, processor = asyncio.run(one_by_one(text, place, options.keys))
        print(said(f"{place}, clock", clock))
        print(said(f"{place}, processor", processor))
    print(said("every 30 ms, clock", asyncio.run(in_a_hurry(text, options.keys))))


if __name__ == "__main__":
    main()
