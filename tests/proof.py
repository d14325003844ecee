"""Compile a query every way there is and compare what it computes with the oracle's answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from types import ModuleType
from typing import Any
from zlib import crc32

import numpy as np
from oracle.admg import Admg, Case, shrink
from oracle.decider import identifiable, reductions, remembered
from oracle.hedge import Hedge, hedge_flaw
from oracle.queries import policy_query
from oracle.scm import Array, Scm, conditioned, random_scm
from oracle.witness import stirred, witnesses

import causalc
from causalc.api import specs
from causalc.compiler.pipeline import compile_estimands
from causalc.compiler.plan import Plan
from causalc.compiler.view import Spec
from causalc.grammar import parse_query
from causalc.grammar.tree import Query
from causalc.verify import verify

STRATEGIES = ("generate", "reweight", "auto")
TOLERANCE = 1e-9
APART = 1e-6  # how far two models must differ in the answer; they agree on P(v) to 1e-14
SMALL = 5  # up to so many variables P(v | do(x)) is kept whole, for all queries that set x
MOST_LOADED = 20_000
KINDS = ("binary", "categorical(2)", "image(4, 4, channels=1)", "real", "vector(3)")


@dataclass(frozen=True)
class Result:
    """What came of one case: the oracle's verdict, the worst error, and the failure, if any."""

    case: Case
    seed: int
    identifiable: bool
    error: float = 0.0
    failure: str | None = None
    mixed_kinds: bool = False

    def __str__(self) -> str:
        lines = [self.case.text(), f"seed: {self.seed}"]
        if self.mixed_kinds:
            kinds = (f"{v}: {_kind(v, self.seed)}" for v in self.case.graph.nodes)
            lines.append(f"kinds: {'; '.join(kinds)}")
        return "\n".join([*lines, str(self.failure)])


def prove(
    case: Case,
    seed: int = 0,
    strategies: Sequence[str] = STRATEGIES,
    *,
    levels: int = 2,
    numeric: bool = True,
    mixed_kinds: bool = False,
    world: World | None = None,
) -> Result:
    """Compare verdict, hedge, estimand and compiled programs with the oracle.

    A verdict of not identifiable must come with a hedge, and the hedge is made into two models that agree
    on P(v) and differ in the answer. ``numeric=False`` compares verdict and hedge alone. ``mixed_kinds``
    declares random kinds for the variables: they change what "auto" chooses, and must not change the
    answer. ``world`` holds what queries of one graph have in common; without it one is made of seed and levels.
    """
    world = world or World(case.graph, seed, levels)
    verdict = identifiable(case)
    result = Result(case, seed, verdict, mixed_kinds=mixed_kinds)
    try:
        estimand = causalc.identify(_parsed(case.query()), world.compiled)
    except causalc.NotIdentifiable as error:
        flaw = (
            "a verdict of not identifiable"
            if verdict
            else _flaw(case, error, world if numeric else None)
        )
        return replace(result, failure=flaw)
    except Exception as error:
        return replace(result, failure=f"identify raised {type(error).__name__}: {error}")
    if not verdict:
        return replace(result, failure="a verdict of identifiable")
    if not numeric:
        return result
    result = _compare(result, "estimand", lambda: estimand.evaluate(world.joint), world)
    result = _compare(
        result, "shortest estimand", lambda: estimand.shortest().evaluate(world.joint), world
    )
    schema = specs({v: _kind(v, seed) for v in case.graph.nodes} if mixed_kinds else None)
    proved: set[Plan] = set()
    for s in strategies:
        if not result.failure:
            result = _prove_program(result, s, estimand, schema, world, proved)
    return result


