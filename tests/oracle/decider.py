"""Identifiability of P(y | do(x), z) by criteria other than the recursive ID algorithm.

- ``identifiable``: the fixing criterion of Richardson, Evans, Robins and Shpitser (2023): with Y* =
  an_{G[V \\ X]}(Y), P(y | do(x)) is identifiable exactly if every district of G[Y*] is intrinsic,
  that is reachable from G by fixing vertices none of which has a descendant in its own district.
- conditional queries: z is moved into x while rule 2 of do-calculus allows it, as d-separation in
  the DAG with explicit latents (networkx decides it); what is left is the criterion above on (y,
  z).
- ``depth``: how often the step that fixes a strict superset of a district must be taken one inside
  another, by Tian's recursion on districts. It sorts the queries by difficulty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import networkx as nx

from oracle.admg import Admg, Case


def identifiable(case: Case) -> bool:
    """Decide whether P(y | do(x), z) is a function of P(v) in every positive model of the graph."""
    return marginal_identifiable(without_conditions(case))


def marginal_identifiable(case: Case) -> bool:
    """Decide an unconditional query by the fixing criterion."""
    return all(closure(case.graph, district) == district for district in target_districts(case))


def target_districts(case: Case) -> list[set[str]]:
    """The districts of G[Y*], where Y* are the ancestors of y that reach it without passing x."""
    outside = case.graph.within(set(case.graph.nodes) - set(case.x))
    relevant = outside.within(outside.ancestors(set(case.y)))
    return [set(part) for part in nx.connected_components(relevant.confounded)]


def closure(graph: Admg, target: set[str]) -> set[str]:
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
    district = _reach(v, graph.confounded.adj, free)
    descendants = _reach(v, graph.dag.adj, free)
    return district & descendants == {v}


def _reach(start: str, adjacent: Mapping[str, Iterable[str]], within: set[str]) -> set[str]:
    found, todo = {start}, [start]
    while todo:
        new = [w for w in adjacent[todo.pop()] if w in within and w not in found]
        found.update(new)
        todo += new
    return found


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
    """x and rest d-separate y and v, without the edges into x and out of ``silent``."""
    dag = nx.DiGraph()
    dag.add_nodes_from(graph.nodes)
    dag.add_edges_from(e for e in graph.directed if e[0] not in silent and e[1] not in x)
    for i, arc in enumerate(graph.bidirected):
        dag.add_edges_from(((i, "latent"), w) for w in arc if w not in x)
    return bool(nx.is_d_separator(dag, set(y), {v}, {*x, *rest}))


def depth(case: Case) -> int | None:
    """How deep step 7 nests in the query, or None where it is not identifiable (by Tian)."""
    plain = without_conditions(case)
    depths = [_district_depth(plain.graph, part) for part in target_districts(plain)]
    known = [d for d in depths if d is not None]
    return max(known, default=0) if len(known) == len(depths) else None


def _district_depth(graph: Admg, part: set[str]) -> int | None:
    count = 0
    while True:
        ancestral = graph.within(graph.ancestors(part))
        district = _reach(next(iter(part)), ancestral.confounded.adj, set(ancestral.nodes))
        if district == part:
            return count
        if district == set(ancestral.nodes):
            return None
        count += 1
        graph = ancestral.within(district)
