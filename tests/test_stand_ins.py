"""The stand-in data of the examples: the stated truth is that of the structural model."""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
N = 400_000


@pytest.fixture
def films(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("chest_films")


@pytest.fixture
def faces(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("drawn_faces")


@pytest.fixture
def judges(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("judges")


def test_covid_laws_are_those_of_the_draws(films: ModuleType) -> None:
    """400,000 draws: a share in half of them has a standard error of at most .0011; .006 is more than five."""
    seen = films.patients(N, np.random.default_rng(1))
    for c in (0, 1):
        assert seen.n[seen.c == c].mean() == pytest.approx(films.law(do=False)[c], abs=0.006)
        done = films.patients(N, np.random.default_rng(2 + c), do_c=c)
        assert done.n.mean() == pytest.approx(films.law(do=True)[c], abs=0.006)
        for k in range(3):
            found = seen.n[(seen.c == c) & (seen.k == k)].mean()  # of 20,000 rows at least
            assert found == pytest.approx(films.report_law()[c, k], abs=0.02)


def test_face_laws_are_those_of_the_draws(faces: ModuleType) -> None:
    """As above: a share of an eighth of 200,000 draws has a standard error of .0007."""
    rng = np.random.default_rng(5)
    seen = faces.people(N, rng)
    for m in (0, 1):
        for do, some in ((False, seen), (True, faces.people(N, rng, do_male=m))):
            here = some.male == m
            joint = np.zeros((2, faces.TONES))
            np.add.at(joint, (some.two.young[here], some.two.tone[here]), 1 / here.sum())
            np.testing.assert_allclose(joint, faces.law(do)[m], rtol=0, atol=0.005)


def test_pictures_show_what_the_model_says(films: ModuleType, judges: ModuleType) -> None:
    """A judge trained on 2,000 films reads hazy lungs off others; by chance it would be right in a third."""
    rng = np.random.default_rng(7)
    k = rng.integers(films.HAZY, size=2500)
    assert judges.Judge.trained(films.films(k, rng), k).accuracy > 0.95


def test_the_frechet_distance_is_that_of_normal_laws(judges: ModuleType) -> None:
    """In one dimension it is (difference of means)² + (difference of deviations)²: here 9 + 1."""
    rng = np.random.default_rng(8)
    one, other = rng.normal(0, 1, (200_000, 1)), rng.normal(3, 2, (200_000, 1))
    both = [np.concatenate([x, rng.normal(size=x.shape)], axis=1) for x in (one, other)]
    assert judges.frechet(*both) == pytest.approx(10, abs=0.15)  # standard error .03
    assert judges.frechet(both[0], both[0]) == pytest.approx(0, abs=1e-6)


def test_calibration_is_the_mean_gap(judges: ModuleType) -> None:
    said = np.repeat([0.2, 0.8], 1000)
    happened = np.concatenate([np.arange(1000) < 300, np.arange(1000) < 800])
    assert judges.calibration(said, happened, bins=2) == pytest.approx(0.05)
