"""The estimands of textbook graphs are the published formulas, in text and in LaTeX, and have their value.

The formulas are copied by hand from the sources named beside them. The textbook graphs without a formula here, in
``UNSOURCED``, are those for which no source was at hand that prints one.

Equal means: after renaming what is summed over, in any order of factors, with P(a | b, c) P(b | c) = P(a, b | c), and
factors before a sum or in it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx as nx
import numpy as np
import pytest
from oracle.admg import Admg, Case
from oracle.queries import textbook
from oracle.scm import random_scm

import causalc
from causalc import Graph, NotIdentifiable

Formula = Any
"""``("P", children, given)``, ``("product", factors)``, ``("sum", bound, body)``, ``("ratio", top, bottom)``."""


@dataclass(frozen=True)
class Published:
    """A query on a graph, and what a source says it is.

    ``idle`` are variables that the source leaves free, since their value makes no difference; ours average over
    them.
    """

    source: str
    graph: str
    query: str
    formula: str
    idle: tuple[str, ...] = ()


FORMULAS = {
    "back-door": Published(
        "Pearl, Causality (2nd ed. 2009), theorem 3.3.2",
        "Z -> X -> Y; Z -> Y",
        "P(Y | do(X))",
        "sum_{Z} P(Y | X, Z) P(Z)",
    ),
    "front-door": Published(
        "Pearl, Causality (2nd ed. 2009), theorem 3.3.4",
        "X -> Z -> Y; X <-> Y",
        "P(Y | do(X))",
        "sum_{Z} P(Z | X) sum_{X'} P(Y | X', Z) P(X')",
    ),
    "napkin": Published(
        "the graph: Pearl and Mackenzie, The Book of Why (2018), diagram 7.5; the formula: C. Cinelli's answer "
        "514615 on Cross Validated",
        "W -> Z -> X -> Y; W <-> X; W <-> Y",
        "P(Y | do(X))",
        "[sum_{W} P(X, Y | W, Z) P(W)] / [sum_{W} P(X | W, Z) P(W)]",
        idle=("Z",),
    ),
    "Verma": Published(
        "Tian and Pearl, On the testable implications of causal models with hidden variables (2002)",
        "V1 -> V2 -> V3 -> V4; V2 <-> V4",
        "P(V4 | do(V3))",
        "sum_{V2} P(V4 | V1, V2, V3) P(V2 | V1)",
        idle=("V1",),
    ),
    "front-door with a covariate": Published(
        "Tikka and Karvanen, Journal of Statistical Software 76(12), 2017: the illustrative example",
        "W -> X -> Z -> Y; W -> Z; X <-> Y",
        "P(Y | do(X))",
        "sum_{W, Z} (sum_{X'} P(Y | W, X', Z) P(X' | W)) P(Z | W, X) P(W)",
    ),
    "the same, of the mediator given the covariate": Published(
        "Tikka and Karvanen (2017): the conditional example, as simplified there by hand",
        "W -> X -> Z -> Y; W -> Z; X <-> Y",
        "P(Z | do(X), W)",
        "P(Z | W, X)",
    ),
    "a parent that tells no more": Published(
        "Tikka and Karvanen (2017): the example of additional conditional independences",
        "Z -> X -> Y; Z -> W -> Y",
        "P(Y | do(X, W))",
        "P(Y | X, W)",
    ),
    "a joint effect": Published(
        "Tikka and Karvanen, Simplifying probabilistic expressions in causal inference (2017): the first example",
        "X -> Z1 -> Y; Z3 -> Y; Z2 -> X; Z2 -> Z1; Z2 -> Z3; X <-> Y; X <-> Z3; X <-> Z2; Y <-> Z2",
        "P(Z1, Z2, Z3, Y | do(X))",
        "P(Z1 | Z2, X) P(Z2) sum_{X'} P(Y | Z2, X', Z3, Z1) P(Z3 | Z2, X') P(X' | Z2)",
    ),
    "two interventions in turn": Published(
        "Pearl and Robins, sequential back-door: Pearl, Causality (2nd ed. 2009), section 4.4",
        "X1 -> Z -> X2 -> Y; X1 -> X2; X1 -> Y; X1 <-> Z; Z <-> Y",
        "P(Y | do(X1, X2))",
        "sum_{Z} P(Y | X1, X2, Z) P(Z | X1)",
    ),
    "a mediator that is confounded with the outcome": Published(
        "Shpitser and Pearl, Complete identification methods for the causal hierarchy (2008), figure 2 (b): rule 2",
        "X -> Z -> Y; X -> Y; Z <-> Y",
        "P(Y | do(X))",
        "P(Y | X)",
    ),
    "a parent that is confounded with the cause": Published(
        "Shpitser and Pearl (2008), figure 2 (c): Z meets the back-door criterion",
        "Z -> X -> Y; Z -> Y; X <-> Z",
        "P(Y | do(X))",
        "sum_{Z} P(Y | X, Z) P(Z)",
    ),
    "a parent that line 7 fixes": Published(
        "Shpitser and Pearl (2008), figure 5: the example of line 7",
        "W1 -> X -> Y1; W1 <-> Y1",
        "P(Y1 | do(X, W1))",
        "sum_{W1'} P(Y1 | X, W1') P(W1')",
    ),
    "a condition that cuts the effect": Published(
        "Shpitser and Pearl (2008), figure 6 (a)",
        "X -> Z -> Y; X <-> Z",
        "P(Y | do(X), Z)",
        "P(Y | Z)",
    ),
    "M-bias": Published(
        "Greenland, Pearl and Robins, Causal diagrams for epidemiologic research (1999): adjust for nothing",
        "X -> Y; M <-> X; M <-> Y",
        "P(Y | do(X))",
        "P(Y | X)",
    ),
}


OF_TEXTBOOK = {  # queries of the textbook, by what is published of them
    "backdoor": "back-door",
    "frontdoor": "front-door",
    "napkin": "napkin",
    "verma1": "Verma",
    "m-bias": "M-bias",
    "tian-pearl joint": "a joint effect",
    "jss fig7": "a joint effect",
    "pearl-id5": "two interventions in turn",
    "sp2008 fig 5a line7": "a parent that line 7 fixes",
    "sp2008 fig 6a idc": "a condition that cuts the effect",
    "sp2008 2b": "a mediator that is confounded with the outcome",
    "sp2008 2c": "a parent that is confounded with the cause",
    "jss fig1": "front-door with a covariate",
    "jss fig1 |w": "the same, of the mediator given the covariate",
    "jss fig8": "a parent that tells no more",
}
UNSOURCED = {
    *(
        "verma2",
        "verma3",
        "verma4",
        "verma5",
        "pearl-id1",
        "bareinboim-id2",
        "pearl-id4",
        "pearl-id6",
    ),
    *("pearl-id3 (tian-pearl fig)", "tian-id7", "sp2006 fig 3a W-graph", "sp2008 fig 3b"),
    *(
        "jss fig1 y|w",
        "jss fig1 y|z",
        "simpl p-graph",
        "cond on collider",
        "cond rule2 turns bow id",
    ),
    *("igf", "sars-large", "sars-large egfr", "sars-small", "no effect (Y not desc.)", "isolated"),
}


# ---- reading


TOKEN = re.compile(r"sum_\{|P\(|[\w']+|[(){}|,\[\]/]")


def parsed(text: str) -> Formula:
    """A formula in the notation of ``FORMULAS``."""
    tokens = TOKEN.findall(text)
    assert "".join(tokens) == re.sub(r"\s", "", text), text
    found = _product(tokens)
    assert not tokens
    return found


def _product(tokens: list[str]) -> Formula:
    factors = []
    while tokens and tokens[0] not in (")", "]"):
        factors.append(_factor(tokens))
    return factors[0] if len(factors) == 1 else ("product", tuple(factors))


def _factor(tokens: list[str]) -> Formula:
    match tokens.pop(0):
        case "sum_{":
            bound, _ = _names(tokens, "}")
            return ("sum", bound, _product(tokens))
        case "P(":
            children, end = _names(tokens, "|)")
            return ("P", children, _names(tokens, ")")[0] if end == "|" else ())
        case "(":
            inner = _product(tokens)
            assert tokens.pop(0) == ")"
            return inner
        case "[":
            top = _product(tokens)
            assert [tokens.pop(0) for _ in range(3)] == ["]", "/", "["]
            bottom = _product(tokens)
            assert tokens.pop(0) == "]"
            return ("ratio", top, bottom)
    raise AssertionError(tokens)


def _names(tokens: list[str], ends: str) -> tuple[tuple[str, ...], str]:
    """The names up to a mark that ends them, and that mark."""
    found = []
    while (token := tokens.pop(0)) not in ends:
        if token != ",":
            found.append(token)
    return tuple(found), token


def from_latex(text: str) -> str:
    """Our LaTeX in the notation of ``FORMULAS``."""
    text = re.sub(r"\\left|\\right|\\,|\\!|\\;", "", text)
    text = text.replace(r"\mid", "|").replace(r"\sum", "sum")
    text = re.sub(r"([a-zA-Z])_(?:\{(\d+)\}|(\d))", r"\1\2\3", text)
    while r"\frac" in text:
        start = text.index(r"\frac")
        top, after = _group(text, start + len(r"\frac"))
        bottom, end = _group(text, after)
        text = f"{text[:start]}[{top}] / [{bottom}]{text[end:]}"
    text = re.sub(r"\bsum_\{([^}]*)\}", lambda m: "sum_{" + m[1].upper() + "}", text)
    return re.sub(r"P\(([^()]*)\)", lambda m: f"P({m[1].upper()})", text)


def _group(text: str, at: int) -> tuple[str, int]:
    """The inside of the braces that open at a place, and where they end."""
    at = text.index("{", at)
    depth, end = 0, at
    while True:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
        if depth == 0:
            return text[at + 1 : end - 1], end


# ---- equality up to naming


def canonical(node: Formula, names: Mapping[str, str] | None = None) -> Formula:
    """A formula with what is summed over named by its variable, factors as a set, chains joined.

    Factors beside a lone sum go into it.
    """
    names = names or {}
    match node:
        case ("P", children, given):
            return ("P", _renamed(children, names), _renamed(given, names))
        case ("product", factors):
            found = [f for factor in factors for f in _factors(canonical(factor, names))]
            sums = [f for f in found if f[0] == "sum"]
            if len(sums) != 1:
                return _joined(found)
            ((_, inside, body),) = sums
            return ("sum", inside, _joined([*(f for f in found if f[0] != "sum"), *_factors(body)]))
        case ("sum", bound, body):
            inner = {**names, **{v: _fresh(v, names) for v in bound}}
            found, over = canonical(body, inner), _renamed(bound, inner)
            return ("sum", over | found[1], found[2]) if found[0] == "sum" else ("sum", over, found)
        case ("ratio", top, bottom):
            return ("ratio", canonical(top, names), canonical(bottom, names))
    raise AssertionError(node)


def _fresh(v: str, names: Mapping[str, str]) -> str:
    """A variable that is summed over, and how many sums over the same one stand around it."""
    base = v.rstrip("'")
    return f"{base}#{sum(name.startswith(f'{base}#') for name in names.values())}"


def _renamed(variables: Sequence[str], names: Mapping[str, str]) -> frozenset[str]:
    return frozenset(names.get(v, v) for v in variables)


def _factors(node: Formula) -> tuple[Formula, ...]:
    return tuple(node[1]) if node[0] == "product" else (node,)


def _joined(factors: list[Formula]) -> Formula:
    """A product in which P(a | b, c) and P(b | c) are P(a, b | c)."""
    for i, j in itertools.permutations(range(len(factors)), 2):
        one, other = factors[i], factors[j]
        if one[0] == other[0] == "P" and other[1] <= one[2] and one[2] - other[1] == other[2]:
            rest = [f for k, f in enumerate(factors) if k not in (i, j)]
            return _joined([*rest, ("P", one[1] | other[1], other[2])])
    return factors[0] if len(factors) == 1 else ("product", frozenset(factors))


def symbols(node: Formula) -> int:
    """Mentions of variables, P, sums and ratios."""
    match node:
        case ("P", children, given):
            return 1 + len(children) + len(given)
        case ("product", factors):
            return sum(map(symbols, factors))
        case ("sum", bound, body):
            return 1 + len(bound) + symbols(body)
        case ("ratio", top, bottom):
            return 1 + symbols(top) + symbols(bottom)
    raise AssertionError(node)


# ---- value


def value(node: Formula, joint: np.ndarray, nodes: Sequence[str], at: Mapping[str, int]) -> float:
    """The number that a formula has at values of its free variables; a primed name ranges over the plain one's."""

    def probability(names: Sequence[str]) -> float:
        index: list[Any] = [slice(None)] * len(nodes)
        for v in names:
            index[nodes.index(v.rstrip("'"))] = at[v]
        return float(joint[tuple(index)].sum())

    match node:
        case ("P", children, given):
            return probability((*children, *given)) / probability(given)
        case ("product", factors):
            return float(np.prod([value(f, joint, nodes, at) for f in factors]))
        case ("sum", bound, body):
            ranges = [range(joint.shape[nodes.index(v.rstrip("'"))]) for v in bound]
            return sum(
                value(body, joint, nodes, {**at, **dict(zip(bound, point, strict=True))})
                for point in itertools.product(*ranges)
            )
        case ("ratio", top, bottom):
            return value(top, joint, nodes, at) / value(bottom, joint, nodes, at)
    raise AssertionError(node)


