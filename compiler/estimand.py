"""Estimands as hash-consed expressions in observed conditionals.

SymPy's automatic rewriting must not decide meaning, so the nodes here are our own, made by
``causalc.compiler.algebra`` in one canonical order; SymPy, LaTeX and text are views of them
(``causalc.compiler.notation``). Bound variables keep the name of the variable they range over; scoping is
lexical, and views rename them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from causalc.compiler.graph import bits
from causalc.policy import Policy


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """An expression; ``free`` is the set of its free variables. Equal expressions are one object."""

    free: int


@dataclass(frozen=True, slots=True, eq=False)
class Prob(Node):
    """P(children | given) in the observed distribution."""

    children: int
    given: int


@dataclass(frozen=True, slots=True, eq=False)
class Follow(Node):
    """π(children | given): the policy by which ``do`` sets a variable; its total over ``children`` is 1."""

    children: int
    given: int
    policy: Policy


@dataclass(frozen=True, slots=True, eq=False)
class Product(Node):
    """A product; the empty one is 1."""

    factors: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sum(Node):
    """The body summed over ``bound``."""

    bound: int
    body: Node


@dataclass(frozen=True, slots=True, eq=False)
class Ratio(Node):
    """numerator / denominator."""

    numerator: Node
    denominator: Node


def variables_in(node: Node) -> int:
    """Every variable of the expression, free or bound."""
    seen: set[Node] = set()
    todo, result = [node], 0
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        result |= at.free
        todo.extend(children_of(at))
    return result


def children_of(node: Node) -> tuple[Node, ...]:
    """The direct subexpressions."""
    match node:
        case Product(factors=factors):
            return factors
        case Sum(body=body):
            return (body,)
        case Ratio(numerator=top, denominator=bottom):
            return (top, bottom)
    return ()


def postorder(node: Node) -> list[Node]:
    """Every distinct subexpression, children first."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack = [(node, False)]
    while stack:
        at, ready = stack.pop()
        if ready:
            order.append(at)
        elif at not in seen:
            seen.add(at)
            stack.append((at, True))
            stack.extend((child, False) for child in children_of(at))
    return order


def length(node: Node) -> int:
    """How long the written expression is, about: its variables, with two more for each probability or line."""
    size: dict[Node, int] = {}
    for at in postorder(node):
        own = at.bound if isinstance(at, Sum) else at.free if isinstance(at, Prob | Follow) else 0
        written = 0 if isinstance(at, Product) else 2
        size[at] = written + own.bit_count() + sum(size[child] for child in children_of(at))
    return size[node]


def free_names(mask: int, order: Sequence[str]) -> tuple[str, ...]:
    """Names of a set in topological order."""
    return tuple(order[v] for v in bits(mask))
