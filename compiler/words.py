"""An estimand in plain words: what it is called, how it is read, how its answer is drawn, and what it rests on.

The reading follows the formula node by node, so that it holds for any formula. A name (back-door, front-door)
is given only where the formula has the form and the graph meets the criterion of that name.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from causalc.compiler.answer import Estimand
from causalc.compiler.estimand import (
    Follow,
    Node,
    Prob,
    Product,
    Ratio,
    Sum,
    children_of,
    postorder,
)
from causalc.compiler.graph import Graph
from causalc.compiler.identify import Conditional, NotIdentifiable
from causalc.compiler.notation import Scope

LONGEST = 60  # lines of a reading; beyond it the recipe says it better
INDENT = "  "
OFTEN = "What often helps: to measure a confounder behind one of the <-> edges inside the hedge, or an experiment."


@dataclass(frozen=True, slots=True)
class Reading:
    """One sentence; the formula line by line, two spaces a level; how to draw the answer; what it needs."""

    headline: str
    formula: tuple[str, ...]
    recipe: tuple[str, ...]
    needs: tuple[str, ...]

    def __str__(self) -> str:
        parts = [self.headline, *(INDENT + line for line in self.formula)]
        if self.recipe:
            parts += ["To draw from it:", *(f"  {i}. {s}" for i, s in enumerate(self.recipe, 1))]
        if self.needs:
            parts += ["It needs:", *(f"  - {need}" for need in self.needs)]
        return "\n".join(parts)


def words(estimand: Estimand) -> str:
    """The reading of an estimand as text."""
    return f"{estimand.question.text}\n{read(estimand)}"


def words_of_refusal(reason: NotIdentifiable, remedies: str = "") -> str:
    """What a hedge means, in words; ``remedies`` are lines on what would help, where they were looked for."""
    forest, sub = reason.hedge.forest, reason.hedge.subforest
    apart = listed(name for name in forest if name not in sub)
    return (
        f"{reason.query}\nNo formula exists: two models can agree on all such data and differ in the answer.\n"
        f"{INDENT}The witness is a hedge: {listed(forest)} hang together through unmeasured causes,\n"
        f"{INDENT}and {listed(sub)} by itself does so too: what setting {apart} does to {listed(sub)} cannot be\n"
        f"{INDENT}told from what confounds them.\n"
        f"{textwrap.indent(remedies or OFTEN, INDENT)}"
    )


def read(estimand: Estimand) -> Reading:
    """The reading of an estimand."""
    scope = Scope.outside(estimand.graph.order, estimand.root.free)
    formula: tuple[str, ...]
    if _length(estimand.root) > LONGEST:
        formula = ("a formula too long to read out; the steps below say the same",)
    else:
        formula = tuple(_lines(estimand.root, scope, 0))
    return Reading(_headline(estimand), formula, tuple(_recipe(estimand)), tuple(_needs(estimand)))


def listed(names: Iterable[str]) -> str:
    """Names as a list in a sentence."""
    items = list(names)
    return (
        items[0]
        if len(items) == 1
        else f"{', '.join(items[:-1])} and {items[-1]}"
        if items
        else "nothing"
    )


# ---- what it is called


def _headline(estimand: Estimand) -> str:
    graph, question = estimand.graph, estimand.question
    y, x, w = _roles(estimand)
    outcomes, do = listed(question.outcomes), listed(n for n, _ in question.do)
    if question.policies:
        rules = "; ".join(q.text for q in question.policies)
        return f"{outcomes} when the policy is followed: {rules}."
    if not question.do:
        return f"Nothing is set: the answer is how {outcomes} is distributed in the data."
    if isinstance(estimand.root, Prob):
        return _as_seen(estimand, x)
    adjusted = back_door(graph, estimand.root, y, x, w)
    if adjusted:
        return (
            f"Adjust for {listed(graph.names(adjusted))} (back-door): compare rows alike in it, "
            "then average over it."
        )
    mediators = front_door(graph, estimand.root, y, x, w)
    if mediators:
        return (
            f"Go through {listed(graph.names(mediators))} (front-door): what {do} does to it, "
            f"and what it does to {outcomes}."
        )
    count = len({node for node in postorder(estimand.root) if isinstance(node, Prob)})
    return f"No named pattern: the answer is put together from {count} conditionals of the data."


def _roles(estimand: Estimand) -> tuple[int, int, int]:
    """Outcomes, do and given of the question, as far as the graph at hand has them."""
    graph, question = estimand.graph, estimand.question
    parts = (question.outcomes, [n for n, _ in question.do], [n for n, _ in question.given])
    y, x, w = (graph.mask(n for n in part if n in graph.index) for part in parts)
    return y, x, w


def _as_seen(estimand: Estimand, x: int) -> str:
    """The answer is one observed conditional."""
    graph, root = estimand.graph, estimand.root
    assert isinstance(root, Prob)
    names = [n for n, _ in estimand.question.do]
    seen = graph.names(root.given & x)
    idle = [n for n in names if n not in seen]
    outcomes = listed(estimand.question.outcomes)
    if not seen:
        return (
            f"Setting {listed(idle)} does nothing to {outcomes} here: the data answer as they are."
        )
    more = f" Setting {listed(idle)} does nothing." if idle else ""
    return f"Nothing confounds {listed(seen)} with {outcomes} here: seeing is as good as setting.{more}"


def back_door(graph: Graph, root: Node, y: int, x: int, w: int) -> int:
    """The adjustment set Z of Σ_z P(y | x, z, w) P(z | w), if Z and w meet the back-door criterion; else 0."""
    match root:
        case Sum(bound=z, body=Product(factors=(Prob() as one, Prob() as other))):
            outcome, weight = (one, other) if one.children == y else (other, one)
            if (outcome.children, outcome.given) != (y, x | z | w):
                return 0
            if (weight.children, weight.given) != (z, w):
                return 0
            late = sum(1 << v for v in range(len(graph.order)) if _below(graph, x, v)) & ~x
            if late & (z | w) or not graph.separated(y, x, z | w, cut_out_of=x):
                return 0
            return z
    return 0


def _below(graph: Graph, x: int, v: int) -> bool:
    """Whether a vertex descends from ``x``."""
    return bool(graph.ancestors(1 << v, graph.all) & x)


def front_door(graph: Graph, root: Node, y: int, x: int, w: int) -> int:
    """The mediators M of Σ_m P(m | x) Σ_x' P(x') P(y | x', m), if they meet the front-door criterion; else 0."""
    match root:
        case Sum(bound=m, body=Product(factors=(Prob() as first, Sum(bound=bound) as inner))):
            pass
        case Sum(bound=m, body=Product(factors=(Sum(bound=bound) as inner, Prob() as first))):
            pass
        case _:
            return 0
    pairs = {(p.children, p.given) for p in children_of(inner.body) if isinstance(p, Prob)}
    form = bound == x and not w and (first.children, first.given) == (m, x)
    if not form or pairs != {(x, 0), (y, x | m)} or len(children_of(inner.body)) != 2:
        return 0
    intercepts = not graph.ancestors(y, graph.all & ~m) & x
    first_free = graph.separated(m, x, 0, cut_out_of=x)
    second_blocked = graph.separated(y, m, x, cut_out_of=m)
    return m if intercepts and first_free and second_blocked else 0


# ---- how it is read


def _length(root: Node) -> int:
    size: dict[Node, int] = {}
    for node in postorder(root):
        size[node] = min(1 + sum(size[child] for child in children_of(node)), 10**9)
    return size[root]


def _lines(node: Node, names: Scope, depth: int) -> Iterator[str]:
    start = INDENT * depth
    match node:
        case Prob(children=children, given=given):
            yield f"{start}how {_is_distributed(names, children, given)}"
        case Follow(policy=policy):
            yield f"{start}the policy {policy.text}"
        case Product(factors=factors):
            yield f"{start}the product of"
            for factor in factors:
                yield from _lines(factor, names, depth + 1)
        case Sum(bound=bound, body=body):
            inner, bound_names = names.bind(bound)
            weights, rest = averaged(body, bound)
            over = listed(bound_names)
            if not weights:
                yield f"{start}the sum, over all values of {over}, of"
                yield from _lines(body, inner, depth + 1)
                return
            law = " and ".join(_probability(w, inner) for w in weights)
            yield f"{start}the average, over {over} drawn from {law}, of"
            if len(rest) > 1:
                yield f"{INDENT * (depth + 1)}the product of"
            for factor in rest:
                yield from _lines(factor, inner, depth + 1 + (len(rest) > 1))
        case Ratio(numerator=top, denominator=bottom):
            yield f"{start}the ratio of"
            yield from _lines(top, names, depth + 1)
            yield f"{start}to"
            yield from _lines(bottom, names, depth + 1)


def averaged(body: Node, bound: int) -> tuple[tuple[Prob, ...], tuple[Node, ...]]:
    """Factors of a sum's body that are a distribution over ``bound``, and the other factors.

    They are conditionals whose children are ``bound``, each once, and each given only bound variables of
    those before it: their product sums to 1 over ``bound``. Empty where there are none, or nothing else.
    """
    factors = children_of(body) if isinstance(body, Product) else (body,)
    known, chosen = 0, []
    waiting = [f for f in factors if isinstance(f, Prob) and not f.children & ~bound]
    while True:
        ready = next((f for f in waiting if not f.given & bound & ~known), None)
        if ready is None:
            break
        waiting.remove(ready)
        if ready.children & known:
            return (), tuple(factors)
        known |= ready.children
        chosen.append(ready)
    rest = tuple(f for f in factors if f not in chosen)
    return (tuple(chosen), rest) if known == bound and rest else ((), tuple(factors))


def _probability(node: Prob, names: Scope) -> str:
    given = names.written(node.given)
    return (
        f"P({', '.join(names.written(node.children))}{' | ' + ', '.join(given) if given else ''})"
    )


def _is_distributed(names: Scope, children: int, given: int) -> str:
    if not children:
        return "sure it is: 1"
    what = names.written(children)
    verb = "is" if len(what) == 1 else "are"
    among = f" among rows with the same {listed(names.written(given))}" if given else ""
    return f"{listed(what)} {verb} distributed in the data{among}"


# ---- how the answer is drawn


def _recipe(estimand: Estimand) -> Iterator[str]:
    """The factors of the derivation, in causal order; each is a conditional of a distribution Q[T]."""
    derivation, graph = estimand.derivation, estimand.graph
    if not derivation.do:
        given = graph.names(derivation.given)
        among = f", from rows like the {listed(given)} asked about" if given else ""
        yield f"draw {listed(graph.names(derivation.outcomes))} as in the data{among}"
        return
    drawn = 0
    for factor in derivation.factors:
        drawn |= 1 << factor.variable
    inputs = 0
    for factor in derivation.factors:
        inputs |= factor.inputs
    rules = estimand.regime.policies if estimand.regime else ()
    followed = {q.variable for q in rules}
    if set_once := [n for n in graph.names(inputs & derivation.do) if n not in followed]:
        yield f"set {listed(set_once)}"
    for rule in rules:
        after = f" once {listed(rule.inputs)} is known" if rule.inputs else ""
        yield f"let {rule.variable} follow its policy{after}: {rule.text}"
    free = inputs & ~drawn & ~derivation.do
    if free:
        yield f"take any {listed(graph.names(free))} from the data: the answer does not depend on it"
    for factor in derivation.factors:
        yield _drawn(graph, factor)
    if estimand.regime and estimand.regime.given:
        asked = listed(estimand.regime.graph.names(estimand.regime.given))
        yield f"keep to draws with the {asked} asked about"
    if derivation.given and not estimand.regime:
        yield f"keep to draws with the {listed(graph.names(derivation.given))} asked about"


def _drawn(graph: Graph, factor: Conditional) -> str:
    name = graph.order[factor.variable]
    given = graph.names(factor.inputs)
    text = f"draw {name}" + (f" given {listed(given)}" if given else "")
    if factor.kernel.parent is None:
        return f"{text}, as in the data"
    within = factor.kernel.variables
    outside = graph.names(graph.parents_of(within) & ~within)
    if not outside:
        return f"{text}, as in the data"
    verb = "is" if len(outside) == 1 else "are"
    return f"{text}, as it would be where {listed(outside)} {verb} set from outside"


# ---- what it rests on


def _needs(estimand: Estimand) -> Iterator[str]:
    yield "the graph: every arrow and every <-> that is not drawn is a claim that there is none"
    names: Sequence[str] = estimand.graph.order
    seen: dict[int, None] = {}
    for node in postorder(estimand.root):
        if isinstance(node, Prob) and node.given:
            seen[node.given] = None
    # a set of conditions within a larger one needs nothing of its own
    largest = [g for g in seen if not any(g != other and not g & ~other for other in seen)]
    for given in largest:
        held = [names[v] for v in range(len(names)) if given >> v & 1]
        together = "values of" if len(held) == 1 else "combinations of"
        yield f"rows at all {together} {listed(held)} that the formula visits"
    if any(isinstance(node, Ratio) for node in postorder(estimand.root)):
        yield "a probability above 0 wherever the formula divides by one"
