"""From a parsed script to one that makes sense: names, kinds, values and options, all checked.

Every mistake is found before any is reported. Whether a query is identifiable is decided later.
"""

from __future__ import annotations

from collections.abc import Callable

from causalc.compiler import messages as m
from causalc.compiler.check_declarations import (
    check_data,
    check_models,
    check_train,
    check_variables,
)
from causalc.compiler.check_graph import check_graph
from causalc.compiler.check_questions import (
    check_check,
    check_estimate,
    check_outputs,
    check_query,
    check_sample,
    declare_questions,
)
from causalc.compiler.checked import (
    CheckedCheck,
    CheckedData,
    CheckedEstimate,
    CheckedQuery,
    CheckedSample,
    CheckedScript,
)
from causalc.compiler.scope import Scope
from causalc.grammar.source import NOWHERE, Source
from causalc.grammar.tree import GraphSpec, GraphStatement, LatentStatement, Script, TrainStatement

__all__ = [
    "CheckedCheck",
    "CheckedData",
    "CheckedEstimate",
    "CheckedQuery",
    "CheckedSample",
    "CheckedScript",
    "check",
]

LoadGraph = Callable[[str], GraphSpec]


def check(script: Script, load_graph: LoadGraph | None = None) -> CheckedScript:
    """Check a script; ``load_graph`` reads the file that ``graph "path"`` names.

    Raises ``LanguageError`` with every mistake found, and whatever ``load_graph`` raises.
    """
    scope = Scope(script.source or Source(""))
    spec = _find_graph(script, scope, load_graph)
    hidden = [s for s in script.statements if isinstance(s, LatentStatement)]
    graph = check_graph(spec, hidden, scope)
    check_variables(script.variables, scope)
    data = tuple(check_data(script.data, scope))
    models = check_models(script.models, scope)
    train = check_train([s for s in script.statements if isinstance(s, TrainStatement)], scope)
    declare_questions(script, scope)
    queries = tuple(check_query(s, scope) for s in script.queries)
    estimates = tuple(check_estimate(s, scope) for s in script.estimates)
    checks = tuple(check_check(s, scope) for s in script.checks)
    samples = tuple(check_sample(s, scope) for s in script.samples)
    check_outputs(script.samples, scope)
    scope.raise_if_any()
    return CheckedScript(
        graph, scope.kinds, data, models, train, queries, estimates, checks, samples
    )


def _find_graph(script: Script, scope: Scope, load_graph: LoadGraph | None) -> GraphSpec:
    """The script's one graph; an empty one where it is missing, once that is reported."""
    found = [s for s in script.statements if isinstance(s, GraphStatement)]
    if not found:
        scope.say(m.NoGraph(NOWHERE))
        scope.graph_known = False
        return GraphSpec(())
    for extra in found[1:]:
        scope.say(m.SecondGraph(extra.span, found[0].span))
    first = found[0]
    if first.spec is not None:
        return first.spec
    if load_graph is None or not first.path:
        message = m.CannotLoadGraph(first.span, first.path or "")
        scope.say(message)
        scope.graph_known = False
        return GraphSpec(())
    return load_graph(first.path)
