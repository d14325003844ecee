"""Read a Bayesian network in BIF, draw rows from it and compute with it exactly."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import numpy as np

_VARIABLE = re.compile(r"variable\s+(\S+)\s*\{\s*type\s+discrete\s*\[\s*\d+\s*\]\s*\{([^}]*)\}")
_BLOCK = re.compile(r"probability\s*\(\s*([^)|]+?)\s*(?:\|([^)]*))?\)\s*\{(.*?)\}", re.DOTALL)
_ROW = re.compile(r"(?:\(([^)]*)\)|table)\s+([^;]*);")


@dataclass(frozen=True, slots=True)
class Network:
    """Variables with their states, parents and tables.

    ``tables[v]`` is P(v | parents), float64, one axis for each of ``parents[v]`` in order and v last.
    """

    states: Mapping[str, tuple[str, ...]]
    parents: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, np.ndarray]

    def order(self) -> list[str]:
        """The variables, parents before children."""
        done: list[str] = []
        while len(done) < len(self.states):
            done += [v for v in self.states if v not in done and set(self.parents[v]) <= set(done)]
        return done

    def draw(self, n: int, seed: int) -> dict[str, np.ndarray]:
        """``n`` rows by ancestral sampling: int64 codes into ``states``, one array a variable."""
        rng = np.random.default_rng(seed)
        rows: dict[str, np.ndarray] = {}
        for v in self.order():
            p = self.tables[v][tuple(rows[w] for w in self.parents[v])]
            bounds = np.broadcast_to(np.cumsum(p, axis=-1), (n, len(self.states[v])))
            rows[v] = np.minimum((rng.random((n, 1)) >= bounds).sum(1), bounds.shape[1] - 1)
        return rows

    def marginal(self, names: Sequence[str], do: Sequence[str] = ()) -> np.ndarray:
        """Truncated factorisation: the product of all tables but those of ``do``, summed to ``names``.

        Axes in the order of ``names``; with ``do`` among them, P(others | do) for each of its values.
        """
        label = {v: i for i, v in enumerate(self.states)}
        operands: list[object] = []
        for v in self.states:
            family = (*self.parents[v], v) if v not in do else (v,)
            table = self.tables[v] if v not in do else np.ones(len(self.states[v]))
            operands += [table, [label[w] for w in family]]
        return np.asarray(np.einsum(*operands, [label[v] for v in names], optimize="greedy"))  # type: ignore[call-overload]


def parse(text: str) -> Network:
    """The network that a BIF text describes; raises ValueError where a table is missing or short."""
    states = {m[1]: tuple(s.strip() for s in m[2].split(",")) for m in _VARIABLE.finditer(text)}
    parents: dict[str, tuple[str, ...]] = {}
    tables: dict[str, np.ndarray] = {}
    for block in _BLOCK.finditer(text):
        v = block[1]
        parents[v] = tuple(w.strip() for w in (block[2] or "").split(",") if w.strip())
        table = np.full([len(states[w]) for w in (*parents[v], v)], np.nan)
        for key, numbers in _ROW.findall(block[3]):
            labels = [s.strip() for s in key.split(",")] if key else []
            at = tuple(states[w].index(s) for w, s in zip(parents[v], labels, strict=True))
            table[at] = [float(x) for x in numbers.split(",")]
        tables[v] = table / table.sum(axis=-1, keepdims=True)  # files round to a few digits
    for v in states:
        if v not in tables or np.isnan(tables[v]).any():
            raise ValueError(f"{v}: its probability table is missing or incomplete")
    return Network(states, parents, tables)


def read(path: Path) -> Network:
    """Read a ``.bif`` or ``.bif.gz`` file."""
    data = path.read_bytes()
    return parse((gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8"))


def inside(package: str, ending: str) -> Path:
    """The file of an installed package whose path ends in ``ending``; the package is not imported."""
    try:
        found = [f for f in files(package) or () if str(f).endswith(ending)]
    except PackageNotFoundError:
        raise SystemExit(f"{package} is not installed: pip install --no-deps {package}") from None
    if not found:
        raise SystemExit(f"this version of {package} holds no {ending}")
    return Path(str(found[0].locate()))
