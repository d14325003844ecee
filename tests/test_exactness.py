"""Every compiled program computes the truth: exact backend against enumerated models, to 1e-9."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from oracle.admg import Case
from oracle.decider import identifiable
from oracle.hedge import Hedge
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
from proof import STRATEGIES, Result, World, minimal, prove

import causalc
from causalc.compiler.passes import PASSES
from causalc.compiler.pipeline import compile_estimands

NAPKIN_TEXT = ("P(Y | do(X))", "W1 -> W2 -> X -> Y; W1 <-> X; W1 <-> Y")


def name_of(c: Case) -> str:
    return c.name


def check(result: Result, **options: bool) -> None:
    """Fail with the smallest case that fails alike."""
    if result.failure:
        pytest.fail(f"{result.case.name}\n{minimal(result, **options)}", pytrace=False)


@pytest.mark.parametrize("query", textbook(), ids=name_of)
def test_textbook(query: Case) -> None:
    result = prove(query, seed=1)
    check(result)
    assert result.identifiable is query.identifiable


@pytest.mark.parametrize("query", [*NESTED, *HARD, *CONDITIONAL], ids=name_of)
def test_hand_made(query: Case) -> None:
    for seed in range(2):
        check(prove(query, seed, levels=3 if len(query.graph.nodes) < 7 else 2))


@pytest.mark.parametrize("query", structured(11), ids=name_of)
def test_deep_families(query: Case) -> None:
    check(prove(query))


@pytest.mark.parametrize("query", structured(50), ids=name_of)
def test_deep_families_verdict(query: Case) -> None:
    check(prove(query, numeric=False))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("conditional", [False, True])
def test_random_queries(seed: int, conditional: bool) -> None:
    rng = np.random.default_rng([seed, conditional])
    for _ in range(60):
        check(prove(random_case(rng, 3, 7, conditional=conditional), int(rng.integers(1 << 30))))


@pytest.mark.parametrize("seed", range(6))
def test_random_queries_through_step_7(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(50):
        check(prove(hard_case(rng), int(rng.integers(1 << 30))))


@pytest.mark.parametrize("seed", range(2))
def test_random_queries_on_variables_of_several_levels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(50):
        check(prove(random_case(rng, 3, 5), int(rng.integers(1 << 30)), levels=3))


@pytest.mark.parametrize("seed", range(3))
def test_kinds_steer_the_plan_and_not_the_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(50):
        query = hard_case(rng) if rng.random() < 0.5 else random_case(rng)
        check(
            prove(query, int(rng.integers(1 << 30)), ("auto",), mixed_kinds=True), mixed_kinds=True
        )


def test_every_query_on_three_variables() -> None:
    """All 64 graphs in one causal order, all roles; one in ten by number as well."""
    for i, query in enumerate(every_case(3)):
        check(prove(query, i, numeric=i % 10 == 0))


def test_a_hedge_gives_two_models_that_differ_in_the_answer_alone() -> None:
    """What the compiler shows as a witness is turned into the two models that it witnesses."""
    rng = np.random.default_rng(0)
    found = 0
    while found < 60:
        query = random_case(rng, 3, 6, conditional=False)
        if identifiable(query):
            continue
        found += 1
        with pytest.raises(causalc.NotIdentifiable) as caught:
            causalc.identify(query.query(), query.graph.text())
        inner = frozenset(caught.value.hedge.subforest)
        reached = query.graph.without_edges_into(set(query.x)).ancestors(set(query.y))
        hedge = Hedge(frozenset(caught.value.hedge.forest), inner, inner & reached)
        first, second = witnesses(query, hedge)
        np.testing.assert_allclose(first.joint(), second.joint(), atol=1e-15)
        assert first.joint().min() > 0
        gap = first.effect(query.y, query.x) - second.effect(query.y, query.x)
        assert np.abs(gap).max() > 0.01, query.text()


@pytest.mark.parametrize("left_out", [name for name, _ in PASSES])
def test_no_pass_is_needed_to_be_right(left_out: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(15):
        query = hard_case(rng)
        model = random_scm(query.graph, rng)
        joint = causalc.Table(query.graph.nodes, model.joint())
        graph = causalc.Graph.parse(query.graph.text())
        estimands = {"query": causalc.identify(query.query(), graph)}
        for strategy in STRATEGIES:
            compiled = compile_estimands(estimands, graph, strategy=strategy, skip=(left_out,))
            answer = causalc.Program(compiled).exact(joint).array
            truth = model.effect(query.y, query.x, query.z)
            np.testing.assert_allclose(answer, truth, atol=1e-9, err_msg=query.text())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_queries_of_one_program_share_models_and_keep_their_answers(strategy: str) -> None:
    graph = causalc.Graph.parse("W1 -> W2 -> X -> Y; W1 <-> X; W1 <-> Y; X -> Z; Y -> Z")
    queries = [
        case("W1>W2 W2>X X>Y W1-X W1-Y X>Z Y>Z", *parts)
        for parts in (("Y", "X"), ("Y", "X", "Z"), ("Y", "W2"), ("Z Y", "X W2"), ("X", "", "Z"))
    ]
    model = random_scm(queries[0].graph, np.random.default_rng(3), max_levels=3)
    joint = causalc.Table(queries[0].graph.nodes, model.joint())
    estimands = {f"q{i}": causalc.identify(q.query(), graph) for i, q in enumerate(queries)}
    program = causalc.Program(compile_estimands(estimands, graph, strategy=strategy))
    for i, query in enumerate(queries):
        answer = program.exact(joint, f"q{i}")
        assert answer.variables == (*query.x, *query.z, *query.y)
        truth = model.effect(query.y, query.x, query.z)
        np.testing.assert_allclose(answer.array, truth, atol=1e-9)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_values_in_the_query_slice_the_answer(strategy: str) -> None:
    query = next(c for c in HARD if c.name == "napkin, condition below")
    model = random_scm(query.graph, np.random.default_rng(0), max_levels=3)
    sizes = model.levels
    levels = {"X": tuple("abc"[: sizes["X"]]), "Y": tuple(range(10, 10 + sizes["Y"]))}
    joint = causalc.Table(query.graph.nodes, model.joint(), levels)
    truth = model.effect(query.y, query.x, query.z)
    for text, part in (
        ('P(Y | do(X = "b"), Z = 0)', truth[1, 0]),
        ('P(Y | do(X = "b"), Z)', truth[1]),
        ("P(Y | do(X), Z = 1)", truth[:, 1]),
    ):
        graph = causalc.Graph.parse(query.graph.text())
        for answer in (
            causalc.identify(text, graph).evaluate(joint),
            causalc.compile(text, graph, strategy=strategy).exact(joint),
        ):
            np.testing.assert_allclose(answer.array, part, atol=1e-9)
            assert tuple(answer.levels["Y"]) == levels["Y"]


HOSTILE = (
    *("runtime", "draw", "models", "n", "options", "data", "run", "observed", "generated"),
    *("weighted", "rows_of_A", "rows_of_W1", "Any", "SCHEMA", "train", "sample", "QUERIES"),
    *("class", "None", "print", "__name__", "self", "seed", "do", "x y", 'a"b', "a'b", "a\\b"),
    *('"""', "{x}", "{{ 7 * 7 }}", "%s", "# no", "os.system('x')", "1st", "é", "ﬁ", "fi", "A", "a"),
    *("draw_generated", "propensity_A", "A_set", "A behind B", "A_behind_B", "back`tick", "µ", "μ"),
)


