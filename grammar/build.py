"""From the parser's reductions to the tree: one method for each rule of causal.lark.

Every token is kept, so a method sees its rule's line as written, and the span of a node runs from
its first child to its last.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

from causalc.grammar import messages as m
from causalc.grammar import tree as t
from causalc.grammar import unexpected as u
from causalc.grammar.diagnostic import Fault
from causalc.grammar.foreign_messages import CommaInNumber
from causalc.grammar.lalr import Token
from causalc.grammar.shape import Distribution, Do, Terms, moment, query
from causalc.grammar.source import INVISIBLE, MAX_EDGES, NOWHERE, Span

MAX_LIST_DEPTH = 4
MAX_RULE_DEPTH = 8
PLAIN_NUMBER = re.compile(r"[\d.]+")
MAX_OPERATORS = 100
MAX_DIGITS = 300
ARROWS = ("->", "<-", "<->")

Children = list[Any]


def span_of(children: Children) -> Span:
    """From the first child to the last; a child is a token or has a span."""
    if not children:
        return NOWHERE
    return Span(_at(children[0]).start, _at(children[-1]).end)


def _at(child: Any) -> Span:
    if isinstance(child, Token):
        return Span(child.start_pos, child.end_pos)
    span: Span = child.span
    return span


@dataclass(frozen=True, slots=True)
class _Option:
    name: t.Name
    value: t.Value
    span: Span


@dataclass(frozen=True, slots=True)
class _Parameterised:
    name: t.Name
    value: t.Element
    span: Span


@dataclass(frozen=True, slots=True)
class _Block:
    options: tuple[_Option, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class _Braces:
    items: tuple[t.GraphItem, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class _Over:
    sweeps: tuple[t.Sweep, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class _Attributes:
    items: tuple[t.Attribute, ...]
    span: Span


_Named = TypeVar("_Named", _Option, _Parameterised)


def _only(children: Children, *kinds: type) -> tuple[Any, ...]:
    return tuple(c for c in children if isinstance(c, kinds) and not isinstance(c, Token))


class Builder:
    """The callbacks that the parser finds by the names of the rules."""

    # ---- names and values

    def name(self, children: Children) -> t.Name:
        (token,) = children
        return t.Name(_checked_name(token), _at(token))

    def node(self, children: Children) -> t.Name:
        (token,) = children
        if token.type == "STRING":
            return t.Name(_sound_name(_loose_string(token), token), _at(token))
        return self.name(children)

    def number(self, children: Children) -> t.Literal:
        text, span = "".join(children), span_of(children)
        if len(text) > MAX_DIGITS:
            raise Fault(m.NumberTooLarge(span))
        value = int(text) if re.fullmatch(r"-?\d+", text) else float(text)
        if not math.isfinite(value):
            raise Fault(m.NumberTooLarge(span))
        return t.Literal(value, span)

    def string(self, children: Children) -> t.Literal:
        return t.Literal(_string(children[0]), span_of(children))

    def parameter(self, children: Children) -> t.Parameter:
        return t.Parameter(str(children[0][1:]), span_of(children))

    def symbol(self, children: Children) -> t.Value:
        (token,) = children
        if token in ("true", "false"):
            return t.Literal(token == "true", _at(token))
        return t.Symbol(str(token), _at(token))

    def sequence(self, children: Children) -> t.Sequence:
        items = _only(children, t.Literal, t.Parameter, t.Symbol, t.Sequence)
        made = t.Sequence(items, span_of(children))
        if _depth(made) > MAX_LIST_DEPTH:
            raise Fault(m.ListTooDeep(made.span, MAX_LIST_DEPTH))
        return made

    def keyword(self, children: Children) -> _Option:
        token, _, value = children
        return _Option(t.Name(str(token), _at(token)), value, span_of(children))

    def option(self, children: Children) -> _Option:
        name, _, value = children
        return _Option(name, value, span_of(children))

    def block(self, children: Children) -> _Block:
        return _Block(_unrepeated(_only(children, _Option)), span_of(children))

    def call(self, children: Children) -> t.Call:
        options = _unrepeated(_only(children, _Option))
        values = _only(children, t.Literal, t.Parameter, t.Symbol, t.Sequence)
        for value in values:
            if options and value.span.start > options[0].span.start:
                _refuse_decimal_comma(options, value)
                raise Fault(m.PositionalAfterOption(value.span, options[0].name.text))
        return t.Call(
            str(children[0]),
            values,
            _pairs(options),
            span_of(children),
            _at(children[0]),
            _spans(options),
        )

    # ---- graphs

    def node_set(self, children: Children) -> t.NodeSet:
        names = _only(children, t.Name)
        return t.NodeSet(names, braced=isinstance(children[0], Token), span=span_of(children))

    def attribute(self, children: Children) -> t.Attribute:
        key, value = children[0], "".join(map(str, children[2:])) if len(children) > 1 else None
        if len(children) == 3 and children[2].type == "STRING":
            value = _loose_string(children[2])
        text = _loose_string(key) if key.type == "STRING" else str(key)
        return t.Attribute(text, value, span_of(children))

    def attributes(self, children: Children) -> _Attributes:
        return _Attributes(_only(children, t.Attribute), span_of(children))

    def property(self, children: Children) -> t.Property:
        made = self.attribute(children)
        last = children[-1]
        if last.type == "NODE" and not PLAIN_NUMBER.fullmatch(last):
            raise Fault(m.NotAProperty(made.span, made.key, str(last)))
        return t.Property(made.key, made.value or "", made.span)

    def chain(self, children: Children) -> t.Chain:
        arrows = [c for c in children if isinstance(c, Token)]
        for arrow in arrows:
            if arrow not in ARROWS:
                raise Fault(m.UnknownArrow(_at(arrow), str(arrow)))
        attributes = _only(children, _Attributes)
        if len(children) == 1 and children[0].names[0].span == children[0].span:
            self._refuse_lone_latent(children[0])
        return t.Chain(
            _only(children, t.NodeSet),
            tuple(map(str, arrows)),  # type: ignore[arg-type]
            attributes[0].items if attributes else (),
            span_of(children),
        )

    @staticmethod
    def _refuse_lone_latent(only: t.NodeSet) -> None:
        (name,) = only.names
        if name.text == "latent" and name.span.end - name.span.start == len("latent"):
            raise Fault(m.LatentWithoutName(only.span))

    def latent(self, children: Children) -> t.Latent:
        return t.Latent(_only(children, t.Name), span_of(children))

    def hidden(self, children: Children) -> t.LatentStatement:
        return t.LatentStatement(_only(children, t.Name), span_of(children))

    def graph_body(self, children: Children) -> _Braces:
        return _Braces(_items(children), span_of(children))

    def graph_text(self, children: Children) -> t.GraphSpec:
        if children and isinstance(children[0], Token) and children[0].type == "HEADER":
            header = children[0]
            if header.lower() not in ("dag", "graph"):
                raise Fault(m.NotADag(_at(header), str(header)))
            children = [c for c in children[1:] if not isinstance(c, t.Name)]
        return t.GraphSpec(_items(children), None, span_of(children))

    # ---- statements

    def graph(self, children: Children) -> t.GraphStatement:
        _, *named, body = children
        name, span = next(iter(named), None), span_of(children)
        if isinstance(body, Token):
            return t.GraphStatement(None, _string(body), span, name)
        return t.GraphStatement(t.GraphSpec(body.items, None, body.span), None, span, name)

    def include(self, children: Children) -> t.IncludeStatement:
        return t.IncludeStatement(_string(children[1]), span_of(children))

    def var(self, children: Children) -> t.VarStatement:
        return t.VarStatement(_only(children, t.Name), children[-1], span_of(children))

    def under(self, children: Children) -> Do:
        return Do(children[3], span_of(children))

    def data(self, children: Children) -> t.DataStatement:
        _, name, _, call, *rest = children
        under = _only(rest, Do)
        for policy in under[0].policies() if under else ():
            raise Fault(m.PolicyInData(policy.span))
        block = _only(rest, _Block)
        options = block[0].options if block else ()
        return t.DataStatement(
            name,
            call,
            under[0].assignments() if under else (),
            _pairs(options),
            span_of(children),
            _spans(options),
        )

    def model(self, children: Children) -> t.ModelStatement:
        _, name, _, call = children
        return t.ModelStatement(name, call, span_of(children))

    def train(self, children: Children) -> t.TrainStatement:
        options = children[1].options
        return t.TrainStatement(_pairs(options), span_of(children), _spans(options))

    def query(self, children: Children) -> t.QueryStatement:
        _, name, _, distribution = children
        return t.QueryStatement(name, query(distribution), span_of(children))

    def estimate(self, children: Children) -> t.EstimateStatement:
        _, name, _, expression, *rest = children
        over = rest[0].sweeps if rest else ()
        return t.EstimateStatement(name, expression, span_of(children), over)

    def over(self, children: Children) -> _Over:
        return _Over(_only(children, t.Sweep), span_of(children))

    def sweep(self, children: Children) -> t.Sweep:
        name, *rest = children
        return t.Sweep(name, rest[1] if rest else None, span_of(children))

    def check(self, children: Children) -> t.CheckStatement:
        names = _only(children, t.Name)
        return t.CheckStatement(names[0], names[1:], span_of(children))

    def sample(self, children: Children) -> t.SampleStatement:
        options = _unrepeated(_only(children, _Option))
        return t.SampleStatement(
            children[1], _pairs(options), _string(children[-1]), span_of(children), _spans(options)
        )

    def script(self, children: Children) -> tuple[t.Statement, ...]:
        return tuple(c for c in children if not isinstance(c, Token))

    # ---- questions

    def assignment(self, children: Children) -> t.Assignment:
        return t.Assignment(
            children[0], children[2] if len(children) > 1 else None, span_of(children)
        )

    def policy(self, children: Children) -> t.Policy:
        name, sign, rule = children
        return t.Policy(name, rule, sign == "~", span_of(children))

    def rule(self, children: Children) -> t.Rule:
        head, options = children[0], _unrepeated(_only(children, _Parameterised))
        args = _only(children, t.Rule, t.Literal, t.Name, t.Parameter, t.Cases)
        for arg in args:
            if options and arg.span.start > options[0].span.start:
                raise Fault(m.PositionalAfterOption(arg.span, options[0].name.text))
        pairs = tuple((o.name, o.value) for o in options)
        made = t.Rule(str(head), args, pairs, span_of(children), _at(head))
        if _rule_depth(made) > MAX_RULE_DEPTH:
            raise Fault(m.RuleTooDeep(made.span, MAX_RULE_DEPTH))
        return made

    def parameterised(self, children: Children) -> _Parameterised:
        name, _, value = children
        return _Parameterised(name, value, span_of(children))

    def cases(self, children: Children) -> t.Cases:
        return t.Cases(_only(children, tuple), span_of(children))

    def case(self, children: Children) -> tuple[t.Literal, t.Element]:
        level, _, value = children
        return level, value

    def level(self, children: Children) -> t.Literal:
        (token,) = children
        if token.type == "STRING":
            return t.Literal(_string(token), _at(token))
        if token in ("true", "false"):
            return t.Literal(token == "true", _at(token))
        raise Fault(m.UnquotedLevel(_at(token), str(token)))

    def predicate(self, children: Children) -> t.Predicate:
        name, comparison, value = children
        return t.Predicate(name, str(comparison), value, span_of(children))  # type: ignore[arg-type]

    def do(self, children: Children) -> Do:
        return Do(children[2], span_of(children))

    def naked_do(self, children: Children) -> Do:
        raise Fault(m.NakedDo(span_of(children), children[1].name.text))

    def terms(self, children: Children) -> Terms:
        found = _only(children, t.Assignment, t.Predicate, t.Policy, t.Literal, Do)
        return Terms(found, span_of(children))

    def distribution(self, children: Children) -> Distribution:
        head, _, left, *rest = children
        return Distribution(
            t.Name(str(head), _at(head)),
            left,
            rest[1] if len(rest) > 1 else None,
            span_of(children),
        )

    def moment(self, children: Children) -> t.Moment:
        return moment(children[0])

    def parentheses(self, children: Children) -> t.Expression:
        inner: t.Expression = children[1]
        return replace(inner, span=span_of(children))

    def arithmetic(self, children: Children) -> t.Arithmetic:
        left, operator, right = children
        made = t.Arithmetic(str(operator), left, right, span_of(children))  # type: ignore[arg-type]
        if _operators(made) > MAX_OPERATORS:
            raise Fault(m.ExpressionTooLong(made.span, MAX_OPERATORS))
        return made


# ---- helpers


def _items(children: Children) -> tuple[t.GraphItem, ...]:
    items: tuple[t.GraphItem, ...] = _only(children, t.Chain, t.Latent, t.Property)
    edges = 0  # a few words can stand for very many: {a b c …} -> {d e f …}
    for item in items:
        if isinstance(item, t.Chain):
            edges += sum(len(a.names) * len(b.names) for a, b in pairwise(item.sets))
        if edges > MAX_EDGES:
            raise Fault(u.TooLong(item.span, MAX_EDGES, "edges"))
    return items


def _pairs(options: tuple[_Option, ...]) -> t.Options:
    return tuple((o.name.text, o.value) for o in options)


def _spans(options: tuple[_Option, ...]) -> tuple[Span, ...]:
    return tuple(o.name.span for o in options)


def _unrepeated(options: tuple[_Named, ...]) -> tuple[_Named, ...]:
    first: dict[str, _Named] = {}
    for option in options:
        seen = first.setdefault(option.name.text, option)
        if seen is not option:
            raise Fault(m.RepeatedOption(option.name.span, option.name.text, seen.name.span))
    return options


def _refuse_decimal_comma(options: tuple[_Option, ...], value: t.Value) -> None:
    """``lr = 0,001``, whose end looks like another argument."""
    for option in options:
        match option.value, value:
            case t.Literal(int(whole)), t.Literal(int(rest)) if (
                option.span.end + 1 == value.span.start
            ):
                text = str(rest).zfill(value.span.end - value.span.start)
                span = option.value.span | value.span
                raise Fault(CommaInNumber(span, f"{whole},{text}", str(whole), text))


def _depth(value: t.Value) -> int:
    if not isinstance(value, t.Sequence):
        return 0
    return 1 + max(map(_depth, value.items), default=0)


def _rule_depth(element: t.Element) -> int:
    match element:
        case t.Rule(_, args, options):
            return 1 + max(map(_rule_depth, (*args, *(v for _, v in options))), default=0)
        case t.Cases(pairs):
            return max((_rule_depth(value) for _, value in pairs), default=0)
    return 0


def _operators(expression: t.Expression) -> int:
    if not isinstance(expression, t.Arithmetic):
        return 0
    return 1 + _operators(expression.left) + _operators(expression.right)


def _checked_name(token: Token) -> str:
    if token.type != "QUOTED":
        return str(token)
    return _sound_name(token[1:-1].replace("``", "`"), token)


def _sound_name(text: str, token: Token) -> str:
    if not text.strip():
        raise Fault(m.EmptyName(_at(token)))
    for c in text:
        if unicodedata.category(c) in INVISIBLE and c not in "\u200c\u200d":
            raise Fault(m.ControlCharacter(_at(token), f"U+{ord(c):04X}"))
    return text


def _string(token: Token) -> str:
    try:
        text: str = json.loads(token, strict=False)
        text.encode()
    except ValueError:
        raise Fault(m.BadEscape(_at(token))) from None
    return text


def _loose_string(token: Token) -> str:
    """A string of DAGitty, in which a backslash that escapes nothing is a backslash."""
    try:
        return _string(token)
    except Fault:
        return str(token[1:-1])
