"""Propensities for reweighting: log probabilities of the very rows, out of fold and with calibrated tails."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from causalc.errors import CausalcError
from causalc.runtime import arrays, propensity_of_many
from causalc.runtime import weights as weighting
from causalc.runtime.choose import links
from causalc.runtime.crossfit import LogProbabilities, Task
from causalc.runtime.data import Columns
from causalc.runtime.families.protocol import Setting, Shape
from causalc.runtime.fitting import encode_rows, encoders_of, only
from causalc.runtime.noise import derive
from causalc.runtime.progress import Report
from causalc.runtime.specs import ModelSpec
from causalc.runtime.stored import Column, many


@dataclass(frozen=True, slots=True)
class Propensity:
    """Out-of-fold log P(targets | inputs) of the very rows it was fitted on, and log q.

    It serves reweighting only: the fold models are not kept, and it cannot be drawn from. For one
    discrete target modelled by a network, ``log_all`` ``(n, K)`` holds log P of every level; of many
    rows it is not kept, and both columns are in files.
    """

    key: str
    targets: tuple[str, ...]
    inputs: tuple[str, ...]
    discrete: bool
    log_p: Column
    log_q: Column
    log_all: np.ndarray | None = None

    def save(self, folder: Path) -> None:
        """Write both columns of log probabilities."""
        config = {
            "type": "propensity",
            "key": self.key,
            "targets": list(self.targets),
            "inputs": list(self.inputs),
            "discrete": self.discrete,
        }
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        columns: dict[str, Column] = {"log_p": self.log_p, "log_q": self.log_q}
        if self.log_all is not None:
            columns["log_all"] = self.log_all
        arrays.write(folder / "propensity.safetensors", columns)

    @staticmethod
    def load(folder: Path) -> Propensity:
        """Read what ``save`` wrote. Raises CausalcError if it is not one."""
        try:
            config = json.loads((folder / "config.json").read_text())
            names = tuple(config["targets"]), tuple(config["inputs"])
            discrete = bool(config["discrete"])
            found: dict[str, Any] = dict(arrays.read(folder / "propensity.safetensors")[0])
            if not many(len(found["log_p"])):
                found = {name: values[:] for name, values in found.items()}
            log_all = found.get("log_all")
            return Propensity(
                config["key"], *names, discrete, found["log_p"], found["log_q"], log_all
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CausalcError(f"{folder}: not a saved propensity ({error}).") from error


def fit_propensity(
    key: str,
    columns: Columns,
    weights: Column | None,
    shape: Shape,
    spec: ModelSpec | None,
    setting: Setting,
    report: Report,
    scratch: Path | None = None,
) -> Propensity:
    """Fit P(targets | inputs) for reweighting: cross-fitted in three folds and calibrated.

    A table is used as counted: on cells with enough rows its own counts give the weights of the
    plug-in formula, which splitting would only blur. Of many rows, log probabilities are kept in
    files in ``scratch``.
    """
    encoders = encoders_of(columns, shape, "auto")
    rows = encode_rows(columns, shape, encoders, setting.seed)
    tasks = []
    for i, (one, chosen) in enumerate(links(shape, spec, columns.rows, density=True)):
        here = replace(setting, seed=derive(setting.seed, "link", i))
        tasks.append(Task(one, chosen, only(rows, one), weights, here, report))
    discrete = all(kind.discrete for _, kind in shape.targets)
    log_p: Column
    log_q: Column
    log_all: np.ndarray | None = None
    if many(columns.rows):
        log_p, log_q = propensity_of_many.fit(tasks, columns, shape, scratch)
    else:
        log_p, log_q, log_all = _sums([task.fit() for task in tasks])
        if discrete:
            codes = [columns[name] for name, _ in shape.targets]
            log_q = weighting.marginal(codes, None if weights is None else weights[:])
    inputs = tuple(name for name, _ in shape.inputs)
    return Propensity(key, shape.target_names, inputs, discrete, log_p, log_q, log_all)


def _sums(links: list[LogProbabilities]) -> LogProbabilities:
    log_p, log_q, log_all = zip(*links, strict=True)
    return sum(log_p), sum(log_q), log_all[0] if len(links) == 1 else None