@pytest.mark.parametrize("seed", range(3))
def test_names_do_not_matter(seed: int) -> None:
    """Keywords, names of the program's own, quotes, templates, look-alikes."""
    rng = np.random.default_rng(seed)
    for _ in range(30):
        query = hard_case(rng) if rng.random() < 0.7 else random_case(rng)
        nodes = query.graph.nodes
        chosen = rng.choice(len(HOSTILE), len(nodes), replace=False)
        new = {v: HOSTILE[i] for v, i in zip(nodes, chosen, strict=True)}
        check(prove(query.renamed(new), int(rng.integers(1 << 30))))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_variable_called_like_a_model(strategy: str) -> None:
    """Every word of the napkin's program in turn, as the name of each variable."""
    words = sorted(set(re.findall(r"\b[A-Za-z_]\w*\b", causalc.compile(*NAPKIN_TEXT).source)))
    words += ["rows_of_W1", "rows_of_W2", "X_given_W1_W2", "Y_given_W1_W2_X"]
    for i, word in enumerate(words):
        old = HARD[0].graph.nodes[i % 4]
        new = {v: v for v in HARD[0].graph.nodes} | {old: word}
        if len(set(new.values())) == len(new):
            check(prove(HARD[0].renamed(new), i, (strategy,)))


@pytest.mark.parametrize("seed", range(2))
def test_where_positivity_fails_the_answer_is_right_or_refused(seed: int) -> None:
    """Models with impossible values: no route may hand back a wrong number."""
    rng = np.random.default_rng(seed)
    seen = {"right": 0, "refused": 0}
    for _ in range(60):
        query = hard_case(rng) if rng.random() < 0.5 else random_case(rng, 3, 5, conditional=False)
        if not identifiable(query):
            continue
        model = with_holes(random_scm(query.graph, rng), rng)
        graph = causalc.Graph.parse(query.graph.text())
        joint = causalc.Table(query.graph.nodes, model.joint())
        with np.errstate(invalid="ignore"):
            truth = model.effect(query.y, query.x, query.z)
        program = causalc.compile(query.query(), graph, strategy=str(rng.choice(STRATEGIES)))
        for compute in (program.estimand.evaluate, program.exact):
            try:
                answer = compute(joint).array
            except causalc.CausalcError:
                seen["refused"] += 1
            else:
                seen["right"] += 1
                known = ~np.isnan(truth)
                error = np.abs(answer - truth)[known].max()
                assert error < 1e-9, f"{query.text()}\n{error}"
    assert min(seen.values()) > 10


