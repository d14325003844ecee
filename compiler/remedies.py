"""What would make a query identifiable: one measurement, one experiment, or one confounder ruled out.

Every claim is decided by ``identify`` on the graph as it would then be. An experiment that sets A yields
Q[V \\ A]; by Lee, Correa & Bareinboim (2019) it helps exactly if every district of G[an(Y) \\ X] is
identifiable from Q[V] or, where A is outside the district, from Q[V \\ A].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from causalc.compiler.answer import Question, effect_of
from causalc.compiler.diagram import Diagram
from causalc.compiler.graph import Graph, Pair, bits
from causalc.compiler.identify import NotIdentifiable, identify, move_conditions
from causalc.grammar.printer import name_text

WORK = 40_000  # vertices and edges looked at, over all decisions: about half a second
NEAR = 6
SHOWN = 4


@dataclass(frozen=True, slots=True)
class Remedies:
    """Single changes that each suffice, and queries close by that are identifiable as it is.

    ``measure`` holds named latents, and pairs whose common cause is to be measured; ``rule_out`` pairs that
    would have to be free of one. ``experiments`` are variables to set in an experiment whose rows are used
    together with the present ones. ``complete`` tells whether every single change was tried.
    """

    measure: tuple[str | Pair, ...] = ()
    rule_out: tuple[Pair, ...] = ()
    experiments: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    complete: bool = True

    def __str__(self) -> str:
        return "\n".join(_lines(self))


class _Spent(Exception):
    """The work allowed is used up."""


class _Decider:
    """Decides queries by ``identify`` for as long as work is left."""

    def __init__(self, work: int, stop: Callable[[], bool]) -> None:
        self.left = work
        self.stop = stop

    def __call__(self, graph: Graph, outcomes: int, do: int, given: int = 0) -> bool:
        self.left -= len(graph.nodes) + sum(
            (a | b).bit_count() for a, b in zip(graph.parents, graph.siblings, strict=True)
        )
        if self.left < 0 or self.stop():
            raise _Spent
        try:
            identify(graph, outcomes, do, given)
        except NotIdentifiable:
            return False
        return True


def remedies(
    question: Question,
    diagram: Diagram | Graph,
    work: int = WORK,
    stop: Callable[[], bool] = lambda: False,
) -> Remedies:
    """Find the single changes after which a query that is not identifiable is, and identifiable queries near it.

    ``work`` bounds the vertices and edges looked at; once ``stop()`` holds, no more is tried. Raises
    ``QueryError`` where the query does not fit the graph.
    """
    if isinstance(diagram, Graph):
        diagram = Diagram.of(diagram)
    graph = diagram.projected()
    if question.policies:
        question = effect_of(question, graph)
    sets = question.sets(graph)
    decide = _Decider(work, stop)
    suspects = set(_suspects(graph, *sets))
    pairs = [p for p in dict.fromkeys(diagram.bidirected) if sets[2] or suspects >= {*p}]

    def measured(hidden: str | Pair) -> bool:
        changed = diagram.measured(hidden).projected()
        return decide(changed, *question.sets(changed))

    def ruled_out(pair: Pair) -> bool:
        changed = diagram.without(pair).projected()
        return decide(changed, *question.sets(changed))

    experiments: list[str] = []
    measure: list[str | Pair] = []
    rule_out: list[Pair] = []
    near: list[str] = []
    complete = True
    try:
        experiments.extend(_experiments(graph, *sets, suspects, decide))
        measure.extend(u for u in diagram.latents if measured(u))
        for pair in pairs:
            if measured(pair):
                measure.append(pair)
            if ruled_out(pair):
                rule_out.append(pair)
    except _Spent:
        complete = False
    decide.left += work // 4
    with suppress(_Spent):
        near.extend(islice(_near(graph, *sets, decide), NEAR))
    found = (tuple(measure), tuple(rule_out), tuple(experiments), tuple(near))
    return Remedies(*found, complete)


def _suspects(graph: Graph, y: int, x: int, z: int) -> tuple[str, ...]:
    """The forest of a hedge: what happens outside it alone leaves the hedge, and the verdict, as they are."""
    try:
        identify(graph, y, x, z)
    except NotIdentifiable as reason:
        return reason.hedge.forest
    return ()


# ---- experiments ----------------------------------------------------------------------------------


def _experiments(
    graph: Graph, y: int, x: int, z: int, suspects: Iterable[str], decide: _Decider
) -> Iterator[str]:
    """The variables of which an experiment, beside the observed rows, is enough; surrogates first."""
    x, z = move_conditions(graph, y, x, z, [])
    parts = graph.districts(graph.ancestors(y | z, graph.all & ~x))
    open_parts = [p for p in parts if not decide(graph, p, graph.all & ~p)]
    candidates = graph.mask(suspects) & ~sum(open_parts)
    for v in (*bits(candidates & ~x), *bits(candidates & x)):
        if open_parts and experiment_helps(graph, 1 << v, open_parts, decide):
            yield graph.order[v]


def experiment_helps(graph: Graph, setting: int, parts: Iterable[int], decide: _Decider) -> bool:
    """Whether every one of these districts is identifiable from an experiment on ``setting``."""
    rest = graph.names(graph.all & ~setting)
    kept = set(rest)
    under = Graph.from_edges(
        rest,
        [e for e in graph.directed if kept.issuperset(e)],
        [e for e in graph.bidirected if kept.issuperset(e)],
    )
    for part in parts:
        inside = under.mask(graph.names(part)) if not part & setting else 0
        if not inside or not decide(under, inside, under.all & ~inside):
            return False
    return True


# ---- queries near by ------------------------------------------------------------------------------


def _near(graph: Graph, y: int, x: int, z: int, decide: _Decider) -> Iterator[str]:
    """Identifiable queries one change away in which every intervention still matters."""
    for y2, x2, z2 in _neighbours(graph, y, x, z):
        matter = all(
            not graph.separated(y2, 1 << v, z2 | x2 & ~(1 << v), cut_into=x2) for v in bits(x2)
        )
        if matter and decide(graph, y2, x2, z2):
            yield _text(graph, y2, x2, z2)


def _neighbours(graph: Graph, y: int, x: int, z: int) -> Iterator[tuple[int, int, int]]:
    """One outcome, condition or intervention less; one condition more, early variables first; one intervention more."""
    for part, at in ((y, 0), (z, 2), (x, 1)):
        for v in bits(part):
            smaller = [y, x, z]
            smaller[at] = part & ~(1 << v)
            if smaller[at] or at == 2:
                yield smaller[0], smaller[1], smaller[2]
    other = graph.all & ~(y | x | z)
    after = graph.all & ~graph.ancestors(x, graph.all)
    for v in (*bits(other & ~after), *bits(other & after)):
        yield y, x, z | 1 << v
    for v in bits(other):
        yield y, x | 1 << v, z


def _text(graph: Graph, y: int, x: int, z: int) -> str:
    def listed(part: int) -> str:
        return ", ".join(map(name_text, graph.names(part)))

    given = [f"do({listed(x)})"] * bool(x) + [listed(z)] * bool(z)
    return f"P({listed(y)}" + (f" | {', '.join(given)})" if given else ")")


# ---- words ----------------------------------------------------------------------------------------


def _lines(found: Remedies) -> Iterator[str]:
    ways = [*_measurements(found), *_experiment_lines(found)]
    if ways:
        yield "any one of these would be enough:" if len(ways) > 1 else "this would be enough:"
        yield from (f"  - {way}" for way in ways[:SHOWN])
        if len(ways) > SHOWN:
            yield f"    ({len(ways) - SHOWN} more)"
    elif found.complete:
        yield "no single measurement, experiment or confounder ruled out is enough."
    else:
        yield "no single change was found that is enough; the graph is too large to try all of them."
    if found.near:
        yield f"identifiable as it is: {'; '.join(found.near[:SHOWN])}"


def _measurements(found: Remedies) -> Iterator[str]:
    free = {frozenset(pair) for pair in found.rule_out}
    for hidden in found.measure:
        if isinstance(hidden, str):
            yield f"measure {name_text(hidden)}"
        else:
            either = " (or know that there is none)" if frozenset(hidden) in free else ""
            yield f"measure what confounds {_both(hidden)}{either}"
    told = {frozenset(hidden) for hidden in found.measure if not isinstance(hidden, str)}
    for pair in found.rule_out:
        if frozenset(pair) not in told:
            yield f"know that nothing hidden confounds {_both(pair)}"


def _experiment_lines(found: Remedies) -> Iterator[str]:
    for name in found.experiments:
        yield f"rows of an experiment that sets {name_text(name)}, beside the present ones"


def _both(pair: Pair) -> str:
    return " and ".join(map(name_text, pair))
