"""The checks of ``query``, ``estimate``, ``check`` and ``sample``."""

from __future__ import annotations

from collections.abc import Sequence

from causalc.compiler import declaration_messages as d
from causalc.compiler import messages as m
from causalc.compiler.check_declarations import check_path
from causalc.compiler.check_policies import check_policies
from causalc.compiler.check_values import check_value
from causalc.compiler.checked import CheckedCheck, CheckedQuery, CheckedSample
from causalc.compiler.families import CHECKS, OF_ESTIMATES, SAMPLE, accepts, describe
from causalc.compiler.kinds import parameter_in, plain
from causalc.compiler.scope import Scope
from causalc.grammar.printer import name_text, value_text
from causalc.grammar.source import NOWHERE, Span
from causalc.grammar.tree import (
    Assignment,
    CheckStatement,
    EstimateStatement,
    Name,
    Parameter,
    Query,
    QueryStatement,
    SampleStatement,
    Script,
    Value,
)


def declare_questions(script: Script, scope: Scope) -> None:
    """Let ``scope`` know the names of all queries and estimates, wherever they stand."""
    questions = [s for s in script.statements if isinstance(s, QueryStatement | EstimateStatement)]
    scope.once("the query or estimate", (s.name for s in questions))
    for statement in questions:
        kind = "a query" if isinstance(statement, QueryStatement) else "an estimate"
        if not statement.name.text.isidentifier():
            scope.say(m.OddQueryName(statement.name.span, statement.name.text, kind))
        if isinstance(statement, QueryStatement):
            scope.queries.setdefault(statement.name.text, statement)
        else:
            scope.estimates.setdefault(statement.name.text, statement)


# ---- queries


def check_query(statement: QueryStatement, scope: Scope) -> CheckedQuery:
    """Check the variables and the values of a query."""
    query = statement.query
    check_names(query, scope)
    for assignment in (*query.do, *query.given):
        if assignment.value is not None:
            check_value(assignment.name.text, assignment.value, scope)
    check_policies(query.policies, scope)
    for name in set(query.parameters) & set(query.free):
        scope.say(m.InputClash(statement.query.span, name))
    return CheckedQuery(statement.name.text, query, statement.span)


def check_names(query: Query, scope: Scope) -> None:
    roles = [(name, "an outcome") for name in query.outcomes]
    roles += [(a.name, "set by `do`") for a in query.do]
    roles += [(p.name, "set by `do`") for p in query.policies]
    roles += [(a.name, "a condition") for a in query.given]
    for name, role in roles:
        if name.text in scope.latent:
            scope.say(m.LatentInQuery(name.span, name.text, role))
        else:
            scope.is_known(name)


# ---- checks and samples


def check_check(statement: CheckStatement, scope: Scope) -> CheckedCheck:
    """Check that the query and the checks exist; an estimate has ``OF_ESTIMATES`` alone."""
    asked = [n.text for n in statement.checks if n.text in (*scope.queries, *scope.estimates)]
    if statement.query.text in CHECKS and asked:
        scope.say(m.CheckReversed(statement.query.span, statement.query.text, asked[0]))
        return CheckedCheck(statement.query.text, (), statement.span)
    of_estimate = statement.query.text in scope.estimates
    if not of_estimate or {n.text for n in statement.checks} & {*CHECKS} - {*OF_ESTIMATES}:
        _find_query(statement.query, scope)
    for name in statement.checks:
        if name.text not in CHECKS:
            scope.say(m.UnknownCheck(name.span, name.text, CHECKS))
    scope.once("the check", statement.checks, "named")
    names = tuple(name.text for name in statement.checks)
    return CheckedCheck(statement.query.text, names, statement.span)


def _find_query(name: Name, scope: Scope) -> QueryStatement | None:
    if name.text in scope.queries:
        return scope.queries[name.text]
    if name.text in scope.estimates:
        declared = scope.estimates[name.text].name.span
        scope.say(m.EstimateAsQuery(name.span, name.text, declared))
    else:
        scope.say(m.UnknownQuery(name.span, name.text, tuple(scope.queries)))
    return None


def check_sample(statement: SampleStatement, scope: Scope) -> CheckedSample:
    """Check that a sample has its number of rows and a value for each input of its query."""
    found = _find_query(statement.query, scope)
    given = dict(statement.options)
    for i, (name, value) in enumerate(statement.options):
        span = statement.option_spans[i] if i < len(statement.option_spans) else NOWHERE
        if name in SAMPLE:
            _check_option(name, value, scope)
        elif found:
            _check_input(Name(name, span), value, found, scope)
    if "n" not in given:
        scope.say(m.RowsMissing(statement.span, name_text(statement.query)))
    if found:
        _check_complete(statement, found, scope)
    check_path(statement.path, statement.span, scope)
    values = {k: plain(v) for k, v in given.items() if not parameter_in(v)}
    n, seed = values.pop("n", None), values.pop("seed", None)
    whole = n if isinstance(n, int) else 0
    return CheckedSample(statement.query.text, whole, seed, values, statement.path, statement.span)


def _check_option(name: str, value: Value, scope: Scope) -> None:
    if not scope.is_parameter(value) and not accepts(SAMPLE[name], value):
        scope.say(d.BadOption(value.span, value_text(value), name, describe(SAMPLE[name])))


def _inputs(query: Query) -> dict[str, Assignment]:
    """What a sampler of a query must be given: open variables and parameters."""
    found: dict[str, Assignment] = {}
    for assignment in (*query.do, *query.given):
        if assignment.value is None:
            found[assignment.name.text] = assignment
        elif isinstance(assignment.value, Parameter):
            found.setdefault(assignment.value.name, assignment)
    return found


def _check_input(name: Name, value: Value, found: QueryStatement, scope: Scope) -> None:
    query, inputs = found.query, _inputs(found.query)
    if name.text not in inputs:
        fixed = [a for a in (*query.do, *query.given) if a.name.text == name.text]
        if fixed:
            scope.say(m.InputTaken(name.span, found.name.text, name.text, fixed[0].span))
        else:
            known = (*SAMPLE, *inputs)
            scope.say(m.UnknownInput(name.span, found.name.text, name.text, known))
        return
    if scope.is_parameter(value):
        return
    for assignment in (*query.do, *query.given):
        parameter = isinstance(assignment.value, Parameter) and assignment.value.name == name.text
        if parameter or (assignment.value is None and assignment.name.text == name.text):
            check_value(assignment.name.text, value, scope)


def _check_complete(statement: SampleStatement, found: QueryStatement, scope: Scope) -> None:
    given = dict(statement.options)
    for name, assignment in _inputs(found.query).items():
        if name in SAMPLE:
            scope.say(m.InputNamedLikeOption(statement.query.span, name))
        elif name not in given:
            written = f"${name}" if isinstance(assignment.value, Parameter) else name
            scope.say(
                m.InputMissing(statement.query.span, written, name_text(name), assignment.span)
            )


def check_outputs(statements: Sequence[SampleStatement], scope: Scope) -> None:
    """Note samples that would overwrite one another."""
    first: dict[str, Span] = {}
    for statement in statements:
        if statement.path in first:
            scope.say(m.SameOutput(statement.span, first[statement.path]))
        first.setdefault(statement.path, statement.span)
