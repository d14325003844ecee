"""Random structural models with latents over variables of any kind, and queries of them with known answers.

A world is drawn for a case (a graph and a query), a scheme of kinds and a seed. Every variable is a nonlinear
function of its parents, of one normal latent for each of its bidirected edges, and of noise; numbers have two modes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A graph, variables in causal order, and the query P(outcome | do(treatment), given)."""

    order: tuple[str, ...]
    directed: tuple[tuple[str, str], ...]
    bidirected: tuple[tuple[str, str], ...]
    treatment: str = "X"
    outcome: str = "Y"
    given: str = ""

    @staticmethod
    def read(order: str, directed: str, bidirected: str = "", given: str = "") -> Case:
        """From ``"X M Y"``, ``"X>M M>Y"`` and ``"X-Y"``."""
        arrows = tuple((a, b) for a, b in (edge.split(">") for edge in directed.split()))
        arcs = tuple((a, b) for a, b in (edge.split("-") for edge in bidirected.split()))
        return Case(tuple(order.split()), arrows, arcs, given=given)

    @property
    def graph(self) -> str:
        """The graph in the language of scripts."""
        arrows = [f"{a} -> {b}" for a, b in self.directed]
        return "; ".join([*arrows, *(f"{a} <-> {b}" for a, b in self.bidirected)])

    @property
    def query(self) -> str:
        """The query in the language of scripts."""
        rest = f", {self.given}" if self.given else ""
        return f"P({self.outcome} | do({self.treatment}){rest})"


CASES = {
    "back-door": Case.read("Z X Y", "Z>X Z>Y X>Y"),
    "front-door": Case.read("X M Y", "X>M M>Y", "X-Y"),
    "napkin": Case.read("W1 W2 X Y", "W1>W2 W2>X X>Y", "W1-X W1-Y"),
    "verma": Case.read("A B X Y", "A>B B>X X>Y", "B-Y"),
    "chain": Case.read("X W1 W2 Y", "X>W1 W1>W2 W2>Y", "X-W2 W1-Y"),
    "given a cause": Case.read("W X Z Y", "W>X W>Z X>Z Z>Y", "X-Y", given="Z"),
    "given an effect": Case.read("X M Z Y", "X>M M>Z M>Y", "X-Y", given="Z"),
}
KINDS = {
    "binary": ("binary",) * 4,
    "ten": ("categorical(10)",) * 4,
    "real": ("real",) * 4,
    "together": ("real",) * 4,  # causes act together too: their products count
    "mixed": ("categorical(4)", "real", "binary", "real"),  # treatment, outcome, the others in turn
}
_EACH, _GIVEN = 5, 2  # at most so many values of a treatment, and of what is given
_TOGETHER = 0.6  # weight of the product of two causes
_SHARP = 1.6  # how much more than chance causes say of a code of many levels
_TRUTH = 400_000
_WINDOW = 0.03  # standard deviations around a real value that is given


