"""How strong a hidden common cause would have to be to explain an effect away: the E-value.

VanderWeele and Ding, "Sensitivity analysis in observational research: introducing the E-value" (Annals of Internal
Medicine 2017): a confounder that is left out must be associated with treatment and with outcome by a risk ratio of
at least RR + sqrt(RR (RR - 1)) each, beyond what was adjusted for, to turn a risk ratio RR into 1. A difference
of d standard deviations counts as a risk ratio of exp(0.91 d).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from causalc.compiler.answer import Estimand, solve
from causalc.compiler.graph import Graph
from causalc.compiler.identify import NotIdentifiable
from causalc.estimates import Answer
from causalc.grammar.tree import Arithmetic, Expression, Moment
from causalc.runtime.data import Columns

if TYPE_CHECKING:
    from causalc.program import Sampler

DRAWS = 10_000
MOST_PAIRS = 200
Verdict = tuple[str, str]
NO_CONTRAST = (
    "not done",
    "an E-value is of a difference or a ratio of two effects that set one variable to two values",
)


def e_value(ratio: float) -> float:
    """The E-value of a risk ratio; 1 for a ratio of 1.

    >>> round(e_value(3.9), 2)
    7.26
    """
    if not ratio > 0:
        return math.inf
    up = max(ratio, 1 / ratio)
    return up + math.sqrt(up * (up - 1))


def ratio_of(difference: float, deviation: float) -> float:
    """The risk ratio that a difference of means counts as, given the outcome's standard deviation."""
    return math.exp(0.91 * difference / deviation)


# ---- of a query


def of_query(
    name: str,
    sampler: Sampler,
    data: Columns,
    fixed: Mapping[str, object],
    seed: int,
) -> Iterator[Verdict]:
    """The E-value of the contrast that a query's one open intervention and one outcome make."""
    estimand = sampler.program.estimands[name]
    graph, question = sampler.program.compiled.graph, estimand.question
    yield from _undoing(estimand, graph)
    free = [n for n, value in question.do if value is None and n not in fixed]
    if len(free) != 1 or len(question.outcomes) != 1 or any(v is None for _, v in question.given):
        yield (
            "not done",
            "an E-value is of one contrast: write it as an estimate, and check that one",
        )
        return
    (x,), (y,) = free, question.outcomes
    ends, kind = _ends(x, data), data.schema[y]
    if ends is None or kind.shape or len(kind.levels) > 2:
        yield "not done", f"there is no E-value for the effect of `{x}` on `{y}`: {kind}"
        return
    if _confounded(graph, x, y):
        yield "ok", _allowed(x, y)
        return
    low, high = (
        _numbers(sampler.sample(DRAWS, name, seed, **{**fixed, x: v})[y], data, y) for v in ends
    )
    what = f"{x} = {ends[1]} against {ends[0]}"
    base, risk = float(low.mean()), float(high.mean())
    if kind.discrete:
        yield _verdict(what, risk / base if base > 0 else math.inf, None)
    else:
        yield _verdict(what, ratio_of(risk - base, float(np.std(data[y]))), None)


def _ends(x: str, data: Columns) -> tuple[Any, Any] | None:
    """The two values to contrast: both levels, or the quartiles of a number."""
    kind = data.schema[x]
    if kind.discrete:
        return (kind.levels[0], kind.levels[1]) if len(kind.levels) == 2 else None
    if kind.shape:
        return None
    low, high = np.quantile(data[x], (0.25, 0.75), method="inverted_cdf")
    return low.item(), high.item()


def _numbers(column: Any, data: Columns, name: str) -> np.ndarray:
    kind = data.schema[name]
    if kind.discrete:
        return np.asarray(np.asarray(column) == kind.levels[1], dtype=np.float64)
    return np.asarray(column, dtype=np.float64)


# ---- of an estimate


