"""What ``causalc show`` prints in the forms that take several queries at once: words, svg, html and json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from causalc.errors import CausalcError

if TYPE_CHECKING:
    from causalc.compiler.answer import Estimand
    from causalc.compiler.graph import Graph
    from causalc.compiler.identify import NotIdentifiable

FORMS = ("words", "svg", "html", "json")


def shown(
    form: str,
    title: str,
    estimands: Mapping[str, Estimand],
    refused: Mapping[str, NotIdentifiable],
    graph: Graph,
) -> str:
    """The queries in one of ``FORMS``; those that are not identifiable with their hedge.

    Raises ``CausalcError`` for an SVG of more than one query.
    """
    match form:
        case "words":
            from causalc.compiler.words import words, words_of_refusal

            parts = [words(e) for e in estimands.values()]
            return "\n\n".join([*parts, *(words_of_refusal(r) for r in refused.values())])
        case "html":
            from causalc.compiler.page import page

            return page(title, estimands, refused, graph)
        case "json":
            from causalc.compiler.record import record

            value = record(estimands, refused, graph)
            return json.dumps(value, indent=1, ensure_ascii=False, default=str)
    return _svg(estimands, refused, graph)


def _svg(
    estimands: Mapping[str, Estimand], refused: Mapping[str, NotIdentifiable], graph: Graph
) -> str:
    from causalc.compiler.drawing import draw
    from causalc.compiler.page import hedge_marks, marks_of

    names = [*estimands, *refused]
    if len(names) != 1:
        known = ", ".join(names) or "none"
        raise CausalcError(f"svg draws one query: name it with --query (there are: {known})")
    marks = [marks_of(e.question) for e in estimands.values()]
    marks += [hedge_marks(r, graph) for r in refused.values()]
    return draw(graph, marks[0])
