"""Rows too many for memory are weighed part by part: the same weights, or weights of the same truth."""

from pathlib import Path

import numpy as np
import pytest
import torch

from causalc.runtime import batches, specs, stored
from causalc.runtime.families import table
from causalc.runtime.families.protocol import Setting, Shape
from causalc.runtime.mass import Mass, mass_of
from causalc.runtime.progress import Report
from causalc.runtime.run import Run
from causalc.runtime.schema import Schema, binary, categorical, real

KINDS = Schema({"Z": categorical(3), "R": real(), "X": binary(), "Y": binary()})
N = 6000


def data() -> dict[str, np.ndarray]:
    """Return rows of {Z R} -> X -> Y and Z -> Y."""
    rng = np.random.default_rng(0)
    z, r = rng.integers(0, 3, N), rng.normal(size=N)
    x = rng.random(N) < propensity(z, r)
    return {
        "Z": z,
        "R": r,
        "X": x.astype(int),
        "Y": (rng.random(N) < 0.2 * (1 + x + z)).astype(int),
    }


def propensity(z: np.ndarray, r: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(1 - z - r / 2))


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take 1,000 rows for many; the caller may take it back."""
    monkeypatch.setattr(stored, "MANY", 1000)
    monkeypatch.setattr(stored, "SOME", 3000)
    monkeypatch.setattr(stored, "PART", 768)
    monkeypatch.setattr(batches, "_MOST_HELD_OUT", 300)
    return monkeypatch


@pytest.mark.parametrize("truncate", [None, 1.2])
def test_weights_of_a_table_are_those_of_fewer_rows(many, truncate: float | None) -> None:
    def weights() -> np.ndarray:
        run = Run(KINDS, data(), progress=False, truncate=truncate, smooth=False)
        rows = run.observed(list(KINDS))
        fitted = run.fit(["X"], ["Z"], rows, specs.table(), "propensity")
        once = run.reweight(rows, [fitted])
        again = run.fit(["Y"], ["X"], once, specs.table(), "propensity")
        return run.reweight(once, [again]).weights[:]

    made = weights()
    many.setattr(stored, "MANY", 10**6)
    if truncate is None:
        assert np.allclose(made, weights(), rtol=1e-9)
    else:  # many are cut where a sample of them says
        assert np.allclose(made, weights(), rtol=0.02)
    assert made.mean() == pytest.approx(1)


def test_weights_by_a_network_are_near_the_truth(many, tmp_path: Path) -> None:
    rows = data()
    run = Run(KINDS, rows, progress=False, store=tmp_path)
    on = run.observed(list(KINDS))
    model = run.fit(["X"], ["Z", "R"], on, specs.softmax(steps=150, width=32), "propensity")
    weights = run.reweight(on, [model])
    p = propensity(rows["Z"], rows["R"])
    wanted = np.where(rows["X"], rows["X"].mean() / p, (1 - rows["X"].mean()) / (1 - p))
    # The true log weights spread by 0.4; fewer rows, computed with at once, leave an error of 0.04.
    assert np.abs(np.log(weights.weights[:] / wanted)).mean() < 0.1
    assert isinstance(weights.weights, stored.Stored) and weights.smoother is None
    again = Run(KINDS, rows, progress=False, store=tmp_path)
    found = again.fit(["X"], ["Z", "R"], on, specs.softmax(steps=150, width=32), "propensity")
    assert isinstance(found.log_p, stored.Stored) and (found.log_p[:] == model.log_p[:]).all()
    # A fit under the weights: the effect of X on Y is 0.2, and more than 0.3 with Z as a confounder. Weights of
    # an effective 4,000 rows leave a standard error below 0.02.
    for spec in (specs.table(), specs.softmax(steps=200, width=16)):
        fitted = again.fit(["Y"], ["X"], weights, spec)
        low, high = np.exp(fitted.log_prob({"X": np.array([0, 1]), "Y": np.array([1, 1])}))
        assert high - low == pytest.approx(0.2, abs=0.06), spec
    again.fit(
        ["Y"], ["X"], weights, specs.diffusion(steps=5, width=8)
    )  # its last layer sees a part


def test_weights_by_a_density(many) -> None:
    rows = data()
    run = Run(KINDS, rows, progress=False)
    on = run.observed(list(KINDS))
    model = run.fit(["R"], ["X"], on, specs.mixture(steps=150, width=32), "propensity")
    weights = run.reweight(on, [model]).weights[:]
    # Under weights p(r) / p(r | x) R does not depend on X any more.
    means = [np.average(rows["R"][rows["X"] == x], weights=weights[rows["X"] == x]) for x in (0, 1)]
    plain = [rows["R"][rows["X"] == x].mean() for x in (0, 1)]
    assert plain[1] - plain[0] > 0.3 and abs(means[1] - means[0]) < 0.1


def test_rows_are_drawn_by_their_weights() -> None:
    rng = np.random.default_rng(1)
    weights = rng.exponential(size=1000) * (rng.random(1000) < 0.7)
    mass = mass_of(weights)
    assert len(mass) == 1000 and mass.effective == pytest.approx(
        weights.sum() ** 2 / (weights**2).sum()
    )
    shares = (np.arange(200_000) + 0.5) / 200_000
    drawn = np.bincount(mass.rows_at(shares), minlength=1000)
    # Stratified shares: every row is taken as often as its weight says, give or take two.
    assert np.abs(drawn - 200_000 * weights / weights.sum()).max() <= 2
    assert (drawn[weights == 0] == 0).all()
    gone = np.array([0, 5, 63, 64, 999])
    left = mass.without(gone)
    kept = np.setdiff1d(np.arange(1000), gone)
    drawn = np.bincount(left.rows_at(shares), minlength=1000)
    assert (drawn[gone] == 0).all()
    assert np.abs(drawn[kept] - 200_000 * weights[kept] / weights[kept].sum()).max() <= 2
    assert (left[torch.tensor([5, 6])].numpy() == [0, weights[6]]).all()
    even = mass.among(lambda at: at % 2 == 0)
    assert (even.rows_at(shares) % 2 == 0).all()


def test_a_share_next_to_one_falls_on_a_row_that_counts() -> None:
    weights = np.r_[np.full(100, 0.1), np.zeros(100)]
    mass = Mass(200, lambda at: weights[at])
    assert mass.rows_at(np.array([0.0, np.nextafter(1, 0)])).tolist() == [0, 99]


def test_a_table_of_many_weighted_rows_has_the_same_shares() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 3, 5000), rng.integers(0, 2, 5000)
    weights = torch.from_numpy(rng.exponential(size=5000))
    shape = Shape((("Y", binary()),), (("X", categorical(3)),))
    rows = {"X": torch.from_numpy(x), "Y": torch.from_numpy(y)}
    plain, alike = (
        table.fit(shape, rows, mass, specs.table(smoothing=1.0), Setting(0, "cpu"), Report(True))
        for mass in (weights, mass_of(weights))
    )
    for one, other in zip(plain.levels, alike.levels, strict=True):
        assert np.allclose(one.probabilities, other.probabilities, rtol=1e-12)
