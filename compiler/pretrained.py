"""Which factor of a plan a model that somebody else trained may stand for, and why otherwise.

Such a model is taken at its word: it draws a variable given its inputs as the observed rows have it. So it may stand
for a factor P(V | inputs) of the *observed* rows with exactly these inputs. It may not stand for a factor of weighted
or generated rows, which is another distribution, nor for a propensity, whose probabilities are needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from causalc.compiler import pretrained_messages as p
from causalc.compiler.graph import Graph
from causalc.compiler.kinds import Kind, plain
from causalc.compiler.plan import Fit, Generate, Observed, Plan
from causalc.compiler.view import Spec
from causalc.errors import CausalcError
from causalc.grammar.diagnostic import LanguageError, Message
from causalc.grammar.tree import ModelStatement, Script
from causalc.model_folder import Described, Slot, described, misfits

NAME = "pretrained"


def bound(spec: Spec, plan: Plan, factor: Fit) -> Spec | None:
    """The spec with its inputs written out where the model stands for this factor, else ``None``."""
    options = dict(spec.options)
    inputs = options.get("inputs") or factor.inputs
    if any(_reasons(factor, _names(inputs), plan, None)):
        return None
    return Spec(spec.name, spec.args, (*{**options, "inputs": tuple(_names(inputs))}.items(),))


def check_pretrained(
    script: Script,
    models: Mapping[str, Spec],
    schema: Mapping[str, Kind],
    graph: Graph,
    plan: Plan,
    base: Path,
) -> None:
    """Raise ``LanguageError`` for models that can stand for no factor of the plan.

    Paths are relative to ``base``. A folder that is not there yet is looked at when training starts.
    """
    found: list[Message] = []
    for statement in script.models:
        spec = models[statement.variable.text]
        if spec.name == NAME:
            found += _problems(statement, spec, schema, graph, plan, base)
    if found:
        assert script.source is not None
        raise LanguageError([(message, script.source) for message in found])


def _problems(
    statement: ModelStatement,
    spec: Spec,
    schema: Mapping[str, Kind],
    graph: Graph,
    plan: Plan,
    base: Path,
) -> Iterator[Message]:
    name, span = statement.variable.text, statement.family.span
    fits = [op for op in plan.operations if isinstance(op, Fit) and name in op.targets]
    if not fits:
        yield p.NoSuchFactor(statement.variable.span, name)
        return
    given = dict(spec.options).get("inputs")
    ways = [(fit, list(_reasons(fit, _names(given or fit.inputs), plan, graph))) for fit in fits]
    served = next((fit for fit, reasons in ways if not reasons), None)
    if served is None:
        fit, reasons = min(ways, key=lambda way: len(way[1]))
        legal = [str(f) for f in fits if not any(_reasons(f, f.inputs, plan, None))]
        yield p.OtherFactor(span, str(fit), "; ".join(reasons), ", ".join(legal))
    elif spec.args and (base / str(spec.args[0])).exists():
        inputs = _names(given or served.inputs)
        yield from _folder_problems(statement, base, served, inputs, schema)


def _folder_problems(
    statement: ModelStatement,
    base: Path,
    factor: Fit,
    inputs: Sequence[str],
    schema: Mapping[str, Kind],
) -> Iterator[Message]:
    span, written = statement.family.span, str(plain(statement.family.args[0]))
    folder = base / written
    try:
        model: Described = described(folder)
    except CausalcError as error:
        yield p.UnusableModel(span, str(error).replace(str(folder), written).rstrip("."))
        return
    target = statement.variable.text
    slots = [(name, _slot(schema.get(name))) for name in inputs]
    reasons = misfits(model, (target, _slot(schema.get(target))), slots)
    if reasons:
        yield p.MisfitModel(span, str(factor), "; ".join(reasons))


def _slot(kind: Kind | None) -> Slot:
    if kind is None:
        return "inferred", ()
    if kind.discrete:
        return "discrete", tuple(kind.levels or ())
    if kind.name == "image":
        height, width = map(int, kind.args)
        return "image", (height, width, int(kind.options.get("channels", 1)))
    return kind.name, ()


def _names(inputs: object) -> tuple[str, ...]:
    assert isinstance(inputs, tuple)
    return tuple(map(str, inputs))


def _reasons(factor: Fit, inputs: Sequence[str], plan: Plan, graph: Graph | None) -> Iterator[str]:
    """Why a model with these inputs cannot stand for a factor; ``graph`` lets the reasons say more."""
    if len(factor.targets) > 1:
        yield "it is drawn jointly with " + ", ".join(f"`{v}`" for v in factor.targets[1:])
    if factor.propensity:
        yield "its probabilities are needed for weights, and a model that draws has none"
    data = plan.operations[factor.data]
    if not isinstance(data, Observed):
        how = "that the program generates" if isinstance(data, Generate) else "that are weighted"
        yield f"it is a factor of rows {how}, as if a variable had been set, not of the observed ones"
    for name in (v for v in factor.inputs if v not in inputs):
        yield f"the model does not read `{name}`, on which `{factor.targets[0]}` depends, given the rest"
    for name in (v for v in inputs if v not in factor.inputs):
        effect = graph is not None and _is_effect(graph, name, factor.targets[0])
        why = f", an effect of `{factor.targets[0]}`" if effect else ""
        yield f"the model reads `{name}`{why}, on which the factor does not condition"


def _is_effect(graph: Graph, name: str, cause: str) -> bool:
    return bool(graph.mask([cause]) & graph.ancestors(graph.mask([name]), graph.all))
