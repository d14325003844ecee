"""The coloured digits of the napkin example: the stated truth is that of the structural model."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
N = 400_000


@pytest.fixture
def digits(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("coloured_digits")


def shares(given: np.ndarray, value: np.ndarray, levels: int) -> np.ndarray:
    """P(value | given), rows sum to 1."""
    counts = np.zeros((given.max() + 1, levels))
    np.add.at(counts, (given, value), 1)
    return np.asarray(counts / counts.sum(1, keepdims=True))


def test_the_laws_by_enumeration_are_those_of_the_draws(digits: ModuleType) -> None:
    """400,000 draws: a share of 1/6 of a sixth of them has a standard error of .0015; .009 is six of them."""
    seen = digits.world(N, np.random.default_rng(3))
    found = shares(seen.x.colour, seen.y.colour, 6)
    np.testing.assert_allclose(found, digits.colour_law(do=False), rtol=0, atol=0.009)
    assert (seen.y.digit == seen.x.digit).mean() == pytest.approx(digits.digit_law(), abs=0.003)


def test_setting_x_takes_its_causes_away(digits: ModuleType) -> None:
    rng = np.random.default_rng(4)
    look = digits.Look(rng.integers(10, size=N), rng.integers(6, size=N), rng.integers(3, size=N))
    done = digits.world(N, rng, look)
    assert done.x is look
    found = shares(look.colour, done.y.colour, 6)
    np.testing.assert_allclose(found, digits.colour_law(do=True), rtol=0, atol=0.009)
    assert (done.y.digit == look.digit).mean() == pytest.approx(digits.digit_law(), abs=0.003)
    assert np.abs(digits.colour_law(do=True) - digits.colour_law(do=False)).sum(1).max() / 2 > 0.3


def test_the_judge_reads_pictures_it_has_not_seen(digits: ModuleType) -> None:
    judge = digits.Judge.trained()
    assert judge.accuracy >= 0.97
    rng = np.random.default_rng(5)
    look = digits.Look(
        rng.integers(10, size=3000), rng.integers(6, size=3000), rng.integers(3, size=3000)
    )
    pictures = look.paint(rng)
    assert pictures.shape == (3000, 8, 8, 3) and pictures.dtype == np.uint8
    assert (judge.colour(pictures) == look.colour).mean() > 0.999
    assert (judge.digit(pictures) == look.digit).mean() > 0.97


def test_rows_are_a_function_of_the_seed(digits: ModuleType) -> None:
    one, same, other = digits.rows(50, 1), digits.rows(50, 1), digits.rows(50, 2)
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["Y"], other["Y"])
