"""The algebra of estimands against arrays, and their views against each other."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from oracle.admg import random_admg
from oracle.scm import random_scm

import causalc
from causalc.compiler import notation
from causalc.compiler.algebra import Builder
from causalc.compiler.answer import Estimand, Question, solve
from causalc.compiler.estimand import (
    Node,
    Prob,
    Product,
    Ratio,
    Sum,
    children_of,
    postorder,
)
from causalc.compiler.graph import Graph, bits
from causalc.compiler.shorten import shortened

N = 4
SIZES = (2, 3, 2, 2)


def joint(seed: int) -> np.ndarray:
    """A positive joint distribution of four variables."""
    array = np.random.default_rng(seed).uniform(0.2, 1.0, SIZES)
    return np.asarray(array / array.sum())


def total(array: np.ndarray, mask: int, sizes: tuple[int, ...] = SIZES) -> np.ndarray:
    """The array summed over a set of variables, axes kept."""
    full = np.broadcast_to(array, sizes)
    return np.asarray(full.sum(axis=tuple(bits(mask)), keepdims=True))


def probability(p: np.ndarray, children: int, given: int) -> np.ndarray:
    """P(children | given), axes kept."""
    rest = (1 << N) - 1 & ~children & ~given
    both = p.sum(axis=tuple(bits(rest)), keepdims=True)
    return np.asarray(both / both.sum(axis=tuple(bits(children)), keepdims=True))


def value(node: Node, p: np.ndarray) -> np.ndarray:
    """The value of a node by its definition."""
    match node:
        case Prob(children=children, given=given):
            return probability(p, children, given)
        case Product(factors=factors):
            result = np.ones((1,) * N)
            for factor in factors:
                result = result * value(factor, p)
            return result
        case Sum(bound=bound, body=body):
            return total(value(body, p), bound, p.shape)
        case Ratio(numerator=top, denominator=bottom):
            return value(top, p) / value(bottom, p)
    raise AssertionError(node)


@pytest.mark.parametrize("seed", range(300))
def test_simplification_keeps_the_value(seed: int) -> None:
    """Random expressions, each operation done twice: by the builder, and on arrays."""
    p = joint(seed)
    for node, wanted in expressions(p, np.random.default_rng(seed)):
        assert np.allclose(value(node, p), wanted, rtol=1e-9, atol=0)
        assert {v for v in range(N) if depends(wanted, 1 << v)} <= set(bits(node.free))


@pytest.mark.parametrize("seed", range(300))
def test_the_shortest_form_keeps_the_value(seed: int) -> None:
    """Random expressions, factors there several times among them, on a random model of a random graph."""
    rng = np.random.default_rng(seed)
    drawn = random_admg(N, rng.uniform(0.2, 0.7), rng.uniform(0.1, 0.4), rng)
    graph = Graph.from_edges(drawn.nodes, drawn.directed, drawn.bidirected)
    p = random_scm(drawn, rng).joint().transpose([drawn.nodes.index(v) for v in graph.order])
    compared = 0
    for node, wanted in expressions(p, rng):
        try:
            short = shortened(node, graph)
        except (
            AssertionError
        ) as error:  # a sum over what tells nothing: no estimand holds such a count
            assert "no factor mentions" in str(error)
            continue
        assert np.allclose(value(short, p), wanted, rtol=1e-9, atol=0)
        compared += 1
    assert compared >= 10


def expressions(p: np.ndarray, rng: np.random.Generator) -> list[tuple[Node, np.ndarray]]:
    """Random expressions by the builder, with their values by arrays."""
    builder = Builder()
    pool: list[tuple[Node, np.ndarray]] = []
    for _ in range(30):
        kind = rng.integers(4) if len(pool) > 3 else 0
        if kind == 0:
            roles = rng.integers(3, size=N)
            children = sum(1 << v for v in range(N) if roles[v] == 0)
            given = sum(1 << v for v in range(N) if roles[v] == 1)
            if children:
                pool.append((builder.prob(children, given), probability(p, children, given)))
            continue
        (a, x), (b, y) = (pool[i] for i in rng.integers(len(pool), size=2))
        if kind == 1:
            pool.append((builder.product([a, b]), x * y))
        elif kind == 2:
            pool.append((builder.ratio(a, b), x / y))
        else:
            # Only variables of which what is left is a function: a sum over others is a count.
            bound = a.free & int(rng.integers(1, 1 << N))
            if bound and all(
                depends(total(x, bound & ~(1 << v), p.shape), 1 << v) for v in bits(bound)
            ):
                pool.append((builder.sum(bound, a), total(x, bound, p.shape)))
    return pool


def depends(array: np.ndarray, mask: int) -> bool:
    """Whether the array varies along every axis of a set."""
    return all(array.shape[v] > 1 and np.ptp(array, axis=v).max() > 1e-12 for v in bits(mask))


def test_equal_expressions_are_one_object() -> None:
    builder = Builder()
    a, b = builder.prob(1, 2), builder.prob(4, 8)
    assert builder.product([a, b]) is builder.product([b, a])
    assert builder.ratio(builder.prob(3, 4), builder.prob(2, 4)) is builder.prob(1, 6)
    assert builder.sum(1, builder.prob(3, 4)) is builder.prob(2, 4)
    assert builder.product([builder.prob(1, 2), builder.prob(4, 3)]) is builder.prob(5, 2)


def test_a_square_is_not_a_chain() -> None:
    """P(a) P(b | a) P(a, b) is a square: the chain must not merge into the factor that is there."""
    builder, p = Builder(), joint(3)
    node = builder.product([builder.prob(1, 0), builder.prob(2, 1), builder.prob(3, 0)])
    assert np.allclose(value(node, p), probability(p, 3, 0) ** 2)


@pytest.mark.parametrize(
    ("graph", "query", "text"),
    [
        (
            "W1 -> W2 -> X -> Y; W1 <-> X; W1 <-> Y",
            "P(Y | do(X, W2))",
            "[sum_{W1} P(W1) P(X, Y | W1, W2)] / [sum_{W1} P(W1) P(X | W1, W2)]",
        ),
        (
            "A -> B -> C -> D; B <-> D",
            "P(D | do(C))",
            "sum_{A, B} P(A, B) P(D | A, B, C)",
        ),
        ("X -> Z -> Y; X <-> Y", "P(Y | do(X))", "sum_{Z} P(Z | X) sum_{X'} P(X') P(Y | X', Z)"),
        ("Z -> X -> Y", "P(Y, Z | do(X))", "P(Z) P(Y | X)"),
        ("X -> Y; Y -> Z", "P(Y | do(X), Z)", "P(Y | X, Z)"),
    ],
)
def test_formulas_of_the_literature(graph: str, query: str, text: str) -> None:
    def words(formula: str) -> list[str]:
        """The factors and sums, whatever their order."""
        return sorted(re.findall(r"P\([^)]*\)|sum_\{[^}]*\}|\] / \[", formula))

    assert words(causalc.identify(query, graph).text) == words(text)


def structured(name: str) -> Estimand:
    """The estimand of a case of the structured families."""
    path = Path(__file__).parent / "data" / "structured.json"
    row = next(r for r in json.loads(path.read_text()) if r["id"] == name)
    edges = ([tuple(e) for e in row[kind]] for kind in ("directed", "bidirected"))
    graph = causalc.Graph.from_edges(row["nodes"], *edges)
    free = [tuple((v, None) for v in row[role]) for role in "xz"]
    return solve(Question("q", tuple(row["y"]), *free), graph)


def test_long_estimands_name_what_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every q that is used is defined once, before it is used, with as many arguments."""
    monkeypatch.setattr(notation, "DEEPEST", 1)
    text = structured("napkin-200").text
    _, where = text.split(", where ", 1)
    defined: dict[str, int] = {}
    for definition in where.split("; "):
        head, body = definition.split(" = ", 1)
        for name, arguments in re.findall(r"(q\d+)\(([^)]*)\)", body):
            assert defined[name] == len(arguments.split(", "))
        ((name, arguments),) = re.findall(r"(q\d+)\(([^)]*)\)", head)
        assert name not in defined
        defined[name] = len(arguments.split(", "))
    assert defined


def test_short_estimands_name_nothing() -> None:
    assert "where" not in structured("napkin-10").text


@pytest.mark.parametrize("name", ["napkin-500", "fdladder-500", "condchain-500", "skipchain-500"])
def test_size_grows_with_the_graph(name: str) -> None:
    """Distinct subexpressions are linear in the nodes, where written trees would be exponential."""
    root = structured(name).root
    nodes = postorder(root)
    assert len(nodes) <= 5 * 500
    assert all(child in set(nodes) for child in children_of(root))
