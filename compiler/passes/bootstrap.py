"""Sample observational prefixes by drawing real rows: a block of root factors needs no model."""

from __future__ import annotations

from dataclasses import replace

from causalc.compiler.graph import Graph
from causalc.compiler.plan import Bootstrap, Draw, Fit, Observed, Operation, Plan


def bootstrap(plan: Plan, graph: Graph) -> Plan:
    """Replace each network's largest prefix whose product is a joint of observed variables by row draws.

    Exact: a factor joins only if its variable is m-separated, given its inputs, from the rest of the block.
    """
    operations = list(plan.operations)
    networks = []
    for network in plan.networks:
        draws = _grouped(network.draws, operations, graph)
        networks.append(replace(network, draws=draws))
    return Plan(tuple(operations), tuple(networks))


def _grouped(
    draws: tuple[Draw, ...], operations: list[Operation], graph: Graph
) -> tuple[Draw, ...]:
    block: dict[str, str] = {}
    seen, members = 0, set[int]()  # the block as a set of variables, and the draws that make it
    rows = None
    for i, draw in enumerate(draws):
        source = operations[draw.model]
        if not isinstance(source, Fit | Bootstrap) or not isinstance(
            operations[source.data], Observed
        ):
            continue
        targets = source.targets if isinstance(source, Fit) else source.columns
        if len(targets) == 1 and _joins(draw, targets[0], block, seen, graph):
            block[targets[0]] = draw.slots[0]
            seen |= graph.mask(targets)
            members.add(i)
            rows = source.data
    if len(members) < 2 or rows is None:
        return draws
    operations.append(Bootstrap(tuple(block), rows))
    joint = Draw(tuple(block.values()), len(operations) - 1, ())
    return (joint, *(draw for i, draw in enumerate(draws) if i not in members))


def _joins(draw: Draw, target: str, block: dict[str, str], seen: int, graph: Graph) -> bool:
    if target in block or any(block.get(variable) != slot for variable, slot in draw.inputs):
        return False
    given = graph.mask(variable for variable, _ in draw.inputs)
    rest = seen & ~given
    return not rest or graph.separated(graph.mask([target]), rest, given)