def cases(graph: Graph, query: Any) -> Iterator[tuple[dict[str, int], float, np.ndarray]]:
    """Values of all variables, the true effect there, and the joint table, in a model drawn at random."""
    admg = Admg(graph.nodes, graph.directed, graph.bidirected)
    model = random_scm(admg, np.random.default_rng(0))
    joint = model.joint()
    y, x, z = ([a.name.text for a in part] for part in ((), query.do, query.given))
    y = [n.text for n in query.outcomes]
    effect = model.effect(y, x, z)
    for point in itertools.product(*map(range, joint.shape)):
        at = dict(zip(graph.nodes, point, strict=True))
        yield at, float(effect[tuple(at[v] for v in (*x, *z, *y))]), joint


@pytest.mark.parametrize("name", FORMULAS)
def test_the_published_formula_is_ours(name: str) -> None:
    known = FORMULAS[name]
    graph = Graph.parse(known.graph)
    estimand = causalc.identify(known.query, graph)
    wanted = parsed(known.formula)
    for at, truth, joint in cases(graph, causalc.parse_query(known.query)):
        assert value(wanted, joint, graph.nodes, at) == pytest.approx(truth, abs=1e-12)
    if known.idle:
        weight = ("P", known.idle, ())
        wanted = ("sum", known.idle, ("product", (weight, wanted)))
    short = estimand.shortest()  # what `causalc show` prints, where a source may have said more
    for shown in (estimand, short):
        texts = parsed(shown.text.split(" = ", 1)[-1]), parsed(from_latex(shown.latex()))
        assert canonical(texts[0]) == canonical(texts[1])
        if canonical(texts[0]) == canonical(wanted):
            break
    else:
        raise AssertionError(f"{estimand} and {short} are not {known.formula}")
    assert symbols(parsed(short.text.split(" = ", 1)[-1])) <= symbols(wanted)


