"""The algebra that keeps estimands short: products in the making, and the expressions they become.

A probability P(a | b) is the ratio of two margins, P(a, b) / P(b). In a ``Term`` each margin has a power, so that
the laws of conditional probability are cancellations, and a product is the same whichever way it was made:

    P(a | b) P(c | a, b) = P(a, c | b)          P(a, b | c) / P(b | c) = P(a | b, c)
    Σ_a P(a, b | c) = P(b | c)                  where nothing else depends on a

Only a finished term is written in conditionals again. What a sum does not bind stands outside it, and a sum in
a product stays open for as long as it can: Σ_a f(a) Σ_b g(a, b) = Σ_{a, b} f g.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from causalc.compiler.estimand import Follow, Node, Prob, Product, Ratio, Sum, length
from causalc.policy import Policy

K = TypeVar("K")
FEW = 16  # factors: up to these two ways to write a ratio are compared


@dataclass(slots=True)
class Builder:
    """Makes simplified nodes, each distinct one once.

    Normal form: a product holds probabilities, policies and sums, and at most one ratio stands around it.
    """

    nodes: dict[tuple[object, ...], Node] = field(default_factory=dict)
    number: dict[Node, int] = field(default_factory=dict)
    mates: dict[int, int] = field(
        default_factory=dict
    )  # the scope of the last P(. | given), by given

    def term(self, over: Iterable[Node] = (), under: Iterable[Node] = ()) -> Term:
        """A product of nodes over a product of nodes."""
        made = Term(self)
        for node in over:
            made.times(node)
        for node in under:
            made.times(node, -1)
        return made

    def prob(self, children: int, given: int) -> Node:
        """P(children | given); 1 where there are no children."""
        if not children:
            return self.product_of(())
        key = ("P", children, given)
        known = self.nodes.get(key)
        return known or self._made(key, Prob(children | given, children, given))

    def policy(self, children: int, given: int, policy: Policy) -> Node:
        """π(children | given)."""
        key = ("policy", children, given)
        known = self.nodes.get(key)
        return known or self._made(key, Follow(children | given, children, given, policy))

    def product(self, factors: Iterable[Node]) -> Node:
        """The product, simplified."""
        return self.term(factors).node()

    def ratio(self, numerator: Node, denominator: Node) -> Node:
        """The ratio, simplified."""
        return self.term((numerator,), (denominator,)).node()

    def quotient(self, over: Term, under: Term) -> Node:
        """The ratio of two terms, as it stands or with every margin that both have cancelled: the shorter."""
        top, bottom = over.node(), under.node()
        if len(over.margins) > FEW:
            return self.apart(top, bottom)
        return min(self.ratio(top, bottom), self.apart(top, bottom), key=length)

    def apart(self, top: Node, bottom: Node) -> Node:
        """The ratio with whole factors cancelled, if it is that of two products with sums in them."""
        if not isinstance(top, Sum | Product) or not isinstance(bottom, Sum | Product):
            return self.ratio(top, bottom)
        over, under = _factors(top), _factors(bottom)
        for factor in tuple(under):
            if factor in over:
                over.remove(factor)
                under.remove(factor)
        above = self.product_of(over)
        return self.ratio_of(above, self.product_of(under)) if under else above

    def sum(self, bound: int, body: Node) -> Node:
        """The sum, simplified."""
        return self.term((body,)).total(bound).node() if bound else body

    def product_of(self, factors: Sequence[Node]) -> Node:
        """The plain product of factors that are neither products nor ratios."""
        if len(factors) == 1:
            return factors[0]
        number, free = self.number, 0
        for factor in factors:
            free |= factor.free
        ordered = sorted(factors, key=self._place)
        key = ("*", *map(number.__getitem__, ordered))
        known = self.nodes.get(key)
        return known or self._made(key, Product(free, tuple(ordered)))

    def _place(self, node: Node) -> tuple[int, int]:
        """Probabilities in the causal order of what they are of, then sums in the order they were made."""
        if isinstance(node, Prob | Follow):
            return node.children & -node.children, node.free
        return 1 << node.free.bit_length(), self.number[node]

    def ratio_of(self, over: Node, under: Node) -> Node:
        """The plain ratio of two products."""
        key = ("/", self.number[over], self.number[under])
        known = self.nodes.get(key)
        return known or self._made(key, Ratio(over.free | under.free, over, under))

    def sum_of(self, bound: int, body: Node) -> Node:
        """The plain sum."""
        key = ("sum", bound, self.number[body])
        known = self.nodes.get(key)
        return known or self._made(key, Sum(body.free & ~bound, bound, body))

    def _made(self, key: tuple[object, ...], node: Node) -> Node:
        self.nodes[key] = node
        self.number[node] = len(self.number)
        return node


@dataclass(slots=True)
class Term:
    """A sum over ``bound`` of a product in the making: margins P(S) and other factors, by their powers."""

    builder: Builder
    margins: dict[int, int] = field(default_factory=dict)
    factors: dict[Node, int] = field(default_factory=dict)  # sums and policies
    bound: int = 0

    @property
    def mentioned(self) -> int:
        """The set of its variables, free or bound by the sum."""
        result = 0
        for scope in self.margins:
            result |= scope
        for node in self.factors:
            result |= node.free
        return result

    @property
    def free(self) -> int:
        """The set of its free variables."""
        return self.mentioned & ~self.bound

    def copy(self) -> Term:
        """A term of its own with the same factors."""
        return Term(self.builder, self.margins.copy(), self.factors.copy(), self.bound)

    # ---- products and ratios ------------------------------------------------------------------------------

    def times(self, node: Node, power: int = 1) -> None:
        """Multiply by a node to a power. The term must have no open sum over what the node mentions."""
        if isinstance(node, Prob):
            self.conditional(node.children | node.given, node.given, power)
        elif isinstance(node, Product):
            for factor in node.factors:
                self.times(factor, power)
        elif isinstance(node, Ratio):
            self.times(node.numerator, power)
            self.times(node.denominator, -power)
        else:
            _count(self.factors, node, power)

    def conditional(self, scope: int, given: int, power: int = 1) -> None:
        """Multiply by P(scope \\ given | given) to a power."""
        _count(self.margins, scope, power)
        if given:
            _count(self.margins, given, -power)
            self.builder.mates[given] = scope

    def multiply(self, other: Term, power: int = 1) -> None:
        """Multiply by another term, to the power 1 or -1.

        A sum stays open where neither side mentions what the other binds and there is none below the line
        that it might cancel; else it becomes a factor.
        """
        if self.bound and (self.bound & other.mentioned or other._divides()):
            closed = self.closed()
            self.margins, self.factors, self.bound = closed.margins, closed.factors, 0
        if other.bound and (power < 0 or other.bound & self.mentioned or self._divides()):
            other = other.closed()
        self.bound |= other.bound
        for scope, count in other.margins.items():
            _count(self.margins, scope, count * power)
        for node, count in other.factors.items():
            _count(self.factors, node, count * power)

    def _divides(self) -> bool:
        """Whether a sum stands below the line."""
        return bool(self.factors) and min(self.factors.values()) < 0

    # ---- sums ---------------------------------------------------------------------------------------------

    def total(self, variables: int) -> Term:
        """The sum over some of its free variables; the term itself where there are none."""
        if not variables:
            return self
        result = self.copy()
        whole = result.sum(variables)
        assert whole, "a sum over what no factor mentions"
        return result

    def sum(self, variables: int) -> bool:
        """Become the sum over some of the free variables: what sums to one goes, the rest stays open.

        False where a variable is left that no factor mentions: the sum over it would be a count.
        """
        self.bound |= variables
        while variables:
            seen = twice = 0
            margins = [scope for scope in self.margins if scope & variables]
            for scope in margins:
                twice |= scope if self.margins[scope] != 1 else seen & scope
                seen |= scope
            nodes = [node for node in self.factors if node.free & variables]
            for node in nodes:
                twice |= node.free if self.factors[node] != 1 else seen & node.free
                seen |= node.free
            if variables & self.bound & ~seen:
                return False
            alone = variables & self.bound & ~twice
            variables = 0
            for scope in margins:
                if scope & alone:
                    del self.margins[scope]
                    self.bound &= ~(scope & alone)
                    if scope & ~alone:
                        _count(self.margins, scope & ~alone, 1)
                        variables |= scope & self.bound
            for node in nodes:
                if isinstance(node, Follow) and not node.children & ~alone:
                    del self.factors[node]
                    self.bound &= ~node.children
                    variables |= node.given & self.bound
        return True

    # ---- nodes --------------------------------------------------------------------------------------------

    def node(self) -> Node:
        """The term as an expression."""
        return self.closed(last=True)._written()

    def closed(self, last: bool = False) -> Term:
        """The term with its sum as factors: each sum over as little as may be.

        Where nothing is multiplied any more (``last``), what makes a conditional of a margin goes under the sum.
        """
        whole = self.sum(self.bound)  # what was cancelled may have left a variable alone
        assert whole, "a sum over what no factor mentions"
        if not self.bound:
            return self
        bound, outer, pieces = self.bound, Term(self.builder), list[tuple[int, int | Node]]()
        for scope, power in self.margins.items():
            within = scope & bound
            if not within and last and power == -1:
                mate = self.builder.mates.get(scope, 0)
                within = mate & bound if self.margins.get(mate) == 1 else 0
            if within:
                pieces.append((within, scope))
            else:
                outer.margins[scope] = power
        for node, power in self.factors.items():
            if node.free & bound:
                pieces.append((node.free & bound, node))
            else:
                outer.factors[node] = power
        for part in self._parts(pieces):
            outer.times(part._opened() or part._total())
        return outer

    def _parts(self, pieces: list[tuple[int, int | Node]]) -> list[Term]:
        """The factors under the sum, each with bound variables, grouped by those they share."""
        parts = []
        while pieces:
            part = Term(self.builder, bound=pieces[0][0])
            grows = True
            while grows:
                apart, grows = [], False
                for scope, key in pieces:
                    if not scope & part.bound:
                        apart.append((scope, key))
                        continue
                    grows = grows or bool(scope & ~part.bound)
                    part.bound |= scope
                    if isinstance(key, int):
                        part.margins[key] = self.margins[key]
                    else:
                        part.factors[key] = self.factors[key]
                pieces = apart
            parts.append(part)
        return parts

    def _opened(self) -> Node | None:
        """The sum with one of its factors, a sum itself, opened: where no other factor mentions what that binds."""
        if self._divides():
            return None
        for node, power in self.factors.items():
            if isinstance(node, Sum) and power == 1 and not node.bound & self.bound:
                rest = Term(self.builder, self.margins, self.factors.copy())
                del rest.factors[node]
                if not node.bound & rest.mentioned:
                    whole = self.builder.term((node.body,))
                    for scope, count in rest.margins.items():
                        _count(whole.margins, scope, count)
                    for other, count in rest.factors.items():
                        _count(whole.factors, other, count)
                    if whole.sum(self.bound | node.bound):
                        return whole.node()
        return None

    def _total(self) -> Node:
        """The sum of the whole product."""
        return self.builder.sum_of(self.bound, self._written())

    def _written(self) -> Node:
        """The product, written in conditionals."""
        builder = self.builder
        over, under = self._conditionals()
        over += [n for n, p in self.factors.items() for _ in range(p)]
        for given in under[:]:
            if _put_inside(builder, over, given):
                under.remove(given)
        below = [_inverse(builder, over, given) for given in under]
        below += [n for n, p in self.factors.items() for _ in range(-p)]
        above = builder.product_of(over)
        return builder.ratio_of(above, builder.product_of(below)) if below else above

    def _conditionals(self) -> tuple[list[Node], list[int]]:
        """The margins as conditionals, each with one margin below the line; and those that are left there."""
        mates, prob = self.builder.mates, self.builder.prob
        over = {s: p for s, p in self.margins.items() if p > 0}
        found: list[Node] = []
        left: list[int] = []

        def pair(scope: int, given: int) -> None:
            found.append(prob(scope & ~given, given))
            _count(over, scope, -1)

        for given, power in self.margins.items():
            for _ in range(-power):
                scope = mates.get(given, 0) if len(over) > FEW else 0
                if scope in over:
                    pair(scope, given)
                else:
                    left.append(given)
        pairs = [(_awkward(s, g), s, g) for g in set(left) for s in over if not g & ~s]
        for _, scope, given in sorted(pairs):
            while scope in over and given in left:
                left.remove(given)
                pair(scope, given)
        found += [prob(scope, 0) for scope, p in over.items() for _ in range(p)]
        return found, sorted(left, key=_size)


def _factors(node: Node) -> list[Node]:
    return list(node.factors) if isinstance(node, Product) else [node]


def _count(powers: dict[K, int], key: K, power: int) -> None:
    """Add to a power; what has none is no factor."""
    count = powers.get(key, 0) + power
    if count:
        powers[key] = count
    else:
        powers.pop(key, None)


def _size(scope: int) -> tuple[int, int]:
    return scope.bit_count(), scope


def _awkward(scope: int, given: int) -> tuple[bool, int, int]:
    """How far P(scope \\ given | given) is from a single effect given causes that come before it."""
    children = scope & ~given
    return children & -children < given, children.bit_count(), scope


def _put_inside(builder: Builder, over: list[Node], given: int) -> bool:
    """Divide a sum among the factors by P(given), if that makes a conditional inside it."""
    for i, node in enumerate(over):
        if isinstance(node, Sum):
            divided = _divided(builder, node, given)
            if divided is not None:
                over[i] = divided
                return True
    return False


def _divided(builder: Builder, node: Sum, given: int) -> Node | None:
    """The sum over P(given), where a factor inside becomes a conditional by that."""
    if node.bound & given:
        return None
    body = builder.term((node.body,))
    if any(power > 0 and not given & ~scope for scope, power in body.margins.items()):
        _count(body.margins, given, -1)
        inside = body._written()
        if _below(inside) <= _below(node.body):
            return builder.sum_of(node.bound, inside)
        _count(body.margins, given, 1)
    for inner, power in body.factors.items():
        if isinstance(inner, Sum) and power == 1:
            divided = _divided(builder, inner, given)
            if divided is not None:
                del body.factors[inner]
                body.times(divided)
                return builder.sum_of(node.bound, body._written())
    return None


def _inverse(builder: Builder, over: list[Node], scope: int) -> Node:
    """What stands below the line for 1 / P(scope): with P(given) among the factors, P(scope | given)."""
    for i, node in enumerate(over):
        if isinstance(node, Prob) and not node.given and not node.children & ~scope:
            del over[i]
            return builder.prob(scope & ~node.children, node.children)
    return builder.prob(scope, 0)


def _below(node: Node) -> int:
    """How many factors stand below the line."""
    if not isinstance(node, Ratio):
        return 0
    under = node.denominator
    return len(under.factors) if isinstance(under, Product) else 1
