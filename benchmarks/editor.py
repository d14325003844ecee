"""From a keystroke to its diagnostics: the language server over the protocol, with a client of its own.

    python benchmarks/editor.py [--lines 200] [--keys 60]

Types into a script of that many lines, a character at a time, and waits for the diagnostics of each. Prints median,
95th percentile and maximum of the time on the clock and of the server's processor time, in milliseconds.
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
TYPED = "\nquery more = P(V9 | do(V3 = 1), V1)  # and a comment at the end\n"


def script(lines: int) -> str:
    """A script of so many lines: 40 variables, confounded neighbours, up to 37 queries."""
    names = [f"V{i}" for i in range(40)]
    text = ["graph {", *(f"  {a} -> {b}" for a, b in pairwise(names))]
    text += [f"  {a} <-> {b}" for a, b in zip(names, names[2:], strict=False)] + ["}"]
    text += [f"var {v} : binary" for v in names] + ['data rows = csv("rows.csv")']
    text += [f"query q{i} = P({names[i + 2]} | do({names[i]}))" for i in range(37)]
    text += [f"check q{i} : positivity" for i in range(37)]
    return "\n".join([*text, *["# the end"] * (lines - len(text))][:lines])


def spent(pid: int) -> float:
    """Processor time of a process so far, in seconds."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def type_keys(text: str, keys: int) -> tuple[list[float], list[float]]:
    """Seconds on the clock and of the processor from each key to its diagnostics."""
    client = LanguageClient("benchmark", "1")
    published: asyncio.Queue[lsp.PublishDiagnosticsParams] = asyncio.Queue()

    @client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    def keep(params: lsp.PublishDiagnosticsParams) -> None:
        published.put_nowait(params)

    await client.start_io(sys.executable, "-m", "causalc", "lsp")
    await client.initialize_async(lsp.InitializeParams(capabilities=lsp.ClientCapabilities()))
    client.initialized(lsp.InitializedParams())
    document = lsp.TextDocumentItem(URI, "causal", 0, text)
    client.text_document_did_open(lsp.DidOpenTextDocumentParams(document))
    await published.get()
    pid = client._server.pid  # type: ignore[union-attr]
    clock, processor = [], []
    for version in range(1, keys + 1):
        place = lsp.VersionedTextDocumentIdentifier(version, URI)
        change = lsp.TextDocumentContentChangeWholeDocument(text + TYPED[:version])
        start, before = time.perf_counter(), spent(pid)
        client.text_document_did_change(lsp.DidChangeTextDocumentParams(place, [change]))
        await published.get()
        clock.append(time.perf_counter() - start)
        processor.append(spent(pid) - before)
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return clock, processor


def said(name: str, seconds: list[float]) -> str:
    """One line of figures in milliseconds."""
    ordered = sorted(1000 * s for s in seconds)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"{name:10} median {statistics.median(ordered):6.1f}  p95 {high:6.1f}  max {ordered[-1]:6.1f} ms"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--keys", type=int, default=60)
    options = parser.parse_args()
    text = script(options.lines)
    clock, processor = asyncio.run(type_keys(text, min(options.keys, len(TYPED))))
    print(f"{len(text.splitlines())} lines, {len(clock)} keys")
    print(said("clock", clock))
    print(said("processor", processor), "(ticks of 10 ms)")


if __name__ == "__main__":
    main()
