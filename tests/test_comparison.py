"""The comparison with other tools: a reply is counted as that to the query it answers, whatever happened before."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

from peers.tools import Gone, Session

TOOL = """
import json, sys, time
print(json.dumps({"version": "1"}), flush=True)
for line in sys.stdin:
    query = json.loads(line)
    if query["name"] == "endless":
        while True:
            pass
    if query["name"] == "fatal":
        sys.exit(3)
    name = "another" if query["name"] == "confused" else query["name"]
    print(json.dumps({"name": name, "square": query["number"] ** 2}), flush=True)
"""


@pytest.fixture
def session(tmp_path: Path) -> Session:
    script = tmp_path / "tool.py"
    script.write_text(TOOL, encoding="utf-8")
    return Session([sys.executable, script])


def test_after_a_timeout_or_a_crash_replies_are_those_of_their_queries(session: Session) -> None:
    assert session.ask({"name": "one", "number": 3}, 5)["square"] == 9
    for name, reason in (("endless", "timeout"), ("fatal", "crash")):
        with pytest.raises(Gone, match=reason):
            session.ask({"name": name, "number": 0}, 0.2)
        for number in (4, 5):
            assert session.ask({"name": str(number), "number": number}, 5)["square"] == number**2
    session.end()


def test_the_reply_to_another_query_is_refused(session: Session) -> None:
    with pytest.raises(RuntimeError, match="another"):
        session.ask({"name": "confused", "number": 1}, 5)
    assert session.process is None
