"""The chest x-rays of the example: the stated truth is that of the structural model, reports can be read back."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from causalc.runtime import schema as s
from causalc.runtime.data import load
from causalc.script import compile_script

EXAMPLES = Path(__file__).parent.parent / "examples"
N = 300_000


@pytest.fixture
def chest(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("chest_reports")


def shares(findings: np.ndarray) -> np.ndarray:
    return np.bincount(findings @ [8, 4, 2, 1], minlength=16).reshape(2, 2, 2, 2) / len(findings)


def test_the_laws_by_enumeration_are_those_of_the_draws(chest: ModuleType) -> None:
    """A share of 12,000 draws has a standard error of at most .0046, one of 300,000 of .001; six of them each."""
    rng = np.random.default_rng(3)
    drawn = chest.world(N, rng)
    for meaning in chest.MEANINGS:
        here = (drawn.meaning == meaning).all(axis=1)
        seen = drawn.findings[here]
        assert len(seen) > 10_000
        np.testing.assert_allclose(shares(seen), chest.law(meaning, do=False), rtol=0, atol=0.028)
    for meaning in ((0, 0, 0), (1, 0, 1), (2, 1, 1)):
        done = chest.world(N, rng, meaning).findings
        np.testing.assert_allclose(shares(done), chest.law(meaning, do=True), rtol=0, atol=0.006)
    cell = (drawn.findings[:, 1:] == (1, 0, 1)).all(axis=1)
    said = np.array([(drawn.meaning[cell] == m).all(axis=1).mean() for m in chest.MEANINGS])
    np.testing.assert_allclose(said, chest.meanings_given((1, 0, 1)), rtol=0, atol=0.02)


def test_setting_the_report_is_not_seeing_it(chest: ModuleType) -> None:
    gaps = [chest.law(m, do=True) - chest.law(m, do=False) for m in chest.MEANINGS]
    pneumonia = [np.abs(gap.sum(axis=(1, 2, 3))).sum() / 2 for gap in gaps]
    effusion = [np.abs(gap.sum(axis=(0, 2, 3))).sum() / 2 for gap in gaps]
    assert max(pneumonia) > 0.3 and max(effusion) > 0.15
    healthy, ill = chest.law((0, 0, 0), do=True), chest.law((2, 1, 1), do=True)
    assert np.abs(healthy - ill).sum() / 2 > 0.3  # and yet the report has an effect


def test_reports_are_read_back_and_nothing_else_is(chest: ModuleType) -> None:
    rng = np.random.default_rng(4)
    written = [(m, chest.compose(m, rng)) for m in chest.MEANINGS for _ in range(50)]
    assert all(chest.read_report(text) == meaning for meaning, text in written)
    assert len({text for _, text in written}) > 400
    good = written[0][1]
    for bad in ("", good[:-1], good + " " + good, good.lower(), good.replace("no", "not"), "No."):
        assert chest.read_report(bad) is None
    columns = load({"R": [text for _, text in written]}, s.Schema({"R": s.text(40)}))
    assert not columns.findings  # none is cut


def test_the_judge_reads_pictures_it_has_not_seen(chest: ModuleType) -> None:
    judge = chest.Judge.trained(400)
    assert min(judge.accuracy) >= 0.97
    shown = np.random.default_rng(5).integers(2, size=(300, 3))
    pictures = chest.render(shown, np.random.default_rng(6))
    assert pictures.shape == (300, 24, 24, 1) and pictures.dtype == np.uint8
    assert (judge.read(pictures) == shown).mean() >= 0.97


def test_a_report_set_reaches_the_findings_through_their_causes() -> None:
    job = compile_script(EXAMPLES / "xray.causal")
    assert not job.refused
    assert job.estimands["effect"].text == "P(N) P(E, A, L | R, N) P(X | E, A, L)"
