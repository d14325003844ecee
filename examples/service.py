"""A saved sampler over HTTP, with the standard library alone.

    python examples/service.py FOLDER [--port 8000]

    GET  /          what can be asked: queries, their inputs and outcomes
    POST /sample    {"query": "effect", "n": 100, "seed": 0, "values": {"X": 1}}  ->  {"rows": {"Y": [...]}}

Requests are bounded: 64 KiB, 10,000 rows, a million numbers in an answer, ten seconds to arrive, one draw at a time.
Whatever is wrong with a request is answered by one line, {"error": "..."}, and a status of 4xx.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

import causalc

MOST_BYTES, MOST_ROWS, MOST_NUMBERS = 1 << 16, 10_000, 1_000_000
SECONDS = 10


class Refused(Exception):
    """A request that is not answered: a status and one line."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Service(ThreadingHTTPServer):
    """Answers for one sampler."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], sampler: causalc.Sampler) -> None:
        super().__init__(address, Handler)
        self.sampler, self.drawing = sampler, threading.Lock()

    def queries(self) -> dict[str, Any]:
        """What can be asked."""
        kinds = self.sampler.models.schema
        found = {}
        for name, estimand in self.sampler.program.estimands.items():
            question = estimand.question
            found[name] = {
                "query": question.text,
                "inputs": {v: str(kinds[v]) for v in question.free if v in kinds},
                "outcomes": {v: str(kinds[v]) for v in question.outcomes if v in kinds},
            }
        return {"queries": found}

    def sample(self, asked: Any) -> dict[str, Any]:
        """Draw what a request asks for; raises ``Refused``."""
        if not isinstance(asked, dict) or not {*asked} <= {"query", "n", "seed", "values"}:
            raise Refused(400, "send an object with query, n, seed and values")
        n, seed = asked.get("n", 1), asked.get("seed", 0)
        values, query = asked.get("values", {}), asked.get("query")
        if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= MOST_ROWS:
            raise Refused(400, f"n must be a whole number from 1 to {MOST_ROWS}")
        if not isinstance(values, dict) or not isinstance(query, str | None):
            raise Refused(400, "values must be an object, query a name")
        try:
            self._affordable(self.sampler.query_name(query), n)
            with self.drawing:
                frame = self.sampler.drawn(n, values, query=query, seed=seed)
        except causalc.CausalcError as error:
            raise Refused(400, str(error).splitlines()[0]) from None
        return {"rows": {name: [_plain(v) for v in frame[name]] for name in frame}}

    def _affordable(self, query: str, n: int) -> None:
        outcomes = self.sampler.program.estimands[query].question.outcomes
        width = sum(self.sampler.models.schema.kind(name).width for name in outcomes)
        if n * width > MOST_NUMBERS:
            raise Refused(
                400, f"{n} rows of {width} numbers are too many: at most {MOST_NUMBERS // width}"
            )


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist()


class Handler(BaseHTTPRequestHandler):
    """Reads bounded requests and writes JSON."""

    server: Service
    timeout = SECONDS
    server_version, sys_version = "causalc", ""

    def do_GET(self) -> None:
        """Say what can be asked."""
        if self.path != "/":
            return self._answer(404, {"error": "there is GET / and POST /sample"})
        self._answer(200, self.server.queries())

    def do_POST(self) -> None:
        """Draw."""
        try:
            if self.path != "/sample":
                raise Refused(404, "there is GET / and POST /sample")
            self._answer(200, self.server.sample(self._body()))
        except Refused as refused:
            self._answer(refused.status, {"error": str(refused)})

    def _body(self) -> Any:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            raise Refused(411, "say how long the request is (Content-Length)")
        if int(length) > MOST_BYTES:
            raise Refused(413, f"a request has at most {MOST_BYTES} bytes")
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise Refused(400, "the request is not JSON") from None
        except TimeoutError:
            raise Refused(408, f"the request did not arrive in {SECONDS} seconds") from None

    def _answer(self, status: int, value: Mapping[str, Any]) -> None:
        body = json.dumps(value, allow_nan=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status >= 400:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: what is asked may be private."""


def main() -> None:
    """Serve a folder."""
    parser = argparse.ArgumentParser(description="Serve a saved sampler over HTTP.")
    parser.add_argument("folder", help="what Sampler.save wrote")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    service = Service((options.host, options.port), causalc.load(options.folder))
    print(f"http://{options.host}:{service.server_port}/", flush=True)
    service.serve_forever()


if __name__ == "__main__":
    main()
