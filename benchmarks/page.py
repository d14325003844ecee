"""A page in a real, headless Chromium: its size, how long it takes to open, what it fetches and complains of.

    python benchmarks/page.py REPORT.html [--shots FOLDER]

Opens the file nine times at the width of a desk and prints the median of the clock from the start of the navigation
to the load event. With --shots it also leaves pictures: light, dark, a telephone, paper (PDF).
Speaks to the browser over a pair of pipes, so needs nothing but the browser.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """A headless browser with one page; messages are JSON ended by a zero byte."""

    def __init__(self, program: str, profile: str) -> None:
        read_end, self._out = os.pipe()
        self._in, write_end = os.pipe()

        def wire() -> None:  # the browser reads from 3 and writes to 4
            os.dup2(os.dup(read_end), 3)
            os.dup2(os.dup(write_end), 4)

        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        arguments += ["--disable-background-networking", f"--user-data-dir={profile}"]
        self._process = subprocess.Popen(
            [program, *arguments, "--remote-debugging-pipe", "about:blank"],
            preexec_fn=wire,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._buffer, self._id, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        found = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            self._buffer += os.read(self._in, 1 << 20)
        line, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a command; events on the way are kept."""
        self._id += 1
        message: dict[str, Any] = {"id": self._id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self._id:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']['message']}")
                result: dict[str, Any] = found["result"]
                return result
            self.events.append(found)

    def open(self, address: str) -> None:
        """Go there and wait for the load event."""
        self.events.clear()
        self.ask("Page.navigate", url=address)
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self._next())
        self.ask("Runtime.evaluate", expression="1")

    def value(self, expression: str) -> Any:
        """What an expression is on the page."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(30)


def complaints(events: list[dict[str, Any]]) -> list[str]:
    """Errors and warnings of the console, and exceptions."""
    found = []
    for event in events:
        params = event.get("params", {})
        if event.get("method") == "Log.entryAdded":
            found.append(params["entry"]["text"])
        if event.get("method") == "Runtime.consoleAPICalled" and params["type"] in (
            "error",
            "warning",
        ):
            found.append(str(params["args"]))
        if event.get("method") == "Runtime.exceptionThrown":
            found.append(params["exceptionDetails"]["text"])
    return found


def requests(events: list[dict[str, Any]], page: str) -> list[str]:
    """What was fetched beside the page itself and what stands in it."""
    urls = [
        e["params"]["request"]["url"]
        for e in events
        if e.get("method") == "Network.requestWillBeSent"
    ]
    return [url for url in urls if url != page and not url.startswith("data:")]


def shots(browser: Browser, address: str, folder: Path) -> list[str]:
    """Pictures of the page; returns what does not fit the width of a telephone."""
    folder.mkdir(parents=True, exist_ok=True)
    views = {"light": (1280, "light"), "dark": (1280, "dark"), "phone": (390, "dark")}
    wide: list[str] = []
    for name, (width, scheme) in views.items():
        browser.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=name == "phone",
        )  # fmt: skip
        browser.ask(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        browser.open(address)
        if name == "phone" and browser.value("document.documentElement.scrollWidth") > width:
            wide.append(f"{browser.value('document.documentElement.scrollWidth')} > {width}")
        taken = browser.ask("Page.captureScreenshot", captureBeyondViewport=True)
        (folder / f"{name}.png").write_bytes(base64.b64decode(taken["data"]))
    paper = browser.ask("Page.printToPDF", printBackground=True)
    (folder / "paper.pdf").write_bytes(base64.b64decode(paper["data"]))
    return wide


def main() -> int:
    """Measure and print; 1 where the page complains or fetches anything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("page", type=Path)
    parser.add_argument("--shots", type=Path)
    options = parser.parse_args()
    program = next((p for p in map(shutil.which, BROWSERS) if p), None)
    if program is None:
        sys.exit("no Chromium here: apt-get install chromium")
    address = options.page.resolve().as_uri()
    with tempfile.TemporaryDirectory() as profile:
        browser = Browser(program, profile)
        try:
            loads, bad, fetched = [], [], []
            for _ in range(9):
                browser.open(address)
                bad += complaints(browser.events)
                fetched += requests(browser.events, address)
                loads.append(
                    browser.value(
                        "performance.timing.loadEventStart - performance.timing.navigationStart"
                    )
                )
            wide = shots(browser, address, options.shots) if options.shots else []
        finally:
            browser.close()
    print(f"{options.page}: {options.page.stat().st_size / 1e6:.2f} MB")
    print(f"load event after {statistics.median(loads):.0f} ms (max {max(loads):.0f}), 9 times")
    print(f"console: {len(bad)} messages {bad[:3] or ''}")
    print(f"network: {len(fetched)} requests {fetched[:3] or ''}")
    if options.shots:
        print(f"telephone: {'too wide ' + wide[0] if wide else 'fits'}")
    return 1 if bad or fetched or wide else 0


if __name__ == "__main__":
    sys.exit(main())
