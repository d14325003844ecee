"""The oracle against itself: nothing it says rests on one way of computing it."""

from __future__ import annotations

import numpy as np
import pytest
from oracle.admg import Admg, Case, random_admg, shrink
from oracle.decider import depth, identifiable, reductions, without_conditions
from oracle.fibre import Fibre
from oracle.hedge import Hedge, find_hedge, hedge_flaw
from oracle.queries import (
    CONDITIONAL,
    HARD,
    NESTED,
    case,
    every_case,
    hard_case,
    random_case,
    structured,
    textbook,
)
from oracle.scm import Scm, random_scm
from oracle.witness import witnesses

TEXTBOOK = textbook()
BOW = case("X>Y X-Y", "Y", "X")


def name_of(c: Case) -> str:
    return c.name


@pytest.mark.parametrize("seed", range(40))
def test_contraction_agrees_with_visiting_every_world(seed: int) -> None:
    rng = np.random.default_rng(seed)
    query = random_case(rng, 2, 4)
    model = random_scm(query.graph, rng, max_levels=3, latent_levels=3, cliques=bool(seed % 2))
    exact = model.effect_by_enumeration(query.y, query.x, query.z)
    np.testing.assert_allclose(model.effect(query.y, query.x, query.z), exact, atol=1e-14)
    np.testing.assert_allclose(
        model.joint(), model.effect_by_enumeration(query.graph.nodes), atol=1e-14
    )


def test_summing_out_latents_one_by_one_agrees_with_the_product_of_all() -> None:
    """Ten models with up to 2^18 cells, latents and all."""
    rng = np.random.default_rng(3)
    for _ in range(10):
        graph = random_admg(7, 0.5, 0.4, rng)
        model = random_scm(graph, rng)
        place = {name: i for i, name in enumerate((*graph.nodes, *(u.name for u in model.latents)))}
        operands: list[object] = []
        for v in graph.nodes:
            operands += [model.tables[v], [place[w] for w in (*model.inputs[v], v)]]
        for u in model.latents:
            operands += [u.prior, [place[u.name]]]
        whole = np.einsum(*operands, [place[v] for v in graph.nodes])
        np.testing.assert_allclose(model.joint(), whole, atol=1e-15)


def test_models_are_positive_and_normalised() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        graph = random_admg(5, 0.5, 0.3, rng)
        model = random_scm(graph, rng, max_levels=3)
        joint = model.joint()
        assert joint.shape == tuple(model.levels[v] for v in graph.nodes)
        assert joint.min() > 0
        assert joint.sum() == pytest.approx(1)


def test_one_latent_for_a_clique() -> None:
    query = case("A-B B-C A-C C-D", "A")
    model = random_scm(query.graph, np.random.default_rng(0), cliques=True)
    assert [u.members for u in model.latents] == [("A", "B", "C"), ("C", "D")]


def joint_of(query: Case, seed: int = 0) -> tuple[Scm, np.ndarray]:
    model = random_scm(query.graph, np.random.default_rng(seed), max_levels=3)
    return model, model.joint()


def test_back_door_by_hand() -> None:
    query = case("Z>X Z>Y X>Y", "Y", "X")  # axes Z, X, Y
    model, p = joint_of(query)
    p_z = p.sum((1, 2))
    p_y_given_zx = p / p.sum(2, keepdims=True)
    np.testing.assert_allclose(
        model.effect("Y", "X"), np.einsum("z,zxy->xy", p_z, p_y_given_zx), atol=1e-14
    )


def test_front_door_by_hand() -> None:
    query = case("X>M M>Y X-Y", "Y", "X")  # axes X, M, Y
    model, p = joint_of(query)
    p_x = p.sum((1, 2))
    p_m_given_x = p.sum(2) / p_x[:, None]
    p_y_given_xm = p / p.sum(2, keepdims=True)
    by_hand = np.einsum("xm,w,wmy->xy", p_m_given_x, p_x, p_y_given_xm)
    np.testing.assert_allclose(model.effect("Y", "X"), by_hand, atol=1e-14)


def test_napkin_by_hand() -> None:
    query = case("W>R R>X X>Y W-X W-Y", "Y", "X")  # axes W, R, X, Y
    model, p = joint_of(query)
    p_w = p.sum((1, 2, 3))
    p_xy_given_wr = p / p.sum((2, 3), keepdims=True)
    kernel = np.einsum("w,wrxy->rxy", p_w, p_xy_given_wr)
    ratio = kernel / kernel.sum(2, keepdims=True)
    for r in range(ratio.shape[0]):
        np.testing.assert_allclose(model.effect("Y", "X"), ratio[r], atol=1e-13)


def test_seeing_is_not_doing_in_the_bow() -> None:
    model, p = joint_of(BOW)
    gap = np.abs(model.effect("Y", "X") - p / p.sum(1, keepdims=True)).max()
    assert gap > 0.01


@pytest.mark.parametrize("query", TEXTBOOK, ids=name_of)
def test_textbook_verdicts(query: Case) -> None:
    assert identifiable(query) is query.identifiable
    assert (depth(query) is not None) is query.identifiable


def test_textbook_is_whole() -> None:
    assert len(TEXTBOOK) == 43
    assert sum(not q.identifiable for q in TEXTBOOK) == 5


@pytest.mark.parametrize("query", structured(60), ids=name_of)
def test_structured_verdicts(query: Case) -> None:
    assert identifiable(query) is query.identifiable


