"""Estimands as printed, plans as made, programs as emitted, for queries whose answers are in the literature."""

import ast
import itertools

import numpy as np
import pytest
import sympy
from oracle.admg import Case
from oracle.queries import textbook

import causalc
from causalc.compiler.alternatives import alternatives
from causalc.compiler.passes import PASSES
from causalc.compiler.pipeline import compile_estimands
from causalc.compiler.plan import Fit, Generate, Reweight, verify
from causalc.program import Program

BACKDOOR = "Z -> X -> Y; Z -> Y"
FRONTDOOR = "X -> M -> Y; X <-> Y"
NAPKIN = "W1 -> W2 -> X -> Y; W1 <-> X; W1 <-> Y"


def joint(names: tuple[str, ...], seed: int = 0) -> causalc.Table:
    """An arbitrary positive joint table over binary variables."""
    array = np.random.default_rng(seed).uniform(0.2, 1.0, (2,) * len(names))
    return causalc.Table(names, array / array.sum())


@pytest.mark.parametrize(
    ("graph", "query", "latex"),
    [
        (BACKDOOR, "P(Y | do(X))", r"\sum_{z}P(y|z,x)P(z)"),
        (FRONTDOOR, "P(Y | do(X))", r"\sum_{m}P(m|x)\sum_{x'}P(y|x',m)P(x')"),
        ("A -> X -> B", "P(A | do(X), B)", "P(a)"),
        ("X -> Y", "P(Y | do(X))", "P(y|x)"),
        ("X -> Y", "P(Y)", "P(y)"),
    ],
)
def test_textbook_formulas(graph: str, query: str, latex: str) -> None:
    def parts(text: str) -> list[str]:
        return sorted(text.replace("P", " P").split())

    assert parts(causalc.identify(query, graph).latex()) == parts(latex)


def test_front_door_against_the_formula_typed_by_hand() -> None:
    table = joint(("X", "M", "Y"))
    p = table.array
    m_x = p.sum(2) / p.sum((1, 2))[:, None]
    y_xm = p / p.sum(2, keepdims=True)
    truth = np.einsum("xm,a,amy->xy", m_x, p.sum((1, 2)), y_xm)
    assert np.allclose(
        causalc.identify("P(Y | do(X))", FRONTDOOR).evaluate(table).array, truth, atol=1e-12
    )
    assert np.allclose(
        causalc.compile("P(Y | do(X))", FRONTDOOR).exact(table).array, truth, atol=1e-12
    )


def test_sympy_keeps_the_formula() -> None:
    expr = causalc.identify("P(Y | do(X))", BACKDOOR).expr
    assert isinstance(expr, sympy.Sum)
    assert {s.name for s in expr.free_symbols} == {"X", "Y", "n_Z"}


def test_napkin_routes() -> None:
    for strategy, kind, fits in (("reweight", Reweight, 2), ("generate", Generate, 3)):
        plan = causalc.compile("P(Y | do(X))", NAPKIN, strategy=strategy).plan
        assert any(isinstance(op, kind) for op in plan.operations)
        assert len(plan.models) == fits
        last = plan.operations[plan.networks[0].draws[-1].model]
        assert isinstance(last, Fit)
        assert last.inputs == ("X",)


def test_auto_generates_where_a_propensity_would_be_a_density() -> None:
    kinds = {"W2": "real()", "X": "binary()", "Y": "real()", "W1": "real()"}
    plan = causalc.compile("P(Y | do(X))", NAPKIN, schema=kinds).plan
    assert any(isinstance(op, Generate) for op in plan.operations)


def test_front_door_is_inlined_without_generated_rows() -> None:
    plan = causalc.compile("P(Y | do(X))", FRONTDOOR).plan
    assert not any(isinstance(op, Generate | Reweight) for op in plan.operations)
    assert len(plan.models) == 2


def test_equal_fits_of_two_queries_are_one_model() -> None:
    graph = causalc.Graph.parse("Z -> X -> Y; Z -> Y; X -> V")
    found = {q: causalc.identify(q, graph) for q in ("P(Y | do(X))", "P(Y, Z | do(X))")}
    assert len(compile_estimands(found, graph).plan.models) == 1


@pytest.mark.parametrize("skip", [(), ("bootstrap",), ("prune",), ("bootstrap", "prune")])
@pytest.mark.parametrize(
    "graph", [BACKDOOR, FRONTDOOR, NAPKIN, "A -> B -> X -> Y; A -> {X, Y}; B -> Y"]
)
def test_every_pass_is_exact(graph: str, skip: tuple[str, ...]) -> None:
    assert set(skip) <= {name for name, _ in PASSES}
    estimand = causalc.identify("P(Y | do(X))", graph)
    table = joint(estimand.graph.order)
    compiled = compile_estimands({"query": estimand}, estimand.graph, skip=skip)
    verify(compiled.plan)
    if (
        graph == BACKDOOR or "A ->" in graph
    ):  # for the others an arbitrary joint need not fit the graph
        assert np.allclose(
            Program(compiled).exact(table).array, estimand.evaluate(table).array, atol=1e-12
        )
    else:
        plain = compile_estimands({"query": estimand}, estimand.graph)
        assert np.allclose(
            Program(compiled).exact(table).array, Program(plain).exact(table).array, atol=1e-12
        )


