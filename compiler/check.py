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
from causalc.compiler.check_estimates import check_estimate
from causalc.compiler.check_graph import check_graph
from causalc.compiler.check_questions import (
    check_check,
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
from causalc.errors import CausalcError
from causalc.grammar.diagnostic import LanguageError, suggest
from causalc.grammar.printer import name_text
from causalc.grammar.source import NOWHERE, Source
from causalc.grammar.tree import (
    GraphSpec,
    GraphStatement,
    IncludeStatement,
    LatentStatement,
    Script,
    TrainStatement,
)

__all__ = [
    "CheckedCheck",
    "CheckedData",
    "CheckedEstimate",
    "CheckedQuery",
    "CheckedSample",
    "CheckedScript",
    "check",
    "check_each",
    "graph_names",
]

LoadGraph = Callable[[str], GraphSpec]


def graph_names(script: Script) -> tuple[str, ...]:
    """The names of the graphs that a script compares; none where it has one graph or less."""
    graphs = script.graphs
    return tuple(g.name.text for g in graphs if g.name) if len(graphs) > 1 else ()


def check_each(
    script: Script, load_graph: LoadGraph | None = None
) -> dict[str | None, CheckedScript]:
    """Check a script under each of its graphs, by their names; a lone graph is under ``None``.

    Raises ``LanguageError`` with every mistake found, and whatever ``load_graph`` raises.
    """
    found: dict[str | None, CheckedScript] = {}
    wrong: list[LanguageError] = []
    for name in graph_names(script) or (None,):
        try:
            found[name] = check(script, load_graph, name)
        except LanguageError as error:
            wrong.append(error)
    if wrong:
        raise LanguageError([pair for error in wrong for pair in error.found])
    return found


def check(
    script: Script, load_graph: LoadGraph | None = None, graph: str | None = None
) -> CheckedScript:
    """Check a script; ``load_graph`` reads the file that ``graph "path"`` names.

    Where the script has several graphs, ``graph`` names the one to check under; by default the first.
    Raises ``LanguageError`` with every mistake found, and whatever ``load_graph`` raises.
    """
    scope = Scope(script.source or Source(""))
    for statement in script.statements:
        if isinstance(statement, IncludeStatement):
            scope.say(m.NotIncluded(statement.span, statement.path))
            scope.graph_known = False
    spec = _find_graph(script, scope, load_graph, graph)
    hidden = [s for s in script.statements if isinstance(s, LatentStatement)]
    found = check_graph(spec, hidden, scope)
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
        found, scope.kinds, data, models, train, queries, estimates, checks, samples
    )


def _find_graph(
    script: Script, scope: Scope, load_graph: LoadGraph | None, wanted: str | None
) -> GraphSpec:
    """The graph to check under; an empty one where it is missing, once that is reported."""
    found = script.graphs
    if not found:
        if scope.graph_known:
            scope.say(m.NoGraph(NOWHERE))
        scope.graph_known = False
        return GraphSpec(())
    chosen = _chosen(found, scope, wanted)
    if chosen.spec is not None:
        return chosen.spec
    if load_graph is None or not chosen.path:
        message = m.CannotLoadGraph(chosen.span, chosen.path or "")
        scope.say(message)
        scope.graph_known = False
        return GraphSpec(())
    return load_graph(chosen.path)


def _chosen(found: tuple[GraphStatement, ...], scope: Scope, wanted: str | None) -> GraphStatement:
    named = [g.name for g in found if g.name]
    if len(named) < len(found):
        for extra in found[1:]:
            scope.say(m.SecondGraph(extra.span, found[0].span))
    scope.once("the graph", named)
    for name in named:
        if not name.text.isidentifier():
            scope.say(m.OddQueryName(name.span, name.text, "a graph"))
    if wanted is None:
        chosen = found[0]
    else:
        by_name = {g.name.text: g for g in found if g.name}
        if wanted not in by_name:
            hint = suggest(wanted, by_name, f"its graphs: {', '.join(by_name) or 'one, unnamed'}")
            raise CausalcError(f"the script has no graph `{wanted}`; {hint}")
        chosen = by_name[wanted]
    if chosen.name and len(found) > 1:
        scope.graph_name = f"the graph `{name_text(chosen.name)}`"
    return chosen
