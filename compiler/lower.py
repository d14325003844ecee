"""Derivation to plan: how each factor becomes a model, and each kernel a data set.

At a kernel (line 7) there are three exact routes. *generate*: train the kernel's factors, draw what was fixed
from a full-support proposal, record the rows. *reweight*: keep real rows and divide by the propensity of what
was fixed. *inline*: run the kernel's own factors inside the network, hidden copies and all, and distil nothing;
exact unless a dropped variable reaches both a factor that is kept and one that is removed.

Conditions that cannot be moved to the do() are met in two ways. *distil*: run the network, record the rows and train
P(y | x, z) on them. *split*: where z and all it depends on are a block of observed variables, draw the rest of the
block given z, and run what follows it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from causalc.compiler.answer import Question
from causalc.compiler.graph import Graph, bits
from causalc.compiler.identify import Conditional, Derivation, Kernel, move_conditions
from causalc.compiler.passes.bootstrap import observed_block
from causalc.compiler.plan import (
    Bootstrap,
    Draw,
    Fit,
    Follow,
    Generate,
    Network,
    Observed,
    Operation,
    Reweight,
    needed_draws,
)
from causalc.compiler.policies import Regime

CONTINUOUS = frozenset({"real", "integer", "vector", "image", "text"})

Routes = Mapping[object, str]
"""The route to take at a kernel, at a district read off one, or at the conditions of a derivation, if not the usual."""
Decisions = dict[object, tuple[str, tuple[str, ...]]]
"""What was decided: the route taken, and all that would have been exact."""


@dataclass(slots=True)
class Lowering:
    """Interns operations while the queries of one graph are lowered.

    ``strategy`` settles all routes but those in ``routes``; "auto" goes by ``kinds``.
    """

    graph: Graph
    strategy: str
    kinds: Mapping[str, str]
    routes: Routes = field(default_factory=dict)
    decisions: Decisions = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    numbers: dict[Operation, int] = field(default_factory=dict)
    datasets: dict[Kernel, int] = field(default_factory=dict)

    def add(self, op: Operation) -> int:
        """The number of ``op``, which is made once."""
        if op not in self.numbers:
            self.numbers[op] = len(self.operations)
            self.operations.append(op)
        return self.numbers[op]

    @property
    def rows(self) -> int:
        """The observed rows."""
        return self.add(Observed(self.graph.order))

    def model(self, factor: Conditional, derivation: Derivation, propensity: bool = False) -> int:
        """The model of a factor, fitted on the data set of its kernel."""
        graph = derivation.graph
        name = graph.order[factor.variable]
        data = self.dataset(factor.kernel, derivation)
        if not factor.inputs and factor.kernel.parent is None:
            return self.add(Bootstrap((name,), data))
        inputs = tuple(name for name, _ in self._inputs(factor, derivation))
        return self.add(Fit((name,), inputs, data, propensity))

    def _inputs(self, factor: Conditional, derivation: Derivation) -> list[tuple[str, int]]:
        """The inputs and their places, in one order for all derivations, so that equal models are equal."""
        order, index = derivation.graph.order, self.graph.index
        return sorted(((order[i], i) for i in bits(factor.inputs)), key=lambda v: index[v[0]])

    # ---- kernels as data sets -----------------------------------------------------------------------------

    def dataset(self, kernel: Kernel, derivation: Derivation) -> int:
        """Rows that follow the kernel for every value of its context."""
        if kernel not in self.datasets:
            self.datasets[kernel] = self._rows_of(kernel, derivation)
        return self.datasets[kernel]

    def _rows_of(self, kernel: Kernel, derivation: Derivation) -> int:
        if kernel.parent is None:
            return self.rows
        weighed = self._weighed(kernel, derivation)
        if self._reweights(kernel, weighed, derivation):
            base = self.dataset(kernel.parent, derivation)
            models = tuple(self.model(f, derivation, propensity=True) for f in weighed)
            return self.add(Reweight(base, models)) if models else base
        parts = derivation.pool.factors_of(kernel, kernel.variables)
        draws = [self._visible(part, derivation) for part in parts]
        return self._generate(draws, ())

    def _weighed(self, kernel: Kernel, derivation: Derivation) -> list[Conditional]:
        """Propensities of what the kernel fixes; where nothing in the kernel feeds one, q = P weighs 1."""
        fixed = derivation.pool.factors_of(kernel, kernel.source & ~kernel.variables)
        return [factor for factor in fixed if factor.inputs & kernel.variables]

    def _decided(self, key: object, usual: str, *others: str) -> str:
        """The route at ``key``: as told, or the usual one; a strategy that the user set leaves no choice."""
        if self.strategy != "auto":
            return usual
        taken = self.routes.get(key, usual)
        self.decisions[key] = (taken, (usual, *others))
        return taken

    def _reweights(
        self, key: object, weighed: Sequence[Conditional], derivation: Derivation
    ) -> bool:
        if self.strategy != "auto":
            return self.strategy == "reweight"
        if not weighed:
            return True  # the rows serve as they are
        names = (derivation.graph.order[factor.variable] for factor in weighed)
        dense = any(self.kinds.get(name) in CONTINUOUS for name in names)
        routes = ("generate", "reweight") if dense else ("reweight", "generate")
        return self._decided(key, *routes) == "reweight"

    def _visible(self, factor: Conditional, derivation: Derivation) -> Draw:
        slot = derivation.graph.order[factor.variable]
        inputs = tuple((name, name) for name, _ in self._inputs(factor, derivation))
        return Draw((slot,), self.model(factor, derivation), inputs)

    def _generate(self, draws: list[Draw], columns: Iterable[str]) -> int:
        """Run ``draws``; every input nobody draws comes from its own marginal, independently."""
        made = {slot for draw in draws for slot in draw.slots}
        needed = {slot for draw in draws for _, slot in draw.inputs} | set(columns)
        outside = [name for name in self.graph.order if name in needed - made]
        proposals = [Draw((name,), self.add(Bootstrap((name,), self.rows)), ()) for name in outside]
        recorded = tuple(name for name in self.graph.order if name in made | set(outside))
        return self.add(Generate((*proposals, *draws), recorded))

    # ---- networks -------------------------------------------------------------------------------------

    def network(
        self,
        name: str,
        question: Question,
        derivation: Derivation,
        regime: Regime | None = None,
    ) -> Network:
        """The network that samples the outcomes of a query."""
        for kernel in sorted(derivation.pool.kernels.values(), key=lambda k: k.depth):
            self.dataset(kernel, derivation)  # parents first: kernels may nest without bound
        inputs = tuple(dict.fromkeys(n for n, _ in (*question.do, *question.given)))
        draws = self._conditional(derivation) if derivation.given else self._joint(derivation)
        if regime is not None:
            draws = self._followed(draws, regime, inputs)
        needed = needed_draws(tuple(draws), set(question.outcomes))
        return Network(name, question, inputs, (*self._idle(needed, inputs), *needed))

    def _idle(self, draws: tuple[Draw, ...], inputs: tuple[str, ...]) -> list[Draw]:
        """Don't-care inputs: any value gives the same answer, so real rows keep them inside the support."""
        made = {slot for draw in draws for slot in draw.slots}.union(inputs)
        wanted = {slot for draw in draws for _, slot in draw.inputs} - made
        idle = [name for name in self.graph.order if name in wanted]
        return [Draw((name,), self.add(Bootstrap((name,), self.rows)), ()) for name in idle]

    def _joint(self, derivation: Derivation) -> list[Draw]:
        """One draw a variable of the ancestral set, districts inlined where that is exact and shorter."""
        by_variable = {factor.variable: factor for factor in derivation.factors}
        draws: dict[int, list[Draw]] = {}  # by variable; those of an inlined district by its first
        for part, kernel, last in derivation.branches:
            fitted = any(by_variable[v].kernel.parent is not None for v in bits(part))
            if (
                fitted
                and self.strategy == "auto"
                and _inline_is_exact(derivation, kernel, part, last)
                and self._decided((kernel, part), "inline", "distil") == "inline"
            ):
                draws[next(bits(part))] = self._inline(derivation, kernel, part, last)
            else:
                draws |= {v: [self._visible(by_variable[v], derivation)] for v in bits(part)}
        return _ordered([draw for v in sorted(draws) for draw in draws[v]])

    def _inline(self, derivation: Derivation, kernel: Kernel, part: int, last: int) -> list[Draw]:
        order = derivation.graph.order
        hidden = kernel.variables & ~last
        tag = order[(part & -part).bit_length() - 1]

        def slot(v: int) -> str:
            return f"{order[v]} behind {tag}" if hidden >> v & 1 else order[v]

        draws = [
            Draw(
                (slot(factor.variable),),
                self.model(factor, derivation),
                tuple((name, slot(i)) for name, i in self._inputs(factor, derivation)),
            )
            for factor in derivation.pool.factors_of(kernel, part | hidden)
        ]
        return list(needed_draws(tuple(draws), {order[v] for v in bits(part)}))

    # ---- conditions -------------------------------------------------------------------------------------

    def _conditional(self, derivation: Derivation) -> list[Draw]:
        """IDC: clamp the conditions that can be, and train P(y | x, z) where some cannot."""
        graph = derivation.graph
        weighed = self._weighed_query(derivation)
        if weighed is not None and (
            not weighed or self._reweights(derivation, weighed, derivation)
        ):
            models = tuple(self.model(f, derivation, propensity=True) for f in weighed)
            data = self.add(Reweight(self.rows, models)) if models else self.rows
            outcomes = graph.names(derivation.outcomes)
            return self._outcome_fits(outcomes, data, graph, derivation.do, derivation.given)
        names = (
            graph.names(part) for part in (derivation.outcomes, derivation.do, derivation.given)
        )
        return self._given(self._joint(derivation), *names)

    def _given(
        self,
        draws: list[Draw],
        outcomes: tuple[str, ...],
        inputs: tuple[str, ...],
        given: tuple[str, ...],
    ) -> list[Draw]:
        """A network of the outcomes and the conditions, made one of the outcomes given the conditions."""
        shape = _shape(draws, inputs)
        do, left = move_conditions(
            shape, shape.mask(outcomes), shape.mask(inputs), shape.mask(given), []
        )
        clamped = set(shape.names(do))
        draws = [draw for draw in draws if not clamped.intersection(draw.slots)]
        if not left:
            return draws
        split = self._split(draws, outcomes, shape.names(left))
        key = ("given", outcomes, inputs, given)
        if split is not None and self._decided(key, "distil", "split") == "split":
            return split
        draws = list(needed_draws(tuple(draws), {*outcomes, *given} | clamped))
        data = self._generate(draws, clamped)
        return self._outcome_fits(outcomes, data, shape, do, left)

    def _split(
        self, draws: list[Draw], outcomes: tuple[str, ...], given: tuple[str, ...]
    ) -> list[Draw] | None:
        """The network with its conditions set, where all that these depend on is a block of observed variables.

        Then P(block, rest) = P(given) P(block | given) P(rest | block), and the second factor is fitted on the
        observed rows. None where there is no such block.
        """
        block = needed_draws(tuple(draws), set(given))
        made = observed_block(block, self.operations, self.graph)
        if len(made) < len(block) or any(draw.slots != (name,) for name, draw in made.items()):
            return None
        rest = needed_draws(tuple(d for d in draws if d not in block), set(outcomes))
        wanted = {*outcomes, *(slot for draw in rest for _, slot in draw.inputs)}.difference(given)
        behind = tuple(name for name in self.graph.order if name in made and name in wanted)
        fits = self._outcome_fits(behind, self.rows, self.graph, 0, self.graph.mask(given))
        return [*fits, *rest]

    def _followed(self, draws: list[Draw], regime: Regime, inputs: tuple[str, ...]) -> list[Draw]:
        """The network of an effect with the policies that feed it; then its conditions."""
        names = regime.graph.names
        for policy in regime.policies:
            pairs = tuple((v, v) for v in policy.inputs)
            draws = [*draws, Draw((policy.variable,), self.add(Follow(policy)), pairs)]
        draws = [*self._idle(tuple(draws), inputs), *_ordered(draws)]
        if not regime.given:
            return draws
        return self._given(draws, names(regime.outcomes), names(regime.do), names(regime.given))

    def _weighed_query(self, derivation: Derivation) -> list[Conditional] | None:
        """Propensities that turn the observed rows into rows of P_x, or None where that takes more."""
        graph, pool = derivation.graph, derivation.pool
        effective = 0
        for factor in derivation.factors:
            effective |= 1 << factor.variable
        fixed = derivation.do & graph.ancestors(effective, graph.all)
        variables = graph.ancestors(effective | fixed, graph.all)
        if variables & ~effective & ~fixed:
            return None
        if any(graph.district(part, variables) != part for part in graph.districts(effective)):
            return None
        factors = (pool.conditional(v, variables, pool.root) for v in bits(fixed))
        return [factor for factor in factors if factor.inputs & effective]

    def _outcome_fits(
        self, outcomes: tuple[str, ...], data: int, shape: Graph, do: int, given: int
    ) -> list[Draw]:
        """P(y_i | x, z, earlier y's) on rows of P_x, inputs dropped while separation allows it."""
        draws = []
        earlier: tuple[str, ...] = ()
        context = (*shape.names(do), *shape.names(given))
        for name in outcomes:
            inputs = self._trim(shape, name, (*context, *earlier), do)
            inputs = tuple(n for n in self.graph.order if n in inputs)
            model = self.add(Fit((name,), inputs, data) if inputs else Bootstrap((name,), data))
            draws.append(Draw((name,), model, tuple((n, n) for n in inputs)))
            earlier = (*earlier, name)
        return draws

    def _trim(self, shape: Graph, name: str, inputs: tuple[str, ...], do: int) -> tuple[str, ...]:
        """The inputs that an open path leads to, given all of them: the others tell nothing more."""
        target, given = shape.mask([name]), shape.mask(inputs) | do
        by_tail, by_head = shape.reached(target, given & ~target, cut_into=do)
        kept = set(shape.names(by_tail | by_head))
        return tuple(n for n in inputs if n in kept)