@dataclass
class World:
    """A graph and one random model of it, with what all queries about it have in common."""

    graph: Admg
    seed: int
    levels: int = 2
    known: dict[object, Any] = field(default_factory=dict)

    @cached_property
    def compiled(self) -> causalc.Graph:
        """The graph as the compiler takes it."""
        edges = (self.graph.directed, self.graph.bidirected)
        return causalc.Graph.from_edges(self.graph.nodes, *edges)

    @cached_property
    def model(self) -> Scm:
        """The model, one latent an edge or one a clique of edges."""
        rng = np.random.default_rng(self.seed)
        return random_scm(self.graph, rng, max_levels=self.levels, cliques=bool(self.seed % 2))

    @cached_property
    def joint(self) -> causalc.Table:
        """P(v)."""
        return causalc.Table(self.graph.nodes, self.model.joint())

    def truth(self, case: Case) -> Array:
        """P(y | do(x), z): axes are x, z and y."""
        if len(self.graph.nodes) > SMALL:
            return self.model.effect(case.y, case.x, case.z)
        x = frozenset(case.x)
        whole = remembered(self.known, ("do", x), lambda: self.model.interventions(case.x))
        axes = (*case.x, *case.z, *case.y)
        place = {v: i for i, v in enumerate(self.graph.nodes)}
        kept = np.einsum(whole, [*place.values()], [place[v] for v in axes])
        return conditioned(kept, len(case.x) + len(case.z))

    def witnesses(self, plain: Case, hedge: Hedge, turn: int) -> tuple[Scm, Scm] | None:
        """The two models of a hedge, or None where they do not agree on a positive P(v).

        Turn 0 is parity carried by copies, all others random mechanisms.
        """
        key = (hedge, frozenset(plain.x), frozenset(plain.y), turn)
        return remembered(self.known, ("two", key), lambda: self._witnesses(plain, hedge, turn))

    def _witnesses(self, plain: Case, hedge: Hedge, turn: int) -> tuple[Scm, Scm] | None:
        rng = np.random.default_rng([self.seed, turn])
        first, second = stirred(plain, hedge, rng) if turn else witnesses(plain, hedge)
        joint = first.joint()
        agree = np.abs(joint - second.joint()).max() <= 1e-14 and joint.min() > 0
        return (first, second) if agree else None


@lru_cache(maxsize=1 << 16)
def _parsed(text: str) -> Query:
    return parse_query(text)


_loaded: dict[tuple[Plan, object], ModuleType] = {}
"""Programs in memory by what they are written from, all but comments: equal ones are read by Python once."""


def _prove_program(
    result: Result,
    strategy: str,
    estimand: causalc.Estimand,
    schema: dict[str, Spec | None],
    world: World,
    proved: set[Plan],
) -> Result:
    """Compile by one strategy and run the program; a plan in ``proved`` makes the program that was run."""
    try:
        compiled = compile_estimands({"query": estimand}, world.compiled, schema, strategy=strategy)
    except Exception as error:
        return replace(result, failure=f"{strategy} raised {type(error).__name__}: {error}")
    if compiled.plan in proved:
        return result
    proved.add(compiled.plan)
    made = (compiled.plan, tuple(schema.items()))
    if len(_loaded) > MOST_LOADED:
        _loaded.clear()
    program = causalc.Program(compiled, _module=[_loaded[made]] if made in _loaded else [])
    result = _compare(result, strategy, lambda: program.exact(world.joint), world)
    if not result.failure:
        _loaded[made] = program.module
    return result


def _compare(
    result: Result, way: str, compute: Callable[[], causalc.Table], world: World
) -> Result:
    case = result.case
    if result.failure:
        return result
    try:
        answer = compute()
    except Exception as error:
        return replace(result, failure=f"{way} raised {type(error).__name__}: {error}")
    axes = (*case.x, *case.z, *case.y)
    if answer.variables != axes:
        return replace(result, failure=f"{way} has the axes {answer.variables}, not {axes}")
    error = float(np.abs(answer.array - world.truth(case)).max())
    result = replace(result, error=max(result.error, error))
    if not error <= TOLERANCE:
        return replace(result, failure=f"{way} is wrong by {error:.3g}")
    return result


