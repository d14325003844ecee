"""Drop operations, recorded columns, generated variables and observed columns that nothing uses."""

from __future__ import annotations

from dataclasses import replace

from causalc.compiler.graph import Graph
from causalc.compiler.plan import (
    Bootstrap,
    Fit,
    Generate,
    Network,
    Observed,
    Operation,
    Plan,
    Reweight,
    needed_draws,
    references,
    renumber,
    renumber_draws,
)


def prune(plan: Plan, graph: Graph) -> Plan:
    """One backward sweep finds what is used, one forward sweep renumbers it.

    Exact: what is dropped reaches no network's outcome.
    """
    count = len(plan.operations)
    used = [False] * count
    columns: list[set[str]] = [set() for _ in range(count)]
    for network in plan.networks:
        for draw in network.draws:
            used[draw.model] = True
    operations: list[Operation] = list(plan.operations)
    for i in reversed(range(count)):
        if used[i]:
            op = operations[i]
            if isinstance(op, Reweight):  # every propensity is evaluated on the rows of the base
                for model in (operations[j] for j in op.propensities):
                    assert isinstance(model, Fit)
                    columns[op.base].update(model.targets, model.inputs)
            operations[i] = _narrow(op, columns[i], columns, graph)
            for ref in references(operations[i]):
                used[ref] = True
    new: dict[int, int] = {}
    kept: list[Operation] = []
    for i in range(count):
        if used[i]:
            new[i] = len(kept)
            kept.append(renumber(operations[i], new))
    networks = (_renumbered(network, new) for network in plan.networks)
    return Plan(tuple(kept), tuple(networks))


def _renumbered(network: Network, new: dict[int, int]) -> Network:
    return replace(network, draws=renumber_draws(network.draws, new))


def _narrow(op: Operation, wanted: set[str], columns: list[set[str]], graph: Graph) -> Operation:
    """``op`` reduced to ``wanted`` columns; what it reads is noted in ``columns``."""
    match op:
        case Observed():
            return Observed(tuple(name for name in graph.order if name in wanted))
        case Fit(targets, inputs, data):
            columns[data].update(targets, inputs)
        case Bootstrap(names, data):
            columns[data].update(names)
        case Reweight(base, _):
            columns[base].update(wanted)
        case Generate(draws, names):
            return Generate(needed_draws(draws, wanted), tuple(n for n in names if n in wanted))
    return op
