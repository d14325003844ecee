"""Sample observational prefixes by drawing real rows: a block of root factors needs no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    members = observed_block(draws, operations, graph)
    if len(members) < 2:
        return draws
    block = {name: draw.slots[0] for name, draw in members.items()}
    first = operations[next(iter(members.values())).model]
    assert isinstance(first, Fit | Bootstrap)
    operations.append(Bootstrap(tuple(block), first.data))
    joint = Draw(tuple(block.values()), len(operations) - 1, ())
    rows = frozenset(block.values())
    return (joint, *(draw for draw in draws if draw.slots[0] not in rows))


def observed_block(
    draws: Sequence[Draw], operations: Sequence[Operation], graph: Graph
) -> dict[str, Draw]:
    """The draws whose product is a joint of observed variables, by variable, in order: as many as join."""
    block: dict[str, Draw] = {}
    seen = 0
    for draw in draws:
        source = operations[draw.model]
        if not isinstance(source, Fit | Bootstrap) or not isinstance(
            operations[source.data], Observed
        ):
            continue
        targets = source.targets if isinstance(source, Fit) else source.columns
        if len(targets) == 1 and _joins(draw, targets[0], block, seen, graph):
            block[targets[0]] = draw
            seen |= graph.mask(targets)
    return block


def _joins(draw: Draw, target: str, block: Mapping[str, Draw], seen: int, graph: Graph) -> bool:
    if target in block or any(
        variable not in block or block[variable].slots != (slot,) for variable, slot in draw.inputs
    ):
        return False
    given = graph.mask(variable for variable, _ in draw.inputs)
    rest = seen & ~given
    return not rest or graph.separated(graph.mask([target]), rest, given)
