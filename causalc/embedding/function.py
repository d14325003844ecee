"""A trained sampler as one torch module: a function of its inputs and of noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from causalc.embedding.factors import Tensors, factor
from causalc.errors import CausalcError
from causalc.program import Sampler
from causalc.runtime.draw import Draw
from causalc.runtime.fitted import Models
from causalc.runtime.noise import Noise

_OPEN = object()  # the value of an input that stays one
_Column = tuple[int, int] | str  # (call, target), or the name of an input


@dataclass(slots=True)
class _Wiring:
    """Stands for the models and for the draw of a sampling function, and records how it wires them."""

    models: Any
    inputs: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[Any, dict[str, _Column]]] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.models[name]

    def drawing(self, n: int, **options: Any) -> _Wiring:
        """Itself."""
        return self

    def input(self, name: str, value: Any) -> _Column:
        """The name of the input."""
        self.inputs[name] = value
        return name

    def sample(self, model: Any, inputs: Mapping[str, _Column]) -> tuple[_Column, ...]:
        """References to the columns of this call."""
        self.calls.append((model, {name: inputs[name] for name in model.inputs}))
        return tuple((len(self.calls) - 1, i) for i in range(len(model.targets)))

    def policy(self, policy: Any, inputs: object) -> _Column:
        """Raise: a policy is a rule over labels, which a tensor does not hold."""
        raise CausalcError(
            f"do({policy.text}): a policy is computed on labels and cannot become a torch function; "
            f"compile the query with do({policy.variable}) left open and give the values of the policy"
        )

    def table(self, columns: Mapping[str, _Column]) -> dict[str, _Column]:
        """The wiring of the outcomes."""
        return dict(columns)


class SamplingFunction(nn.Module):
    """``f(inputs, noise)``: outcomes of a query, as a function that ``torch.export`` can take.

    Columns are canonical tensors of ``n`` rows: ``int64`` codes (position among the levels) and integers,
    ``float64`` reals, ``float32`` ``(n, d)`` vectors, ``uint8`` ``(n, h, w, channels)`` images. With the noise of
    ``noise(n, seed)`` it gives the rows of ``sampler.sample(n, seed=seed)``, up to rounding.
    """

    def __init__(self, sampler: Sampler, query: str | None = None) -> None:
        """Take a query of a sampler (the first by default).

        Raises ``CausalcError`` for an unknown query, a policy in its do(), and models that are no function of
        tensors.
        """
        super().__init__()
        self.query = sampler.query_name(query)
        self.schema = sampler.models.schema
        entry = sampler.program.module.QUERIES[self.query]
        free = sampler.program.estimands[self.query].question.free
        wiring = _Wiring(sampler.models)
        given = {entry.parameters[name]: _OPEN for name in free}
        self.outcomes: Mapping[str, _Column] = entry.sample(wiring, 1, **given)
        self.inputs = tuple(name for name, value in wiring.inputs.items() if value is _OPEN)
        self.factors = nn.ModuleList(factor(model) for model, _ in wiring.calls)
        self.wires = [wires for _, wires in wiring.calls]
        self.fixed = [name for name in wiring.inputs if name not in self.inputs]
        for i, name in enumerate(self.fixed):
            column = Draw(sampler.models, 1).input(name, wiring.inputs[name])
            self.register_buffer(f"fixed_{i}", torch.from_numpy(np.array(column)))

    def forward(self, inputs: Tensors, noise: Tensors) -> dict[str, torch.Tensor]:
        """Outcomes by name; ``inputs`` and ``noise`` have the same ``n`` rows."""
        n = next(iter((noise or inputs).values())).shape[0]
        known: dict[_Column, torch.Tensor] = {}
        known.update(inputs)
        for i, name in enumerate(self.fixed):
            value = self.get_buffer(f"fixed_{i}")
            known[name] = value.expand(n, *value.shape[1:])
        for k, (each, wires) in enumerate(zip(self.factors, self.wires, strict=True)):
            mine = {key[len(f"{k}.") :]: v for key, v in noise.items() if key.startswith(f"{k}.")}
            drawn = each({name: known[wire] for name, wire in wires.items()}, mine)
            known |= {(k, i): column for i, column in enumerate(drawn.values())}
        return {name: known[wire] for name, wire in self.outcomes.items()}

    def noise(self, n: int, seed: int = 0, first: int = 0) -> dict[str, torch.Tensor]:
        """The noise of rows ``first`` to ``first + n`` as ``Sampler.sample`` draws it from ``seed``.

        Names are those of ``forward``; ``float64`` uniforms ``(n,)`` (names end in ``u``) and ``float32`` standard
        normals ``(n, d)`` (in ``e``).
        """
        return {
            f"{k}.{name}": values
            for k, each in enumerate(self.factors)
            for name, values in each.noise(Noise(seed, str(k), first, first + n)).items()  # type: ignore[operator]
        }

    def columns(self, n: int, values: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """The inputs as tensors of ``n`` rows, from one value each or ``n`` of them, labels as users write them.

        Raises ``CausalcError`` for an input that is missing or unknown and for values out of range.
        """
        for name in {*values} ^ {*self.inputs}:
            known = ", ".join(f"`{v}`" for v in self.inputs) or "none"
            raise CausalcError(
                f"{self.query}: the inputs are {known}; `{name}` is missing or unknown"
            )
        draw = Draw(Models({}, self.schema, 0), n)
        return {
            name: torch.from_numpy(np.array(draw.input(name, values[name]))) for name in self.inputs
        }
