"""Policies: what their rules mean, and queries under them.

Under a policy π(x | z) the mechanism of X is replaced: P(y; π) = Σ_{x,z} π(x | z) P_x(y, z), for Z that X does not
move (Tian 2004). Conditions are reduced by the rules of do-calculus in the graph G_π, in which X has the causes that
the policy reads and no other (Correa & Bareinboim 2020); of Z only what is left an ancestor of Y there is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from causalc import policy as p
from causalc.compiler.estimand import Node
from causalc.compiler.express import Expression
from causalc.compiler.graph import Graph, GraphError
from causalc.compiler.identify import Derivation, Step, identify, move_conditions
from causalc.errors import CausalcError
from causalc.grammar.printer import policy_text, value_text

if TYPE_CHECKING:
    from causalc.grammar.tree import Element, Policy, Rule

SHAPES = {
    "bernoulli": "bernoulli(p)",
    "categorical": "categorical({level: probability, ...})",
    "normal": "normal(mean, sd)",
    "uniform": "uniform() or uniform(low, high)",
    "table": "table(Z, {level: value, ...})",
    "threshold": "threshold(Z, at, below = 0, above = 1)",
    "linear": "linear(intercept, Z = slope, ...)",
}
DRAWN = ("bernoulli", "categorical", "normal", "uniform")
COMPUTED = ("table", "threshold", "linear")


class WrongRule(CausalcError):
    """A rule that says nothing: ``part`` is where, ``reason`` why, ``remedy`` what to write."""

    def __init__(self, part: Element, reason: str, remedy: str = "") -> None:
        super().__init__(f"{reason}; {remedy}" if remedy else reason)
        self.part, self.reason, self.remedy = part, reason, remedy


def meaning(written: Policy) -> p.Policy:
    """What a written policy means; raises ``WrongRule``."""
    name = written.rule.name
    if written.drawn and name in COMPUTED:
        remedy = f"write {written.name} = {name}(...), or draw it: {_known(DRAWN)}"
        raise WrongRule(written.rule, f"`{name}` computes a value and draws none", remedy)
    if not written.drawn and name in DRAWN:
        remedy = f"write {written.name} ~ {name}(...), or compute it: {_known(COMPUTED)}"
        raise WrongRule(written.rule, f"`{name}` draws a value and computes none", remedy)
    if name not in SHAPES:
        known = _known(DRAWN if written.drawn else COMPUTED)
        raise WrongRule(written.rule, f"there is no rule `{name}`", known)
    rule = _distribution(written.rule) if written.drawn else p.Exactly(_function(written.rule))
    return p.Policy(written.name.text, rule, policy_text(written))


def _known(names: Sequence[str]) -> str:
    return "use " + ", ".join(SHAPES[name] for name in names)


def _distribution(rule: Rule) -> p.Rule:
    match rule.name, len(rule.args), len(rule.options):
        case "bernoulli", 1, 0:
            return p.Bernoulli(_share(rule.args[0]))
        case "categorical", 1, 0:
            cases = tuple((k, _share(v)) for k, v in _cases(rule.args[0], rule))
            shares = [v for _, v in cases]
            fixed = [float(v) for v in shares if isinstance(v, int | float)]
            if len(fixed) == len(shares):
                total = sum(fixed)
                if abs(total - 1) > 1e-9:
                    raise WrongRule(rule, f"the probabilities sum to {total:g}, not 1")
            return p.Categorical(cases)
        case "normal", 2, 0:
            sd = _function(rule.args[1])
            if isinstance(sd, int | float) and sd <= 0:
                raise WrongRule(rule.args[1], "a standard deviation is above 0")
            return p.Normal(_function(rule.args[0]), sd)
        case "uniform", 0, 0:
            return p.Uniform()
        case "uniform", 2, 0:
            low, high = _number(rule.args[0]), _number(rule.args[1])
            if not low < high:
                raise WrongRule(rule, "uniform(low, high) needs low < high")
            return p.Uniform(low, high)
    raise WrongRule(rule, f"these are not the parts of `{rule.name}`")


def _function(element: Element) -> p.Function:
    from causalc.grammar.tree import Literal, Name, Parameter, Rule

    match element:
        case Literal(value):
            return value
        case Parameter(name):
            raise WrongRule(
                element,
                f"`${name}` stands in a rule, which is fixed when the script is read",
                "write the number itself",
            )
        case Name(text):
            raise WrongRule(
                element,
                f"`{text}` stands where a number or a function of a variable belongs",
                f"write table({text}, {{level: value, ...}}), or linear(0, {text} = 1) for its very value",
            )
        case Rule():
            return _computed(element)
    raise WrongRule(element, "cases stand in table(Z, {...}) and categorical({...}) alone")


def _computed(rule: Rule) -> p.Function:
    match rule.name, rule.args:
        case "table", (name, cases) if not rule.options:
            found = tuple((k, _function(v)) for k, v in _cases(cases, rule))
            return p.ByLevel(_variable(name, rule), found)
        case "threshold", (name, at):
            options = {n.text: _function(v) for n, v in rule.options}
            if set(options) <= {"below", "above"}:
                return p.Threshold(
                    _variable(name, rule),
                    _number(at),
                    options.get("below", 0),
                    options.get("above", 1),
                )
        case "linear", (intercept,) if rule.options:
            slopes = tuple((n.text, _number(v)) for n, v in rule.options)
            return p.Linear(_number(intercept), slopes)
    if rule.name in COMPUTED:
        raise WrongRule(rule, f"these are not the parts of `{rule.name}`")
    raise WrongRule(rule, f"`{rule.name}` is no function of a variable", _known(COMPUTED))


def _cases(element: Element, rule: Rule) -> list[tuple[p.Leaf, Element]]:
    from causalc.grammar.tree import Cases

    if not isinstance(element, Cases) or not element.pairs:
        raise WrongRule(element, "cases belong here")
    seen: list[tuple[p.Leaf, Element]] = []
    for level, value in element.pairs:
        if any(type(k) is type(level.value) and k == level.value for k, _ in seen):
            raise WrongRule(
                level, f"the level {value_text(level)} is there twice", "keep one of the two"
            )
        seen.append((level.value, value))
    return seen


def _variable(element: Element, rule: Rule) -> str:
    from causalc.grammar.tree import Name

    if not isinstance(element, Name):
        raise WrongRule(element, "a variable belongs here")
    return element.text


def _number(element: Element) -> float:
    from causalc.grammar.tree import Literal

    if isinstance(element, Literal) and isinstance(element.value, int | float):
        return element.value
    raise WrongRule(element, "a number belongs here")


def _share(element: Element) -> p.Function:
    from causalc.grammar.tree import Literal

    found = _function(element)
    if isinstance(element, Literal) and (
        isinstance(found, bool | str) or not 0 <= float(found) <= 1  # type: ignore[arg-type]
    ):
        raise WrongRule(element, "a probability lies between 0 and 1")
    return found


# ---- queries under policies


@dataclass(frozen=True, slots=True, eq=False)
class Regime:
    """A query under policies, reduced: P_π(outcomes | given) where ``do`` is set and ``policies`` are followed.

    ``inner`` are the outcomes of P_x(inner), the one effect that has to be identified.
    """

    graph: Graph
    outcomes: int
    given: int
    do: int
    policies: tuple[p.Policy, ...]
    inner: int
    steps: tuple[Step, ...]

    @property
    def asked(self) -> tuple[int, int, int]:
        """Outcomes, do and conditions of the effect to identify."""
        return self.inner, self.do | self.graph.mask(q.variable for q in self.policies), 0


def ordered(graph: Graph, policies: Sequence[p.Policy]) -> Graph:
    """The graph with an order in which each policy's variable comes after what the policy reads.

    Raises ``CausalcError`` where a policy reads what its variable moves.
    """
    reads = [(z, q.variable) for q in policies for z in q.inputs]
    for z, x in reads:
        graph.mask((z, x))
        if z == x:
            raise CausalcError(f"the policy of `{x}` reads `{x}` itself")
    try:
        order = Graph.from_edges(graph.nodes, (*graph.directed, *reads)).order
    except GraphError:
        read = "; ".join(f"`{q.variable}` from {', '.join(q.inputs)}" for q in policies if q.inputs)
        raise CausalcError(
            f"a policy sets its variable from what that variable moves: {read}; "
            "a policy may read what comes before the variable it sets"
        ) from None
    if order == graph.order:
        return graph
    found = Graph.from_edges(order, graph.directed, graph.bidirected)
    return replace(found, nodes=graph.nodes)


def under(graph: Graph, policies: Sequence[p.Policy]) -> Graph:
    """G_π: what a policy sets has the causes that the policy reads, and no latent ones."""
    reads = {q.variable: q.inputs for q in policies}
    directed = [(a, b) for a, b in graph.directed if b not in reads]
    directed += [(z, x) for x, inputs in reads.items() for z in inputs]
    both = [(a, b) for a, b in graph.bidirected if a not in reads and b not in reads]
    return Graph.from_edges(graph.order, directed, both)


def reduce(
    graph: Graph, outcomes: int, do: int, given: int, policies: Sequence[p.Policy]
) -> Regime:
    """The effect that a query under policies needs; ``graph`` is ``ordered``."""
    changed, steps = under(graph, policies), list[Step]()
    assert changed.order == graph.order, "the order serves both graphs"
    do, given = move_conditions(changed, outcomes, do, given, steps)
    acting = changed.ancestors(outcomes | given, changed.all, cut=do)
    followed = tuple(q for q in policies if acting & graph.mask([q.variable]))
    set_by_rule = graph.mask(q.variable for q in policies)
    read = graph.mask(z for q in followed for z in q.inputs)
    inner = (outcomes | given | read & ~do) & ~set_by_rule
    moved = graph.mask(q.variable for q in followed)
    if moved:
        steps.append(Step("policy", inner, moved, graph.all, read))
    return Regime(graph, outcomes, given, do, followed, inner, tuple(steps))


def derive(regime: Regime, text: str, see: bool = True) -> Derivation:
    """Identify the effect that a regime needs; raises ``NotIdentifiable``."""
    return identify(regime.graph, *regime.asked, text, see=see)


def with_steps(regime: Regime, derivation: Derivation) -> Derivation:
    """The derivation with the steps that led to its effect before its own."""
    at = _renamed(regime.graph, derivation.graph)
    first = (
        Step(s.line, at(s.outcomes), at(s.do), at(s.variables), at(s.part)) for s in regime.steps
    )
    return replace(derivation, steps=(*first, *derivation.steps))


def express_under(regime: Regime, derivation: Derivation) -> Node:
    """Σ_{x,z} Π π(x | z) P_x(y, z), over its total where there are conditions."""
    graph, made = derivation.graph, Expression(derivation)
    inner, builder = made.estimand(), made.builder
    rules = [
        builder.policy(graph.mask([q.variable]), graph.mask(q.inputs), q) for q in regime.policies
    ]
    at = _renamed(regime.graph, graph)
    outcomes, given, do = at(regime.outcomes), at(regime.given), at(regime.do)
    joint = builder.product([*rules, inner])
    result = builder.sum(joint.free & ~outcomes & ~given & ~do, joint)
    return builder.ratio(result, builder.sum(outcomes & result.free, result)) if given else result


def _renamed(graph: Graph, other: Graph) -> Callable[[int], int]:
    """Sets of one graph as sets of another, as far as that has their members."""
    return lambda mask: other.mask(n for n in graph.names(mask) if n in other.index)
