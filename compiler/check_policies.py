"""The checks of policies: rules that mean something, read what they may, and give what their variable takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from causalc import policy as p
from causalc.compiler import policy_messages as m
from causalc.compiler.check_values import check_value
from causalc.compiler.kinds import Kind
from causalc.compiler.policies import COMPUTED, DRAWN, SHAPES, WrongRule, meaning
from causalc.compiler.scope import Scope
from causalc.grammar.diagnostic import suggest
from causalc.grammar.printer import value_text
from causalc.grammar.tree import Cases, Element, Literal, Name, Policy, Rule


def check_policies(policies: Sequence[Policy], scope: Scope) -> None:
    """Note what is wrong with the policies of one query."""
    sound = [one for one in policies if _check(one, scope)]
    for one in sound:
        for name in names_read(one.rule):
            if name.text == one.name.text or _moved(one.name.text, name.text, sound, scope):
                scope.say(m.PolicyReadsEffect(name.span, one.name.text, name.text))


def _shape(one: Policy, part: Element) -> str:
    name = part.name if isinstance(part, Rule) and part.name in SHAPES else one.rule.name
    return SHAPES[name]


def names_read(element: Element) -> Iterator[Name]:
    """The variables in a rule, as written, from left to right."""
    match element:
        case Name():
            yield element
        case Rule(name, args, options):
            for arg in args:
                yield from names_read(arg)
            for keyword, value in options:
                if name == "linear":
                    yield keyword
                yield from names_read(value)
        case Cases(pairs):
            for _, value in pairs:
                yield from names_read(value)


def _check(one: Policy, scope: Scope) -> bool:
    known = DRAWN if one.drawn else COMPUTED
    if one.rule.name not in (*DRAWN, *COMPUTED):
        hint = suggest(one.rule.name, known, "use " + ", ".join(SHAPES[n] for n in known))
        scope.say(m.UnknownRule(one.rule.name_span, one.rule.name, hint))
        return False
    try:
        rule = meaning(one).rule
    except WrongRule as wrong:
        scope.say(
            m.WrongPolicy(
                wrong.part.span, wrong.reason, wrong.remedy or f"write {_shape(one, wrong.part)}"
            )
        )
        return False
    before = len(scope.found)
    for name in names_read(one.rule):
        if name.text in scope.latent:
            scope.say(m.PolicyReadsLatent(name.span, name.text, one.name.text))
        else:
            scope.is_known(name)
    if len(scope.found) == before:
        _check_reading(one.rule, scope)
        _check_result(one, rule, scope)
    return len(scope.found) == before


def _moved(x: str, z: str, policies: Sequence[Policy], scope: Scope) -> bool:
    """Whether setting ``x`` moves ``z``, by the graph's edges or by what policies read."""
    after: dict[str, set[str]] = {}
    for a, b in scope.edges:
        after.setdefault(a, set()).add(b)
    for one in policies:
        for name in names_read(one.rule):
            if (one.name.text, name.text) != (x, z):
                after.setdefault(name.text, set()).add(one.name.text)
    todo, seen = [x], {x}
    while todo:
        for b in after.get(todo.pop(), ()):
            if b not in seen:
                seen.add(b)
                todo.append(b)
    return z in seen - {x}


def _check_reading(element: Element, scope: Scope) -> None:
    """Levels of ``table`` are its variable's, all of them; ``threshold`` and ``linear`` read numbers."""
    match element:
        case Rule("table", (Name() as name, Cases(pairs))):
            for level, _ in pairs:
                check_value(name.text, level, scope)
            kind = scope.kinds.get(name.text)
            if kind is not None and kind.levels is None:
                scope.say(m.TableOfNumbers(name.span, name.text, str(kind)))
            elif kind is not None and kind.levels is not None:
                named = [level.value for level, _ in pairs]
                missing = [v for v in kind.levels if v not in named]
                if missing:
                    scope.say(
                        m.CaseMissing(element.span, name.text, value_text(Literal(missing[0])))
                    )
        case Rule("threshold", (Name() as name, _)):
            _check_number(name, scope)
        case Rule("linear", _, options):
            for name, _ in options:
                _check_number(name, scope)
    match element:
        case Rule(_, args, options):
            for inner in (*args, *(v for _, v in options)):
                _check_reading(inner, scope)
        case Cases(pairs):
            for _, inner in pairs:
                _check_reading(inner, scope)


def _check_number(name: Name, scope: Scope) -> None:
    kind = scope.kinds.get(name.text)
    if kind is not None and not numeric(kind):
        scope.say(m.RuleNeedsNumber(name.span, name.text, str(kind)))


def numeric(kind: Kind) -> bool:
    """Whether the values of a kind are single numbers."""
    if kind.levels is not None:
        return not any(isinstance(level, str) for level in kind.levels)
    return kind.name in ("integer", "real")


def _check_result(one: Policy, rule: p.Rule, scope: Scope) -> None:
    """What the rule gives must be what the variable takes."""
    name, kind = one.name.text, scope.kinds.get(one.name.text)
    if kind is None:
        return
    fits = {
        "bernoulli": kind.levels is not None and len(kind.levels) == 2,
        "categorical": kind.levels is not None,
        "normal": kind.name == "real",
        "uniform": kind.levels is not None
        if rule == p.Uniform()
        else kind.name in ("integer", "real"),
        "linear": kind.name == "real",
        "table": kind.levels is not None or kind.name in ("integer", "real"),
        "threshold": kind.levels is not None or kind.name in ("integer", "real"),
    }
    if not fits[one.rule.name]:
        scope.say(m.RuleDoesNotFit(one.rule.span, one.rule.name, name, str(kind)))
        return
    if one.rule.name == "categorical" and isinstance(one.rule.args[0], Cases):
        for level, _ in one.rule.args[0].pairs:
            check_value(name, level, scope)
    if not one.drawn:
        for leaf in _results(one.rule):
            check_value(name, leaf, scope)


def _results(element: Element) -> Iterator[Literal]:
    """The values that a computed rule names for its variable."""
    match element:
        case Literal():
            yield element
        case Rule("table", (_, Cases(pairs))):
            for _, value in pairs:
                yield from _results(value)
        case Rule("threshold", _, options):
            given = {n.text: v for n, v in options}
            for side, usual in (("below", 0), ("above", 1)):
                yield from _results(given.get(side, Literal(usual, element.span)))