def roles(graph: Graph, query: Any) -> nx.DiGraph:
    """A graph with the role of each variable in a query; a <-> is a vertex of its own."""
    parts = {
        "y": query.outcomes,
        "x": [a.name for a in query.do],
        "z": [a.name for a in query.given],
    }
    made = nx.DiGraph()
    for v in graph.nodes:
        made.add_node(v, role="".join(r for r, names in parts.items() if v in map(str, names)))
    made.add_edges_from(graph.directed)
    for pair in graph.bidirected:
        made.add_node(pair, role="<->")
        made.add_edges_from((pair, v) for v in pair)
    return made


def asked(case: Case) -> tuple[Graph, Any]:
    """A textbook query as this library has it."""
    graph = Graph.from_edges(case.graph.nodes, case.graph.directed, case.graph.bidirected)
    return graph, causalc.parse_query(case.query())


@pytest.mark.parametrize("case", textbook(), ids=lambda case: case.name)
def test_every_textbook_graph_is_held_to_what_is_published(case: Case) -> None:
    """It is a graph of ``FORMULAS`` but for names, has no formula, or none was found in print."""
    graph, query = asked(case)
    if case.identifiable:
        known = OF_TEXTBOOK.get(case.name)
        assert (known is None) == (case.name in UNSOURCED)
        if known:
            ours = FORMULAS[known]
            same = roles(Graph.parse(ours.graph), causalc.parse_query(ours.query))
            assert nx.is_isomorphic(roles(graph, query), same, lambda a, b: a["role"] == b["role"])
    else:
        with pytest.raises(NotIdentifiable):
            causalc.identify(query, graph)


def test_equality_up_to_naming_tells_apart() -> None:
    front = "sum_{Z} P(Z | X) sum_{X'} P(Y | X', Z) P(X')"
    same = "sum_{Z} (sum_{X'} P(X') P(Y | Z, X')) P(Z | X)"
    assert canonical(parsed(front)) == canonical(parsed(same))
    for other in (
        "sum_{Z} P(Z | X) sum_{X'} P(Y | X, Z) P(X')",
        "sum_{Z} P(Z | X) sum_{X'} P(Y | X', Z)",
        "sum_{Z} P(Z) sum_{X'} P(Y | X', Z) P(X')",
    ):
        assert canonical(parsed(front)) != canonical(parsed(other))
    assert canonical(parsed("P(A | B, C) P(B | C)")) == canonical(parsed("P(A, B | C)"))
    assert canonical(parsed("P(A | B, C) P(B)")) != canonical(parsed("P(A, B | C)"))
