"""The messages about ``estimate`` statements: one class a mistake."""

from __future__ import annotations

from causalc.grammar.diagnostic import Message, listed
from causalc.grammar.printer import name_text


class FreeInEstimate(Message):
    what = "`{name}` has no value, and its kind, `{kind}`, has no levels to go through"
    help = "write {name} = ..., or ask a query, whose sampler takes {name} as its input"
    name: str
    kind: str


class NotOpen(Message):
    what = "`{name}` is not left open in this estimate"
    name: str
    known: tuple[str, ...]

    def remedy(self) -> str:
        if self.known:
            return f"it leaves open {listed(map(name_text, self.known))}"
        return f"leave it without a value: do({name_text(self.name)}), or a condition by its name"


class NoValues(Message):
    what = "`over {name}` needs the values to go through"
    help = "write a list, {name} = [0, 0.5, 1], or so many numbers between two, {name} = grid(0, 1, 11)"
    name: str


class WrongGrid(Message):
    what = "a grid is its lowest and highest number and how many there are"
    help = "write for example  grid(0, 1, 11), with 2 to {most} numbers"
    most: int


class TooManyPoints(Message):
    what = "this table would have {points} lines"
    help = "take fewer values: {most} at most, over all variables together"
    points: int
    most: int


class NothingEstimated(Message):
    what = "this expression holds no E(...), Var(...), Median(...) or Pr(...)"
    help = "write for example  E(Y | do(X = 1)) - E(Y | do(X = 0))"


class NoMean(Message):
    what = "`{function}` needs numbers, and `{name}` is declared `{kind}`"
    function: str
    name: str
    kind: str

    def remedy(self) -> str:
        if self.kind.startswith(("image", "text", "vector")):
            return "sample the query and measure the samples instead"
        return f"ask for the probability of a value, Pr({name_text(self.name)} == ... | ...)"


class NotComparable(Message):
    what = "the values of `{name}`, declared `{kind}`, are not compared with `{comparison}`"
    name: str
    kind: str
    comparison: str

    def remedy(self) -> str:
        if self.kind.startswith("real"):
            return f"a real number equals no value exactly: write {name_text(self.name)} >= ..."
        if self.kind.startswith(("binary", "categorical")):
            return f"its levels have no order: write == or !=, or declare `{self.name}` ordinal"
        return "sample the query and measure the samples instead"
