"""What is said to make a query identifiable does, by an independent decider and by numbers; nothing is missed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner
from oracle.admg import Admg, Case
from oracle.decider import closure, identifiable, target_districts, without_conditions
from oracle.queries import random_case
from oracle.scm import Scm, random_scm

import causalc
from causalc.cli import cli
from causalc.compiler.answer import Question
from causalc.compiler.diagram import Diagram
from causalc.compiler.remedies import Remedies, remedies
from causalc.grammar import parse_graph, parse_query


def found_for(case: Case, work: int = 10**9) -> Remedies:
    graph = causalc.Graph.from_edges(case.graph.nodes, case.graph.directed, case.graph.bidirected)
    return remedies(Question.of(parse_query(case.query())), graph, work)


def refused(count: int, seed: int, conditional: bool | None = None) -> Iterator[Case]:
    rng = np.random.default_rng(seed)
    while count:
        case = random_case(rng, 3, 6, conditional=conditional)
        if not identifiable(case):
            count -= 1
            yield case


def without(graph: Admg, pair: tuple[str, str]) -> Admg:
    return replace(graph, bidirected=tuple(p for p in graph.bidirected if p != pair))


def measured(graph: Admg, pair: tuple[str, str]) -> Admg:
    arrows = (*graph.directed, ("L", pair[0]), ("L", pair[1]))
    return replace(without(graph, pair), nodes=(*graph.nodes, "L"), directed=arrows)


def helps(case: Case, setting: str) -> bool:
    """Lee, Correa and Bareinboim's criterion, with the fixing criterion for each district."""
    plain = without_conditions(case)
    rest = plain.graph.within(set(plain.graph.nodes) - {setting})
    return all(
        closure(plain.graph, part) == part or (setting not in part and closure(rest, part) == part)
        for part in target_districts(plain)
    )


@pytest.mark.parametrize("conditional", [False, True])
def test_exactly_the_changes_that_help_are_found(conditional: bool) -> None:
    told = 0
    for case in refused(150, 11 + conditional, conditional):
        found = found_for(case)
        pairs = {frozenset(p): p for p in case.graph.bidirected}

        def unordered(listed) -> set[frozenset[str]]:
            return {frozenset(p) for p in listed}

        assert unordered(found.rule_out) == {
            k for k, p in pairs.items() if identifiable(replace(case, graph=without(case.graph, p)))
        }, case.text()
        assert unordered(found.measure) == {
            k
            for k, p in pairs.items()
            if identifiable(replace(case, graph=measured(case.graph, p)))
        }, case.text()
        outside = set(case.graph.nodes)
        assert set(found.experiments) == {v for v in outside if helps(case, v)}, case.text()
        for text in found.near:
            query = parse_query(text)
            near = Case(
                case.graph,
                tuple(n.text for n in query.outcomes),
                tuple(a.name.text for a in query.do),
                tuple(a.name.text for a in query.given),
            )
            assert identifiable(near), (case.text(), text)
            assert len(set(near.x) & set(case.x)) >= 1
        assert found.complete
        told += bool(found.measure or found.experiments)
    assert told > 50


def test_an_experiment_gives_the_effect_in_numbers() -> None:
    """The effect, from P(v) and P(v | do(a)) alone, equals the truth of random models to 1e-9."""
    rng = np.random.default_rng(5)
    done = surrogate = 0
    for case in refused(400, 23, False):
        for setting in found_for(case).experiments:
            if setting in case.x and done > 30:
                continue
            model = random_scm(case.graph, rng)
            answer = from_experiment(case, setting, model)
            assert np.abs(answer - model.effect(case.y, case.x)).max() < 1e-9, case.text()
            done += 1
            surrogate += setting not in case.x
    assert done > 30
    assert surrogate > 3


