"""Which rows a step of training takes, and which are held out: both a function of the seed, and small to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from causalc.runtime.encode import unpack
from causalc.runtime.families.protocol import Setting, Tensors
from causalc.runtime.mass import mass_of
from causalc.runtime.noise import derive
from causalc.runtime.stored import Order, many

_HELD_OUT = 0.1
_MOST_HELD_OUT = 3000


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rows of an order from place ``first`` on: those of many that are trained on."""

    order: Order
    first: int

    def __len__(self) -> int:
        return len(self.order) - self.first


def split(n: int, seed: int) -> tuple[torch.Tensor | Chosen, torch.Tensor]:
    """Return indices of training rows and of held-out rows, a function of (n, seed)."""
    if many(n):
        order_of_many = Order(n, derive(seed, "split"))
        held_out = torch.from_numpy(order_of_many[np.arange(_MOST_HELD_OUT)])
        return Chosen(order_of_many, _MOST_HELD_OUT), held_out
    order = torch.from_numpy(np.random.default_rng(derive(seed, "split")).permutation(n))
    held = min(_MOST_HELD_OUT, max(1, round(_HELD_OUT * n))) if n > 1 else 0
    return order[held:], order[:held] if held else order


def batches_of(
    used: torch.Tensor | Chosen,
    held: torch.Tensor,
    weights: torch.Tensor | None,
    batch: int,
    seed: int,
) -> Batches | BatchesOfMany:
    """Batches for ever, by the size of the data."""
    if isinstance(used, Chosen):
        return BatchesOfMany(used, held, weights, batch, seed)
    return Batches(used, weights, batch, seed)


class Batches:
    """Row indices for ever: permutations, or draws in proportion to the weights.

    Its state is small: the random state at the start of the permutation, and the place in it.
    """

    def __init__(
        self, used: torch.Tensor, weights: torch.Tensor | None, batch: int, seed: int
    ) -> None:
        self._rng = np.random.default_rng(derive(seed, "batches"))
        self._index = used.numpy()
        self.size, self.halved = min(batch, len(self._index)), False
        self._cumulative = None
        if weights is not None:
            self._cumulative = np.cumsum(weights.cpu().numpy()[self._index])
        self._before = self._rng.bit_generator.state
        self._order, self._place = self._index, len(self._index)

    def next(self) -> torch.Tensor:
        """Return the rows of the next batch."""
        if self._cumulative is not None:
            self._before = self._rng.bit_generator.state
            u = (np.arange(self.size) + self._rng.random(self.size)) / self.size  # stratified
            found = np.searchsorted(self._cumulative, u * self._cumulative[-1], "right")
            return torch.from_numpy(self._index[np.minimum(found, len(self._index) - 1)])
        if self._place + self.size > len(self._order):
            self._before = self._rng.bit_generator.state
            self._order, self._place = self._rng.permutation(self._index), 0
        self._place += self.size
        return torch.from_numpy(self._order[self._place - self.size : self._place])

    def halve(self) -> None:
        """Take the last batch back, and half as many rows from now on."""
        if self._cumulative is None:
            self._place -= self.size
        else:
            self._rng.bit_generator.state = self._before
        self.size, self.halved = max(1, self.size // 2), True

    def state(self) -> dict[str, Any]:
        """Return the state as a JSON value."""
        begun = self._cumulative is None and self._order is not self._index
        before = self._before if begun else self._rng.bit_generator.state
        return {"rng": before, "place": self._place if begun else None} | {
            "size": self.size,
            "halved": self.halved,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a state."""
        self._rng.bit_generator.state = self._before = state["rng"]
        self.size, self.halved = int(state["size"]), bool(state["halved"])
        if state["place"] is not None:
            self._order = self._rng.permutation(self._index)
            self._place = int(state["place"])


class BatchesOfMany:
    """As ``Batches``, of rows too many for an index of them: every order is computed where it is read.

    Without weights each epoch takes every row once, in an order of its own.
    """

    def __init__(
        self, used: Chosen, held: torch.Tensor, weights: torch.Tensor | None, batch: int, seed: int
    ) -> None:
        self._used, self._seed, self.size, self.halved = used, seed, batch, False
        self._epoch, self._place = 0, 0
        self._order = Order(len(used), derive(seed, "batches", 0))
        self._mass = None if weights is None else mass_of(weights).without(held.numpy())

    def next(self) -> torch.Tensor:
        """Return the rows of the next batch."""
        if self._mass is not None:
            rng = np.random.default_rng(derive(self._seed, "batch", self._place))
            self._place += 1
            u = (np.arange(self.size) + rng.random(self.size)) / self.size  # stratified
            return torch.from_numpy(self._mass.rows_at(u))
        if self._place + self.size > len(self._used):
            self._go_to(self._epoch + 1, 0)
        places = self._order[np.arange(self._place, self._place + self.size)]
        self._place += self.size
        return torch.from_numpy(self._used.order[places + self._used.first])

    def _go_to(self, epoch: int, place: int) -> None:
        self._epoch, self._place = epoch, place
        self._order = Order(len(self._used), derive(self._seed, "batches", epoch))

    def halve(self) -> None:
        """Take the last batch back, and half as many rows from now on."""
        self._place -= 1 if self._mass is not None else self.size
        self.size, self.halved = max(1, self.size // 2), True

    def state(self) -> dict[str, Any]:
        """Return the state as a JSON value."""
        place = {"epoch": self._epoch, "place": self._place}
        return place | {"size": self.size, "halved": self.halved}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a state."""
        self._go_to(int(state["epoch"]), int(state["place"]))
        self.size, self.halved = int(state["size"]), bool(state["halved"])


def take(rows: Tensors, index: torch.Tensor, setting: Setting) -> Tensors:
    """Some rows, unpacked, where the setting computes."""
    return {
        name: unpack(values[index.to(values.device)].to(setting.device))
        for name, values in rows.items()
    }


def held_rows(rows: Tensors, held: torch.Tensor, setting: Setting) -> list[Tensors]:
    """The rows held out, in parts that fit a cache."""
    return [take(rows, part, setting) for part in torch.split(held, 1024)]