@dataclass(frozen=True)
class World:
    """A structural model of a case. ``kinds`` are those of the language."""

    case: Case
    kinds: Mapping[str, str]
    seed: int
    together: bool = False

    @staticmethod
    def random(case: Case, scheme: str, seed: int) -> World:
        """Give every variable a kind of the scheme."""
        treatment, outcome, *rest = KINDS[scheme]
        others = [name for name in case.order if name not in (case.treatment, case.outcome)]
        kinds = {case.treatment: treatment, case.outcome: outcome}
        kinds |= {name: rest[i % len(rest)] for i, name in enumerate(others)}
        return World(case, {name: kinds[name] for name in case.order}, seed, scheme == "together")

    def levels(self, name: str) -> int:
        """The number of levels of a variable, 0 of a number."""
        kind = self.kinds[name]
        return 2 if kind == "binary" else int(kind[12:-1]) if kind != "real" else 0

    def simulate(
        self, rng: np.random.Generator, n: int, x: float | np.ndarray | None = None
    ) -> Columns:
        """Return ``n`` rows, with the treatment set if ``x`` is given."""
        arcs = self.case.bidirected
        hidden = rng.normal(size=(len(arcs), n))
        columns: Columns = {}
        for place, name in enumerate(self.case.order):
            law = np.random.default_rng([self.seed, place])
            causes = [self._felt(columns[a], a, law) for a, b in self.case.directed if b == name]
            causes += [
                1.1 * law.choice([-1, 1]) * u
                for u, arc in zip(hidden, arcs, strict=True)
                if name in arc
            ]
            columns[name] = self._value(name, causes, law, rng, n)
            if name == self.case.treatment and x is not None:
                columns[name] = np.broadcast_to(x, n).astype(columns[name].dtype)
        return columns

    def _felt(self, values: np.ndarray, name: str, law: np.random.Generator) -> np.ndarray:
        """What a parent adds: of a code any number, of a number a bent line."""
        levels = self.levels(name)
        if levels:
            sizes = law.normal(size=levels)
            sizes = 1.2 * (sizes - sizes.mean()) / max(sizes.std(), 0.2)
            return np.asarray(sizes[values])
        a, b = law.uniform(0.6, 1.0) * law.choice([-1, 1]), law.uniform(0, 2 * np.pi)
        return np.asarray(a * values + 0.4 * np.sin(1.5 * values + b))

    def _value(
        self,
        name: str,
        causes: list[np.ndarray],
        law: np.random.Generator,
        rng: np.random.Generator,
        n: int,
    ) -> np.ndarray:
        """Combine what the causes add."""
        levels = self.levels(name)
        if not levels:
            total = sum(causes) if causes else np.zeros(n)
            if self.together:
                total = total + _TOGETHER * sum(a * b for a, b in itertools.combinations(causes, 2))
            side = np.where(rng.random(n) < 0.5, 0.7, -0.7)
            return np.asarray(total + side + 0.35 * rng.normal(size=n))
        base, scores = law.normal(size=levels) / 2, np.zeros((n, levels))
        sharp = _SHARP if levels > 2 else 1.0
        for one in causes:
            slope = law.normal(size=levels)
            slope = (slope - slope.mean()) / max(slope.std(), 0.2)
            scores += sharp * slope * one[:, None]
        chance = base + scores + rng.gumbel(size=(n, levels))
        return np.asarray(chance.argmax(axis=1))

    def probes(self) -> Iterator[Probe]:
        """Yield what is asked with its answer: common levels of a code, some values of a number."""
        rng = np.random.default_rng([self.seed, 77])
        plain = self.simulate(rng, 2_000_000)
        case, given = self.case, self.case.given
        for x in self._asked(plain, case.treatment, _EACH):
            there = self._near(plain[case.treatment], case.treatment, x)
            shown = {name: values[there] for name, values in plain.items()}
            done = self.simulate(rng, _TRUTH * (4 if given else 1), x)
            if not given:
                yield Probe({case.treatment: x}, done[case.outcome], shown[case.outcome])
                continue
            for z in self._asked(done, given, _GIVEN):
                truth = done[case.outcome][self._near(done[given], given, z)]
                naive = shown[case.outcome][self._near(shown[given], given, z, 3 * _WINDOW)]
                yield Probe({case.treatment: x, given: z}, truth, naive)

    def _asked(self, columns: Columns, name: str, most: int) -> list[float]:
        levels = self.levels(name)
        if levels:
            counts = np.bincount(columns[name], minlength=levels)
            return sorted(int(code) for code in np.argsort(-counts)[:most])
        at = (np.arange(most) + 0.75) / (most + 0.5)
        return [float(value) for value in np.quantile(columns[name], at)]

    def _near(
        self, values: np.ndarray, name: str, value: float, window: float = _WINDOW
    ) -> np.ndarray:
        if self.levels(name):
            return np.asarray(values == value)
        return np.asarray(np.abs(values - value) < window * values.std())


@dataclass(frozen=True)
class Probe:
    """Values of the treatment and of what is given, with draws of the outcome as it then is, and as rows
    with these values show it."""

    at: Mapping[str, float]
    truth: np.ndarray
    naive: np.ndarray


def distance(a: np.ndarray, b: np.ndarray, levels: int) -> float:
    """½-L1 of two samples of codes; of numbers, Wasserstein-1 over the standard deviation of ``b``."""
    if levels:
        shares = [np.bincount(one, minlength=levels) / len(one) for one in (a, b)]
        return float(np.abs(shares[0] - shares[1]).sum() / 2)
    return w1(a, b, 5_000) / float(b.std())


def w1(a: np.ndarray, b: np.ndarray, levels: int = 20_000) -> float:
    """Wasserstein-1 of two samples, by so many quantiles."""
    at = (np.arange(levels) + 0.5) / levels
    return float(np.abs(np.quantile(a, at) - np.quantile(b, at)).mean())
