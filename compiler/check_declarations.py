"""The checks of ``var``, ``data``, ``model`` and ``train``."""

from __future__ import annotations

import re
import unicodedata
from collections import abc
from collections.abc import Iterator
from dataclasses import replace

from causalc.compiler import declaration_messages as d
from causalc.compiler import messages as m
from causalc.compiler.check_values import check_value
from causalc.compiler.checked import CheckedData
from causalc.compiler.families import (
    DATA,
    FAMILIES,
    IMAGE_BACKBONES,
    SOURCES,
    TRAIN,
    fitting,
)
from causalc.compiler.kinds import kind_from_call, kind_problem, parameter_in, plain
from causalc.compiler.scope import Scope
from causalc.grammar.source import INVISIBLE, NOWHERE, Span
from causalc.grammar.tree import (
    Call,
    DataStatement,
    Literal,
    ModelStatement,
    Name,
    Parameter,
    Sequence,
    Symbol,
    TrainStatement,
    Value,
    VarStatement,
)


def check_variables(statements: abc.Sequence[VarStatement], scope: Scope) -> None:
    """Check the ``var`` statements; ``scope.kinds`` learns the kinds."""
    scope.once("the variable", (name for s in statements for name in s.names))
    for statement in statements:
        problem = kind_problem(statement.kind)
        if problem:
            scope.say(problem)
        for name in statement.names:
            known = scope.is_variable(name, "kind")
            if known and not problem:
                scope.kinds.setdefault(name.text, kind_from_call(statement.kind))


# ---- data


def check_data(statements: abc.Sequence[DataStatement], scope: Scope) -> Iterator[CheckedData]:
    """Check the ``data`` statements."""
    scope.once("the data set", (s.name for s in statements))
    for statement in statements:
        yield _data(statement, scope)


def _data(statement: DataStatement, scope: Scope) -> CheckedData:
    call = statement.source
    split, columns = _columns(statement, scope)
    for assignment in statement.under:
        if scope.is_variable(assignment.name, "intervention") and assignment.value is not None:
            check_value(assignment.name.text, assignment.value, scope)
    scope.once("the intervention on", (a.name for a in statement.under), "written")
    return CheckedData(
        statement.name.text,
        call.name,
        _path(call, scope),
        {k: plain(v) for k, v in call.options if not parameter_in(v)},
        split,
        columns,
        statement.under,
        statement.span,
    )


def _path(call: Call, scope: Scope) -> str:
    if call.name not in SOURCES:
        scope.say(d.UnknownSource(call.name_span, call.name, tuple(SOURCES)))
        return ""
    scope.check_options(f"`{call.name}`", call.options, call.option_spans, SOURCES[call.name])
    match call.args:
        case (Parameter(name, span=span),):
            scope.say(d.ParameterOutsideQuery(span, name))
        case (Literal(str(path), span=span),):
            check_path(path, span, scope)
            return path
        case (Symbol(text),):
            scope.say(d.SourcePath(call.span, call.name, text))
        case _:
            scope.say(d.SourcePath(call.span, call.name, "path"))
    return ""


def check_path(path: str, span: Span, scope: Scope) -> None:
    """Note a path that can name no file of this machine."""
    hidden = next((c for c in path if unicodedata.category(c) in INVISIBLE), None)
    if not path:
        scope.say(d.EmptyPath(span))
    elif hidden:
        scope.say(d.PathCharacter(span, f"U+{ord(hidden):04X}"))
    elif re.match(r"[a-z]\w+://", path):
        scope.say(d.NotAFile(span))


