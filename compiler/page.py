"""An identified query as HTML: the graph, the formula, and the derivation step by step, each step drawn.

Everything is autoescaped; pages fetch nothing and run no script, which their own policy forbids.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from markupsafe import Markup

from causalc.compiler.answer import Estimand, Question
from causalc.compiler.drawing import STYLE, Marks, Picture, clean, draw, in_words, picture
from causalc.compiler.graph import Graph
from causalc.compiler.identify import Derivation, NotIdentifiable, Step, describe
from causalc.compiler.notation import Style, write
from causalc.compiler.words import OFTEN, Reading, listed, read, words_of_refusal

if TYPE_CHECKING:
    from jinja2 import Environment

WHY = {
    "policy": (
        "A policy (Tian 2004; Correa and Bareinboim 2020)",
        "the rule replaces all that caused it, and reads nothing that it moves",
    ),
    "rule 1": (
        "Rule 1 of do-calculus",
        "no open path joins it to the outcomes once the interventions cut the arrows into them",
    ),
    "rule 2": (
        "Rule 2 of do-calculus",
        "all open paths from it to the outcomes leave through its own arrows, so that seeing and setting agree",
    ),
    "rule 3": (
        "Rule 3 of do-calculus",
        "it is no ancestor of the outcomes or the conditions under the other interventions",
    ),
    "seen": (
        "Rule 2 of do-calculus, for all of do()",
        "nothing confounds it with the outcomes, so that the observed conditional is the answer",
    ),
    "1": (
        "Line 1 of ID",
        "without interventions the answer is a margin of the distribution at hand",
    ),
    "2": (
        "Line 2 of ID",
        "what is no ancestor of the outcomes can be left out of the distribution",
    ),
    "3": (
        "Line 3 of ID",
        "setting what has no effect on the outcomes changes nothing, and helps the next lines",
    ),
    "4": (
        "Line 4 of ID",
        "districts that share no unmeasured cause can be found one by one, and multiplied",
    ),
    "5": (
        "Line 5 of ID",
        "one district holds all: a hedge, and two models that agree on the data and differ here",
    ),
    "6": (
        "Line 6 of ID",
        "a whole district is a product of conditionals of the distribution at hand",
    ),
    "7": (
        "Line 7 of ID",
        "the district around it is known; the rest is set, which makes a new distribution",
    ),
}


CUTS = ("3", "4", "rule 1", "rule 2", "rule 3")  # where the graph without arrows into do() decides


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One step of a derivation: which rule, what it does here, why it may, and the graph at that point."""

    rule: str
    title: str
    question: str
    why: str
    drawing: Markup


@dataclass(frozen=True, slots=True)
class ShownQuery:
    """All that a page says about one query; ``hedge`` is None where it is identifiable."""

    name: str
    text: str
    graph: Markup
    graph_words: str
    formula: Markup | None
    plain: str
    latex: str
    reading: Reading
    steps: tuple[ShownStep, ...]
    hedge: Markup | None = None


def environment(*packages: str) -> Environment:
    """The templates of these packages, then ours; everything is escaped."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loaders = [PackageLoader(package) for package in (*packages, "causalc.compiler")]
    made = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["drawing_style"] = Markup(STYLE)
    made.filters["clean"] = clean
    return made


@cache
def _environment() -> Environment:
    return environment()


def page(
    title: str,
    estimands: Mapping[str, Estimand],
    refused: Mapping[str, NotIdentifiable],
    graph: Graph,
    remedies: Mapping[str, str] | None = None,
) -> str:
    """One self-contained HTML page on the queries of one graph, those that are not identifiable too.

    ``remedies`` say what would help the latter, by query.
    """
    queries = shown_queries(estimands, refused, graph, remedies)
    return _environment().get_template("queries.html.j2").render(title=title, queries=queries)


def shown_queries(
    estimands: Mapping[str, Estimand],
    refused: Mapping[str, NotIdentifiable],
    graph: Graph,
    remedies: Mapping[str, str] | None = None,
) -> list[ShownQuery]:
    """The queries as pages show them."""
    drawn, helps = picture(graph), remedies or {}
    found = [shown(name, estimand, drawn) for name, estimand in estimands.items()]
    return found + [not_shown(n, reason, drawn, helps.get(n, "")) for n, reason in refused.items()]


def shown(name: str, estimand: Estimand, drawn: Picture) -> ShownQuery:
    """An identified query."""
    question = estimand.question
    marks = marks_of(question)
    derivation = estimand.derivation
    own = drawn if derivation.graph is drawn.graph else picture(derivation.graph)
    return ShownQuery(
        name,
        question.text,
        Markup(draw(drawn, marks, alone=False)),
        in_words(drawn.graph),
        formula(estimand),
        estimand.text,
        estimand.latex(),
        read(estimand),
        tuple(_steps(derivation, own)),
    )


def not_shown(name: str, reason: NotIdentifiable, drawn: Picture, remedies: str = "") -> ShownQuery:
    """A query that is not identifiable, with its hedge."""
    hedge = draw(drawn, hedge_marks(reason, drawn.graph), alone=False)
    _, headline, *lines = words_of_refusal(reason, "-").split("\n")
    witness = " ".join(line.strip() for line in lines[:-1])
    helps = (remedies or OFTEN).split("\n")
    reading = Reading(headline, (witness, *(line.strip() for line in helps)), (), ())
    return ShownQuery(
        name,
        reason.query,
        Markup(draw(drawn, alone=False)),
        in_words(drawn.graph),
        None,
        "not identifiable",
        "",
        reading,
        (),
        Markup(hedge),
    )


def marks_of(question: Question) -> Marks:
    """The roles of a query's variables."""
    return Marks(
        frozenset(question.outcomes),
        frozenset([n for n, _ in question.do] + [q.variable for q in question.policies]),
        frozenset(name for name, _ in question.given),
    )