def with_holes(model: Scm, rng: np.random.Generator) -> Scm:
    """Make some rows of the tables certain."""
    tables = {}
    for v, table in model.tables.items():
        rows = table.reshape(-1, table.shape[-1]).copy()
        sure = rng.random(len(rows)) < 0.3
        rows[sure] = np.eye(rows.shape[1])[rng.integers(rows.shape[1], size=sure.sum())]
        tables[v] = rows.reshape(table.shape)
    return replace(model, tables=tables)


def test_order_of_the_table_does_not_matter() -> None:
    query = HARD[0]
    model = random_scm(query.graph, np.random.default_rng(0), max_levels=3)
    names = query.graph.nodes
    turned = causalc.Table(names[::-1], model.joint().transpose())
    program = causalc.compile(query.query(), causalc.Graph.parse(query.graph.text()))
    np.testing.assert_allclose(program.exact(turned).array, model.effect("Y", "X"), atol=1e-9)


def test_a_hedge_that_moves_the_answer_by_little_is_one() -> None:
    """On this seed the first random models of the hedge differ by less than 1e-6 in P(I | do(B), G)."""
    edges = "F>G H>D D>G C>F E>F I>G B>C A>D G-F C-D E-D A-E A-B A-F C-E A-C G-E F-H"
    graph = replace(case(edges, "I").graph, nodes=tuple("ABCDEFGHI"))
    query = Case(graph, ("I",), ("B",), ("G",))
    world = World(graph, 111363, 2)
    result = prove(query, 111363, ("auto",), world=world, levels=2)
    assert not result.identifiable and result.failure is None
