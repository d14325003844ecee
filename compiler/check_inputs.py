"""Families that count rows with the same inputs: refused where a factor has inputs that seldom repeat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from causalc.compiler import support_messages as s
from causalc.compiler.kinds import Kind
from causalc.compiler.plan import Fit, Plan
from causalc.compiler.view import Spec
from causalc.grammar.diagnostic import LanguageError, Message
from causalc.grammar.tree import Script

COUNTING = ("table", "rows")


def check_inputs(
    script: Script, models: Mapping[int, Spec], schema: Mapping[str, Kind], plan: Plan
) -> None:
    """Raise ``LanguageError`` for factors of the plan whose inputs such a family cannot take.

    Variables without a declaration are looked at when their kind is known.
    """
    found = list(_misfits(script, models, schema, plan))
    if found:
        assert script.source is not None
        raise LanguageError([(message, script.source) for message in found])


def _misfits(
    script: Script, models: Mapping[int, Spec], schema: Mapping[str, Kind], plan: Plan
) -> Iterator[Message]:
    statements = {statement.variable.text: statement for statement in script.models}
    for number, spec in models.items():
        fit = plan.operations[number]
        assert isinstance(fit, Fit)
        if spec.name not in (("table",) if fit.propensity else COUNTING):
            continue  # others take any inputs; `rows` has no density and is replaced in a propensity
        for name in fit.inputs:
            kind = schema.get(name)
            if kind is not None and not kind.discrete:
                span = statements[fit.targets[0]].family.span
                yield s.SeldomRepeats(span, spec.name, str(fit), name, str(kind))
                break