def of_estimate(
    expression: Expression, answer: Answer, graph: Graph, data: Columns, base: float
) -> Verdict:
    """The E-value of ``E(..) - E(..)`` or of a ratio of two probabilities or means of a binary outcome.

    ``base`` is the value of its second moment.
    """
    found = contrast(expression)
    if found is None:
        return NO_CONTRAST
    x, y, sign = found
    kind = data.schema[y]
    if _confounded(graph, x, y):
        return "ok", _allowed(x, y)
    assert isinstance(expression, Arithmetic) and isinstance(expression.right, Moment)
    moment = expression.right
    ends = (answer.value, *(answer.interval or ()))
    risks = moment.function == "Pr" or (kind.discrete and len(kind.levels) == 2)
    if risks:
        ratios = [v if sign == "/" else (base + v) / base if base > 0 else math.inf for v in ends]
    elif sign == "-" and not kind.shape and not kind.discrete and moment.function == "E":
        ratios = [ratio_of(v, float(np.std(data[y]))) for v in ends]
    else:
        return "not done", f"there is no E-value for this contrast of `{y}`: {kind}"
    return _verdict(answer.text, ratios[0], (ratios[1], ratios[2]) if ratios[1:] else None)


def contrast(expression: Expression) -> tuple[str, str, str] | None:
    """Treatment, outcome and sign of ``moment - moment`` or ``moment / moment`` that differ in one ``do`` value."""
    match expression:
        case Arithmetic("-" | "/" as sign, Moment() as a, Moment() as b):
            alike = (a.function, a.predicates, a.given) == (b.function, b.predicates, b.given)
            one, other = ({x.name.text: x.value for x in m.do} for m in (a, b))
            differ = [v for v in one if one[v] != other.get(v)]
            plain = not (a.policies or b.policies) and len(a.predicates) == 1
            if alike and plain and one.keys() == other.keys() and len(differ) == 1:
                return differ[0], a.predicates[0].name.text, sign
    return None


def _verdict(what: str, ratio: float, ends: tuple[float, float] | None) -> Verdict:
    line = f"{what}: E-value {_number(e_value(ratio))}"
    weak = False
    if ends is not None:
        weak = min(ends) <= 1 <= max(ends)
        nearest = 1.0 if weak else min(ends, key=lambda r: abs(math.log(r)) if r > 0 else math.inf)
        line += (
            f", {_number(e_value(nearest))} for the end of the 95 % interval nearest to no effect"
        )
    meant = "no hidden cause is needed" if weak else "a hidden common cause must be tied to both"
    reach = (
        ""
        if weak
        else " by risk ratios of at least that, beyond the graph, to explain the effect away"
    )
    return ("weak" if weak else "ok"), f"{line}: {meant}{reach}"


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "without bound"


# ---- what the graph says


def _confounded(graph: Graph, x: str, y: str) -> bool:
    return bool(graph.siblings[graph.index[x]] >> graph.index[y] & 1)


def _allowed(x: str, y: str) -> str:
    return f"the graph has {x} <-> {y}: the answer holds however strong a hidden common cause of the two is"


def _undoing(estimand: Estimand, graph: Graph) -> Iterator[Verdict]:
    """Which single further ``<->`` would leave the query without an answer."""
    have = set(map(frozenset, graph.bidirected))
    pairs = [p for p in combinations(graph.nodes, 2) if frozenset(p) not in have]
    undoing = [p for p in pairs[:MOST_PAIRS] if not _survives(estimand, graph, p)]
    if undoing:
        named = "; ".join(f"{a} <-> {b}" for a, b in undoing[:8])
        more = f" ({len(undoing) - 8} more)" if len(undoing) > 8 else ""
        yield "ok", f"it rests on there being none of these hidden common causes: {named}{more}"
    elif pairs:
        yield "ok", "no single further hidden common cause would leave it without an answer"


def _survives(estimand: Estimand, graph: Graph, pair: tuple[str, str]) -> bool:
    more = Graph.from_edges(graph.nodes, graph.directed, (*graph.bidirected, pair))
    try:
        solve(estimand.question, more)
    except NotIdentifiable:
        return False
    return True