def test_hand_made_cases_are_as_hard_as_they_say() -> None:
    assert all((depth(q) or 0) >= 2 for q in NESTED)
    assert max(depth(q) or 0 for q in NESTED) == 3
    assert sum((depth(q) or 0) >= 1 for q in HARD) >= 12
    assert {identifiable(q) for q in CONDITIONAL} == {True, False}
    rng = np.random.default_rng(0)
    assert all(depth(hard_case(rng)) for _ in range(20))


def test_three_criteria_agree_on_every_small_graph() -> None:
    """Fixing, Tian's recursion and the search for a hedge, on every query of three variables."""
    counts = {True: 0, False: 0}
    total = sum(4 ** (n * (n - 1) // 2) * (4**n - 3**n) for n in (1, 2, 3))
    for n in (1, 2, 3):
        for query in every_case(n):
            verdict = identifiable(query)
            assert (depth(query) is not None) == verdict, query.text()
            assert (find_hedge(without_conditions(query)) is None) == verdict, query.text()
            counts[verdict] += 1
    assert counts[True] + counts[False] == total
    assert min(counts.values()) > 200


@pytest.mark.parametrize("seed", range(4))
def test_three_criteria_agree_on_random_graphs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(60):
        query = random_case(rng, 3, 5)
        verdict = identifiable(query)
        assert (depth(query) is not None) == verdict, query.text()
        assert (find_hedge(without_conditions(query)) is None) == verdict, query.text()
        assert all(identifiable(q) == verdict for q in reductions(query)), query.text()


@pytest.mark.parametrize("seed", range(4))
def test_the_numbers_agree_with_the_criteria(seed: int) -> None:
    """An effect is identifiable exactly if it cannot move while P(v) stays."""
    rng = np.random.default_rng(100 + seed)
    for _ in range(12):
        query = random_case(rng, 3, 4)
        if len(query.graph.bidirected) <= 3:
            slack = Fibre.random(query, rng, latent_levels=3).slack()
            assert (slack < 1e-10) == identifiable(query), f"{query.text()}\n{slack}"


def test_the_napkin_cannot_move_and_the_bow_can() -> None:
    rng = np.random.default_rng(0)
    assert Fibre.random(HARD[0], rng).slack() < 1e-10
    assert Fibre.random(BOW, rng).slack() > 1e-3


@pytest.mark.parametrize(
    "query",
    [BOW, case("X>Y Z-Y X-Z", "Y", "X", "Z"), case("X>Y X-Y Y>Z", "Y", "X", "Z")],
    ids=Case.query,
)
def test_walking_the_fibre_gives_two_models(query: Case) -> None:
    first, second = Fibre.random(query, np.random.default_rng(3)).walk(steps=10)
    np.testing.assert_allclose(first.joint(), second.joint(), atol=1e-12)
    assert second.joint().min() > 0
    gap = first.effect(query.y, query.x, query.z) - second.effect(query.y, query.x, query.z)
    assert np.abs(gap).max() > 0.01


def test_parity_models_agree_on_data_and_differ_in_effect() -> None:
    rng = np.random.default_rng(5)
    found = 0
    while found < 60:
        query = without_conditions(random_case(rng, 2, 6))
        hedge = find_hedge(query)
        if hedge is None:
            continue
        found += 1
        assert_witnesses(query, hedge)


def assert_witnesses(query: Case, hedge: Hedge) -> None:
    first, second = witnesses(query, hedge)
    np.testing.assert_allclose(first.joint(), second.joint(), atol=1e-15, err_msg=query.text())
    assert first.joint().min() > 0
    gap = first.effect(query.y, query.x) - second.effect(query.y, query.x)
    assert np.abs(gap).max() > 0.01, query.text()


@pytest.mark.parametrize(
    ("query", "outer", "inner", "roots", "flaw"),
    [
        (BOW, "XY", "Y", "Y", None),
        (BOW, "XY", "XY", "Y", "strictly inside"),
        (BOW, "XY", "Y", "", "roots are not inside"),
        (BOW, "XY", "X", "X", "smaller set has an intervened"),
        (BOW, "XQ", "X", "X", "not in the graph"),
        (case("X>Y", "Y", "X"), "XY", "Y", "Y", "larger set is not joined"),
        (case("X>Y X-Y X>Z", "Z", "X"), "XY", "Y", "Y", "no ancestor of the outcomes"),
        (case("A>Y A-Y X>Y", "Y", "X"), "AY", "Y", "Y", "no intervened variable"),
        (case("X>Y X-Y X-Z", "Y", "X"), "XYZ", "Y", "Y", "no directed path to the roots"),
        (case("X>Y X>Z X-Y X-Z", "Y Z", "X"), "XYZ", "YZ", "YZ", "smaller set is not joined"),
    ],
)
def test_flaws_of_claimed_hedges(
    query: Case, outer: str, inner: str, roots: str, flaw: str | None
) -> None:
    said = hedge_flaw(query, Hedge(frozenset(outer), frozenset(inner), frozenset(roots)))
    assert said is None if flaw is None else said is not None and flaw in said


def test_shrinking_keeps_the_failure_and_drops_the_rest() -> None:
    big = case("A>B B>X X>Y X-Y A-B Y>C Z>C", "Y C", "X A", "Z")
    small = shrink(big, lambda c: not identifiable(c))
    assert small == Case(Admg(("X", "Y"), (("X", "Y"),), (("X", "Y"),)), ("Y",), ("X",))
