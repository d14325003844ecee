"""Tree to text, the parser's inverse, for everything smaller than a statement."""

from __future__ import annotations

import json
import re
from typing import assert_never

from causalc.grammar.tree import (
    Arithmetic,
    Assignment,
    Attribute,
    Call,
    Cases,
    Chain,
    Element,
    Expression,
    GraphItem,
    GraphSpec,
    Latent,
    Literal,
    Moment,
    Name,
    NodeSet,
    Options,
    Parameter,
    Policy,
    Predicate,
    Property,
    Query,
    Rule,
    Sequence,
    Sweep,
    Symbol,
    Value,
)

PLAIN_NAME = re.compile(r"[^\W\d]\w*(\.\w+)*")
PLAIN_NODE = re.compile(r"[\w.]+")
RESERVED = frozenset(("dag", "digraph", "do", "graph", "latent", "mag", "pag", "pdag", "to"))
PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}


def name_text(name: Name | str) -> str:
    """A name, in backticks where it is not a plain word."""
    text = str(name)
    if PLAIN_NAME.fullmatch(text) and text.lower() not in RESERVED:
        return text
    return "`" + text.replace("`", "``") + "`"


def string_text(text: str) -> str:
    """A string in double quotes; escapes are JSON's."""
    return json.dumps(text, ensure_ascii=False)


def value_text(value: Value) -> str:
    """A value as the parser reads it."""
    match value:
        case Literal(bool(flag)):
            return "true" if flag else "false"
        case Literal(str(text)):
            return string_text(text)
        case Literal(number):
            return repr(number)
        case Parameter(name):
            return f"${name}"
        case Symbol(text):
            return text
        case Sequence(items):
            return f"[{', '.join(map(value_text, items))}]"
        case _:
            assert_never(value)


def options_text(options: Options) -> tuple[str, ...]:
    """Each ``name = value``."""
    return tuple(f"{name_text(name)} = {value_text(value)}" for name, value in options)


def call_text(call: Call) -> str:
    """``name``, or ``name(args, option=value)``."""
    arguments = [value_text(a) for a in call.args]
    arguments += [f"{name}={value_text(value)}" for name, value in call.options]
    return f"{call.name}({', '.join(arguments)})" if arguments else call.name


def assignment_text(assignment: Assignment) -> str:
    """``X`` or ``X = 3``."""
    name = name_text(assignment.name)
    return name if assignment.value is None else f"{name} = {value_text(assignment.value)}"


def policy_text(policy: Policy) -> str:
    """``X ~ bernoulli(0.3)`` or ``X = threshold(Z, 3)``."""
    sign = "~" if policy.drawn else "="
    return f"{name_text(policy.name)} {sign} {element_text(policy.rule)}"


def element_text(element: Element) -> str:
    """A rule, or a part of one, as the parser reads it."""
    match element:
        case Rule(name, args, options):
            parts = [element_text(a) for a in args]
            parts += [f"{name_text(n)} = {element_text(value)}" for n, value in options]
            return f"{name}({', '.join(parts)})"
        case Cases(pairs):
            return f"{{{', '.join(f'{value_text(k)}: {element_text(v)}' for k, v in pairs)}}}"
        case Name():
            return name_text(element)
        case _:
            return value_text(element)


def do_text(do: tuple[Assignment, ...], policies: tuple[Policy, ...] = ()) -> str:
    """``do(X = 3, W)``."""
    return f"do({', '.join((*map(assignment_text, do), *map(policy_text, policies)))})"


def _distribution(head: str, left: list[str], asked: Query | Moment) -> str:
    set_to = asked.do or asked.policies
    right = [do_text(asked.do, asked.policies)] if set_to else []
    right += [assignment_text(a) for a in asked.given]
    bar = f" | {', '.join(right)}" if right else ""
    return f"{head}({', '.join(left)}{bar})"


def query_text(query: Query) -> str:
    """``P(Y | do(X = 3), Z)``, the intervention first."""
    return _distribution("P", [name_text(n) for n in query.outcomes], query)


def predicate_text(predicate: Predicate) -> str:
    """``Y`` or ``Y == 3``."""
    if predicate.value is None:
        return name_text(predicate.name)
    return f"{name_text(predicate.name)} {predicate.comparison} {value_text(predicate.value)}"


def expression_text(expression: Expression) -> str:
    """An estimate's expression with no more parentheses than it needs."""
    match expression:
        case Literal():
            return value_text(expression)
        case Moment(function, predicates):
            share = [value_text(expression.share)] if expression.share else []
            left = [*map(predicate_text, predicates), *share]
            return _distribution(function, left, expression)
        case Arithmetic(operator, left, right):
            level = PRECEDENCE[operator]
            before = _inside(left, _level(left) < level)
            after = _inside(right, _level(right) <= level)
            return f"{before} {operator} {after}"
        case _:
            assert_never(expression)


def sweep_text(sweep: Sweep) -> str:
    """``X``, ``X = [0, 1]`` or ``X = grid(0, 1, 11)``."""
    name, values = name_text(sweep.name), sweep.values
    if values is None:
        return name
    return f"{name} = {call_text(values) if isinstance(values, Call) else value_text(values)}"


def _level(expression: Expression) -> int:
    return PRECEDENCE[expression.operator] if isinstance(expression, Arithmetic) else 3


def _inside(expression: Expression, parentheses: bool) -> str:
    text = expression_text(expression)
    return f"({text})" if parentheses else text


# ---- graphs


def node_text(name: Name) -> str:
    """A variable's name inside a graph, where DAGitty's bare words are names too."""
    return name_text(name)


def _node_set(part: NodeSet) -> str:
    names = " ".join(map(node_text, part.names))
    return f"{{{', '.join(map(node_text, part.names))}}}" if part.braced else names


def _attribute(attribute: Attribute) -> str:
    key = attribute.key if PLAIN_NODE.fullmatch(attribute.key) else string_text(attribute.key)
    return key if attribute.value is None else f"{key}={string_text(attribute.value)}"


def graph_item_text(item: GraphItem) -> str:
    """One statement of a graph."""
    match item:
        case Chain(sets, arrows, attributes):
            parts = [_node_set(sets[0])]
            for arrow, part in zip(arrows, sets[1:], strict=True):
                parts += [arrow, _node_set(part)]
            if attributes:
                parts.append(f"[{', '.join(map(_attribute, attributes))}]")
            return " ".join(parts)
        case Latent(names):
            return f"latent {', '.join(map(name_text, names))}"
        case Property(key, value):
            return f"{key}={string_text(value)}"
        case _:
            assert_never(item)


def graph_text(spec: GraphSpec) -> str:
    """A graph's statements, one a line, as ``parse_graph`` reads them."""
    return "\n".join(map(graph_item_text, spec.statements))
