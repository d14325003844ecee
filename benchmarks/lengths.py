"""Textbook estimands beside those of y0 and pyAgrum: which is shortest, and which is right.

    python benchmarks/lengths.py --cache /tmp/peers

All formulas are counted in one notation: a symbol is a mention of a variable, a P, a sum or a ratio. Right is what
equals the effect in a random model, whatever value a variable takes that the formula leaves free.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests")]

from oracle.admg import Case  # noqa: E402
from oracle.decider import identifiable  # noqa: E402
from oracle.queries import textbook  # noqa: E402
from peers.tools import OURS, PEERS, Gone, Session, python_of  # noqa: E402
from peers.truth import CHECKED, Truth  # noqa: E402

TOOLS = (OURS, *(peer for peer in PEERS if peer.name in ("y0", "pyagrum")))
LIMIT = 60.0  # CPU seconds a query


def symbols(formula: Sequence[Any]) -> int:
    """How many symbols a formula is written with."""
    match formula:
        case ["P", children, given]:
            return 1 + len(children) + len(given)
        case ["product", *factors]:
            return sum(map(symbols, factors))
        case ["sum", bound, body]:
            return 1 + len(bound) + symbols(body)
        case ["ratio", top, bottom]:
            return 1 + symbols(top) + symbols(bottom)
    raise TypeError(formula[0])


def row_of(case: Case) -> dict[str, Any]:
    """A query as the adapters read it."""
    graph = case.graph
    return {
        "name": case.name,
        "nodes": graph.nodes,
        "directed": graph.directed,
        "bidirected": graph.bidirected,
        "y": case.y,
        "x": case.x,
        "z": case.z,
        "repeats": 1,
        "shown": True,
        "after": True,  # ours: the shortest too, which is what `causalc show` prints
    }


def answer(session: Session, case: Case, truth: Truth | None) -> tuple[int | None, str]:
    """How long a tool's formula is, and ``""`` for a right one, or what is wrong with it."""
    try:
        reply = session.ask(row_of(case), LIMIT)
    except Gone as reason:
        return None, str(reason)
    formula = reply.get("shortest formula") or reply.get("formula")
    if formula is None:
        return None, str(reply.get("error") or reply.get("unsupported") or "denied")[:24]
    flaw = "unchecked" if truth is None else truth.flaw(formula)
    return symbols(formula), "" if flaw is None else "unchecked" if truth is None else "wrong"


def main() -> None:
    """Print a line a query, and how often ours is longer than a right formula of another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cache", type=Path, required=True, help="Folder of the tools' environments."
    )
    cache = parser.parse_args().cache
    sessions = {t.name: Session([python_of(t, cache), t.script]) for t in TOOLS}
    print(f"{'query':34}" + "".join(f"{name:>18}" for name in sessions))
    longer, asked = [], 0
    for case in filter(identifiable, textbook()):
        asked += 1
        truth = Truth.of(case, 0) if len(case.graph.nodes) <= CHECKED else None
        found = {name: answer(session, case, truth) for name, session in sessions.items()}
        cells = [f"{'' if n is None else n} {what}".strip() for n, what in found.values()]
        print(f"{case.name[:33]:34}" + "".join(f"{cell:>18}" for cell in cells), flush=True)
        ours, *others = found.values()
        right = [n for n, what in others if n is not None and what != "wrong"]
        if ours[0] is None or any(n < ours[0] for n in right):
            longer.append(case.name)
    for session in sessions.values():
        session.end()
    print(
        f"{asked} identifiable queries; ours is longer than a formula of another in {len(longer)}"
    )
    print("\n".join(f"  {name}" for name in longer))


if __name__ == "__main__":
    main()