def _columns(statement: DataStatement, scope: Scope) -> tuple[str | None, dict[str, str]]:
    split, columns = None, {}
    known = (*DATA, *scope.observed)
    for i, (option, value) in enumerate(statement.options):
        span = statement.option_spans[i] if i < len(statement.option_spans) else NOWHERE
        column = option not in DATA
        if column and option in scope.latent:
            scope.is_variable(Name(option, span), "column")
        elif column and scope.graph_known and option not in scope.observed:
            scope.say(d.UnknownDataOption(span, option, known))
        elif scope.is_parameter(value):
            pass
        elif not isinstance(value, Literal) or not isinstance(value.value, str):
            scope.say(d.NotAColumn(value.span, option))
        elif column:
            columns[option] = value.value
        else:
            split = value.value
    return split, columns


# ---- models and training


def check_models(statements: abc.Sequence[ModelStatement], scope: Scope) -> dict[str, Call]:
    """Check the ``model`` statements; bare words among their options become strings."""
    scope.once("the model of", (s.variable for s in statements))
    for statement in statements:
        scope.is_variable(statement.variable, "model")
        _family(statement, scope)
    return {s.variable.text: _without_symbols(s.family) for s in statements}


def _family(statement: ModelStatement, scope: Scope) -> None:
    call, name = statement.family, statement.variable.text
    family = FAMILIES.get(call.name)
    if family is None:
        scope.say(d.UnknownFamily(call.name_span, call.name, tuple(FAMILIES)))
        return
    if call.name == "pretrained":
        _pretrained(statement, scope)
    elif call.args:
        example = next((f"{option}=..." for option in family.options), "")
        scope.say(d.Unnamed(call.args[0].span, call.name, example))
    scope.check_options(f"`{call.name}`", call.options, call.option_spans, family.options)
    kind = scope.kinds.get(name)
    if kind is None:
        return
    if call.name not in fitting(kind):
        scope.say(d.UnfitFamily(call.name_span, call.name, name, str(kind), fitting(kind)))
        return
    for option, value in call.options:
        if option == "backbone" and kind.name != "image" and _word(value) in IMAGE_BACKBONES:
            scope.say(d.UnfitBackbone(value.span, str(_word(value)), name, str(kind)))


def _pretrained(statement: ModelStatement, scope: Scope) -> None:
    """Check what is bound, and that its inputs are variables, each once."""
    from causalc.compiler import pretrained_messages as p  # few scripts need them

    call, options = statement.family, dict(statement.family.options)
    folders = [
        a for a in call.args if isinstance(a, Literal) and isinstance(a.value, str) and a.value
    ]
    if len(call.args) != len(folders) or len(folders) + ("callable" in options) != 1:
        scope.say(p.PretrainedSource(call.span))
    listed = options.get("inputs")
    seen: set[str] = set()
    for item in listed.items if isinstance(listed, Sequence) else ():
        name = Name(str(_word(item)), getattr(item, "span", NOWHERE))
        if name.text == statement.variable.text:
            scope.say(p.OwnInput(name.span, name.text))
        elif scope.is_variable(name, "place in a model") and name.text in seen:
            scope.say(p.RepeatedInput(name.span, name.text))
        seen.add(name.text)


def _word(value: object) -> object:
    return value.text if isinstance(value, Symbol) else getattr(value, "value", None)


def _without_symbols(call: Call) -> Call:
    options = tuple((name, _literal(value)) for name, value in call.options)
    return replace(call, options=options)


def _literal(value: Value) -> Value:
    match value:
        case Symbol(text, span):
            return Literal(text, span)
        case Sequence(items, span):
            return Sequence(tuple(map(_literal, items)), span)
    return value


def check_train(statements: abc.Sequence[TrainStatement], scope: Scope) -> dict[str, object]:
    """Check the ``train`` block; its options as plain values."""
    for extra in statements[1:]:
        scope.say(m.SecondTrain(extra.span, statements[0].span))
    options: dict[str, object] = {}
    for statement in statements[:1]:
        scope.check_options("`train`", statement.options, statement.option_spans, TRAIN)
        pairs = statement.options
        options = {name: plain(v) for name, v in pairs if not parameter_in(v)}
    return options
