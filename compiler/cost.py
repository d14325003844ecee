"""What a plan costs: a price for everything that is trained, made or weighted by. The compiler takes the cheapest.

The unit is one network for a number. A table of counts is nearly free, so of plans that are alike the one with fewest
models is taken. Where all variables are discrete tables are free altogether: there the plan with most structure is
better, since each conditional is counted from more rows (the Sachs example from 2,000 rows errs half as much where Mek
is high). Prices rank plans of one query; they are no forecast of seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from causalc.compiler.plan import Fit, Generate, Observed, Plan, references, renumber

DISCRETE = frozenset({"binary", "categorical", "ordinal"})
HEAVY = frozenset({"image", "text"})

TABLE = 0.1
NETWORK: Mapping[str, float] = {"vector": 2, "image": 10, "text": 10}  # by target, else 1
INPUT: Mapping[str, float] = {"vector": 0.2, "image": 0.5, "text": 0.5}  # each, else 0.01
WEIGHT: Mapping[str, float] = {"real": 3, "integer": 3, "vector": 10, "image": 30, "text": 30}
"""To divide by the density of such a variable: rows whose weights are wild. Else 0: few levels overlap well."""
BEHIND = 0.2
"""Of its price, for each model that lies behind the rows a model is trained on: it learns their errors too."""
ROWS: Mapping[str, float] = {"vector": 0.1, "image": 1, "text": 1}
"""To generate a column, else 0.01."""

Kinds = Mapping[str, str]
Free = Callable[[Plan, Fit], bool]


@dataclass(frozen=True, slots=True)
class Item:
    """What one operation of a plan costs, and why. ``key`` is the same for equal operations of other plans."""

    key: int
    what: str
    price: float
    why: str


@dataclass(slots=True)
class Ledger:
    """Prices plans of one script; ``free`` says which models need no training.

    Operations of different plans have one key if they are the same, so that plans can share them.
    """

    kinds: Kinds
    free: Free | None = None
    keys: dict[object, int] = field(default_factory=dict)

    def cost(self, plan: Plan) -> float:
        """The sum of the prices."""
        return sum(self.bill(plan).values())

    def bill(self, plan: Plan) -> dict[int, float]:
        """The price of each operation that has one, by key."""
        return {item.key: item.price for item in self.items(plan)}

    def items(self, plan: Plan) -> Iterator[Item]:
        """Everything in a plan that has a price."""
        number: dict[int, int] = {}
        depths: list[int] = []
        counted = DISCRETE.issuperset(self.kinds.values()) and all(
            self._is_table(op) for op in plan.operations if isinstance(op, Fit)
        )
        for i, op in enumerate(plan.operations):
            shape = op if isinstance(op, Observed) else renumber(op, number)
            if isinstance(op, Observed):
                shape = Observed(())
            number[i] = self.keys.setdefault(shape, len(self.keys))
            below = max((depths[j] for j in references(op)), default=0)
            depths.append(below + isinstance(op, Fit))
            if isinstance(op, Fit) and not (self.free and self.free(plan, op)):
                item = self._of_fit(number[i], op, below)
                yield replace(item, price=0.0) if counted else item
            elif isinstance(op, Generate):
                price = sum(ROWS.get(self.kinds.get(c, ""), 0.01) for c in op.columns)
                what = f"rows of {', '.join(op.columns)}"
                yield Item(number[i], what, price, f"generated, {len(op.columns)} columns")

    def _is_table(self, fit: Fit) -> bool:
        return all(self.kinds.get(name) in DISCRETE for name in (*fit.targets, *fit.inputs))

    def _of_fit(self, key: int, fit: Fit, below: int) -> Item:
        kinds = [self.kinds.get(name, "") for name in fit.targets]
        given = [self.kinds.get(name, "") for name in fit.inputs]
        if self._is_table(fit):
            price, why = TABLE, ["table"]
        else:
            price = sum(NETWORK.get(kind, 1) for kind in kinds)
            why = ["+".join(kind or "number" for kind in kinds) + " network"]
        price += sum(INPUT.get(kind, 0.01) for kind in given)
        heavy = sorted({kind for kind in given if kind in INPUT})
        why += [f"reads {kind}" for kind in heavy]
        if below:
            price *= 1 + BEHIND * below
            why.append(f"behind {below} model{'s' * (below > 1)}")
        if fit.propensity:
            price += sum(WEIGHT.get(kind, 0) for kind in kinds)
            why += [f"weights by a density of {kind}" for kind in kinds if kind in WEIGHT]
        return Item(key, str(fit), price, ", ".join(why))
