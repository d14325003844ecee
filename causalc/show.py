"""What ``causalc show`` prints in the forms that take several queries at once: words, svg, html and json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from causalc.errors import CausalcError

if TYPE_CHECKING:
    from causalc.compiler.answer import Estimand
    from causalc.compiler.graph import Graph
    from causalc.compiler.identify import NotIdentifiable
    from causalc.compiler.remedies import Remedies

FORMS = ("words", "svg", "html", "json")


def shown(
    form: str,
    title: str,
    estimands: Mapping[str, Estimand],
    refused: Mapping[str, NotIdentifiable],
    graph: Graph,
    remedies: Mapping[str, Remedies] | None = None,
) -> str:
    """The queries in one of ``FORMS``; those that are not identifiable with their hedge and what would help.

    Raises ``CausalcError`` for an SVG of more than one query.
    """
    said = {name: str(found) for name, found in (remedies or {}).items()}
    match form:
        case "words":
            from causalc.compiler.words import words, words_of_refusal

            parts = [words(e) for e in estimands.values()]
            return "\n\n".join(
                [*parts, *(words_of_refusal(r, said.get(n, "")) for n, r in refused.items())]
            )
        case "html":
            from causalc.compiler.page import page

            return page(title, estimands, refused, graph, said)
        case "json":
            from causalc.compiler.record import record

            lists = {name: asdict(found) for name, found in (remedies or {}).items()}
            value = record(estimands, refused, graph, lists)
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
