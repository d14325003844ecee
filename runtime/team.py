"""Several processes that train one stage together: what a launcher such as ``accelerate launch`` began.

Every process goes through the whole program on the same rows. Of each batch it takes its share, and gradients
are averaged (accelerate, over gloo or nccl), so a step is that of the whole batch and weights stay equal
everywhere. The first process alone claims stages, keeps states and writes.
"""

from __future__ import annotations

import atexit
import os
import time
from functools import cache
from typing import Any

import torch
from torch import nn

_REST = 0.3  # seconds in which the interpreter is free for the threads of a group


class Team:
    """``rank`` of ``size`` processes. Alone, nothing is asked of anybody."""

    rank, size = 0, 1

    def share(self, index: torch.Tensor) -> torch.Tensor:
        """Return this process's rows of a batch, as many as every other's."""
        whole = len(index) // self.size * self.size or len(index)
        return index[self.rank % whole : whole : self.size]

    def agreed(self, *values: float) -> tuple[float, ...]:
        """Return the largest value of each that a process holds."""
        return values

    def first(self, value: bool) -> bool:
        """Return what the first process says; all have come to this point by then."""
        return value

    def averaging(self, module: nn.Module) -> Any:
        """Return what has the loss and the parameters of a module, gradients averaged over all."""
        return module


class _Forward(nn.Module):
    """The loss as a module's forward pass, which is where gradients come to be averaged."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: Any, generator: torch.Generator) -> torch.Tensor:
        """Return the loss of each row."""
        found: torch.Tensor = self.module.loss(batch, generator)  # type: ignore[operator]
        return found


class _Averaging:
    """A module whose gradients are averaged."""

    def __init__(self, module: nn.Module, whole: nn.Module) -> None:
        self.loss, self.parameters = whole, module.parameters


class _Several(Team):
    def __init__(self) -> None:
        from accelerate import Accelerator

        self._accelerator = Accelerator(cpu=not torch.cuda.is_available())
        self.rank, self.size = self._accelerator.process_index, self._accelerator.num_processes
        atexit.register(self._leave)

    def _leave(self) -> None:
        """Leave the group, and let its threads come to rest: one that asks for the interpreter as that
        ends aborts the process, and a thread still has to let go of tensors after the last exchange.
        """
        self._accelerator.end_training()
        time.sleep(_REST)

    def agreed(self, *values: float) -> tuple[float, ...]:
        held = torch.tensor([values], dtype=torch.float64, device=self._accelerator.device)
        return tuple(self._accelerator.gather(held).max(dim=0).values.tolist())

    def first(self, value: bool) -> bool:
        held = torch.tensor([float(value)], device=self._accelerator.device)
        return bool(self._accelerator.gather(held)[0])

    def averaging(self, module: nn.Module) -> Any:
        return _Averaging(module, self._accelerator.prepare_model(_Forward(module)))


@cache
def team() -> Team:
    """Return the processes that a launcher began, or this one alone."""
    return _Several() if int(os.environ.get("WORLD_SIZE", "1")) > 1 else Team()
