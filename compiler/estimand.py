"""The estimand: a hash-consed expression in observed conditionals, and its evaluation on a table.

SymPy's automatic rewriting must not decide meaning, so the nodes here are our own, with one canonical order;
SymPy, LaTeX and text are views of them (``causalc.compiler.notation``). Bound variables keep the name of the
variable they range over; scoping is lexical, and views rename them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from causalc.compiler.graph import bits
from causalc.compiler.identify import Conditional, Derivation, Kernel


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
    """Makes simplified nodes, each distinct one once."""

    nodes: dict[tuple[object, ...], Node]
    number: dict[Node, int]

    @classmethod
    def empty(cls) -> Builder:
        """A builder that has made nothing yet."""
        return cls({}, {})

    def _intern(self, node: Node) -> Node:
        known = self.nodes.setdefault(node.key, node)
        self.number.setdefault(known, len(self.number))
        return known

    def prob(self, children: int, given: int) -> Node:
        """P(children | given); 1 where there are no children."""
        if not children:
            return self.product(())
        return self._intern(Prob(children | given, ("P", children, given), children, given))

    def product(self, factors: Iterable[Node]) -> Node:
        """The product, flattened, chains of conditionals merged: P(a | b) P(c | a, b) = P(a, c | b)."""
        flat: list[Node] = []
        for factor in factors:
            flat.extend(factor.factors if isinstance(factor, Product) else (factor,))
        merged = _merge_chains([f for f in flat if isinstance(f, Prob)])
        rest = [f for f in flat if not isinstance(f, Prob)]
        parts = [self.prob(children, given) for children, given in merged] + rest
        parts.sort(key=lambda node: self.number[node])
        if len(parts) == 1:
            return parts[0]
        free = 0
        for part in parts:
            free |= part.free
        key = ("*", *(self.number[p] for p in parts))
        return self._intern(Product(free, key, tuple(parts)))

    def sum(self, bound: int, body: Node) -> Node:
        """The sum, what does not depend on the bound variables pulled out, and what sums to one dropped."""
        factors = list(body.factors) if isinstance(body, Product) else [body]
        factors, bound = self._drop_totals(factors, bound)
        outside = [f for f in factors if not f.free & bound]
        inside = [f for f in factors if f.free & bound]
        groups = _components(inside, bound)
        for part in groups:
            scope = 0
            for f in part:
                scope |= f.free & bound
            inner = self.product(part)
            key = ("sum", scope, self.number[inner])
            outside.append(self._intern(Sum(inner.free & ~scope, key, scope, inner)))
        return self.product(outside)

    def _drop_totals(self, factors: list[Node], bound: int) -> tuple[list[Node], int]:
        """Σ_a P(a, b | c) = P(b | c) where nothing else depends on a."""
        while True:
            seen = twice = 0
            for factor in factors:
                twice |= seen & factor.free
                seen |= factor.free
            alone = bound & ~twice
            dropped = 0
            for i, factor in enumerate(factors):
                if isinstance(factor, Prob) and factor.children & alone:
                    dropped |= factor.children & alone
                    factors[i] = self.prob(factor.children & ~alone, factor.given)
            if not dropped:
                return factors, bound
            bound &= ~dropped
            product = self.product(factors)
            factors = list(product.factors) if isinstance(product, Product) else [product]

    def ratio(self, numerator: Node, denominator: Node) -> Node:
        """The ratio, common factors cancelled, P(a, b | c) / P(b | c) folded to P(a | b, c)."""
        over = list(numerator.factors) if isinstance(numerator, Product) else [numerator]
        under = list(denominator.factors) if isinstance(denominator, Product) else [denominator]
        for factor in tuple(under):
            if factor in over:
                over.remove(factor)
                under.remove(factor)
        for low in tuple(under):
            for high in tuple(over):
                folded = self._fold(high, low)
                if folded is not None:
                    over[over.index(high)] = folded
                    under.remove(low)
                    break
        top, bottom = self.product(over), self.product(under)
        if isinstance(bottom, Product) and not bottom.factors:
            return top
        key = ("/", self.number[top], self.number[bottom])
        return self._intern(Ratio(top.free | bottom.free, key, top, bottom))

    def _fold(self, high: Node, low: Node) -> Node | None:
        if not (isinstance(high, Prob) and isinstance(low, Prob)):
            return None
        if high.given != low.given or low.children & ~high.children:
            return None
        return self.prob(high.children & ~low.children, high.given | low.children)


def _merge_chains(probs: Sequence[Prob]) -> list[tuple[int, int]]:
    """Conditionals (children, given) with every chain P(a | b) P(c | a, b) made one."""
    alive = dict.fromkeys((p.children, p.given) for p in probs)
    if len(alive) < len(probs):  # a repeated factor is a square, not a chain
        return [(p.children, p.given) for p in probs]
    by_scope = {children | given: (children, given) for children, given in alive}
    queue = list(alive)
    for part in queue:
        first = by_scope.get(part[1])
        if part in alive and first in alive and first is not None and not first[0] & part[0]:
            merged = (first[0] | part[0], first[1])
            del alive[first], alive[part]
            alive[merged] = None
            by_scope[merged[0] | merged[1]] = merged
            queue.append(merged)
    return list(alive)


def _components(factors: Sequence[Node], bound: int) -> list[list[Node]]:
    """Factors grouped by the bound variables they share, in order of first occurrence."""
    groups: list[tuple[int, list[Node]]] = []
    for factor in factors:
        scope, members = factor.free & bound, [factor]
        apart = []
        for other_scope, other in groups:
            if other_scope & scope:
                scope, members = scope | other_scope, other + members
            else:
                apart.append((other_scope, other))
        groups = [*apart, (scope, members)]
    return [members for _, members in groups]


def build(derivation: Derivation) -> tuple[Node, Builder]:
    """The estimand of a derivation: Σ Π factors, over its total where there are conditions."""
    builder = Builder.empty()
    done: dict[Conditional, Node] = {}
    factors = _needed(derivation.factors, derivation.outcomes | derivation.given)
    nodes = [_conditional(derivation, builder, factor, done) for factor in factors]
    variables = 0
    for factor in factors:
        variables |= 1 << factor.variable
    joint = builder.product(nodes)
    numerator = builder.sum(variables & ~derivation.outcomes & ~derivation.given, joint)
    if not derivation.given:
        return numerator, builder
    return builder.ratio(numerator, builder.sum(variables & ~derivation.given, joint)), builder


def _needed(factors: Sequence[Conditional], keep: int) -> list[Conditional]:
    """Factors whose variable is kept or an input of a needed factor: the others sum to one."""
    needed: list[Conditional] = []
    for factor in sorted(factors, key=lambda f: -f.variable):
        if keep >> factor.variable & 1:
            needed.append(factor)
            keep |= factor.inputs
    return needed[::-1]


def _conditional(
    derivation: Derivation, builder: Builder, wanted: Conditional, done: dict[Conditional, Node]
) -> Node:
    """The expression of a factor; an explicit stack, since kernels may nest without bound."""
    stack = [wanted]
    while stack:
        top = stack[-1]
        if top in done:
            stack.pop()
        elif top.kernel.parent is None:
            done[top] = builder.prob(1 << top.variable, top.inputs)
        else:
            parts = _kernel_parts(derivation, top.kernel, top)
            missing = [part for part in parts if part not in done]
            if missing:
                stack.extend(missing)
            else:
                done[top] = _from_kernel(builder, top, parts, done)
    return done[wanted]


def _kernel_parts(derivation: Derivation, kernel: Kernel, top: Conditional) -> list[Conditional]:
    every = derivation.pool.factors_of(kernel, kernel.variables)
    return _needed(every, (1 << top.variable) | top.inputs)


def _from_kernel(
    builder: Builder, top: Conditional, parts: Sequence[Conditional], done: dict[Conditional, Node]
) -> Node:
    """Q / Σ_v Q over the visible variables; context the factor does not depend on is averaged over."""
    body = builder.product(done[part] for part in parts)
    visible = (1 << top.variable) | top.inputs
    made = 0
    for part in parts:
        made |= 1 << part.variable
    context = body.free & ~visible & ~made
    body = builder.product((builder.prob(context, 0), body))
    hidden = body.free & ~visible
    numerator = builder.sum(hidden, body)
    below = [part for part in parts if part.variable != top.variable]
    rest = builder.product((builder.prob(context, 0), *(done[part] for part in below)))
    if rest.free >> top.variable & 1:
        denominator = builder.sum(hidden | 1 << top.variable, body)
    else:
        denominator = builder.sum(hidden, rest)
    return builder.ratio(numerator, denominator)


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
