"""The Python API behind ``import causalc``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalc.compiler.answer import Estimand, Question, solve
from causalc.compiler.graph import Graph
from causalc.compiler.pipeline import compile_estimands
from causalc.compiler.view import Spec
from causalc.errors import CausalcError
from causalc.program import Program, Sampler

if TYPE_CHECKING:
    from causalc.grammar.tree import Query


def _question(query: Query | str) -> Question:
    from causalc.grammar import parse_query

    return Question.of(parse_query(query) if isinstance(query, str) else query)


def _graph(graph: Graph | str) -> Graph:
    return Graph.parse(graph) if isinstance(graph, str) else graph


def identify(query: Query | str, graph: Graph | str) -> Estimand:
    """Identify a query: its estimand, with derivation.

    Raises ``NotIdentifiable`` (with ``.hedge``), or another ``CausalcError`` where query and graph do not fit.
    """
    return solve(_question(query), _graph(graph), leave_out=True)


def specs(schema: Mapping[str, Any] | None) -> dict[str, Spec | None]:
    """Kinds as the emitter writes them; a kind is text such as ``"image(8, 8, channels=3)"`` or a ``Kind``."""
    result: dict[str, Spec | None] = {}
    for name, kind in (schema or {}).items():
        if isinstance(kind, str):
            from causalc.compiler.kinds import parse_kind

            kind = parse_kind(kind)
        options = kind.options
        pairs = tuple(options.items()) if isinstance(options, Mapping) else tuple(options)
        result[name] = Spec(kind.name, tuple(kind.args), pairs)
    return result


def compile(
    query: Query | str,
    graph: Graph | str,
    schema: Mapping[str, Any] | None = None,
    strategy: str = "auto",
    models: Mapping[str, Spec] | None = None,
) -> Program:
    """Compile a query into a program.

    ``schema`` maps variables to kinds; without it kinds are inferred from the data. ``strategy`` is the route
    of step 7: "auto", "generate" or "reweight". ``models`` maps variables to model families; others are chosen
    by kind.

    Raises ``NotIdentifiable`` (with ``.hedge``), or another ``CausalcError`` where query, graph, kinds and
    strategy do not fit.
    """
    estimand = solve(_question(query), _graph(graph))
    compiled = compile_estimands(
        {"query": estimand}, estimand.graph, specs(schema), models, strategy
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