def _kind(variable: str, seed: int) -> str:
    """A kind that depends on the name and the seed alone, so that it survives shrinking."""
    return KINDS[crc32(f"{seed} {variable}".encode()) % len(KINDS)]


def _flaw(case: Case, error: causalc.NotIdentifiable, world: World | None) -> str | None:
    """What is wrong with the hedge, for every unconditional query that the rules make of the case.

    With a ``world``, a hedge without a flaw must give two models as well.
    """
    outer, inner = frozenset(error.hedge.forest), frozenset(error.hedge.subforest)
    flaws = []
    for plain in reductions(case):
        reached = plain.graph.ancestors(plain.y, cut=plain.x)
        hedge = Hedge(outer, inner, inner & reached)
        flaw = hedge_flaw(plain, hedge)
        if flaw is None and world is not None:
            flaw = _alike(case, plain, hedge, world)
        if flaw is None:
            return None
        flaws.append(flaw)
    return f"the hedge {set(outer)}, {set(inner)} is none: {flaws}"


def _alike(case: Case, plain: Case, hedge: Hedge, world: World) -> str | None:
    """What keeps the hedge's two models from showing that the answer of ``case`` is not identifiable.

    Parity carried by copies is tried first; it always moves P(y, z | do(x)). Where it does not move
    P(y | do(x), z), as it need not, random mechanisms do, if only by little: up to a dozen are drawn.
    """
    gap = 0.0
    for turn in range(1 + 12 * bool(case.z)):
        two = world.witnesses(plain, hedge, turn)
        if two is None:
            return "its two models do not agree on P(v), or not everywhere above zero"
        answers = (model.effect(case.y, case.x, case.z) for model in two)
        gap = max(gap, float(np.abs(np.subtract(*answers)).max()))
        if gap > APART:
            return None
    return f"its two models differ by {gap:.1g} only"


def prove_script(cases: Sequence[Case], world: World, strategy: str = "auto") -> Result:
    """Compile queries of one graph as one program, with what they share, and compare every answer."""
    estimands = {
        f"q{i}": causalc.identify(_parsed(case.query()), world.compiled)
        for i, case in enumerate(cases)
    }
    result = Result(cases[0], world.seed, True)
    try:
        program = causalc.Program(compile_estimands(estimands, world.compiled, strategy=strategy))
    except Exception as error:
        return replace(result, failure=f"a script raised {type(error).__name__}: {error}")
    for name, case in zip(estimands, cases, strict=True):
        if not result.failure:
            result = replace(result, case=case)
            way = f"a script of {len(cases)} queries"
            compute = lambda name=name: program.exact(world.joint, name)  # noqa: E731
            result = _compare(result, way, compute, world)
    return result


def prove_policy(rng: np.random.Generator) -> tuple[float | None, str | None]:
    """The worst error of a random query under policies (None: refused), and what is wrong."""
    query, graph = policy_query(rng)
    try:
        program = causalc.compile(query, graph)
        return verify(program, "query", 2, int(rng.integers(1 << 31))), None
    except causalc.NotIdentifiable:
        return None, None
    except causalc.CausalcError as error:
        return 0.0, f"{error}\n{query}\n{graph}"
    except Exception as error:
        return 0.0, f"compile raised {type(error).__name__}: {error}\n{query}\n{graph}"


def minimal(result: Result, strategies: Sequence[str] = STRATEGIES, **options: Any) -> Result:
    """Shrink a failing case for as long as it fails in the same way."""

    def fails(case: Case) -> bool:
        found = prove(case, result.seed, strategies, **options).failure
        return found is not None and _sort(found) == _sort(result.failure or "")

    return prove(shrink(result.case, fails), result.seed, strategies, **options)


def _sort(failure: str) -> str:
    return " ".join(failure.split(" by ")[0].split()[:4])