def test_fixed_values_are_no_axes() -> None:
    table = joint(("Z", "X", "Y"))
    free = causalc.compile("P(Y | do(X))", BACKDOOR).exact(table)
    fixed = causalc.compile("P(Y | do(X = 1))", BACKDOOR).exact(table)
    assert free.variables == ("X", "Y")
    assert fixed.variables == ("Y",)
    assert np.allclose(fixed.array, free.array[1])


@pytest.mark.parametrize(
    "name",
    [
        'x"""+__import__("os").system("id")+"""',
        "{{7*7}}",
        "class",
        "{% raw %}",
        "a\\",
        "models",
        "n",
        "данные",
    ],
)
def test_names_never_become_code(name: str) -> None:
    program = causalc.compile(f"P(Y | do(`{name}`))", f"Z -> `{name}` -> Y; Z -> Y")
    called = {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr  # type: ignore[attr-defined]
        for node in ast.walk(ast.parse(program.source))
        if isinstance(node, ast.Call)
    }
    assert called <= {
        "Schema",
        "inferred",
        "start",
        "observed",
        "fit",
        "bootstrap",
        "finish",
        "sampling",
        "input",
        "sample",
        "table",
        "Query",
        "main",
    }
    table = joint(("Z", name, "Y"))
    assert np.allclose(program.exact(table).array, program.estimand.evaluate(table).array)


def test_a_hedge_is_reported() -> None:
    with pytest.raises(causalc.NotIdentifiable) as caught:
        causalc.identify("P(Y | do(X))", "X -> Y; X <-> Y")
    assert caught.value.hedge.forest == ("X", "Y")
    assert caught.value.hedge.subforest == ("Y",)


def test_deep_recursion_needs_no_stack() -> None:
    n = 400
    names = [f"V{i}" for i in range(n)]
    directed = list(itertools.pairwise(names))
    graph = causalc.Graph.from_edges(names, directed, list(zip(names, names[2:], strict=False)))
    estimand = causalc.identify(f"P({names[-1]} | do({names[0]}))", graph)
    assert estimand.derivation.steps


@pytest.mark.parametrize(
    ("query", "graph", "message"),
    [
        ("P(Y | do(Q))", BACKDOOR, "`Q` is not a variable of the graph"),
        ("P(Y | do(X), X)", BACKDOOR, "`X` is in the query twice"),
    ],
)
def test_queries_that_do_not_fit(query: str, graph: str, message: str) -> None:
    with pytest.raises(causalc.CausalcError, match=message):
        causalc.identify(query, graph)


def test_a_smaller_graph_where_it_saves_models() -> None:
    """X -> M1 -> M2 -> Y with X <-> Y: one mediator is enough for the front door."""
    graph = "X -> M1 -> M2 -> Y; X <-> Y"
    assert len(causalc.compile("P(Y | do(X))", graph).plan.models) == 2
    counted = causalc.compile(
        "P(Y | do(X))", graph, dict.fromkeys(("X", "M1", "M2", "Y"), "binary")
    )
    assert len(counted.plan.models) == 3  # tables cost nothing: the more structure the better


def test_alternatives_agree() -> None:
    """Whichever estimand is taken, a model that fits the graph gives one answer."""
    graph = causalc.Graph.parse("Z -> X -> M -> Y; Z -> Y; X <-> Y; Z -> M")
    rng = np.random.default_rng(3)
    z, u, x = rng.dirichlet([2, 2]), rng.dirichlet([2, 2]), rng.dirichlet([2, 2], (2, 2))
    m, y = rng.dirichlet([2, 2], (2, 2)), rng.dirichlet([2, 2], (2, 2, 2))
    array = np.einsum("z,u,zux,zxm,zumy->zxmy", z, u, x, m, y)
    table = causalc.Table(("Z", "X", "M", "Y"), array)
    truth = np.einsum("z,u,zxm,zumy->xy", z, u, m, y)
    for estimand in causalc.identify("P(Y | do(X))", graph).alternatives():
        assert np.allclose(estimand.evaluate(table).array, truth, atol=1e-12), str(estimand)


@pytest.mark.parametrize("query", [q for q in textbook() if q.identifiable], ids=lambda q: q.name)
def test_the_first_alternative_is_what_is_compiled(query: Case) -> None:
    """No way to lower a query of the literature is cheaper than the plan it gets."""
    edges = (query.graph.directed, query.graph.bidirected)
    graph = causalc.Graph.from_edges(query.graph.nodes, *edges)
    estimand = causalc.identify(query.query(), graph)
    compiled = compile_estimands({"query": estimand}, graph)
    first, *others = alternatives("query", estimand, graph, {})
    assert first.plan == compiled.plan
    assert first.models == len(compiled.plan.models)
    assert all(first.cost <= other.cost for other in others)
