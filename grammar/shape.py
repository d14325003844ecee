"""From ``head(terms | terms)`` to a query or a moment, and what may be wrong with its shape."""

from __future__ import annotations

from dataclasses import dataclass

from causalc.grammar import messages as m
from causalc.grammar.diagnostic import Fault, Message
from causalc.grammar.source import Span
from causalc.grammar.tree import Assignment, Literal, Moment, Name, Policy, Predicate, Query

MOMENTS = ("E", "Var", "Pr", "Median", "Quantile")


@dataclass(frozen=True, slots=True)
class Do:
    """``do(terms)``."""

    terms: Terms
    span: Span

    def assignments(self) -> tuple[Assignment, ...]:
        """What is set; refuses an empty, a nested and an unequal ``do``."""
        if not self.terms.items:
            raise Fault(m.EmptyDo(self.span))
        for term in self.terms.items:
            if isinstance(term, Do):
                raise Fault(m.NestedDo(term.span))
            if isinstance(term, Predicate):
                raise Fault(m.UnequalDo(term.span, term.name.text, str(term.comparison)))
        return tuple(t for t in self.terms.items if isinstance(t, Assignment))

    def policies(self) -> tuple[Policy, ...]:
        """What is set by a rule."""
        return tuple(t for t in self.terms.items if isinstance(t, Policy))


@dataclass(frozen=True, slots=True)
class Terms:
    """A list of names, assignments, predicates and interventions; a number among outcomes."""

    items: tuple[Assignment | Predicate | Policy | Literal | Do, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Distribution:
    """``head(left | right)``; ``right`` is ``None`` where there is no bar."""

    head: Name
    left: Terms
    right: Terms | None
    span: Span


def query(found: Distribution) -> Query:
    """The query that a distribution states; raises ``Fault`` for a wrong shape."""
    if found.head.text not in ("P", "p"):
        raise Fault(_wrong_query_head(found))
    _refuse_do_before_bar(found)
    if not found.left.items:
        raise Fault(m.NoOutcome(found.span))
    for term in found.left.items:
        match term:
            case Policy(span=span):
                raise Fault(m.PolicyOutsideDo(span))
            case Literal(span=span):
                raise Fault(m.NumberAsOutcome(span, found.head.text))
            case Predicate(name, comparison, span=span):
                raise Fault(m.ValueOnOutcome(span, name.text, str(comparison)))
            case Assignment(name, value, span=span) if value is not None:
                raise Fault(m.ValueOnOutcome(span, name.text, "=="))
    outcomes = tuple(term.name for term in found.left.items if isinstance(term, Assignment))
    do, policies, given = _right(found)
    _refuse_repeats(outcomes, do, policies, given)
    return Query(outcomes, do, given, found.span, policies)


def moment(found: Distribution) -> Moment:
    """The moment that a distribution states; raises ``Fault`` for a wrong shape."""
    function = found.head.text
    if function not in MOMENTS:
        raise Fault(m.UnknownMoment(found.head.span, function))
    _refuse_do_before_bar(found)
    if not found.left.items:
        raise Fault(m.NoOutcome(found.span))
    items, share = _share(found)
    predicates = tuple(_predicate(function, term) for term in items)
    if function != "Pr" and len(predicates) > 1:
        raise Fault(m.OneOutcomeOnly(predicates[1].span, function))
    do, policies, given = _right(found)
    _refuse_repeats(tuple({p.name.text: p.name for p in predicates}.values()), do, policies, given)
    return Moment(function, predicates, do, given, found.span, policies, share)  # type: ignore[arg-type]


Term = Assignment | Predicate | Policy | Literal | Do


def _share(found: Distribution) -> tuple[tuple[Term, ...], Literal | None]:
    """The terms of ``Quantile(Y, 0.9 | ...)`` without the number, and the number."""
    items = found.left.items
    if found.head.text != "Quantile":
        return items, None
    number = items[-1]
    if not isinstance(number, Literal) or len(items) == 1:
        raise Fault(m.ShareMissing(found.head.span, _first_name(items)))
    if isinstance(items[-2], Literal):
        raise Fault(m.OneShare(number.span))
    share = float(number.value)
    if not 0 < share < 1:
        raise Fault(m.ShareRange(number.span, share))
    return items[:-1], number


def _first_name(items: tuple[Term, ...]) -> str:
    return next((t.name.text for t in items if isinstance(t, Assignment | Predicate)), "Y")


def _predicate(function: str, term: Term) -> Predicate:
    match term:
        case Literal(span=span):
            raise Fault(m.NumberAsOutcome(span, function))
        case Policy(span=span):
            raise Fault(m.PolicyOutsideDo(span))
        case Predicate(name, span=span):
            if function != "Pr":
                raise Fault(m.ComparisonInMoment(span, function, name.text))
            return term
        case Assignment(name, value, span=span) if value is not None:
            raise Fault(m.SingleEqual(span, name.text))
        case Assignment(name, None, span=span):
            if function == "Pr":
                raise Fault(m.EventNeeded(span, name.text))
            return Predicate(name, span=span)
    raise AssertionError("a do before the bar is refused first")


def _wrong_query_head(found: Distribution) -> Message:
    head = found.head
    if head.text in MOMENTS:
        return m.MomentAsQuery(head.span, head.text)
    if head.text.startswith(("P_", "p_")):
        return m.SubscriptedP(head.span, head.text)
    return m.NotADistribution(head.span, head.text)


def _refuse_do_before_bar(found: Distribution) -> None:
    for term in found.left.items:
        if isinstance(term, Do):
            alone = len(found.left.items) == 1
            raise Fault(m.DoBeforeBar(term.span) if not alone else m.DoAsOutcome(term.span))


def _right(
    found: Distribution,
) -> tuple[tuple[Assignment, ...], tuple[Policy, ...], tuple[Assignment, ...]]:
    if found.right is None:
        return (), (), ()
    if not found.right.items:
        raise Fault(m.NothingAfterBar(found.span))
    interventions = [term for term in found.right.items if isinstance(term, Do)]
    if len(interventions) > 1:
        first, second = interventions[:2]
        raise Fault(m.SeveralDos(second.span, first.span))
    given = []
    for term in found.right.items:
        if isinstance(term, Predicate):
            raise Fault(m.UnequalCondition(term.span, term.name.text, str(term.comparison)))
        if isinstance(term, Assignment):
            given.append(term)
        if isinstance(term, Policy):
            raise Fault(m.PolicyOutsideDo(term.span))
    if not interventions:
        return (), (), tuple(given)
    return interventions[0].assignments(), interventions[0].policies(), tuple(given)


def _refuse_repeats(
    outcomes: tuple[Name, ...],
    do: tuple[Assignment, ...],
    policies: tuple[Policy, ...],
    given: tuple[Assignment, ...],
) -> None:
    seen: dict[str, tuple[str, Span]] = {}
    roles = [("outcome", name) for name in outcomes]
    roles += [("intervention", a.name) for a in do] + [("intervention", p.name) for p in policies]
    roles += [("condition", a.name) for a in given]
    for role, name in roles:
        before = seen.setdefault(name.text, (role, name.span))
        if before[1] is not name.span:
            raise Fault(m.TwoRoles(name.span, name.text, role, *before))
