"""What it costs on large graphs: counted in steps of the work where that can be, since clocks are shared."""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Callable
from typing import Any

import pytest

from causalc.compiler import choose
from causalc.compiler.answer import Estimand, Question, solve
from causalc.compiler.cost import Ledger
from causalc.compiler.estimand import postorder
from causalc.compiler.graph import Graph
from causalc.compiler.lower import Decisions, Routes
from causalc.compiler.notation import TEXT, write
from causalc.compiler.pipeline import lowered
from causalc.compiler.plan import Plan


def question(y: str, x: str) -> Question:
    return Question(f"P({y} | do({x}))", (y,), ((x, None),), ())


def calls(work: Callable[[], Any]) -> int:
    """How many Python functions are called, built-in ones left out: the same on every machine."""
    count = 0

    def seen(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def napkins(count: int) -> Graph:
    """Napkins hung from one another: each kernel is undone only after the one before it."""
    arrows, arcs = [("X", "Y")], []
    for i in range(count):
        arrows += [(f"A{i}", f"B{i}"), (f"B{i}", "X")]
        arcs += [(f"A{i}", "X"), (f"A{i}", f"B{i - 1}" if i else "Y")]
    return Graph.from_edges(("X", "Y"), arrows, arcs)


def local(size: int) -> Graph:
    """A front door X -> M -> Y with X <-> Y at the head of a long confounded chain."""
    chain = ["Y", *(f"V{i}" for i in range(size))]
    arrows = [("X", "M"), ("M", "Y"), *itertools.pairwise(chain)]
    arcs = [("X", "Y"), *zip(chain[1:], chain[3:], strict=False)]
    return Graph.from_edges((), arrows, arcs)


def test_a_local_query_costs_the_same_in_a_large_graph() -> None:
    small, large = (local(n) for n in (50, 5000))
    costs = [calls(lambda g=g: solve(question("Y", "X"), g)) for g in (small, large)]  # type: ignore[misc]
    assert costs[1] <= costs[0] + 20
    texts = {solve(question("Y", "X"), g).text for g in (small, large)}
    assert texts == {"sum_{M} P(M | X) sum_{X'} P(X') P(Y | X', M)"}


def test_kernels_nested_a_thousand_deep_leave_the_recursion_limit_alone() -> None:
    """Verdict, formula and text of 1,000 kernels, each inside the one before, in a shallow stack."""
    graph = napkins(1000)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 120)
    try:
        estimand = solve(question("Y", "X"), graph)
        text = write(estimand.root, graph.order, TEXT)
    finally:
        sys.setrecursionlimit(before)
    assert len(estimand.derivation.pool.kernels) == 1000
    assert len(postorder(estimand.root)) < 5 * len(graph.order)
    assert text.startswith("sum_{")


@pytest.mark.parametrize("sizes", [(25, 50, 100)])
def test_nested_kernels_cost_no_more_than_quadratically(sizes: tuple[int, ...]) -> None:
    costs = [calls(lambda n=n: solve(question("Y", "X"), napkins(n))) for n in sizes]  # type: ignore[misc]
    for less, more in itertools.pairwise(costs):
        assert more < 4.2 * less


def test_large_plans_take_their_usual_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at another route lowers the plan anew, so a plan is looked at only while it is small."""
    edges = [("W1", "W2"), ("W2", "X"), ("X", "Y")]
    napkin = Graph.from_edges(["W1", "W2", "X", "Y"], edges, [("W1", "X"), ("W1", "Y")])
    estimand, kinds = solve(question("Y", "X"), napkin), dict.fromkeys(napkin.order, "real")
    looks = []

    def lower(one: Estimand, routes: Routes) -> tuple[Plan, Decisions]:
        looks.append(routes)
        return lowered(one, napkin, "auto", kinds, routes)

    choose.ways_of(estimand, lower, Ledger(kinds))
    assert any(looks)
    looks.clear()
    monkeypatch.setattr(choose, "MOST_PAIRS", 0)
    choose.ways_of(estimand, lower, Ledger(kinds))
    assert looks and not any(looks)
