"""Estimands printed and read back, shortened, and the small cases that tools get wrong."""

from __future__ import annotations

import numpy as np
import pytest
from oracle.admg import Case
from oracle.queries import HARD, NESTED, case, hard_case, random_case, textbook
from oracle.scm import random_scm

import causalc
from causalc.compiler import notation
from causalc.compiler.answer import Estimand
from causalc.compiler.estimand import Prob, Ratio, Sum, length, postorder
from causalc.compiler.reading import ReadingError, read


def table(query: Case, seed: int) -> tuple[causalc.Table, np.ndarray]:
    """P(v) of a random model and the effect in it."""
    model = random_scm(query.graph, np.random.default_rng(seed), max_levels=2)
    joint = causalc.Table(query.graph.nodes, model.joint())
    return joint, model.effect(query.y, query.x, query.z)


def estimand_of(query: Case) -> Estimand:
    return causalc.identify(query.query(), causalc.Graph.parse(query.graph.text()))


def identified(rng: np.random.Generator, count: int) -> list[tuple[Case, Estimand]]:
    """Random queries, half of them through step 7, with their estimands."""
    found: list[tuple[Case, Estimand]] = []
    while len(found) < count:
        query = hard_case(rng) if len(found) % 2 else random_case(rng, 3, 6)
        try:
            found.append((query, estimand_of(query)))
        except causalc.NotIdentifiable:
            continue
    return found


def reread(estimand: Estimand) -> Estimand:
    root = read(estimand.text, estimand.graph)
    return Estimand(estimand.question, estimand.derivation, root)


@pytest.mark.parametrize("named", [False, True])
def test_what_is_printed_can_be_read_back(named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal on random tables, also where everything shared or deep is written by name."""
    if named:
        monkeypatch.setattr(notation, "LONGEST", 3)
        monkeypatch.setattr(notation, "DEEPEST", 1)
    cases = [
        (c, estimand_of(c)) for c in (*textbook(), *NESTED, *HARD) if c.identifiable is not False
    ]
    wheres = 0
    for i, (query, estimand) in enumerate([*cases, *identified(np.random.default_rng(named), 60)]):
        if len(query.graph.nodes) > 9:
            continue
        joint, truth = table(query, i)
        again = reread(estimand)
        wheres += ", where " in estimand.text
        np.testing.assert_allclose(
            again.evaluate(joint).array, truth, atol=1e-9, err_msg=again.text
        )
    assert bool(wheres) is named


def test_odd_names_are_read_back() -> None:
    """Primes, brackets and bars in names; a bound variable takes no name that another has."""
    new = {"W1": "X'", "W2": "P(a | b)", "X": "X", "Y": "a`b"}
    query = HARD[0].renamed(new)
    joint, truth = table(query, 0)
    graph = causalc.Graph.from_edges(
        query.graph.nodes, query.graph.directed, query.graph.bidirected
    )
    estimand = causalc.identify(query.query(), graph)
    np.testing.assert_allclose(reread(estimand).evaluate(joint).array, truth, atol=1e-9)


@pytest.mark.parametrize(
    "text", ["", "P(X", "P(X | Q)", "sum_{X}", "[P(X)] / P(Y)", "P(X))", "q1(X)", "P(X) ~", "(P(X)"]
)
def test_what_is_no_estimand_is_refused(text: str) -> None:
    with pytest.raises(ReadingError):
        read(text, causalc.Graph.parse("X -> Y"))


def test_the_shortest_estimand_is_shorter_and_right() -> None:
    rng = np.random.default_rng(5)
    shorter = 0
    for i, (query, estimand) in enumerate(identified(rng, 150)):
        short = estimand.shortest()
        assert length(short.root) <= length(estimand.root)
        shorter += length(short.root) < length(estimand.root)
        assert not short.root.free & ~short.graph.mask((*query.y, *query.x, *query.z))
        joint, truth = table(query, i)
        np.testing.assert_allclose(short.evaluate(joint).array, truth, atol=1e-9)
    assert shorter > 30


def test_no_factor_of_a_printed_sum_sums_to_one() -> None:
    """In every sum, no probability is of bound variables that nothing else in it mentions."""
    for _, estimand in identified(np.random.default_rng(6), 150):
        for node in postorder(estimand.root):
            if not isinstance(node, Sum):
                continue
            body = node.body.numerator if isinstance(node.body, Ratio) else node.body
            factors = getattr(body, "factors", (body,))
            below = node.body.denominator.free if isinstance(node.body, Ratio) else 0
            for factor in factors:
                others = below
                for other in factors:
                    others |= other.free if other is not factor else 0
                if isinstance(factor, Prob):
                    assert not factor.children & node.bound & ~others, estimand.text


SMALL = (  # what is asked, and every right way to say it
    ("A>X X>B", "A", "X", "B", {"P(A)"}),
    ("X>Z Z>Y X-Y", "Y", "X", "Z", {"sum_{X} P(X) P(Y | X, Z)"}),
    ("Z>X X>Y", "Y Z", "X", "", {"P(Z) P(Y | X)"}),
    ("X>M M>Y X-M", "Y", "M", "", {"P(Y | M)"}),
    ("X>Y Y>Z", "Y", "X", "Z", {"P(Y | X, Z)"}),
    ("W>X X>Z Z>Y W-Y W-Z", "Y", "X", "", set()),
)


@pytest.mark.parametrize(("edges", "y", "x", "z", "texts"), SMALL)
def test_small_cases(edges: str, y: str, x: str, z: str, texts: set[str]) -> None:
    query = case(edges, y, x, z)
    estimand = estimand_of(query)
    if texts:
        assert estimand.shortest().text in texts
    joint, truth = table(query, 3)
    for way in (estimand, estimand.shortest()):
        np.testing.assert_allclose(way.evaluate(joint).array, truth, atol=1e-9)


def test_where_x_and_the_mediator_are_confounded_it_is_no_adjustment_set() -> None:
    with pytest.raises(causalc.NotIdentifiable):
        estimand_of(case("X>M M>Y X-M", "Y", "X"))
