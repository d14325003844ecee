"""The plan (IR): what is fitted on which rows, and the networks that are run. SSA: an operation's number names it.

Every data set is a kernel: its rows follow P_c(V) for each context c (ALGORITHM: generate and reweight).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from causalc.compiler.answer import Question
from causalc.policy import Policy


@dataclass(frozen=True, slots=True)
class Observed:
    """The user's rows."""

    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """A trained conditional P(targets | inputs) of data set ``data``."""

    targets: tuple[str, ...]
    inputs: tuple[str, ...]
    data: int
    propensity: bool = False

    def __str__(self) -> str:
        given = f" | {', '.join(self.inputs)}" if self.inputs else ""
        return f"P({', '.join(self.targets)}{given})"


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Real rows of ``columns``, drawn jointly: an unconditional distribution without a model."""

    columns: tuple[str, ...]
    data: int


@dataclass(frozen=True, slots=True)
class Follow:
    """The policy of a variable: no model, nothing is trained."""

    policy: Policy

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the policy reads."""
        return self.policy.inputs


@dataclass(frozen=True, slots=True)
class Reweight:
    """The rows of ``base``, each weighted by Π q(v) / P(v | inputs) over the propensity models."""

    base: int
    propensities: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """Slots drawn from a model; ``inputs`` pairs each input variable with the slot that feeds it."""

    slots: tuple[str, ...]
    model: int
    inputs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Generate:
    """Rows made by running ``draws`` in order and recording ``columns``."""

    draws: tuple[Draw, ...]
    columns: tuple[str, ...]


Operation = Observed | Fit | Bootstrap | Follow | Reweight | Generate


@dataclass(frozen=True, slots=True)
class Network:
    """The sampling network that answers one query; ``inputs`` are the variables the caller sets."""

    name: str
    question: Question
    inputs: tuple[str, ...]
    draws: tuple[Draw, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Operations in order of execution, and one network a query."""

    operations: tuple[Operation, ...]
    networks: tuple[Network, ...]

    @property
    def models(self) -> tuple[int, ...]:
        """The operations that train a model."""
        return tuple(i for i, op in enumerate(self.operations) if isinstance(op, Fit))

    def __str__(self) -> str:
        lines = [f"%{i:<3} {_show(op)}" for i, op in enumerate(self.operations)]
        for network in self.networks:
            lines.append(f"{network.name}({', '.join(network.inputs)}): {network.question.text}")
            lines += [f"     {_draw(draw)}" for draw in network.draws]
        return "\n".join(lines)

    def to_json(self) -> str:
        """The plan as JSON, keys in a fixed order."""
        operations = [{"op": type(op).__name__.lower(), **_fields(op)} for op in self.operations]
        networks = [_fields(network) for network in self.networks]
        return json.dumps({"operations": operations, "networks": networks}, indent=1, default=str)


def _fields(node: object) -> dict[str, object]:
    def plain(value: object) -> object:
        if isinstance(value, tuple):
            return [plain(v) for v in value]
        return _fields(value) if hasattr(value, "__dataclass_fields__") else value

    return {name: plain(getattr(node, name)) for name in node.__dataclass_fields__}  # type: ignore[attr-defined]


def _draw(draw: Draw) -> str:
    fed = ", ".join(v if v == slot else f"{v}={slot}" for v, slot in draw.inputs)
    return f"{', '.join(draw.slots)} ~ %{draw.model}({fed})"


def _show(op: Operation) -> str:
    match op:
        case Observed(columns):
            return f"observed    {', '.join(columns)}"
        case Fit(data=data, propensity=propensity):
            return f"fit         {op} on %{data}{'  propensity' * propensity}"
        case Bootstrap(columns, data):
            return f"bootstrap   {', '.join(columns)} from %{data}"
        case Follow(policy):
            return f"policy      {policy.text}"
        case Reweight(base, by):
            return f"reweight    %{base} by {', '.join(f'%{i}' for i in by)}"
        case Generate(draws, columns):
            return f"generate    {', '.join(columns)}: {'; '.join(map(_draw, draws))}"


def references(op: Operation) -> Iterator[int]:
    """The numbers of the operations that ``op`` needs."""
    match op:
        case Fit(data=data) | Bootstrap(data=data):
            yield data
        case Reweight(base, by):
            yield base
            yield from by
        case Generate(draws=draws):
            yield from (draw.model for draw in draws)


def renumber(op: Operation, new: dict[int, int]) -> Operation:
    """``op`` with its references replaced."""
    match op:
        case Fit(data=data) | Bootstrap(data=data):
            return replace(op, data=new[data])
        case Reweight(base, by):
            return Reweight(new[base], tuple(new[i] for i in by))
        case Generate(draws, columns):
            return Generate(renumber_draws(draws, new), columns)
    return op


def renumber_draws(draws: tuple[Draw, ...], new: dict[int, int]) -> tuple[Draw, ...]:
    """``draws`` with their models renumbered."""
    return tuple(replace(draw, model=new[draw.model]) for draw in draws)


def needed_draws(draws: tuple[Draw, ...], slots: set[str]) -> tuple[Draw, ...]:
    """The draws that ``slots`` depend on, in the same order."""
    wanted, kept = set(slots), []
    for draw in reversed(draws):
        if wanted.intersection(draw.slots):
            kept.append(draw)
            wanted.update(slot for _, slot in draw.inputs)
    return tuple(reversed(kept))


def verify(plan: Plan) -> None:
    """Raise ``AssertionError`` where a plan is not well formed: order, types, slots, columns."""
    columns: list[frozenset[str]] = []
    for i, op in enumerate(plan.operations):
        assert all(ref < i for ref in references(op)), f"%{i} uses what comes later"
        columns.append(_columns(plan, op, columns))
    for network in plan.networks:
        _verify_draws(plan, network.draws, set(network.inputs))
        made = {slot for draw in network.draws for slot in draw.slots} | set(network.inputs)
        assert made >= set(network.question.outcomes), f"{network.name} does not draw its outcomes"


def _columns(plan: Plan, op: Operation, columns: list[frozenset[str]]) -> frozenset[str]:
    match op:
        case Observed(names):
            return frozenset(names)
        case Fit(targets, inputs, data):
            assert not set(targets) & set(inputs) and columns[data] >= {*targets, *inputs}, op
            return frozenset()
        case Bootstrap(names, data):
            assert columns[data] >= set(names), op
            return frozenset()
        case Follow():
            return frozenset()
        case Reweight(base, by):
            for model in (plan.operations[i] for i in by):
                assert isinstance(model, Fit), op
                assert columns[base] >= {*model.targets, *model.inputs}, op
            return columns[base]
        case Generate(draws, names):
            _verify_draws(plan, draws, set())
            assert {slot for draw in draws for slot in draw.slots} >= set(names), op
            return frozenset(names)


def _verify_draws(plan: Plan, draws: tuple[Draw, ...], made: set[str]) -> None:
    for draw in draws:
        model = plan.operations[draw.model]
        assert isinstance(model, Fit | Bootstrap | Follow), draw
        inputs = () if isinstance(model, Bootstrap) else model.inputs
        assert tuple(v for v, _ in draw.inputs) == inputs, (draw, model)
        assert all(slot in made for _, slot in draw.inputs), (
            f"{draw} uses a slot before it is drawn"
        )
        assert not made.intersection(draw.slots), f"{draw} draws a slot twice"
        made.update(draw.slots)
