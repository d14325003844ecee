"""ID-GEN and IDC-GEN: decide whether P(y | do(x), z) is identified, and from which conditionals it is built.

Rahman, Jordan & Kocaoglu (2024), after Shpitser & Pearl (2006a ID, 2006b IDC). A kernel Q[T] is determined by
its set T alone (Tian & Pearl 2002), so the current "graph and data set" of the recursion is a set of vertices,
the recursion is a loop, and equal kernels are one object. Lines of ID-GEN, as recorded in the derivation:

1 no interventions are left      4 split into the districts of G \\ X     6 S is a district of G
2 drop non-ancestors of Y        5 one district: not identifiable        7 S lies inside a district S'; fix V \\ S'
3 intervene on irrelevant W
"""

from __future__ import annotations

from dataclasses import dataclass, field

from causalc.compiler.graph import Graph, bits
from causalc.errors import CausalcError


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """Q[variables]: obtained from ``parent`` by dropping all but ``source``, then fixing source \\ variables.

    The root kernel is the observed distribution: no parent.
    """

    variables: int
    source: int = 0
    parent: Kernel | None = None
    depth: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Conditional:
    """The factor ``variable | inputs`` of kernel Q[T].

    ``district`` is the district of ``variable`` among its predecessors; ``inputs`` is its Markov pillow,
    dis ∪ pa(dis) without the variable. (variable, district) determines the factor wherever it occurs.
    """

    variable: int
    district: int
    inputs: int
    kernel: Kernel


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the derivation: P(outcomes | do(do)) in G[variables]; ``part`` is what the line acts on."""

    line: str
    outcomes: int
    do: int
    variables: int
    part: int = 0


@dataclass(frozen=True, slots=True)
class Hedge:
    """The witness of non-identifiability: two C-forests ``forest`` ⊃ ``subforest`` with the same roots."""

    forest: tuple[str, ...]
    subforest: tuple[str, ...]


class NotIdentifiable(CausalcError):
    """No estimand exists: two models agree on the data and differ in the answer to ``query``.

    ``hedge`` is the witness.
    """

    exit_code = 2

    def __init__(self, query: str, hedge: Hedge) -> None:
        self.query, self.hedge = query, hedge
        forest, sub = ", ".join(hedge.forest), ", ".join(hedge.subforest)
        super().__init__(
            f"{query} is not identifiable from observational data in this graph.\n"
            f"hedge: {{{forest}}} and {{{sub}}} are both connected by latent common causes and have the same "
            f"roots,\n       so the effect of the intervention on {{{sub}}} cannot be told from confounding.\n"
            "help: measure a confounder behind one of the <-> edges inside the hedge, or add an experiment."
        )


@dataclass(frozen=True, slots=True, eq=False)
class Derivation:
    """How a query was identified.

    ``outcomes``, ``do`` and ``given`` are those of the reduced query: conditions that rule 2 moved are in
    ``do``, those that rule 1 made irrelevant are gone; ``asked`` are all variables of the original query.
    Each branch is a district of G[an(Y) \\ X], the kernel that it is read off and the last vertex set there.
    ``left_out`` are variables that were made latent first, since the query is identified without them.
    """

    graph: Graph
    outcomes: int
    do: int
    given: int
    asked: int
    steps: tuple[Step, ...]
    branches: tuple[tuple[int, Kernel, int], ...]
    pool: Conditionals = field(repr=False)
    left_out: tuple[str, ...] = ()

    @property
    def seen(self) -> bool:
        """Whether interventions were turned into conditions."""
        return any(step.line == "seen" for step in self.steps)

    @property
    def factors(self) -> tuple[Conditional, ...]:
        """One conditional per variable of an(Y) \\ X in topological order; their product is Q of that set."""
        pool = self.pool
        found = (
            pool.conditional(v, part, kernel)
            for part, kernel, _ in self.branches
            for v in bits(part)
        )
        return tuple(sorted(found, key=lambda factor: factor.variable))

    def __str__(self) -> str:
        first = [f"leave out {', '.join(self.left_out)}: not needed"] if self.left_out else []
        return "\n".join([*first, *(describe(self.graph, step) for step in self.steps)])


@dataclass(slots=True)
class Conditionals:
    """Interned kernels and conditionals of one graph."""

    graph: Graph
    root: Kernel
    kernels: dict[int, Kernel] = field(default_factory=dict)
    found: dict[tuple[int, int], Conditional] = field(default_factory=dict)

    def fix(self, variables: int, source: int, parent: Kernel) -> Kernel:
        """The kernel of a district of G[source], made once."""
        if variables not in self.kernels:
            self.kernels[variables] = Kernel(variables, source, parent, parent.depth + 1)
        return self.kernels[variables]

    def conditional(self, variable: int, within: int, kernel: Kernel) -> Conditional:
        """The factor of ``variable`` in Q[within], read off the earliest kernel that has it."""
        graph, bit = self.graph, 1 << variable
        district = graph.district(bit, within & ((bit << 1) - 1))
        key = (variable, district)
        if key not in self.found:
            inputs = (district | graph.parents_of(district)) & ~bit
            home = kernel if kernel is self.root else self._home(bit, district, kernel)
            self.found[key] = Conditional(variable, district, inputs, home)
        return self.found[key]

    def _home(self, bit: int, district: int, kernel: Kernel) -> Kernel:
        """The first kernel that has the factor; if one has it, so have all after it."""
        if self._has(self.root, bit, district):
            return self.root
        while kernel.parent is not None and self._has(kernel.parent, bit, district):
            kernel = kernel.parent
        return kernel

    def _has(self, kernel: Kernel, bit: int, district: int) -> bool:
        graph = self.graph
        return graph.district(bit, graph.ancestors(district, kernel.variables)) == district

    def factors_of(self, kernel: Kernel, part: int) -> tuple[Conditional, ...]:
        """The factors of ``part`` ⊆ kernel.source in the parent of ``kernel``, in topological order."""
        assert kernel.parent is not None
        return tuple(self.conditional(v, kernel.source, kernel.parent) for v in bits(part))


def identify(
    graph: Graph,
    outcomes: int,
    do: int,
    given: int,
    text: str = "the query",
    see: bool = True,
    leave_out: bool = False,
) -> Derivation:
    """Identify P(outcomes | do(do), given), sets of vertices of ``graph``; raises ``NotIdentifiable``.

    ``see`` allows the short way where nothing confounds: P(y | do(x), z) = P(y | x, z). ``leave_out`` allows
    that through a front door, whose derivation is one in the graph of fewer variables.
    """
    steps: list[Step] = []
    asked = outcomes | do | given
    do, given = move_conditions(graph, outcomes, do, given, steps)
    if see:
        do, given = _seen(graph, outcomes, do, given, steps)
    if leave_out and do and not given:
        kept = _front_door(graph, outcomes, do)
        if kept:
            return _within(graph, kept, outcomes, do, asked, text)
    return _derived(graph, (outcomes, do, given), asked, steps, text)


def _derived(
    graph: Graph,
    sets: tuple[int, int, int],
    asked: int,
    steps: list[Step],
    text: str,
    left_out: tuple[str, ...] = (),
) -> Derivation:
    """ID of the joint effect on outcomes and conditions, all of which ``do`` moves."""
    outcomes, do, given = sets
    joint = outcomes | given
    pool = Conditionals(graph, Kernel(graph.all))
    variables, fixed = _relevant(graph, joint, do, steps)
    branches: tuple[tuple[int, Kernel, int], ...]
    if fixed:
        parts = graph.districts(variables & ~fixed)
        if len(parts) > 1:
            steps.append(Step("4", variables & ~fixed, fixed, variables))
        branches = tuple((p, *_reach(graph, pool, p, variables, steps, text)) for p in parts)
    else:
        steps.append(Step("1", joint, 0, variables))
        branches = ((variables, pool.root, variables),)
    return Derivation(graph, outcomes, do, given, asked, tuple(steps), branches, pool, left_out)


def move_conditions(graph: Graph, y: int, x: int, z: int, steps: list[Step]) -> tuple[int, int]:
    """Drop conditions by rule 1 and turn conditions into interventions by rule 2, while any applies."""
    while z:
        by_tail, by_head = graph.reached(y, x | z, cut_into=x)
        silent = z & ~by_tail & ~by_head
        moved = z & by_tail & ~by_head  # no open path enters from behind: seeing is setting
        if not silent | moved:
            break
        for v in bits(silent):
            steps.append(Step("rule 1", y, x, graph.all, 1 << v))
        for v in bits(moved):
            steps.append(Step("rule 2", y, x, graph.all, 1 << v))
        x, z = x | moved, z & ~silent & ~moved
    return x, z


def _seen(graph: Graph, y: int, x: int, z: int, steps: list[Step]) -> tuple[int, int]:
    """Turn all interventions that matter into conditions, if rule 2 allows: P(y | do(x), z) = P(y | x, z)."""
    acting = x & graph.ancestors(y | z, graph.all, cut=x)
    if not x or not graph.separated(acting, y, z, cut_out_of=acting):
        return x, z
    if x != acting:
        steps.append(Step("rule 3", y, acting, graph.all, x & ~acting))
    if acting:
        steps.append(Step("seen", y, acting, graph.all, acting))
    if not z:  # each of them acts by a path that the others leave open
        return 0, acting
    z |= acting
    by_tail, by_head = graph.reached(y, z)
    silent = z & ~by_tail & ~by_head
    for v in bits(silent):
        steps.append(Step("rule 1", y, 0, graph.all, 1 << v))
    return 0, z & ~silent


def _front_door(graph: Graph, y: int, x: int) -> int:
    """X, Y and what stands in the front door between them; 0 where there is none.

    These are all children of X that lead to Y, if nothing confounds X with them, or them with Y given X. The
    effect is then that in the graph of these variables alone (Pearl 1995).
    """
    v = x.bit_length() - 1
    if x != 1 << v or not graph.siblings[v]:
        return 0
    relevant = graph.ancestors(y, graph.all)
    between = graph.children[v] & relevant
    if not between or between & y or not relevant & ~(x | between | y):
        return 0
    if graph.separated(between, x, 0, cut_out_of=x) and graph.separated(
        between, y, x, cut_out_of=between
    ):
        return x | between | y
    return 0


def _within(graph: Graph, kept: int, y: int, x: int, asked: int, text: str) -> Derivation:
    """Identify P(y | do(x)) with all but ``kept`` left latent."""
    smaller = graph.marginal(kept | asked)
    sets = smaller.mask(graph.names(y)), smaller.mask(graph.names(x)), 0
    hidden = graph.names(graph.all & ~kept & ~asked)
    return _derived(smaller, sets, smaller.mask(graph.names(asked)), [], text, hidden)


def _relevant(graph: Graph, y: int, x: int, steps: list[Step]) -> tuple[int, int]:
    """Lines 2 and 3 until neither applies: the ancestral set and the enlarged intervention."""
    variables = graph.all
    while x:
        ancestral = graph.ancestors(y, variables)
        if ancestral != variables:
            steps.append(Step("2", y, x, variables, variables & ~ancestral))
            variables, x = ancestral, x & ancestral
            continue
        idle = variables & ~x & ~graph.ancestors(y, variables, cut=x)
        if not idle:
            break
        steps.append(Step("3", y, x, variables, idle))
        x |= idle
    return (graph.ancestors(y, variables) if not x else variables), x


def _reach(
    graph: Graph, pool: Conditionals, part: int, variables: int, steps: list[Step], text: str
) -> tuple[Kernel, int]:
    """Lines 2, 5, 6, 7 and 1 for one district: the kernel Q[part] is read off, and the last vertex set."""
    kernel, current = pool.root, variables
    district = graph.district(part & -part, variables)
    if district == part:
        steps.append(Step("6", part, variables & ~part, variables, part))
        return kernel, variables
    ancestral = graph.ancestors(part, current)
    while True:
        if gone := current & ~ancestral:
            steps.append(Step("2", part, current & ~part, current, gone))
            current = ancestral
        if current == part:
            steps.append(Step("1", part, 0, current))
            return kernel, current
        district = graph.still_joined(part, district & current, district & gone)
        if district == current:
            steps.append(Step("5", part, current & ~part, current, part))
            raise NotIdentifiable(text, Hedge(graph.names(current), graph.names(part)))
        if district == part:
            steps.append(Step("6", part, current & ~part, current, part))
            return kernel, current
        steps.append(Step("7", part, current & ~part, current, current & ~district))
        kernel = pool.fix(district, current, kernel)
        ancestral = graph.still_ancestors(part, district, current & ~district)
        current = district


_LINES = {
    "rule 1": "rule 1: {part} tells nothing more about {outcomes}: dropped from the conditions",
    "rule 2": "rule 2: seeing {part} is as good as setting it: moved from the conditions to do()",
    "rule 3": "rule 3: setting {part} does nothing to {outcomes} or the conditions: dropped from do()",
    "seen": "rule 2: nothing but {part} itself ties {outcomes} to {part}: setting it is as good as seeing it",
    "policy": "policy: {do} follows a rule: average what setting {do} does to {outcomes} over it",
    "1": "line 1: no intervention is left on {{{variables}}}: read {outcomes} off",
    "2": "line 2: drop {part}, no ancestors of {outcomes}",
    "3": "line 3: intervene on {part} too: no effect on {outcomes} once {do} is set",
    "4": "line 4: split {outcomes} into the districts of the graph without {do}",
    "5": "line 5: {{{variables}}} is a single district: not identifiable",
    "6": "line 6: {outcomes} is a district of {{{variables}}}: read its factors off",
    "7": "line 7: {outcomes} lies inside a larger district: fix {part} and go on in what is left",
}


def describe(graph: Graph, step: Step) -> str:
    """One step in words."""

    def say(mask: int) -> str:
        return ", ".join(graph.names(mask)) or "nothing"

    return _LINES[step.line].format(
        outcomes=say(step.outcomes),
        do=say(step.do),
        variables=say(step.variables),
        part=say(step.part),
    )
