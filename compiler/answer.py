"""``Estimand``: the public face of an identified query, and how a query's names meet a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from causalc.compiler.eliminate import eliminate, unmoved_first
from causalc.compiler.estimand import Node, length
from causalc.compiler.express import express
from causalc.compiler.graph import Graph
from causalc.compiler.identify import Derivation, identify
from causalc.compiler.notation import LATEX, TEXT, Scope, latex_name, to_sympy, write
from causalc.compiler.policies import (
    Regime,
    derive,
    express_under,
    meaning,
    ordered,
    reduce,
    with_steps,
)
from causalc.compiler.shorten import shortest
from causalc.errors import CausalcError
from causalc.policy import Policy

if TYPE_CHECKING:
    import sympy

    from causalc.grammar.tree import Query
    from causalc.table import Table


class QueryError(CausalcError):
    """A query that does not fit its graph."""


@dataclass(frozen=True, slots=True)
class Question:
    """A query by name: ``do`` and ``given`` map a variable to its value, or to None where it is left free."""

    text: str
    outcomes: tuple[str, ...]
    do: tuple[tuple[str, object | None], ...]
    given: tuple[tuple[str, object | None], ...]
    policies: tuple[Policy, ...] = ()

    @classmethod
    def of(cls, query: Query) -> Question:
        """From the syntax tree; a ``$parameter`` counts as free."""

        def pairs(assignments: Sequence[object]) -> tuple[tuple[str, object | None], ...]:
            return tuple((a.name.text, _plain(a.value)) for a in assignments)  # type: ignore[attr-defined]

        return cls(
            str(query),
            tuple(n.text for n in query.outcomes),
            pairs(query.do),
            pairs(query.given),
            tuple(map(meaning, query.policies)),
        )

    @property
    def free(self) -> tuple[str, ...]:
        """The do and condition variables that have no value yet."""
        return tuple(name for name, value in (*self.do, *self.given) if value is None)

    @property
    def fixed(self) -> dict[str, object]:
        """The do and condition variables that have one."""
        return {name: value for name, value in (*self.do, *self.given) if value is not None}

    def sets(self, graph: Graph) -> tuple[int, int, int]:
        """Outcomes, do and given as sets; raises where a name is unknown or has two roles."""
        roles: dict[str, str] = {}
        parts = (self.outcomes, [n for n, _ in self.do], [n for n, _ in self.given])
        for role, names in zip(("an outcome", "in do()", "a condition"), parts, strict=True):
            if role == "in do()":
                names = [*names, *(q.variable for q in self.policies)]
            for name in names:
                if name in roles:
                    raise QueryError(
                        f"{self.text}: `{name}` is {role} and also {roles[name]}; name it once"
                    )
                roles[name] = role
        if not self.outcomes:
            raise QueryError(f"{self.text}: there is no outcome")
        return graph.mask(parts[0]), graph.mask(parts[1]), graph.mask(parts[2])


def _plain(value: object | None) -> object | None:
    """The Python value of a literal or a bare word in the syntax tree."""
    if value is None:
        return None
    for attribute in ("value", "text"):
        if hasattr(value, attribute):
            return getattr(value, attribute)  # type: ignore[no-any-return]
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Estimand:
    """A formula for the query in observed probabilities alone.

    ``derivation`` is how it was found for ``question``; ``text``, ``latex()`` and ``expr`` (SymPy) are views of
    ``root``. ``regime`` is what a policy in ``do`` came down to.
    """

    question: Question
    derivation: Derivation
    root: Node = field(repr=False)
    regime: Regime | None = None

    @property
    def graph(self) -> Graph:
        """The graph of the query."""
        return self.derivation.graph

    @property
    def text(self) -> str:
        """The formula in plain characters; ``causalc.compiler.reading.read`` reads it back."""
        from causalc.grammar.printer import name_text

        return write(self.root, [name_text(name) for name in self.graph.order], TEXT)

    def latex(self) -> str:
        """The formula in LaTeX, lower case where that confuses no two variables."""
        order = self.graph.order
        lower = len({name.lower() for name in order}) == len(order)
        names = [latex_name(name, lower) for name in order]
        return write(self.root, names, LATEX)

    @property
    def expr(self) -> sympy.Expr:
        """The formula in SymPy, with ``P`` inert and bound variables renamed apart."""
        return to_sympy(self.root, Scope.outside(self.graph.order, self.root.free))

    def evaluate(self, table: Table) -> Table:
        """The answer on an exact joint ``table`` over all observed variables.

        Returns a table over the free do and condition variables, then the outcomes; raises ``TableError``
        where variables are missing or positivity fails.
        """
        from causalc.compiler.evaluate import evaluate
        from causalc.table import Fill, answer, determined, needed

        needed(table)
        question = self.question

        def compute(fill: Fill) -> Table:
            array, names = evaluate(self.root, table, self.graph.order, fill)
            return answer(table, array, names, question.free, question.outcomes, question.fixed)

        return determined(table, compute)

    def alternatives(self) -> tuple[Estimand, Estimand, Estimand, Estimand]:
        """Four estimands that are equally right: the long way, the short way, a smaller graph, another order.

        The long way is ID's, which may share its models with other queries; the short way models
        P(y | x, z) at once where nothing confounds; a smaller graph leaves out what the query can do
        without; the other order has what interventions do not move first. Where two are the same they are
        one object.
        """
        long = self
        if self.regime is not None:
            if self.derivation.seen:
                long = self._by(derive(self.regime, self.question.text, see=False))
            return long, self, self._by(eliminate(self.derivation, *self.regime.asked)), self
        sets = self.question.sets(self.graph)
        if self.derivation.seen:
            long = self._by(identify(self.graph, *sets, self.question.text, see=False))
        smaller = self._by(eliminate(self.derivation, *sets))
        return long, self, smaller, self._reordered(sets)

    def _reordered(self, sets: tuple[int, int, int]) -> Estimand:
        turned = unmoved_first(self.graph, sets[1], sets[0] | sets[1] | sets[2])
        if turned is None:
            return self
        again = self.question.sets(turned)
        found = identify(turned, *again, self.question.text)
        return self._by(eliminate(found, *again))

    def on(self, graph: Graph) -> Estimand:
        """The long way on a projection of the graph; raises ``NotIdentifiable`` where too much is gone."""
        sets = self.question.sets(graph)
        return self._by(identify(graph, *sets, self.question.text, see=False))

    def shortest(self) -> Estimand:
        """The estimand of the same query that is shortest to read; itself where none is shorter.

        Conditions and variables that the graph says are of no use are left out. What it costs is an
        identification for each of up to a dozen variables; larger graphs keep theirs.
        """
        if self.regime is not None:
            return self
        sets = self.question.sets(self.graph)
        derivation, root = shortest(self.derivation, self.root, sets)
        if length(root) >= length(self.root):
            return self
        return Estimand(self.question, derivation, root)

    def _by(self, derivation: Derivation) -> Estimand:
        if derivation is self.derivation:
            return self
        if self.regime is not None:
            return _followed(self.question, self.regime, derivation)
        return Estimand(self.question, derivation, express(derivation))

    def __str__(self) -> str:
        return f"{self.question.text} = {self.text}"

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"


def solve(question: Question, graph: Graph, leave_out: bool = False) -> Estimand:
    """Identify a question and derive its estimand; raises ``NotIdentifiable`` or ``QueryError``.

    ``leave_out`` allows an estimand in the graph of fewer variables where that is soon found.
    """
    if question.policies:
        graph = ordered(graph, question.policies)
        regime = reduce(graph, *question.sets(graph), question.policies)
        return _followed(question, regime, derive(regime, question.text))
    outcomes, do, given = question.sets(graph)
    derivation = identify(graph, outcomes, do, given, question.text, leave_out=leave_out)
    return Estimand(question, derivation, express(derivation))


def decide(question: Question, graph: Graph) -> None:
    """Raise ``NotIdentifiable`` or ``QueryError`` where ``solve`` would; no estimand is derived."""
    if question.policies:
        solve(question, graph)
    else:
        identify(graph, *question.sets(graph), question.text)


def _followed(question: Question, regime: Regime, derivation: Derivation) -> Estimand:
    root = express_under(regime, derivation)
    return Estimand(question, with_steps(regime, derivation), root, regime)


def effect_of(question: Question, graph: Graph) -> Question:
    """The effect P_x(y, z) that decides a question under policies, as a question of its own."""
    graph = ordered(graph, question.policies)
    regime = reduce(graph, *question.sets(graph), question.policies)
    inner, do, _ = (graph.names(part) for part in regime.asked)
    text = f"P({', '.join(inner)} | do({', '.join(do)}))"
    return Question(text, inner, tuple((name, None) for name in do), ())