def from_experiment(case: Case, setting: str, model: Scm) -> np.ndarray:
    """P(y | do(x)) as the sum of the product of the districts, each from one of the two data sets."""
    graph, label = case.graph, {v: i for i, v in enumerate(case.graph.nodes)}
    rest = tuple(v for v in graph.nodes if v != setting)
    both = [
        (causalc.Table(graph.nodes, model.joint()), graph, None),
        *(
            (causalc.Table(rest, model.effect(rest, (setting,))[a]), graph.within(set(rest)), a)
            for a in range(model.levels[setting])
        ),
    ]
    operands: list[object] = []
    for part in target_districts(case):
        found = next(
            [factor(part, *source) for source in sources]
            for sources in (both[:1], both[1:])
            if closure(sources[0][1], part) == part and part <= set(sources[0][1].nodes)
        )
        axes, arrays = found[0][0], [array for _, array in found]
        if len(arrays) > 1:
            axes, arrays = (setting, *axes), [np.stack(arrays)]
        operands += [arrays[0], [label[v] for v in axes]]
    unused = [v for v in case.x if not any(label[v] in used for used in operands[1::2])]
    for v in unused:
        operands += [np.ones(model.levels[v]), [label[v]]]
    kept = {label[v] for v in (*case.x, *case.y)}
    free = [i for used in operands[1::2] for i in used if i not in kept]
    inner = {label[v] for part in target_districts(case) for v in part}
    for i in (
        set(free) - inner
    ):  # a variable on which the product does not depend: any value will do
        operands = [
            item if not isinstance(item, list) else [j for j in item if j != i]
            for item in (
                np.take(item, 0, axis=operands[k + 1].index(i))
                if k % 2 == 0 and i in operands[k + 1]
                else item
                for k, item in enumerate(operands)
            )
        ]
    return np.einsum(*operands, [label[v] for v in (*case.x, *case.y)], optimize=True)


def factor(
    part: set[str], table: causalc.Table, graph: Admg, _: int | None
) -> tuple[tuple[str, ...], np.ndarray]:
    y = tuple(v for v in graph.nodes if v in part)
    x = tuple(v for v in graph.nodes if v not in part)
    shape = causalc.Graph.from_edges(graph.nodes, graph.directed, graph.bidirected)
    answer = causalc.identify(Case(graph, y, x).query(), shape).evaluate(table)
    return answer.variables, answer.array


def diagram(text: str) -> Diagram:
    spec = parse_graph(text)
    return Diagram(spec.nodes, spec.directed, spec.bidirected, spec.latents)


def test_named_latents_are_measured_by_name() -> None:
    question = Question.of(parse_query("P(Y | do(X))"))
    found = remedies(question, diagram("latent U; latent V; U -> {X Y M}; X -> M -> Y; V -> X"))
    assert found.measure == ("U",)
    assert "measure U" in str(found)


def test_a_large_graph_takes_bounded_work() -> None:
    names = [f"v{i}" for i in range(2000)]
    graph = causalc.Graph.from_edges(names, pairwise(names), pairwise(names))
    start = time.process_time()
    found = remedies(Question.of(parse_query("P(v1999 | do(v0))")), graph)
    assert time.process_time() - start < 2
    assert not found.complete
    assert "too large to try all" in str(found) or found.measure or found.experiments


def test_check_and_show_say_what_would_help(tmp_path) -> None:
    script = tmp_path / "bow.causal"
    script.write_text("graph { W -> X -> Y; X <-> Y }\nquery effect = P(Y | do(X))\n")
    run = CliRunner()
    for arguments in (["check"], ["show"], ["show", "--query", "effect"], ["plan"]):
        done = run.invoke(cli, [*arguments, str(script)], standalone_mode=False)
        assert done.return_value == 2
        assert "measure what confounds X and Y" in done.stderr
        assert "experiment that sets X" in done.stderr
    done = run.invoke(cli, ["show", "P(Y | do(X))", "--graph", "X -> Y; X <-> Y"])
    assert "measure what confounds X and Y" in str(done.exception)
