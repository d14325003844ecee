"""Average importance weights over what a fit cannot see (Rao–Blackwell).

A fit of P(y | x) on rows weighted by w = q(v) / P(v | u) is unchanged when w is replaced by
E[w | x, y, v], and its variance falls: a few heavy rows no longer stand for everything. With
s(u; r) = log p(r | u, v) / p(r | v), where r = (x, y, v), learnt by ``contrast``,

    E[w | r] = q(v) · mean_u exp s(u; r) / mean_u [P(v | u) exp s(u; r)],

both means over real rows u. The denominator is ruled by the u for which v is common, so the tail of
the propensity, which makes plain weights erratic, hardly matters. Every row is weighed by a network
that was trained on the other half of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from causalc.runtime import weights as weighting
from causalc.runtime.contrast import CODES, LOG_P, Contrast
from causalc.runtime.data import Columns
from causalc.runtime.encode import fit_encoder
from causalc.runtime.families.neural import in_batches
from causalc.runtime.families.protocol import Setting, Variables
from causalc.runtime.noise import derive
from causalc.runtime.progress import Report
from causalc.runtime.train import Plan, seeded, train

_FOLDS = 2
_REFERENCE = 4000  # rows u that a mean runs over
_CHUNK = 512
_PLAN = Plan(steps=300, lr=3e-3, batch=256, weight_decay=1e-2)  # for so many rows:
_PLANNED = 10_000
_WORTH = 0.25  # smooth where the effective sample size is below this share of the rows


@dataclass(frozen=True, slots=True, eq=False)
class Smoother:
    """What smoothing needs to know of a reweighted data set.

    ``fixed`` is v with codes below K, ``inputs`` are u, ``log_all`` ``(n, K)`` is log P(v = k | u)
    of every row out of fold, and ``weights`` ``(n,)`` are the plain weights.
    """

    columns: Columns
    fixed: str
    inputs: tuple[str, ...]
    log_all: np.ndarray
    weights: np.ndarray

    def applies(self, names: tuple[str, ...]) -> bool:
        """Whether a fit of these variables gains: none of u among them, and uneven weights."""
        uneven = weighting.spread(self.weights).effective < _WORTH * len(self.weights)
        return uneven and not set(names) & set(self.inputs)

    def smooth(self, names: tuple[str, ...], setting: Setting, report: Report) -> np.ndarray:
        """Return E[w | the variables ``names`` and v] with a mean of one, float64 ``(n,)``."""
        kinds = self.columns.schema
        right: Variables = tuple((name, kinds[name]) for name in (*names, self.fixed))
        right = tuple(dict(right).items())
        left: Variables = tuple((name, kinds[name]) for name in self.inputs)
        rows = {
            name: fit_encoder(self.columns[name], kind).encode(self.columns[name])
            for name, kind in (*left, *right)
        }
        rows |= {CODES: rows[self.fixed], LOG_P: torch.from_numpy(self.log_all).float()}
        log_q = weighting.marginal([self.columns[self.fixed]])
        fold = weighting.folds(len(log_q), _FOLDS, derive(setting.seed, "smoothing"))
        log_w = np.zeros(len(log_q))
        for k in range(_FOLDS):
            here = replace(setting, seed=derive(setting.seed, "smoothing", k))
            label = f"weights averaged given {', '.join(names)} (fold {k + 1} of {_FOLDS})"
            with report.stage(label):
                network = _trained(left, right, _take(rows, fold != k), here, report)
            held = fold == k
            log_w[held] = _ratio(network, _take(rows, held), setting.device)
        smooth = np.exp(log_q + log_w)
        self._report(smooth, names, report)
        return np.asarray(smooth / smooth.mean())

    def _report(self, smooth: np.ndarray, names: tuple[str, ...], report: Report) -> None:
        label = f"weights that fix {self.fixed}, averaged given {', '.join(names)}"
        report.findings.append(weighting.spread(smooth).line(label))
        if not 0.75 < smooth.mean() < 1.33:
            report.findings.append(
                f"{label}: they average {smooth.mean():.2f} where 1 is expected; confounding is "
                "removed in part only. More rows, or strategy='generate', would tell."
            )


def _take(rows: dict[str, torch.Tensor], chosen: np.ndarray) -> dict[str, torch.Tensor]:
    index = torch.from_numpy(np.flatnonzero(chosen))
    return {name: values[index] for name, values in rows.items()}


def _trained(
    left: Variables,
    right: Variables,
    rows: dict[str, torch.Tensor],
    setting: Setting,
    report: Report,
) -> Contrast:
    with seeded(derive(setting.seed, "init")):
        network = Contrast(left, right, offset=True)
    network.standardise(rows)
    # Of more steps the best would come long before the last, and the last alone are small.
    steps = int(_PLAN.steps * min(3.0, max(1.0, len(rows[CODES]) / _PLANNED) ** 0.5))
    train(network, rows, None, replace(_PLAN, steps=steps), setting, report)
    return network.eval()


def _ratio(network: Contrast, rows: dict[str, torch.Tensor], device: str) -> np.ndarray:
    """Return log mean_u exp s − log mean_u P(v | u) exp s for each row."""
    place, n = torch.device(device), len(rows[CODES])
    some = {name: values[:_REFERENCE] for name, values in rows.items()}
    with torch.no_grad():
        count = len(some[CODES])
        left = in_batches(lambda b: network.left(b, len(b[CODES])), some, count, place)
        right = in_batches(lambda b: network.right(b, len(b[CODES])), rows, n, place)
        parts = []
        for start in range(0, n, _CHUNK):
            scores = network.scores(left, right[start : start + _CHUNK])
            log_p = some[LOG_P][:, rows[CODES][start : start + _CHUNK]].T
            parts.append(scores.logsumexp(1) - (scores + log_p).logsumexp(1))
    return np.asarray(torch.cat(parts).double().numpy())
