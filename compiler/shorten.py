"""The shortest of the formulas found for a query: conditions that tell nothing are dropped, factors joined.

Two things make a formula longer than it need be, and the graph says where they are. A probability may be
given what tells nothing about it once the rest is known; then P(a | b, c) = P(a | b), and a variable that is
summed over may vanish with the factors that mention it, joined: Σ_v P(v | s) P(a | v, s) = P(a | s). And a
variable may have been of no use from the start: the query is answered as well in the graph without it.
(After Tikka & Karvanen 2017, who simplify by search; here each step is a test of m-separation.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

from causalc.compiler.algebra import Builder
from causalc.compiler.eliminate import without
from causalc.compiler.estimand import (
    Node,
    Prob,
    Product,
    Ratio,
    Sum,
    length,
    postorder,
    variables_in,
)
from causalc.compiler.express import express
from causalc.compiler.graph import Graph, bits
from causalc.compiler.identify import Derivation

MOST = 12  # variables that are tried without, each at the price of an identification
LARGE = 60  # variables in a formula that is left as it is: to shorten it would take longer than to read it


def shortest(
    derivation: Derivation, root: Node, sets: tuple[int, int, int]
) -> tuple[Derivation, Node]:
    """The derivation with the shortest formula, and that formula; ``sets`` are y, x and z in its graph."""
    if variables_in(root).bit_count() > LARGE:
        return derivation, root
    best, formula = derivation, shortened(root, derivation.graph)
    size = length(formula)
    if not derivation.do:
        return best, formula
    outcomes, do, given = sets
    graph, asked = derivation.graph, outcomes | do | given
    names = graph.names(graph.ancestors(asked, graph.all) & ~asked)
    if len(names) > MOST:
        return best, formula
    roles = [graph.names(part) for part in sets]
    for name in reversed(names):
        smaller = without(best.graph, name, roles)
        if smaller is None:
            continue
        other = shortened(express(smaller), smaller.graph)
        if (found := length(other)) < size:
            hidden = (*derivation.left_out, *(v for v in names if v not in smaller.graph.index))
            best, formula, size = replace(smaller, left_out=hidden), other, found
    return best, formula


def shortened(root: Node, graph: Graph) -> Node:
    """An expression of the same value, with fewer conditions and sums where the graph allows it."""
    short = Shortening(graph).of(root)
    return min(short, Shortening(graph, pairs=True).of(short), key=length)


@dataclass(slots=True)
class Shortening:
    """Rewrites expressions of one graph from the inside out; ``pairs`` also joins probabilities in products.

    Such pairs come last, since what is joined no longer vanishes from a sum by itself.
    """

    graph: Graph
    pairs: bool = False
    builder: Builder = field(default_factory=Builder)

    def of(self, root: Node) -> Node:
        """The shorter expression; an explicit order, since expressions may nest without bound."""
        done: dict[Node, Node] = {}
        builder = self.builder
        for node in postorder(root):
            match node:
                case Prob(children=children, given=given):
                    done[node] = self.prob(children, given)
                case Product(factors=factors):
                    made = builder.product([done[f] for f in factors])
                    done[node] = self.paired(made) if self.pairs else made
                case Ratio(numerator=top, denominator=bottom):
                    done[node] = min(
                        builder.ratio(done[top], done[bottom]),
                        builder.apart(done[top], done[bottom]),
                        key=length,
                    )
                case Sum(bound=bound, body=body):
                    done[node] = self.sum(bound, done[body])
                case _:
                    done[node] = node
        return done[root]

    def prob(self, children: int, given: int) -> Node:
        """P(children | given) without the conditions that tell nothing more."""
        return self.builder.prob(children, self.trimmed(children, given))

    def trimmed(self, children: int, given: int) -> int:
        """The conditions that an open path leads to."""
        while given:
            by_tail, by_head = self.graph.reached(children, given)
            if not given & ~by_tail & ~by_head:
                break
            given &= by_tail | by_head
        return given

    def paired(self, node: Node) -> Node:
        """A product in which two probabilities are written as one where that is shorter."""
        while isinstance(node, Product) and (made := self._paired(node)) is not None:
            node = made
        return node

    def _paired(self, node: Product) -> Node | None:
        """A product with one probability less: P(a | s) P(b | t) as P(a, b | s, t), where separation allows it."""
        probs = [f for f in node.factors if isinstance(f, Prob)]
        for one, other in permutations(probs, 2):
            if one.children & (other.children | other.given):
                continue
            joined = self._join(other.children, other.given, [one])
            if joined is None:
                continue
            whole = self.prob(*joined)
            if length(whole) < length(one) + length(other):
                return self.builder.product([*_without(node.factors, one, other), whole])
        return None

    def sum(self, bound: int, body: Node) -> Node:
        """The sum, variables joined away one after the other."""
        builder = self.builder
        node = builder.sum(bound, body)
        while (joined := self._joined(node)) is not None:
            node = joined
        return node

    def _joined(self, node: Node) -> Node | None:
        """A sum among the factors of ``node`` with one variable less."""
        factors = node.factors if isinstance(node, Product) else (node,)
        for total in factors:
            if not isinstance(total, Sum):
                continue
            inner = total.body.factors if isinstance(total.body, Product) else (total.body,)
            for v in bits(total.bound):
                touched = [f for f in inner if f.free >> v & 1]
                made = self._vanishing(v, touched)
                if made is None:
                    continue
                body = self.builder.product([*(f for f in inner if f not in touched), *made])
                left = self.builder.sum(total.bound & ~(1 << v), body)
                return self.builder.product([*_without(factors, total), left])
        return None

    def _vanishing(self, v: int, touched: list[Node]) -> list[Node] | None:
        """Factors whose product is the sum over ``v`` of the product of these, if they can be joined."""
        probs = [f for f in touched if isinstance(f, Prob)]
        makers = [f for f in probs if f.children >> v & 1]
        if len(probs) < len(touched) or len(makers) != 1 or len(probs) != len(set(probs)):
            return None
        (maker,) = makers
        users = [f for f in probs if f is not maker]
        whole = self._join(maker.children, maker.given, users)
        if whole is not None:
            return [self.prob(whole[0] & ~(1 << v), whole[1])]
        rest = maker.children & ~(1 << v)
        if not rest:
            return None
        part = self._join(1 << v, self.trimmed(1 << v, maker.given | rest), users)
        if part is None:
            return None
        return [self.prob(rest, maker.given), self.prob(part[0] & ~(1 << v), part[1])]

    def _join(self, children: int, given: int, users: list[Prob]) -> tuple[int, int] | None:
        """P(children | given) and the users as one P(a | s), where separation allows s for all of them."""
        made, needs = children, given
        for user in users:
            if made & user.children:
                return None
            made |= user.children
            needs |= user.given
        context = needs & ~made
        if given & made or not self._same(children, given, context):
            return None
        made = children
        for user in sorted(users, key=lambda f: f.children):
            if user.given & ~(context | made):
                return None
            if not self._same(user.children, user.given, context | made):
                return None
            made |= user.children
        return made, context

    def _same(self, children: int, given: int, more: int) -> bool:
        """Whether P(children | given) = P(children | more), ``given`` being part of ``more``."""
        extra = more & ~given
        return not given & ~more and (not extra or self.graph.separated(children, extra, given))


def _without(factors: Sequence[Node], *gone: Node) -> list[Node]:
    """The factors without one of each of these: a factor may be there several times."""
    left = list(factors)
    for factor in gone:
        left.remove(factor)
    return left
