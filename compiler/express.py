"""Derivation to estimand, kernel by kernel.

Q[A] for a set A that is ancestral in a kernel Q[T] is a sum of Q[T]; Q[T] itself is a product of ratios of such
margins of the kernel before it, down to P(v). Taking whole runs of variables at once lets ratios telescope, so
nothing is divided by that a shorter formula would not need (Tian & Pearl 2002, lemmas 1 and 4).

An expression may mention more variables than its value depends on (what was fixed on the way). Any value serves:
inside, one that a sum around happens to bind, and at the end an average.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from causalc.compiler.algebra import Builder, Term
from causalc.compiler.estimand import Node
from causalc.compiler.graph import Graph, bits
from causalc.compiler.identify import Derivation, Kernel

MANY = 12  # variables: up to these the shortest form is taken, beyond them the one that is soonest found


@dataclass(frozen=True, slots=True)
class Run:
    """Variables next to each other in a causal order: their factor in Q[T] is Q[upto] / Q[before]."""

    upto: int
    before: int
    idle: int


@dataclass(frozen=True, slots=True)
class Form:
    """A factor of Q[T]: the product of its runs' ratios, or Q[whole] over the ratios of what else is in it."""

    runs: tuple[Run, ...]
    whole: int = 0


def express(derivation: Derivation) -> Node:
    """The estimand of a derivation: Σ Π Q[district], over its total where there are conditions."""
    return Expression(derivation).estimand()


@dataclass(slots=True)
class Expression:
    """The kernels of one derivation as expressions, each made once."""

    derivation: Derivation
    builder: Builder = field(default_factory=Builder)
    done: dict[int, Term] = field(default_factory=dict)  # Q[A] by A, whatever kernel has it
    forms: dict[tuple[int, int], Form] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """The graph of the derivation."""
        return self.derivation.graph

    def estimand(self) -> Node:
        """The whole estimand."""
        d, builder = self.derivation, self.builder
        if not d.do:
            return builder.prob(d.outcomes, d.given)
        joint, effective = Term(builder), 0
        for branch in d.branches:
            joint.multiply(self._branch(*branch))
            effective |= branch[0]
        inner = joint.total(effective & ~d.outcomes & ~d.given)
        result = inner.node()
        if d.given:
            result = builder.quotient(inner, joint.total(effective & ~d.given))
        idle = result.free & ~d.asked
        if not idle:
            return result
        average = builder.term((builder.prob(idle, 0), result))
        return average.total(idle).node()

    def _branch(self, part: int, kernel: Kernel, last: int) -> Term:
        """Q[part]: a margin of the kernel, or a district of G[last], which is one."""
        if part == last:
            self._complete([(part, kernel)])
            return self.done[part]
        while missing := self._missing(kernel, last, part):
            self._complete(missing)
        return self._district(kernel, last, part)

    def _complete(self, wanted: list[tuple[int, Kernel]]) -> None:
        """Express margins and all they need; an explicit stack, since kernels may nest without bound."""
        stack = wanted
        while stack:
            part, kernel = stack[-1]
            if part in self.done:
                stack.pop()
                continue
            at = self._home(part, kernel)
            if at.parent is None:
                self.done[part] = self._observed(part)
                continue
            within = at.variables & self.graph.ancestors(part, at.source)
            if missing := self._missing(at.parent, at.source, within):
                stack.extend(missing)
            else:
                self.done[part] = body = self._district(at.parent, at.source, within)
                body.sum(within & ~part)

    def _home(self, part: int, kernel: Kernel) -> Kernel:
        """The first kernel in which ``part`` is ancestral: there least is summed over."""
        graph, outside = self.graph, 0
        while kernel.parent is not None:
            rest = kernel.parent.variables & ~part
            if not outside and rest.bit_count() < part.bit_count():
                if graph.inflow(part, rest):
                    return kernel
            else:
                outside = outside or graph.parents_of(part) & ~part
                if not outside:
                    return self.derivation.pool.root
                if outside & rest:
                    return kernel
            kernel = kernel.parent
        return kernel

    def _missing(self, kernel: Kernel, source: int, part: int) -> list[tuple[int, Kernel]]:
        """Margins of ``kernel`` that the factor of ``part`` in Q[source] is made of and that are still to do."""
        if kernel.parent is None:
            return []
        form, done = self._form(source, part), self.done
        wanted = [a for a in (form.whole, *(run.upto for run in form.runs)) if a and a not in done]
        if not wanted:
            before = [run for run in form.runs if run.before and run.before not in done]
            wanted = [run.before for run in before if not self._summed(run, kernel)]
        return [(a, kernel) for a in wanted]

    def _summed(self, run: Run, kernel: Kernel) -> bool:
        """Whether Q[before] is Q[upto] with probabilities that sum to one left out; if so it is done."""
        if run.before.bit_count() < MANY or self._home(run.before, kernel).parent is None:
            return False
        whole = self.done[run.upto]
        less = whole.total(run.upto & ~run.before)
        if less.bound != whole.bound:
            return False
        self.done[run.before] = less
        return True

    def _form(self, source: int, part: int) -> Form:
        if (source, part) not in self.forms:
            self.forms[source, part] = _form(self.graph, source, part)
        return self.forms[source, part]

    def _district(self, kernel: Kernel, source: int, part: int) -> Term:
        """The factor of ``part``, a union of districts of G[source] among what precedes it, in Q[source]."""
        if kernel.parent is None:
            return self._observed(part)
        form = self._form(source, part)
        side = -1 if form.whole else 1
        result = self.done[form.whole].copy() if form.whole else Term(self.builder)
        for run in form.runs:
            result.multiply(self.done[run.upto].total(run.idle), side)
            if run.before:
                result.multiply(self.done[run.before].total(run.idle), -side)
        return result

    def _observed(self, part: int) -> Term:
        """The factors P(v | Markov pillow) of ``part`` in the observed distribution."""
        result = Term(self.builder)
        for v, pillow in self.graph.pillows(part).items():
            result.conditional(pillow | 1 << v, pillow)
        return result


