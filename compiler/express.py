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

from causalc.compiler.estimand import Builder, Node
from causalc.compiler.graph import Graph, bits
from causalc.compiler.identify import Derivation, Kernel


@dataclass(frozen=True, slots=True)
class Run:
    """Variables next to each other in a causal order: their factor in Q[T] is Q[upto] / Q[before]."""

    upto: int
    before: int
    idle: int


def express(derivation: Derivation) -> Node:
    """The estimand of a derivation: Σ Π Q[district], over its total where there are conditions."""
    return Expression(derivation).estimand()


@dataclass(slots=True)
class Expression:
    """The kernels of one derivation as expressions, each made once."""

    derivation: Derivation
    builder: Builder = field(default_factory=Builder)
    done: dict[int, Node] = field(
        default_factory=dict
    )  # Q[A] by A, whatever kernel it was got from
    cuts: dict[tuple[int, int], tuple[Run, ...]] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        """The graph of the derivation."""
        return self.derivation.graph

    def estimand(self) -> Node:
        """The whole estimand."""
        d, builder = self.derivation, self.builder
        if not d.do:
            return builder.prob(d.outcomes, d.given)
        joint = builder.product([self._branch(*branch) for branch in d.branches])
        effective = 0
        for part, _, _ in d.branches:
            effective |= part
        result = builder.sum(effective & ~d.outcomes & ~d.given, joint)
        if d.given:
            result = builder.ratio(result, builder.sum(effective & ~d.given, joint))
        idle = result.free & ~d.asked
        return builder.sum(idle, builder.product((builder.prob(idle, 0), result)))

    def _branch(self, part: int, kernel: Kernel, last: int) -> Node:
        """Q[part]: a margin of the kernel, or a district of G[last], which is one."""
        if part == last:
            self._complete([(part, kernel)])
            return self.done[part]
        self._complete(self._below(kernel, last, part))
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
            below = self._below(at.parent, at.source, within)
            missing = [margin for margin in below if margin[0] not in self.done]
            if missing:
                stack.extend(missing)
            else:
                body = self._district(at.parent, at.source, within)
                self.done[part] = self.builder.sum(within & ~part, body)

    def _home(self, part: int, kernel: Kernel) -> Kernel:
        """The first kernel in which ``part`` is ancestral: there least is summed over."""
        outside = self.graph.parents_of(part) & ~part
        while kernel.parent is not None and not outside & kernel.parent.variables:
            kernel = kernel.parent
        return kernel

    def _below(self, kernel: Kernel, source: int, part: int) -> list[tuple[int, Kernel]]:
        """The margins of ``kernel`` that the factor of ``part`` in Q[source] is made of."""
        if kernel.parent is None:
            return []
        runs = self._runs(source, part)
        return [(a, kernel) for run in runs for a in (run.upto, run.before) if a]

    def _runs(self, source: int, part: int) -> tuple[Run, ...]:
        if (source, part) not in self.cuts:
            self.cuts[source, part] = tuple(_runs(self.graph, source, part))
        return self.cuts[source, part]

    def _district(self, kernel: Kernel, source: int, part: int) -> Node:
        """The factor of ``part``, a union of districts of G[source] among what precedes it, in Q[source]."""
        if kernel.parent is None:
            return self._observed(part)
        builder, over, under = self.builder, [], []
        for run in self._runs(source, part):
            over.append(builder.sum(run.idle, self.done[run.upto]))
            if run.before:
                under.append(builder.sum(run.idle, self.done[run.before]))
        return builder.ratio(builder.product(over), builder.product(under))

    def _observed(self, part: int) -> Node:
        """The factors P(v | Markov pillow) of ``part`` in the observed distribution."""
        pillows = self.graph.pillows(part)
        return self.builder.product([self.builder.prob(1 << v, pillows[v]) for v in bits(part)])


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
