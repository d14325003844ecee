"""Identifiability of P(y | do(x), z) by criteria other than the recursive ID algorithm.

- ``identifiable``: the fixing criterion of Richardson, Evans, Robins and Shpitser (2023): with Y* =
  an_{G[V \\ X]}(Y), P(y | do(x)) is identifiable exactly if every district of G[Y*] is intrinsic,
  that is reachable from G by fixing vertices none of which has a descendant in its own district.
- conditional queries: z is moved into x while rule 2 of do-calculus allows it, as d-separation in
  the DAG with explicit latents (decided on its moral graph); what is left is the criterion above on (y,
  z).
- ``depth``: how often the step that fixes a strict superset of a district must be taken one inside
  another, by Tian's recursion on districts. It sorts the queries by difficulty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oracle.admg import Admg, Case, reach


def identifiable(case: Case) -> bool:
    """Decide whether P(y | do(x), z) is a function of P(v) in every positive model of the graph."""
    return marginal_identifiable(without_conditions(case))


def marginal_identifiable(case: Case) -> bool:
    """Decide an unconditional query by the fixing criterion."""
    graph = case.graph
    return all(
        remembered(graph.known, ("intrinsic", part), lambda part=part: closure(graph, part) == part)
        for part in target_districts(case)
    )


def remembered(known: dict[object, Any], question: object, answer: Callable[[], Any]) -> Any:
    """The answer to a question, worked out once and ``known`` from then on."""
    if question not in known:
        known[question] = answer()
    return known[question]


def target_districts(case: Case) -> list[frozenset[str]]:
    """The districts of G[Y*], where Y* are the ancestors of y that reach it without passing x."""
    graph = case.graph
    left = graph.ancestors(case.y, set(graph.nodes) - set(case.x))
    parts = []
    while left:
        parts.append(frozenset(graph.district(next(iter(left)), left)))
        left -= parts[-1]
    return parts


def closure(graph: Admg, target: frozenset[str]) -> set[str]:
    """The smallest reachable superset of ``target``: fix every vertex outside it that can be fixed.

    A fixable vertex stays fixable when others are fixed, so the order does not matter.
    """
    free = set(graph.nodes)
    while True:
        fixable = next(
            (v for v in graph.nodes if v in free - target and _fixable(graph, v, free)), None
        )
        if fixable is None:
            return free
        free.discard(fixable)


def _fixable(graph: Admg, v: str, free: set[str]) -> bool:
    """No other vertex of ``free`` is both a descendant of ``v`` and in its district."""
    return graph.district(v, free) & reach(v, graph.children, free) == {v}


def without_conditions(case: Case) -> Case:
    """Turn P(y | do(x), z) into the unconditional query that is identifiable exactly when it is.

    Every z that rule 2 allows is moved into x; the conditions that are left become outcomes.
    """
    x, z = list(case.x), list(case.z)
    moved = True
    while moved and z:
        moved = False
        for v in tuple(z):
            rest = [w for w in z if w != v]
            if _rule_2(case.graph, case.y, x, v, rest):
                x.append(v)
                z = rest
                moved = True
    return Case(case.graph, (*case.y, *z), tuple(x), name=case.name)


def reductions(case: Case) -> list[Case]:
    """Every unconditional query that rules 1 and 2 make of it, one condition at a time.

    Rule 1 drops a condition, rule 2 moves it into x; what neither allows to go becomes an outcome.
    """
    ends: dict[tuple[frozenset[str], frozenset[str]], Case] = {}
    todo, seen = [(frozenset(case.x), frozenset(case.z))], set()
    while todo:
        x, z = todo.pop()
        if (x, z) in seen:
            continue
        seen.add((x, z))
        steps = [
            (x | {v}, z - {v})
            for v in z
            if _rule_2(case.graph, case.y, sorted(x), v, sorted(z - {v}))
        ]
        steps += [
            (x, z - {v}) for v in z if _rule_1(case.graph, case.y, sorted(x), v, sorted(z - {v}))
        ]
        todo += steps
        if not steps:
            ends[x, z] = Case(case.graph, (*case.y, *sorted(z)), tuple(sorted(x)), name=case.name)
    return list(ends.values())


def _rule_1(graph: Admg, y: tuple[str, ...], x: list[str], v: str, rest: list[str]) -> bool:
    return _separated(graph, y, x, v, rest, frozenset())


def _rule_2(graph: Admg, y: tuple[str, ...], x: list[str], v: str, rest: list[str]) -> bool:
    return _separated(graph, y, x, v, rest, frozenset({v}))


def _separated(
    graph: Admg, y: tuple[str, ...], x: list[str], v: str, rest: list[str], silent: frozenset[str]
) -> bool:
    """x and rest d-separate y and v, without the edges into x and out of ``silent``.

    Decided on the moral graph of what y, v, x and rest descend from, latents explicit (Lauritzen and others 1990).
    """
    given = {*x, *rest}
    families: dict[object, list[object]] = {
        w: [] if w in x else [p for p in graph.parents(w) if p not in silent] for w in graph.nodes
    }
    for i, arc in enumerate(graph.bidirected):
        families[i] = []
        for w in arc:
            if w not in x:
                families[w].append(i)
    found: set[object] = {*y, v, *given}
    todo = list(found)
    while todo:
        new = [p for p in families[todo.pop()] if p not in found]
        found.update(new)
        todo += new
    linked: dict[object, set[object]] = {w: set() for w in found}
    for w in found:
        family = (w, *families[w])
        for member in family:
            linked[member].update(family)
    reached: set[object] = {v}
    todo = [v]
    while todo:
        new = [w for w in linked[todo.pop()] if w not in reached and w not in given]
        reached.update(new)
        todo += new
    return reached.isdisjoint(y)


def depth(case: Case) -> int | None:
    """How deep step 7 nests in the query, or None where it is not identifiable (by Tian)."""
    plain = without_conditions(case)
    graph = plain.graph
    depths = [
        remembered(graph.known, ("depth", part), lambda part=part: _district_depth(graph, part))
        for part in target_districts(plain)
    ]
    known = [d for d in depths if d is not None]
    return max(known, default=0) if len(known) == len(depths) else None


def _district_depth(graph: Admg, part: frozenset[str]) -> int | None:
    count, current = 0, set(graph.nodes)
    while True:
        ancestral = graph.ancestors(part, current)
        district = graph.district(next(iter(part)), ancestral)
        if district == part:
            return count
        if district == ancestral:
            return None
        count += 1
        current = district