def _shape(draws: list[Draw], inputs: tuple[str, ...]) -> Graph:
    """A network as a graph without latents; its inputs are roots."""
    slots = [slot for draw in draws for slot in draw.slots]
    edges = [(fed, slot) for draw in draws for _, fed in draw.inputs for slot in draw.slots]
    return Graph.from_edges(dict.fromkeys((*inputs, *slots)), edges)


def _ordered(draws: list[Draw]) -> list[Draw]:
    """Draws in an order in which every slot is made before it is used; stable."""
    maker = {slot: i for i, draw in enumerate(draws) for slot in draw.slots}
    after: list[list[int]] = [[] for _ in draws]
    waiting = [0] * len(draws)
    for i, draw in enumerate(draws):
        for j in {maker[slot] for _, slot in draw.inputs if slot in maker}:
            after[j].append(i)
            waiting[i] += 1
    ready = [i for i, count in enumerate(waiting) if not count]
    result: list[Draw] = []
    while ready:
        i = heapq.heappop(ready)
        result.append(draws[i])
        for j in after[i]:
            waiting[j] -= 1
            if not waiting[j]:
                heapq.heappush(ready, j)
    assert len(result) == len(draws), "the network is cyclic"
    return result


def _inline_is_exact(derivation: Derivation, kernel: Kernel, part: int, last: int) -> bool:
    """No dropped variable reaches, directly or through dropped ones, both a kept and a removed factor."""
    if kernel.parent is None:
        return False
    hidden = kernel.variables & ~last
    removed = last & ~part
    reached_by: dict[int, int] = dict.fromkeys(bits(hidden), 0)
    for factor in reversed(derivation.pool.factors_of(kernel, kernel.variables)):
        reach = 1 << factor.variable
        if hidden & reach:
            reach = reached_by[factor.variable]
        for h in bits(factor.inputs & hidden):
            reached_by[h] |= reach
    return _apart(list(reached_by.values()), part, removed)


def _apart(groups: list[int], kept: int, removed: int) -> bool:
    """Whether no chain of overlapping groups joins the two sets."""
    side, changed = kept, True
    while changed:
        grown = side
        for group in groups:
            if group & grown:
                grown |= group
        changed, side = grown != side, grown
    return not side & removed
