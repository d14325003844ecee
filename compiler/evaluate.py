"""Evaluate an estimand on an exact joint table, by sum-product contraction of its shared nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalc.compiler.estimand import Follow, Node, Prob, Product, Ratio, Sum, free_names
from causalc.table import Array, Fill, Table, conditional, contract, of_policy


def evaluate(
    node: Node, joint: Table, order: Sequence[str], fill: Fill
) -> tuple[Array, tuple[str, ...]]:
    """The value of ``node`` as an array over its free variables, in topological order."""
    done: dict[Node, Array] = {}
    return _value(node, joint, order, done, fill), free_names(node.free, order)


def _value(
    node: Node, joint: Table, order: Sequence[str], done: dict[Node, Array], fill: Fill
) -> Array:
    if node not in done:
        done[node] = _compute(node, joint, order, done, fill)
    return done[node]


def _compute(
    node: Node, joint: Table, order: Sequence[str], done: dict[Node, Array], fill: Fill
) -> Array:
    keep = free_names(node.free, order)

    def operands(factors: Sequence[Node]) -> list[tuple[Array, Sequence[str]]]:
        return [(_value(f, joint, order, done, fill), free_names(f.free, order)) for f in factors]

    if isinstance(node, Prob):
        given, children = free_names(node.given, order), free_names(node.children, order)
        array = conditional(joint.over((*given, *children)), len(given), fill)
        return contract([(array, (*given, *children))], keep)
    if isinstance(node, Follow):
        return contract(
            [(of_policy(joint, node.policy), (*node.policy.inputs, node.policy.variable))], keep
        )
    if isinstance(node, Product):
        return contract(operands(node.factors), keep)
    if isinstance(node, Sum):
        body = node.body
        return contract(operands(body.factors if isinstance(body, Product) else (body,)), keep)
    if isinstance(node, Ratio):
        top = contract(operands([node.numerator]), free_names(node.numerator.free, order))
        spread = [(top, free_names(node.numerator.free, order))]
        extra = node.denominator.free & ~node.numerator.free
        for name in free_names(extra, order):
            spread.append((np.ones(joint.size(name)), (name,)))
        bottom_value = _value(node.denominator, joint, order, done, fill)
        below = free_names(node.denominator.free, order)
        undefined = bottom_value <= 0
        inverse = 1.0 / np.where(undefined, 1.0, bottom_value)
        value = contract([*spread, (inverse, below)], keep)
        if not undefined.any():
            return value
        ones = [(np.ones(joint.size(name)), (name,)) for name in keep]
        where = contract([(undefined.astype(float), below), *ones], keep) > 0
        return np.where(where, fill.uniform(0.2, 0.8, value.shape), value)
    raise AssertionError(f"not an estimand node: {node}")
