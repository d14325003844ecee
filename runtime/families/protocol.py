"""What every model family offers: fit, sample, log_prob where it exists, save and load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch

from causalc.runtime.noise import Noise
from causalc.runtime.progress import Report
from causalc.runtime.schema import Kind
from causalc.runtime.specs import ModelSpec

if TYPE_CHECKING:
    from causalc.runtime.checkpoint import Checkpoints

Tensors = Mapping[str, torch.Tensor]
Variables = tuple[tuple[str, Kind], ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """Of what a conditional is: target and input variables with their kinds, in order."""

    targets: Variables
    inputs: Variables

    @property
    def target_names(self) -> tuple[str, ...]:
        """The names of the targets."""
        return tuple(name for name, _ in self.targets)

    def to_json(self) -> dict[str, object]:
        """Return the shape as a JSON value; ``from_json`` is the inverse."""
        return {
            "targets": [[name, kind.to_json()] for name, kind in self.targets],
            "inputs": [[name, kind.to_json()] for name, kind in self.inputs],
        }

    @staticmethod
    def from_json(value: Mapping[str, list[tuple[str, Mapping[str, object]]]]) -> Shape:
        """Read a shape written by ``to_json``."""
        targets, inputs = (
            tuple((name, Kind.from_json(kind)) for name, kind in value[part])
            for part in ("targets", "inputs")
        )
        return Shape(targets, inputs)

    def __str__(self) -> str:
        given = " | " + ", ".join(name for name, _ in self.inputs) if self.inputs else ""
        return f"P({', '.join(self.target_names)}{given})"


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how to train: independent of the family."""

    seed: int
    device: str
    budget: float | None = None
    checkpoints: Checkpoints | None = None  # where training keeps its state, if anywhere


class Fitted(Protocol):
    """A trained conditional over encoded tensors (see ``encode``)."""

    @property
    def shape(self) -> Shape:
        """The targets and inputs."""
        ...

    def sample(self, n: int, inputs: Tensors, noise: Noise) -> dict[str, torch.Tensor]:
        """Draw one row of targets for each of ``n`` input rows; encoded tensors on the CPU."""
        ...

    def log_prob(self, targets: Tensors, inputs: Tensors) -> torch.Tensor:
        """Return float64 log probabilities (densities of encoded values), shape ``(n,)``.

        Raises CausalcError where the family has none.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write JSON and safetensors into ``folder``, which exists and is empty."""
        ...


class Family(Protocol):
    """How one family is trained and read back."""

    def fit(
        self,
        shape: Shape,
        rows: Tensors,
        weights: torch.Tensor | None,
        spec: ModelSpec,
        setting: Setting,
        report: Report,
    ) -> Fitted:
        """Train on encoded rows, each counted ``weights`` times (float64, mean one)."""
        ...

    def load(self, folder: Path, device: str) -> Fitted:
        """Read what ``Fitted.save`` wrote."""
        ...
