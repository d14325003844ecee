"""Importance weights against closed forms."""

import numpy as np
import pytest
import torch

from causalc.runtime import weights as w

RNG = np.random.default_rng(0)
N, K = 20_000, 4


def world() -> tuple[np.ndarray, np.ndarray]:
    """Return true logits and codes drawn from 0.9 softmax(z) + 0.1 / K."""
    logits = 2 * RNG.normal(size=(N, K))
    p = 0.9 * torch.softmax(torch.from_numpy(logits), 1).numpy() + 0.1 / K
    codes = (RNG.random(N)[:, None] >= p.cumsum(1)).sum(1)
    return logits, codes


def test_folds_are_balanced_and_fixed() -> None:
    fold = w.folds(100, 3, 7)
    assert sorted(np.bincount(fold).tolist()) == [33, 33, 34]
    assert (fold == w.folds(100, 3, 7)).all() and (fold != w.folds(100, 3, 8)).any()


def test_calibration_recovers_temperature_and_tail() -> None:
    logits, codes = world()
    t, e = w.calibrated(logits * 2.5, codes)
    assert t == pytest.approx(2.5, rel=0.06)  # the grid's step
    assert e == pytest.approx(0.1, abs=0.05)
    p = np.exp(w.apply_calibration(logits * 2.5, t, e))
    np.testing.assert_allclose(p.sum(1), 1)
    assert p.min() >= e / K


def test_temperature_alone() -> None:
    logits = 2 * RNG.normal(size=(N, K))
    p = torch.softmax(torch.from_numpy(logits), 1).numpy()
    codes = torch.from_numpy((RNG.random(N)[:, None] >= p.cumsum(1)).sum(1))
    assert w.temperature(torch.from_numpy(logits * 3), codes) == pytest.approx(3, rel=0.06)


def test_calibration_counts_weights() -> None:
    logits, codes = world()
    mass = np.where(np.arange(N) < N // 2, 1.0, 0.0)
    half = w.calibrated(logits[: N // 2], codes[: N // 2])
    spoiled = np.where(mass > 0, codes, 0)
    assert w.calibrated(logits, spoiled, mass) == half


def test_defensive_mixing_bounds_the_weights() -> None:
    log_p, log_q = RNG.normal(size=N) - 3, RNG.normal(size=N)
    mixed, e = w.defensive(log_p, log_q)
    assert e > 0
    assert np.exp(log_q - mixed).max() <= 1 / e + 1e-9
    good = RNG.normal(size=N)
    same, none = w.defensive(good, good - 2)
    assert none == 0 and (same == good).all()


def test_marginal_is_joint_and_weighted() -> None:
    a, b = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    np.testing.assert_allclose(np.exp(w.marginal([a, b])), 0.25)
    np.testing.assert_allclose(np.exp(w.marginal([a])), 0.5)
    found = np.exp(w.marginal([a, b], np.array([1.0, 1, 1, 5])))
    np.testing.assert_allclose(found, [1 / 8, 1 / 8, 1 / 8, 5 / 8])


def test_weights_of_a_confounded_table_give_the_adjusted_mean() -> None:
    z = RNG.integers(0, 2, N)
    p = np.where(z == 1, 0.8, 0.3)
    x = (RNG.random(N) < p).astype(np.int64)
    y = x + 2.0 * z
    weights = w.ratio(w.marginal([x]), np.log(np.where(x == 1, p, 1 - p)))
    assert weights.mean() == pytest.approx(1)
    # Standard error 0.02 each; the unweighted means are 2.4 and 0.5.
    assert np.average(y[x == 1], weights=weights[x == 1]) == pytest.approx(2, abs=0.1)
    assert np.average(y[x == 0], weights=weights[x == 0]) == pytest.approx(1, abs=0.1)


def test_nested_weights_multiply() -> None:
    base = RNG.random(N)
    log_q, log_p = np.zeros(N), RNG.normal(size=N)
    np.testing.assert_allclose(
        w.ratio(log_q, log_p, base) / base,
        w.ratio(log_q, log_p) / (base * np.exp(-log_p)).mean() * np.exp(-log_p).mean(),
    )


def test_extreme_log_weights_stay_finite() -> None:
    weights = w.ratio(np.zeros(3), np.array([-900.0, -899.0, 0.0]))
    assert np.isfinite(weights).all() and weights.mean() == pytest.approx(1)


def test_spread_and_its_remedy() -> None:
    even = w.spread(np.ones(1000))
    assert even.effective == pytest.approx(1000) and even.largest == pytest.approx(0.001)
    assert even.line("w").endswith("of the total.")
    poor = np.ones(1000)
    poor[0] = 1e6
    found = w.spread(poor)
    assert found.effective < 2 and "strategy='generate'" in found.line("w")
    assert "\n" not in found.line("w")
    cut = w.truncate(poor, 10)
    assert cut.max() == pytest.approx(10) and cut.mean() == pytest.approx(1)
