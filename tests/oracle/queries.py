"""Queries to be right about: from the literature, hand-made hard ones, and random ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np

from oracle.admg import Admg, Case, random_admg
from oracle.decider import depth

DATA = Path(__file__).parent.parent / "data"


def textbook() -> tuple[Case, ...]:
    """43 queries from the literature, with their verdicts."""
    return _load(DATA / "textbook.json")


def structured(most: int = 500) -> tuple[Case, ...]:
    """Families on which identification recurses deeply, up to ``most`` variables, with their
    verdicts.
    """
    return tuple(c for c in _load(DATA / "structured.json") if len(c.graph.nodes) <= most)


def _load(path: Path) -> tuple[Case, ...]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return tuple(
        Case(
            Admg(tuple(r["nodes"]), _pairs(r["directed"]), _pairs(r["bidirected"])),
            tuple(r["y"]),
            tuple(r["x"]),
            tuple(r["z"]),
            r["id"],
            r["identifiable"],
        )
        for r in rows
    )


def _pairs(rows: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((a, b) for a, b in rows)


def case(edges: str, y: str, x: str = "", z: str = "", name: str = "") -> Case:
    """Write a case briefly: ``case("Z>X X>Y X-Y", "Y", "X")``, ``>`` a cause, ``-`` a latent common
    cause.
    """
    words = edges.split()
    nodes = dict.fromkeys(v for w in words for v in w.replace("-", ">").split(">"))
    return Case(
        Admg(
            tuple(nodes),
            tuple(_pair(w, ">") for w in words if ">" in w),
            tuple(_pair(w, "-") for w in words if "-" in w),
        ),
        tuple(y.split()),
        tuple(x.split()),
        tuple(z.split()),
        name,
    )


def _pair(word: str, sign: str) -> tuple[str, str]:
    a, b = word.split(sign)
    return a, b


# Step 7 inside step 7: two kernels or more, each made from the one before.
NESTED = (
    case("A>B B>C B>E C>D D>E A-C A-E B-C", "E", "A B D", name="nested, ALGORITHM.md"),
    case("B>F A>D D>B C>B C-A F-C A-B", "F", "B", name="nested, one intervention"),
    case("B>C E>D C>D A>E D-B D-A B-E", "D", "A B", name="nested, two interventions"),
    case(
        "W1>W2 W3>W4 W2>X W4>X X>Y W1-X W1-Y W1-W3 W2-W3 W3-W5 W4-W5",
        "Y",
        "X",
        name="nested, tian-id7",
    ),
    case("B>A F>C D>G G>F A>C B-D G-D B-C A-G", "C", "B G", name="nested, six variables"),
    case("B>E A>F C>B F>G E>G B-A G-C C-E A-E", "G", "C A", name="nested, two paths"),
    case("C>D D>B A>C B>F B-A A-F F-D", "B", "D", "F", name="nested, condition below the outcome"),
    case(
        "B>F F>C E>C D>E C-D E-B D-B",
        "E",
        "B D",
        "C",
        name="nested, condition below the intervention",
    ),
    case(
        "D>C B>E C>A F>A E>A D-A F-D C-B B-F",
        "E",
        "D B",
        "A",
        name="nested, condition on a collider",
    ),
    case(
        "F>G C>D B>E E>A D>A G>A C-B A-B F-C F-E D-E",
        "E",
        "G C",
        "A",
        name="nested, seven variables",
    ),
    case(
        "X>Y A>B B>X C>D D>X E>F F>X A-X A-Y C-X C-B E-X E-D",
        "Y",
        "X",
        name="nested three deep, linked napkins",
    ),
    case(
        "X>Y A>B B>X C>D D>X E>F F>X N>A A-X A-Y C-X C-B E-X E-D N-B",
        "Y",
        "X",
        name="nested, a run that another variable interrupts",
    ),
)

# Through step 7 once, or with a trap of ALGORITHM.md.
HARD = (
    case("W1>W2 W2>X X>Y W1-X W1-Y", "Y", "X", name="napkin"),
    case("W1>W2 W2>X X>Y W1-X W1-Y", "Y", "X W2", name="napkin, both fixed"),
    case("W1>W2 W2>X X>Y W1-X W1-Y X>Z Y>Z", "Y", "X", "Z", name="napkin, condition below"),
    case("W1>W2 W2>X X>Y W1-X W1-Y Y>Z", "Z", "X", name="napkin, continued"),
    case("W1>W2 W2>X X>Y W1-X W1-Y A>W1 A>Y", "Y", "X", "A", name="napkin, observed common cause"),
    case("W1>W2 W2>X X>M M>Y W1-X W1-Y", "Y M", "X", name="napkin, mediator"),
    case("X>W1 W1>W2 W2>Y X-W2 W1-Y", "Y", "X", name="step 7 after a split"),
    case("A>C B>C C>D A-B A-D", "D", "B", name="one global order"),
    case("B>F A>D D>B C>B C>N N>F C-A F-C A-B N-F", "F", "B", name="a factor that is squared"),
    case("X>M M>Y X-Y", "Y", "X", name="front-door"),
    case("X>M M>Y X-Y Y>Z X>Z", "Y", "X", "Z", name="front-door, condition below"),
    case("X>M M>Y X-Y Z>X Z>Y", "Y", "X", "Z", name="front-door, pre-treatment condition"),
    case("A>B B>C C>D B-D", "D", "C", name="verma"),
    case("A>B B>C C>D B-D", "D B", "C", name="verma, joint"),
    case("Z>X X>Y X>C Y>C Z-Y", "Y", "X", "C", name="collider below both"),
)

# The whole conditional part at once: z above, between and below x and y.
CONDITIONAL = (
    case("Z>X Z>Y X>Y", "Y", "X", "Z", name="back-door set given"),
    case("Z>X Z>Y X>Y X>M M>Y", "Y", "X", "M", name="mediator given"),
    case("X>Y Y>Z", "Y", "X", "Z", name="effect of the outcome given"),
    case("X>Y X>Z Y>Z X>W", "Y W", "X", "Z", name="collider given, two outcomes"),
    case("X>Z Z>Y X-Z", "Y", "X", "Z", name="rule 2 makes it identifiable"),
    case("A>X X>Y B>Y A-B X>Z B>Z", "Y", "X", "Z A", name="two conditions"),
    case("X>Y Y>C X>C", "Y", "", "C X", name="no intervention"),
    case("X>Y Z-Y X-Z", "Y", "X", "Z", name="confounded condition, not identifiable"),
    case(
        "D>C B>E C>A F>A E>A N>F N>C F>C N>E D-A F-D C-B B-F",
        *("E", "D B F", "A"),
        name="an estimand with one factor twice",
    ),
)


def random_case(
    rng: np.random.Generator, least: int = 3, most: int = 7, *, conditional: bool | None = None
) -> Case:
    """Draw a graph and a query with disjoint y, x and z; ``conditional`` forces z to be (not)
    empty.
    """
    n = int(rng.integers(least, most + 1))
    graph = random_admg(n, rng.uniform(0.2, 0.7), rng.uniform(0.1, 0.5), rng)
    return random_query(graph, rng, conditional=conditional)


def random_query(graph: Admg, rng: np.random.Generator, *, conditional: bool | None = None) -> Case:
    """Draw disjoint y, x and z; two in five queries have a z unless ``conditional`` says more."""
    n = len(graph.nodes)
    names = [graph.nodes[i] for i in rng.permutation(n)]
    wants_z = rng.random() < 0.4 if conditional is None else conditional
    n_y = 1 if n < 3 or rng.random() < 0.7 else 2
    n_z = min(int(rng.integers(1, 3)), n - n_y) if wants_z else 0
    n_x = int(rng.integers(0 if rng.random() < 0.1 else 1, 4))
    y, z, x = names[:n_y], names[n_y : n_y + n_z], names[n_y + n_z : n_y + n_z + n_x]
    return Case(graph, tuple(y), tuple(x), tuple(z))


def varied(case: Case, rng: np.random.Generator) -> Case:
    """The same graph and the same y and x, but for one more y or x at times, with another z."""
    rest = [v for v in case.graph.nodes if v not in (*case.y, *case.x)]
    rest = [rest[i] for i in rng.permutation(len(rest))]
    y, x = case.y, case.x
    if len(rest) > 1 and rng.random() < 0.3:
        v, *rest = rest
        y, x = ((*y, v), x) if rng.random() < 0.5 else (y, (*x, v))
    return replace(case, y=y, x=x, z=tuple(rest[: int(rng.integers(0, 3))]), name="")


def hard_case(rng: np.random.Generator, most: int = 7) -> Case:
    """Draw a variation, with more edges and variables, of a hand-made case that goes through step 7
    and still does.
    """
    while True:
        core = (*NESTED, *HARD)[rng.integers(len(NESTED) + len(HARD))]
        grown = _grow(core, rng, most)
        if depth(grown):
            return grown


def _grow(core: Case, rng: np.random.Generator, most: int) -> Case:
    graph = core.graph
    causal = list(graph.order)
    extra = int(rng.integers(0, 3)) if len(causal) < most else 0
    new = [f"N{i}" for i in range(min(extra, max(most - len(causal), 0)))]
    for v in new:
        causal.insert(int(rng.integers(len(causal) + 1)), v)
    pairs = [(a, b) for j, b in enumerate(causal) for a in causal[:j]]
    arrows, arcs = dict.fromkeys(graph.directed), dict.fromkeys(graph.bidirected)
    rate = 1.5 / len(causal)
    for a, b in pairs:
        touches_new = a in new or b in new
        if rng.random() < (rate if touches_new else rate / 4):
            arrows[a, b] = None
        if rng.random() < rate / 3 and (b, a) not in arcs:
            arcs[a, b] = None
    z = (*core.z, *(v for v in new if rng.random() < 0.3))
    nodes = tuple(causal[i] for i in rng.permutation(len(causal)))
    return Case(
        Admg(nodes, tuple(arrows), tuple(arcs)), core.y, core.x, z, f"grown from {core.name}"
    )


def policy_query(rng: np.random.Generator) -> tuple[str, str]:
    """A query and its graph of 4 to 6 variables, as text.

    One or two policies read what comes before, and there are conditions at times.
    """
    n = int(rng.integers(4, 7))
    names = [f"V{i}" for i in rng.permutation(n)]  # the order of names is not causal
    edges = [f"{names[i]} -> {names[j]}" for j in range(n) for i in range(j) if rng.random() < 0.45]
    edges += [
        f"{names[i]} <-> {names[j]}" for j in range(n) for i in range(j) if rng.random() < 0.2
    ]
    rules = []
    chosen = sorted(rng.choice(n - 1, size=int(rng.integers(1, 3)), replace=False))
    for i in chosen:
        read = [names[j] for j in range(i) if rng.random() < 0.5]
        if not read:
            rules.append(f"{names[i]} ~ bernoulli({rng.uniform(0.1, 0.9):.2f})")
        elif len(read) == 1:
            rules.append(f"{names[i]} = threshold({read[0]}, 1, below = 1, above = 0)")
        else:
            slopes = ", ".join(f"{v} = 0.2" for v in read)
            rules.append(f"{names[i]} ~ bernoulli(linear(0.1, {slopes}))")
    others = [names[i] for i in range(n - 1) if i not in chosen]
    given = [v for v in others if rng.random() < 0.25][:2]
    right = ", ".join([f"do({', '.join(rules)})", *given])
    return f"P({names[-1]} | {right})", "; ".join([*sorted(names), *edges])


def every_case(n: int) -> Iterator[Case]:
    """Every ADMG on n variables in one causal order, with every disjoint y, x and z."""
    for graph in every_graph(n):
        yield from every_query(graph)


def every_graph(n: int) -> Iterator[Admg]:
    """Every ADMG on n variables in one causal order."""
    names = tuple("ABCDEFGH"[:n])
    pairs = tuple(combinations(names, 2))
    return (Admg(names, arrows, arcs) for arrows, arcs in product(_subsets(pairs), repeat=2))


def every_query(graph: Admg) -> Iterator[Case]:
    """Every disjoint y, x and z, y not empty."""
    for roles in product("yxz-", repeat=len(graph.nodes)):
        y, x, z = (
            tuple(v for v, r in zip(graph.nodes, roles, strict=True) if r == s) for s in "yxz"
        )
        if y:
            yield Case(graph, y, x, z)


def _subsets(items: tuple[tuple[str, str], ...]) -> list[tuple[tuple[str, str], ...]]:
    return [c for size in range(len(items) + 1) for c in combinations(items, size)]
