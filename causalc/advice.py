"""What would help a query that is not identifiable; see ``causalc.compiler.remedies``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from causalc.compiler.answer import Question
from causalc.compiler.diagram import Diagram
from causalc.compiler.graph import Graph
from causalc.compiler.identify import NotIdentifiable
from causalc.compiler.remedies import WORK, Remedies, remedies
from causalc.grammar import parse_query

Made = TypeVar("Made")


def advice(
    reason: NotIdentifiable,
    diagram: Diagram | Graph,
    among: int = 1,
    stop: Callable[[], bool] = lambda: False,
) -> Remedies:
    """The remedies for the query that was refused, one ``among`` so many that share the work, until ``stop()``."""
    question = Question.of(parse_query(reason.query))
    return remedies(question, diagram, WORK // max(1, among), stop)


def advised(make: Callable[[], Made], graph: Graph) -> Made:
    """What ``make`` returns; where it raises ``NotIdentifiable``, the message says what would help."""
    try:
        return make()
    except NotIdentifiable as reason:
        reason.args = (f"{reason}\n{advice(reason, graph)}",)
        raise
