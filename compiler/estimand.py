"""Estimands as hash-consed expressions in observed conditionals, and the algebra that keeps them short.

SymPy's automatic rewriting must not decide meaning, so the nodes here are our own, with one canonical order;
SymPy, LaTeX and text are views of them (``causalc.compiler.notation``). Bound variables keep the name of the
variable they range over; scoping is lexical, and views rename them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from causalc.compiler.graph import bits
from causalc.policy import Policy


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """An expression; ``free`` is the set of its free variables. Equal expressions are one object."""

    free: int
    key: tuple[object, ...]


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


@dataclass(slots=True)
class Builder:
    """Makes simplified nodes, each distinct one once.

    Normal form: a product holds probabilities and sums, and at most one ratio stands around it.
    """

    nodes: dict[tuple[object, ...], Node] = field(default_factory=dict)
    number: dict[Node, int] = field(default_factory=dict)

    def _intern(self, node: Node) -> Node:
        known = self.nodes.setdefault(node.key, node)
        self.number.setdefault(known, len(self.number))
        return known

    def prob(self, children: int, given: int) -> Node:
        """P(children | given); 1 where there are no children."""
        if not children:
            return self._times(())
        key = ("P", children, given)
        known = self.nodes.get(key)
        return known or self._intern(Prob(children | given, key, children, given))

    def policy(self, children: int, given: int, policy: Policy) -> Node:
        """π(children | given)."""
        key = ("policy", children, given)
        return self._intern(Follow(children | given, key, children, given, policy))

    def product(self, factors: Iterable[Node]) -> Node:
        """The product, simplified like a ratio over 1."""
        return self._quotient(factors, ())

    def ratio(self, numerator: Node, denominator: Node) -> Node:
        """The ratio: common factors cancelled, P(a, b | c) / P(b | c) folded to P(a | b, c)."""
        return self._quotient((numerator,), (denominator,))

    def _quotient(self, over: Iterable[Node], under: Iterable[Node]) -> Node:
        top, bottom = _flat(over)
        down, up = _flat(under)
        top, bottom = top + up, bottom + down
        if bottom:
            _cancel(top, bottom)
        top = self._merged(top)
        bottom = self._merged(bottom)
        if bottom:
            _cancel(top, bottom)
            self._fold(top, bottom)
            self._fold(bottom, top)
            top = self._merged(top)
        above, below = self._times(top), self._times(bottom)
        if not bottom:
            return above
        key = ("/", self.number[above], self.number[below])
        return self._intern(Ratio(above.free | below.free, key, above, below))

    def _times(self, parts: Iterable[Node]) -> Node:
        """The plain product of factors that are neither products nor ratios."""
        ordered = sorted(parts, key=lambda node: self.number[node])
        if len(ordered) == 1:
            return ordered[0]
        free = 0
        for part in ordered:
            free |= part.free
        key = ("*", *(self.number[part] for part in ordered))
        return self._intern(Product(free, key, tuple(ordered)))

    def _merged(self, parts: list[Node]) -> list[Node]:
        """Chains of conditionals merged: P(a | b) P(c | a, b) = P(a, c | b)."""
        pairs = [(p.children, p.given) for p in parts if isinstance(p, Prob)]
        merged = _merge_chains(pairs)
        if len(merged) == len(pairs):
            return parts
        rest = [p for p in parts if not isinstance(p, Prob)]
        return [self.prob(children, given) for children, given in merged] + rest

    def _fold(self, these: list[Node], those: list[Node]) -> None:
        """P(a, b | c) made P(a | b, c) in ``these`` for each P(b | c) that this takes out of ``those``."""
        for low in [p for p in those if isinstance(p, Prob)]:
            for i, high in enumerate(these):
                if isinstance(high, Prob) and high.given == low.given:
                    if low.children & ~high.children:
                        continue
                    rest = high.children & ~low.children
                    these[i] = self.prob(rest, high.given | low.children)
                    those.remove(low)
                    break

    def sum(self, bound: int, body: Node) -> Node:
        """The sum, what does not depend on the bound variables pulled out, and what sums to one dropped."""
        if not bound:
            return body
        top, bottom = _flat((body,))
        top, bound = self._drop_totals(top, bottom, bound)
        outer = [f for f in top if not f.free & bound]
        under = [f for f in bottom if not f.free & bound]
        inside = [(f, True) for f in top if f.free & bound]
        inside += [(f, False) for f in bottom if f.free & bound]
        for part, scope in _components(inside, bound):
            inner = self._quotient([f for f, up in part if up], [f for f, up in part if not up])
            scope, inner = self._hoisted(scope, inner)
            outer.append(self._total(scope, inner))
        return self._quotient(outer, under)

    def _hoisted(self, scope: int, body: Node) -> tuple[int, Node]:
        """Σ_a f Σ_b g as Σ_ab f g, where f and the other sums do not mention b."""
        factors = list(body.factors) if isinstance(body, Product) else [body]
        for i, factor in enumerate(factors):
            if not isinstance(factor, Sum) or factor.bound & scope:
                continue
            if all(not f.free & factor.bound for f in factors if f is not factor):
                factors[i], scope = factor.body, scope | factor.bound
        return scope, self.product(factors)

    def _total(self, scope: int, body: Node) -> Node:
        key = ("sum", scope, self.number[body])
        return self._intern(Sum(body.free & ~scope, key, scope, body))

    def _drop_totals(
        self, top: list[Node], bottom: list[Node], bound: int
    ) -> tuple[list[Node], int]:
        """Σ_a P(a, b | c) = P(b | c) where nothing else depends on a."""
        below = 0
        for factor in bottom:
            below |= factor.free
        while True:
            seen, twice = below, below
            for factor in top:
                twice |= seen & factor.free
                seen |= factor.free
            alone = bound & ~twice
            dropped = 0
            for i, factor in enumerate(top):
                if isinstance(factor, Prob) and factor.children & alone:
                    dropped |= factor.children & alone
                    top[i] = self.prob(factor.children & ~alone, factor.given)
            if not dropped:
                assert not bound & ~seen, "a variable is summed over that no factor mentions"
                return top, bound
            bound &= ~dropped
            top = self._merged([f for f in top if f.free])


def _flat(factors: Iterable[Node]) -> tuple[list[Node], list[Node]]:
    """Factors above and below the line, products and ratios opened."""
    top: list[Node] = []
    bottom: list[Node] = []
    for factor in factors:
        if isinstance(factor, Ratio):
            above, below = _flat((factor.numerator,))[0], _flat((factor.denominator,))[0]
            top += above
            bottom += below
        elif isinstance(factor, Product):
            top += factor.factors
        else:
            top.append(factor)
    return top, bottom


def _cancel(top: list[Node], bottom: list[Node]) -> None:
    """Take what stands on both sides out of both."""
    for factor in tuple(bottom):
        if factor in top:
            top.remove(factor)
            bottom.remove(factor)


def _merge_chains(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Conditionals (children, given) with every chain P(a | b) P(c | a, b) made one."""
    alive = dict.fromkeys(pairs)
    if len(alive) < len(pairs):  # a repeated factor is a square, not a chain
        return list(pairs)
    by_scope = {children | given: (children, given) for children, given in alive}
    queue = list(alive)
    for part in queue:
        first = by_scope.get(part[1])
        if part in alive and first in alive and first is not None and not first[0] & part[0]:
            merged = (first[0] | part[0], first[1])
            if merged in alive:  # again a square
                continue
            del alive[first], alive[part]
            alive[merged] = None
            by_scope[merged[0] | merged[1]] = merged
            queue.append(merged)
    return list(alive)


def _components(
    factors: Sequence[tuple[Node, bool]], bound: int
) -> list[tuple[list[tuple[Node, bool]], int]]:
    """Factors grouped by the bound variables they share, each group with these, by first occurrence."""
    groups: list[tuple[list[tuple[Node, bool]], int]] = []
    for item in factors:
        members, scope = [item], item[0].free & bound
        apart = []
        for others, other in groups:
            if other & scope:
                scope |= other
                others.extend(members)
                members = others
            else:
                apart.append((others, other))
        groups = [*apart, (members, scope)]
    return groups


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


def free_names(mask: int, order: Sequence[str]) -> tuple[str, ...]:
    """Names of a set in topological order."""
    return tuple(order[v] for v in bits(mask))
