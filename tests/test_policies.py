"""Policies: exact against enumeration, sampled as they say, refused where they mean nothing."""

import numpy as np
import pytest
from oracle.queries import policy_query

import causalc
from causalc import policy as p
from causalc.compiler.policies import meaning
from causalc.grammar import parse_query
from causalc.verify import verify

CASES = [
    ("P(Y | do(X ~ bernoulli(0.3)))", "X -> M -> Y; X <-> Y"),
    ("P(Y | do(X = threshold(Z, 1)))", "Z -> X -> Y; Z -> Y; Z <-> X"),
    ("P(Y | do(X = threshold(Z, 1)), Z)", "Z -> X -> Y; Z -> Y; Z <-> X"),
    ("P(Y | do(X ~ bernoulli(0.3)), W)", "X -> Y -> W; X <-> W"),
    (
        'P(Y | do(X ~ categorical({"a": 0.2, "b": table(Z, {0: 0.1, 1: 0.7, 2: 0.5}), '
        '"c": table(Z, {0: 0.7, 1: 0.1, 2: 0.3})})), W)',
        "Z -> X -> Y -> W; X <-> W; Z -> Y",
    ),
    # Z comes after Y in the order of the graph as written: the policy needs another
    ("P(Y | do(X ~ normal(linear(1, Z = 0.5), 2)))", "X -> Y; Z <-> Y; Z"),
    (
        "P(Y | do(X1 ~ bernoulli(0.4), X2 = table(Z, {0: table(X1, {0: 1, 1: 0}), 1: 1})))",
        "X1 -> Z -> X2 -> Y; X1 -> Y; Z <-> Y; U -> X2; U -> Y; U <-> X1",
    ),
    ("P(Y | do(X = linear(1, Z = 2)), W)", "W -> X -> Y; Z -> Y; X <-> W; W -> Z"),
    ("P(Y | do(A, X = linear(1, A = 2)))", "A -> X -> Y; Z -> Y; X <-> Z; A -> Y"),
    ("P(Y | do(X ~ bernoulli(0.3)))", "Y -> X; X <-> Y"),  # the policy does not reach Y
    ("P(Y | do(X ~ uniform(), W ~ bernoulli(0.2)))", "W -> X; X -> Y; W <-> X; W -> Y"),
]


@pytest.mark.parametrize(("query", "graph"), CASES)
@pytest.mark.parametrize("strategy", ["auto", "generate", "reweight"])
def test_program_and_estimand_are_exact(query: str, graph: str, strategy: str) -> None:
    program = causalc.compile(query, graph, strategy=strategy)
    assert verify(program, "query", 5, 0) < 1e-9


def test_random_queries_are_exact_or_refused() -> None:
    """Of 150 random queries under policies at least 60 are identifiable, and every one of these is exact."""
    rng, exact = np.random.default_rng(7), 0
    for _ in range(150):
        query, graph = policy_query(rng)
        try:
            program = causalc.compile(query, graph)
        except causalc.NotIdentifiable:
            continue
        assert verify(program, "query", 2, 0) < 1e-9, (query, graph)
        exact += 1
    assert exact >= 60


@pytest.mark.parametrize(
    ("query", "graph"),
    [
        ("P(Y | do(X ~ bernoulli(0.5)))", "X -> Y; X <-> Y"),
        # P(y | do(x)) is P(y), but what Z has to do with Y under do(X) is not known
        ("P(Y | do(X = threshold(Z, 1)))", "Z; X -> Y; X <-> Y; Z <-> Y"),
    ],
)
def test_refused_with_a_hedge(query: str, graph: str) -> None:
    with pytest.raises(causalc.NotIdentifiable) as caught:
        causalc.identify(query, graph)
    assert "Y" in caught.value.hedge.subforest


def test_a_policy_may_be_identifiable_where_it_reads_less() -> None:
    """X -> Z -> Y with Z <-> X: P_x(y) is a front door; a policy that reads a cause of X needs the joint."""
    graph = "W -> X -> M -> Y; X <-> Y; W <-> X"
    causalc.identify("P(Y | do(X ~ bernoulli(0.5)))", graph)
    causalc.identify("P(Y | do(X = threshold(W, 1)))", graph)


@pytest.mark.parametrize(
    "text",
    ["P(Y | do(X = threshold(Y, 1)))", "P(Y | do(X = threshold(M, 1)))"],
)
def test_a_policy_reads_no_effect_of_its_own(text: str) -> None:
    with pytest.raises(causalc.CausalcError, match="what that variable moves"):
        causalc.identify(text, "X -> M -> Y")


def rule(text: str) -> p.Policy:
    return meaning(parse_query(f"P(Y | do({text}))").policies[0])


