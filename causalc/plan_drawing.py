"""A plan as a diagram: rows, models and answers as boxes, what each needs as arrows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from causalc.compiler.drawing import (
    MARGIN,
    arrow,
    box_of,
    clean,
    fitted,
    ports,
    rect,
    svg,
    text_lines,
)
from causalc.compiler.layout import place
from causalc.compiler.plan import (
    Bootstrap,
    Fit,
    Follow,
    Generate,
    Observed,
    Operation,
    Plan,
    Reweight,
    references,
)


def headline(plan: Plan, op: Operation) -> str:
    """What an operation is, in a few words."""
    match op:
        case Observed():
            return "the data"
        case Fit(propensity=propensity):
            return str(op) + (" for weights" if propensity else "")
        case Bootstrap(columns):
            return f"real rows of {', '.join(columns)}"
        case Follow(policy):
            return f"the policy {policy.text}"
        case Reweight(_, by):
            fixed = [t for i in by for t in plan.operations[i].targets]  # type: ignore[union-attr]
            return f"rows weighted as if {', '.join(fixed)} were set"
        case Generate():
            return "rows made by the models"


def draw_plan(plan: Plan, notes: Mapping[int, Sequence[str]]) -> str:
    """The plan as SVG; ``notes`` are small lines under an operation, by its number."""
    lines: dict[str, tuple[str, ...]] = {}
    heads: dict[str, int] = {}
    for i, op in enumerate(plan.operations):
        head = fitted(headline(plan, op), 200)
        heads[f"%{i}"] = len(head)
        lines[f"%{i}"] = (*head, *(clean(note) for note in notes.get(i, ())))
    edges = [(f"%{r}", f"%{i}") for i, op in enumerate(plan.operations) for r in references(op)]
    for network in plan.networks:
        key = f"answer {network.name}"
        head = fitted(network.question.text, 200)
        heads[key], lines[key] = len(head), (*head, "the answer")
        edges += [(f"%{draw.model}", key) for draw in network.draws]
    layout = place({key: box_of(text) for key, text in lines.items()}, edges)
    parts = [f'<g class="edge">{arrow(course)}</g>' for course in ports(layout).values()]
    for key, box in layout.boxes.items():
        css = (
            "y" if key.startswith("answer") else "z" if isinstance(_op(plan, key), Observed) else ""
        )
        text = text_lines(lines[key], box.x, box.y, heads[key])
        parts.append(f'<g class="node {css}">{rect(box, 9)}{text}</g>')
    bounds = (-MARGIN, -MARGIN, layout.width + MARGIN, layout.height + MARGIN)
    return svg(parts, bounds, f"Plan. {in_words(plan)}", alone=False)


def _op(plan: Plan, key: str) -> Operation | None:
    return plan.operations[int(key[1:])] if key.startswith("%") else None


def in_words(plan: Plan) -> str:
    """The plan as sentences."""
    said = [
        f"{i + 1}: {headline(plan, op)}"
        + (f", from {', '.join(str(r + 1) for r in references(op))}" if [*references(op)] else "")
        for i, op in enumerate(plan.operations)
    ]
    answers = [
        f"{n.question.text} from {', '.join(str(d.model + 1) for d in n.draws)}"
        for n in plan.networks
    ]
    return "; ".join(said + answers) + "."