def hedge_marks(reason: NotIdentifiable, graph: Graph) -> Marks:
    """The hedge: its forest stays, its inner forest has a ring."""
    forest = frozenset(reason.hedge.forest)
    return Marks(part=frozenset(reason.hedge.subforest), gone=frozenset(graph.nodes) - forest)


def _steps(derivation: Derivation, drawn: Picture) -> Iterator[ShownStep]:
    """The steps; after line 7 the distribution at hand is one in which something is set, to the branch's end."""
    fixed: tuple[str, ...] = ()
    for step in derivation.steps:
        yield _step(derivation, step, drawn, fixed)
        if step.line == "7":
            fixed += derivation.graph.names(step.part)
        elif step.line in ("1", "6"):
            fixed = ()


def _step(derivation: Derivation, step: Step, drawn: Picture, fixed: tuple[str, ...]) -> ShownStep:
    graph = derivation.graph
    names = graph.names
    rule, why = WHY[step.line]
    within, do = names(step.variables), names(step.do & step.variables)
    given = "" if not do else f" | do({', '.join(do)})"
    asked = f"P({', '.join(names(step.outcomes))}{given})"
    if fixed:
        verb = "has" if len(fixed) == 1 else "have"
        asked += f", where {listed(fixed)} {verb} been set"
    marks = Marks(
        frozenset(names(step.outcomes)),
        frozenset(do),
        part=frozenset(names(step.part)) if step.part != step.outcomes else frozenset(),
        gone=frozenset(graph.nodes) - frozenset(within),
        cut=frozenset(do) if step.line in CUTS else frozenset(),
    )
    _, _, words = describe(graph, step).partition(": ")
    label = f"{rule}. {asked} in the graph of {', '.join(within)}."
    return ShownStep(rule, words, asked, why, Markup(draw(drawn, marks, label, alone=False)))


# ---- formulas


def formula(estimand: Estimand) -> Markup:
    """An equation in MathML: the query and its estimand."""
    order = estimand.graph.order
    question = estimand.question
    written = write(estimand.root, [f"\ue000{i}\ue001" for i in range(len(order))], _mathml(order))
    parts = re.split(
        r"(<[^>]*>)", written
    )  # what stands between tags is punctuation of the notation
    at_top = True
    body = []
    for part in parts:
        if part.startswith("<"):
            at_top = part not in ("<mi>", "<mn>", "<mo>", "<mtext>")
            body.append(part)
        else:
            body.append(_punctuation(part) if at_top else part)
    return Markup(  # every name was escaped in _name
        f'<math display="block"><mrow>{_question(question)}<mo>=</mo>{"".join(body)}</mrow></math>'
    )


def _punctuation(text: str) -> str:
    """Brackets and signs that the notation writes between the parts of a formula."""
    return "".join(f"<mo>{escape(c)}</mo>" for c in text if not c.isspace())


def _mathml(order: Sequence[str]) -> Style:
    def name(token: str) -> str:
        number, _, primes = token.removeprefix("\ue000").partition("\ue001")
        return _name(order[int(number)], len(primes))

    def listed(tokens: Sequence[str]) -> str:
        return "<mo>,</mo>".join(map(name, tokens))

    return Style(
        lambda y, x: (
            f"<mi>P</mi><mo>(</mo>{listed(y)}{f'<mo>|</mo>{listed(x)}' if x else ''}<mo>)</mo>"
        ),
        lambda x, z: (
            f"<mi>π</mi><mo>(</mo>{listed(x)}{f'<mo>|</mo>{listed(z)}' if z else ''}<mo>)</mo>"
        ),
        lambda bound, body: f"<munder><mo>∑</mo><mrow>{listed(bound)}</mrow></munder>{body}",
        lambda top, bottom: f"<mfrac><mrow>{top}</mrow><mrow>{bottom}</mrow></mfrac>",
        lambda number, names: (
            f"<msub><mi>q</mi><mn>{number}</mn></msub><mo>(</mo>{listed(names)}<mo>)</mo>"
        ),
        "",
        "<mo>,</mo><mtext> where </mtext>",
    )


def _name(name: str, primes: int = 0) -> str:
    """A variable in MathML; digits at the end of a one-letter name are its index."""
    found = re.fullmatch(r"([^\W\d_])_?(\d+)", name)
    text = f"<mi>{escape(clean(name))}</mi>"
    if found:
        text = f"<msub><mi>{escape(found[1])}</mi><mn>{found[2]}</mn></msub>"
    return f"<msup>{text}<mo>{'′' * primes}</mo></msup>" if primes else text


def _question(question: Question) -> str:
    def pairs(items: Sequence[tuple[str, object | None]]) -> str:
        return "<mo>,</mo>".join(
            _name(n) + ("" if v is None else f"<mo>=</mo><mtext>{escape(clean(str(v)))}</mtext>")
            for n, v in items
        )

    rules = [f"<mtext>{escape(clean(q.text))}</mtext>" for q in question.policies]
    inside = "<mo>,</mo>".join(([pairs(question.do)] if question.do else []) + rules)
    do = f"<mi>do</mi><mo>(</mo>{inside}<mo>)</mo>" if inside else ""
    behind = "<mo>,</mo>".join(p for p in (do, pairs(question.given)) if p)
    outcomes = "<mo>,</mo>".join(map(_name, question.outcomes))
    bar = f"<mo>|</mo>{behind}" if behind else ""
    return f"<mi>P</mi><mo>(</mo>{outcomes}{bar}<mo>)</mo>"