def test_draws_follow_the_rule() -> None:
    """20,000 draws: each share within 4.5 standard errors (0.016) of its probability; fails once in 10^5."""
    n, rng = 20_000, np.random.default_rng(3)
    u, z = rng.random(n), rng.standard_normal(n)
    columns = {"Z": np.repeat([0, 1], n // 2)}
    one = rule("X ~ bernoulli(table(Z, {0: 0.2, 1: 0.7}))")
    drawn = p.draw(one, ("no", "yes"), False, columns, u, z) == "yes"
    assert abs(drawn[: n // 2].mean() - 0.2) < 0.016 and abs(drawn[n // 2 :].mean() - 0.7) < 0.016
    many = rule('X ~ categorical({"a": 0.2, "c": 0.8})')
    drawn = p.draw(many, ("a", "b", "c"), False, {}, u, z)
    assert abs((drawn == "a").mean() - 0.2) < 0.016 and not (drawn == "b").any()
    number = rule("X ~ normal(linear(1, Z = 2), 0.5)")
    drawn = p.draw(number, None, False, columns, u, z)
    assert abs(drawn[: n // 2].mean() - 1) < 0.03 and abs(drawn[n // 2 :].mean() - 3) < 0.03
    whole = p.draw(rule("X ~ uniform(1, 6)"), None, True, {}, u, z)
    assert set(np.unique(whole)) == {1, 2, 3, 4, 5, 6}
    assert (p.draw(rule("X = threshold(Z, 1)"), (0, 1), False, columns, u, z) == columns["Z"]).all()


def test_tables_of_rules() -> None:
    one = rule("X = threshold(Z, 2, above = table(W, {0: 5, 1: 7}))")
    levels = {"Z": (1, 2), "W": (0, 1)}
    array = p.table(one, (0, 5, 7), levels)
    assert one.inputs == ("Z", "W") and array.shape == (2, 2, 3)
    assert array[0, :, 0].tolist() == [1, 1] and array[1, 0, 1] == 1 and array[1, 1, 2] == 1


@pytest.mark.parametrize(
    ("text", "levels", "said"),
    [
        ("X ~ bernoulli(0.5)", (0, 1, 2), "needs two levels"),
        ("X ~ categorical({0: 0.5, 9: 0.5})", (0, 1), "no level 9"),
        ("X ~ bernoulli(linear(0.9, Z = 1))", (0, 1), "would be 1.9"),
        ('X = table(Z, {0: "a"})', ("a", "b"), "no case for 1"),
    ],
)
def test_rules_that_do_not_fit_the_data(text: str, levels: tuple[object, ...], said: str) -> None:
    with pytest.raises(causalc.CausalcError, match=said):
        p.table(rule(text), levels, {"Z": (0, 1)})


@pytest.mark.parametrize("query", [query for query, _ in CASES])
def test_text_reads_back(query: str) -> None:
    assert str(parse_query(query)) == query or parse_query(str(parse_query(query))) == parse_query(
        query
    )


def test_trained_samples_and_a_saved_sampler(tmp_path_factory: pytest.TempPathFactory) -> None:
    """U confounds X and Y, both read Z: P(Y=1 | do(X = Z)) on 20,000 rows, and 20,000 draws of the answer.

    Truth: Y = 1 with probability 0.1 + 0.4 X + 0.3 Z given the front door through M; tolerance 0.03 is over 5
    standard errors of rows and draws together.
    """
    rng, n = np.random.default_rng(0), 20_000
    z = rng.integers(0, 2, n)
    u = rng.random(n) < 0.5
    x = (rng.random(n) < np.where(u, 0.8, 0.2)).astype(int)
    m = (rng.random(n) < 0.1 + 0.8 * x).astype(int)
    y = (rng.random(n) < 0.1 + 0.4 * m + 0.2 * z + 0.2 * u).astype(int)
    program = causalc.compile(
        "P(Y | do(X = threshold(Z, 1)))",
        "Z -> X -> M -> Y; Z -> Y; X <-> Y",
        schema=dict.fromkeys("ZXMY", "binary"),
    )
    folder = tmp_path_factory.mktemp("policy")
    sampler = program.fit({"Z": z, "X": x, "M": m, "Y": y}, store=folder / "store", progress=False)
    truth = 0.5 * (0.1 + 0.4 * 0.1 + 0.1) + 0.5 * (0.1 + 0.4 * 0.9 + 0.2 + 0.1)
    drawn = sampler.sample(20_000, seed=1)
    assert abs(drawn["Y"].mean() - truth) < 0.03
    sampler.save(folder / "sampler")
    again = causalc.load(folder / "sampler").sample(20_000, seed=1)
    assert (again["Y"] == drawn["Y"]).all()
    small = sampler.sample(100, seed=1, batch_size=7)
    assert (small["Y"] == drawn["Y"][:100]).all()
