"""The exact backend: a data set is a probability table, a fit a conditional table, a sample an axis.

It runs the text of a generated program without sampling noise; that is how programs are proved, and for discrete
data it is the answer itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from causalc.policy import Policy
from causalc.runtime.program import FREE, Row
from causalc.table import Array, Fill, Table, answer, conditional, contract, of_policy


@dataclass(frozen=True, slots=True, eq=False)
class ExactData:
    """A kernel as unnormalised mass over ``columns``: each context's slice is proportional to its P_c(V)."""

    columns: tuple[str, ...]
    mass: Array

    def over(self, names: Sequence[str]) -> Array:
        """Mass over ``names``, axes in that order."""
        return contract([(self.mass, self.columns)], names)


@dataclass(frozen=True, slots=True, eq=False)
class ExactModel:
    """P(targets | inputs): axes are the inputs, then the targets."""

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    array: Array


@dataclass(frozen=True, slots=True, eq=False)
class ExactModels:
    """Conditional tables by name, and the joint they came from."""

    models: Mapping[str, ExactModel]
    joint: Table

    def __getitem__(self, name: str) -> ExactModel:
        return self.models[name]

    def drawing(self, n: int, **options: Any) -> Any:
        """Begin a draw of all probabilities; ``n`` and the options play no part."""
        return ExactDraw(self)


@dataclass(slots=True)
class ExactRun:
    """``Run`` on a joint table."""

    joint: Table
    fill: Fill = field(default_factory=lambda: np.random.default_rng(0))

    def observed(self, columns: Sequence[str]) -> ExactData:
        """The joint, marginalised to ``columns``."""
        return ExactData(tuple(columns), self.joint.over(columns))

    def fit(
        self,
        targets: Sequence[str],
        given: Sequence[str],
        on: ExactData,
        model: object = None,
        purpose: str = "sample",
    ) -> ExactModel:
        """The conditional table; the model family plays no part."""
        array = conditional(on.over((*given, *targets)), len(given), self.fill)
        return ExactModel(tuple(given), tuple(targets), array)

    def bootstrap(self, columns: Sequence[str], on: ExactData) -> ExactModel:
        """The marginal."""
        return self.fit(columns, (), on)

    def reweight(self, base: ExactData, by: Sequence[ExactModel]) -> ExactData:
        """Mass divided by every propensity; the numerator q is uniform."""
        operands: list[tuple[Array, Sequence[str]]] = [(base.mass, base.columns)]
        mass = base.mass
        for model in by:
            weight = np.divide(
                1.0, model.array, out=np.zeros_like(model.array), where=model.array > 0
            )
            operands.append((weight, (*model.inputs, *model.targets)))
            names = (*model.inputs, *model.targets)
            if (model.array <= 0).any():
                ones = [
                    (np.ones(size), (n,)) for n, size in zip(base.columns, mass.shape, strict=True)
                ]
                empty = (
                    contract([((model.array <= 0).astype(float), names), *ones], base.columns) > 0
                )
                mass = np.where(empty, self.fill.uniform(0.5, 1.5, mass.shape), mass)
                weight = np.where(model.array > 0, weight, 1.0)
                operands[-1] = (weight, names)
        operands[0] = (mass, base.columns)
        return ExactData(base.columns, contract(operands, base.columns))

    def generate(
        self, network: Callable[[ExactDraw], Row], columns: Sequence[str], parents: Sequence[object]
    ) -> ExactData:
        """The joint of the network's columns."""
        draw = ExactDraw(ExactModels({}, self.joint))
        row = network(draw)
        return ExactData(tuple(columns), draw.mass([row[name] for name in columns]))

    def finish(self, models: Mapping[str, ExactModel]) -> ExactModels:
        """The models with the joint's levels."""
        return ExactModels(dict(models), self.joint)


@dataclass(slots=True)
class ExactDraw:
    """``Draw`` whose columns are axis names."""

    models: ExactModels
    operands: list[tuple[Array, tuple[str, ...]]] = field(default_factory=list)
    free: list[str] = field(default_factory=list)
    fixed: dict[str, object] = field(default_factory=dict)
    number: Any = field(default_factory=count)

    def input(self, name: str, value: object) -> str:
        """An axis of its own where the value is FREE, else a slice."""
        if value is FREE:
            self.free.append(name)
        else:
            self.fixed[name] = value
        return name

    def sample(self, model: ExactModel, inputs: Mapping[str, str]) -> tuple[str, ...]:
        """Multiply the conditional in; its targets become new axes."""
        made = tuple(f"{target}\0{next(self.number)}" for target in model.targets)
        self.operands.append((model.array, (*(inputs[v] for v in model.inputs), *made)))
        return made

    def policy(self, policy: Policy, inputs: Mapping[str, str]) -> str:
        """Multiply the policy in; its variable becomes a new axis."""
        made = f"{policy.variable}\0{next(self.number)}"
        array = of_policy(self.models.joint, policy)
        self.operands.append((array, (*(inputs[v] for v in policy.inputs), made)))
        return made

    def mass(self, columns: Sequence[str]) -> Array:
        """The product of all factors, summed down to ``columns``."""
        return contract(self.operands, columns)

    def table(self, columns: Mapping[str, str]) -> Any:
        """The answer over the free inputs, then the outcomes: a ``Table``, where programs say they give rows."""
        used = {name for _, names in self.operands for name in names}
        inputs = [name for name in (*self.free, *self.fixed) if name in used]
        array = contract(self.operands, [*inputs, *columns.values()])
        joint = self.models.joint
        return answer(joint, array, [*inputs, *columns], self.free, tuple(columns), self.fixed)
