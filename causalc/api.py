"""The Python API behind ``import causalc``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalc.compiler.answer import Estimand, Question, solve
from causalc.compiler.graph import Graph
from causalc.compiler.pipeline import compile_estimands
from causalc.compiler.view import Spec
from causalc.errors import CausalcError
from causalc.program import Program, Sampler

if TYPE_CHECKING:
    from causalc.compiler.remedies import Remedies
    from causalc.grammar.tree import Query


def _question(query: Query | str) -> Question:
    from causalc.grammar import parse_query
    from causalc.grammar.tree import Query

    if not isinstance(query, str | Query):
        raise CausalcError(
            f"a query is text such as 'P(Y | do(X))', or what parse_query makes of it; got a {type(query).__name__}"
        )
    return Question.of(parse_query(query) if isinstance(query, str) else query)


def _graph(graph: Any) -> Graph:
    if isinstance(graph, Graph):
        return graph
    if isinstance(graph, str):
        return Graph.parse(graph)
    if not hasattr(graph, "__dict__") and not hasattr(graph, "nodes"):
        raise CausalcError(
            f"a graph is text such as 'X -> Y; X <-> Y', a causalc.Graph or a graph of networkx, pgmpy, y0, DoWhy or "
            f"pyAgrum; got a {type(graph).__name__}: Graph.from_edges(nodes, edges) makes one of pairs"
        )
    from causalc.compiler.formats import objects  # few graphs need it

    return objects.read(graph).projected()


def identify(query: Query | str, graph: Any) -> Estimand:
    """Identify a ``query``, text or what ``parse_query`` makes of it: its estimand, with derivation.

    ``graph`` is text, a ``Graph``, or a graph object of networkx, pgmpy, y0, DoWhy or pyAgrum.

    Raises ``NotIdentifiable`` (with ``.hedge``), or another ``CausalcError`` where query and graph do not fit.
    """
    return solve(_question(query), _graph(graph), leave_out=True)


def remedies(query: Query | str, graph: Any) -> Remedies:
    """What would make a ``query`` identifiable that is not: it prints as ``causalc show`` prints it.

    ``graph`` is as for ``identify``. Single changes that each suffice are looked for, about half a second long:
    ``.measure``, ``.rule_out``, ``.experiments``, and queries close by, ``.near``.

    Raises ``CausalcError`` where the query is identifiable, and where query and graph do not fit.
    """
    from causalc.advice import advice  # few callers need it
    from causalc.compiler.identify import NotIdentifiable

    question, under = _question(query), _graph(graph)
    try:
        solve(question, under)
    except NotIdentifiable as reason:
        return advice(reason, under)
    raise CausalcError(f"{question.text} is identifiable in this graph: there is nothing to mend.")


def _refuse_misspelt(names: Iterable[str], graph: Graph, what: str) -> None:
    """Names beyond the graph are passed over, as one schema may serve several graphs; not so a misspelt one."""
    from causalc.grammar.diagnostic import did_you_mean

    given = set(names)
    for name in given - set(graph.nodes):
        meant = did_you_mean(str(name), graph.order)
        if meant and meant not in given:
            raise CausalcError(
                f"{what}: `{name}` is not a variable of the graph; did you mean `{meant}`?"
            )


def _families(
    models: Mapping[str, Spec | str] | None, schema: Mapping[str, Any] | None, graph: Graph
) -> dict[str, Spec]:
    """Model families as the emitter writes them; one is text such as ``"diffusion(steps=500)"`` or a ``Spec``."""
    from causalc.compiler.check_declarations import check_models
    from causalc.compiler.kinds import Kind, parse_kind
    from causalc.compiler.scope import Scope
    from causalc.grammar import Source, parse
    from causalc.grammar.printer import name_text
    from causalc.script import spec

    found: dict[str, Spec] = {}
    for name, family in (models or {}).items():
        if isinstance(family, Spec):
            found[name] = family
            continue
        if name not in graph.index:
            continue
        source = Source(f"model {name_text(name)} = {family}", "<models>")
        scope = Scope(source, observed=graph.order)
        for variable, kind in (schema or {}).items():
            known = parse_kind(kind) if isinstance(kind, str) else kind
            if isinstance(known, Kind):
                scope.kinds[variable] = known
        made = check_models(parse(source.text, source.name).models, scope)
        scope.raise_if_any()
        found |= {variable: spec(call) for variable, call in made.items()}
    return found


def specs(schema: Mapping[str, Any] | None) -> dict[str, Spec | None]:
    """Kinds as the emitter writes them; a kind is text such as ``"image(8, 8, channels=3)"`` or a ``Kind``."""
    result: dict[str, Spec | None] = {}
    for name, kind in (schema or {}).items():
        if isinstance(kind, str):
            from causalc.compiler.kinds import parse_kind

            kind = parse_kind(kind)
        if isinstance(kind, type) or not all(hasattr(kind, a) for a in ("name", "args", "options")):
            raise CausalcError(
                f"schema: the kind of `{name}` is text such as 'binary' or 'image(28, 28, channels=3)'; got {kind!r}"
            )
        options = kind.options
        pairs = tuple(options.items()) if isinstance(options, Mapping) else tuple(options)
        result[name] = Spec(kind.name, tuple(kind.args), pairs)
    return result


def compile(
    query: Query | str,
    graph: Any,
    schema: Mapping[str, Any] | None = None,
    strategy: str = "auto",
    models: Mapping[str, Spec | str] | None = None,
) -> Program:
    """Compile a ``query``, text or what ``parse_query`` makes of it, into a program.

    ``graph`` is text, a ``Graph``, or a graph object of networkx, pgmpy, y0, DoWhy or pyAgrum. ``schema`` maps
    variables to kinds; without it kinds are inferred from the data. ``strategy`` is the route of step 7: "auto",
    "generate" or "reweight". ``models`` maps variables to model families, such as "diffusion(steps=500)"; others
    are chosen by kind.

    Raises ``NotIdentifiable`` (with ``.hedge``), or another ``CausalcError`` where query, graph, kinds and
    strategy do not fit.
    """
    estimand = solve(_question(query), _graph(graph))
    for what, named in (("schema", schema), ("models", models)):
        _refuse_misspelt(named or (), estimand.graph, what)
    families = _families(models, schema, estimand.graph)
    compiled = compile_estimands(
        {"query": estimand}, estimand.graph, specs(schema), families, strategy
    )
    return Program(compiled)


def load(folder: str | Path, callables: Mapping[str, Callable[..., Any]] | None = None) -> Sampler:
    """Load a saved sampler. The program is compiled again from the saved query: nothing in the folder is run.

    ``callables`` are the functions that ``pretrained(callable = ...)`` names. Raises ``CausalcError`` where the
    folder is no saved sampler, or any file of it was changed.
    """
    from causalc.runtime.fitted import Models
    from causalc.runtime.seal import read_json

    source = Path(folder) / "query.json"
    try:
        recipe = read_json(source)
        if recipe is None:
            raise ValueError("missing, damaged or too large")
        if recipe["format"] != 1:
            raise CausalcError(
                f"{source}: format {recipe['format']} is newer than this causalc reads"
            )
        shape = recipe["graph"]
        graph = Graph.from_edges(
            map(str, shape["nodes"]),
            [(a, b) for a, b in shape["directed"]],
            [(a, b) for a, b in shape["bidirected"]],
        )
        kinds = {
            name: None
            if kind is None
            else Spec(kind[0], tuple(kind[1]), tuple((k, v) for k, v in kind[2]))
            for name, kind in recipe["schema"].items()
        }
        found = {name: solve(_question(text), graph) for name, text in recipe["queries"].items()}
        strategy = recipe["strategy"]
        program = Program(compile_estimands(found, graph, kinds, None, strategy))
        assert program.module.QUERIES  # a recipe that makes no program is found here
    except Exception as error:  # the folder may come from a stranger: all its faults are its own
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise CausalcError(f"{source}: not a saved sampler ({reason})") from error
    return Sampler(program, Models.load(Path(folder) / "models", callables=callables), Path(folder))