def _form(graph: Graph, source: int, part: int) -> Form:
    """The shorter of two ways: the ratios of ``part``, or all there is over the ratios of the rest."""
    upto = graph.ancestors(part, source)
    rest = upto & ~part
    if rest and 4 * rest.bit_count() < part.bit_count():
        return Form(tuple(_runs(graph, source, rest)), upto)
    return Form(tuple(_runs(graph, source, part)))


def _runs(graph: Graph, source: int, part: int) -> Iterator[Run]:
    """``part`` cut into runs, as few as possible, and each run into its districts."""
    todo = graph.ancestors(part, source)
    past = 0
    while part & ~past:
        past |= _ready(graph, todo & ~part & ~past, past, todo)
        run = _ready(graph, part & ~past, past, todo)
        past |= run
        for piece in graph.districts(part & past):
            last = piece & run
            if last:
                yield from _ratios(graph, source, piece, last)


def _ratios(graph: Graph, source: int, piece: int, last: int) -> Iterator[Run]:
    """The factor of ``last``, the newest members of a district: one ratio if they come after all else."""
    upto = graph.ancestors(piece, source)
    before = upto & ~last
    if not graph.parents_of(before) & last:
        pillow = piece | graph.parents_of(piece)
        yield Run(upto, before, upto & ~pillow)
        return
    for v in bits(last):  # something lies between them: one at a time, each is last in its own past
        past = piece & ~last | last & ((2 << v) - 1)
        yield from _ratios(graph, source, graph.district(1 << v, past), 1 << v)


def _ready(graph: Graph, candidates: int, past: int, within: int) -> int:
    """The candidates whose parents, within a set, are all past or ready before them."""
    ready = 0
    for v in bits(candidates):
        if not graph.parents[v] & within & ~past & ~ready:
            ready |= 1 << v
    return ready
