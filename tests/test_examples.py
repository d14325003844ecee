"""The examples on real input: their truths, and what reaches them."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import causalc
from causalc.script import compile_script

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def sachs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("sachs")


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("jobs")


def test_sachs_has_its_published_answers(sachs: ModuleType) -> None:
    net = sachs.network()
    assert sachs.truth(net)[2, 2] == pytest.approx(0.1393, abs=5e-5)
    assert sachs.plain(net)[2, 2] == pytest.approx(0.6701, abs=5e-5)


def test_sachs_is_answered_exactly_without_pkc(sachs: ModuleType) -> None:
    net = sachs.network()
    job = compile_script(EXAMPLES / "sachs.causal")
    assert "PKC" not in job.schema
    joint = causalc.Table(sachs.USED, net.marginal(sachs.USED))
    found = job.estimands["response"].evaluate(joint)
    assert found.variables == ("Mek", "Akt")
    np.testing.assert_allclose(found.array, sachs.truth(net), rtol=0, atol=1e-9)
    assert job.program is not None
    exact = job.program.exact(joint, "response").array
    np.testing.assert_allclose(exact, sachs.truth(net), rtol=0, atol=1e-9)


@pytest.mark.slow
def test_sachs_tables_are_the_plug_in_up_to_sampling(sachs: ModuleType) -> None:
    net = sachs.network()
    job = compile_script(EXAMPLES / "sachs.causal")
    rows = sachs.cells(net, 20_000, 11)
    joint = causalc.Table(sachs.USED, sachs.empirical(net, rows, sachs.USED))
    plug_in = job.estimands["response"].evaluate(joint).array
    models = {v: sachs.Spec("table") for v in ("Erk", "Akt")}
    program = causalc.compile("P(Akt | do(Mek))", job.graph, job.schema, models=models)
    sampler = program.fit(rows, progress=False)
    for i, level in enumerate(("LOW", "AVG", "HIGH")):
        drawn = sampler.sample(200_000, Mek=level, seed=i)["Akt"].to_numpy()
        shares = np.array([(drawn == s).mean() for s in net.states["Akt"]])
        # A share of 200,000 draws has a standard deviation of at most 0.0011; smoothing adds 0.001.
        # Three shares beyond 0.006 is over five of them each: fewer than one run in a million fails.
        assert np.abs(shares - plug_in[i]).max() < 0.007


def test_jobs_starts_from_the_published_contrasts(jobs: ModuleType) -> None:
    pytest.importorskip("causaldata")
    experiment, pool = jobs.rows()
    assert (len(experiment), len(pool)) == (445, 16_177)
    assert round(jobs.contrast(experiment)[0]) == 1_794
    assert round(jobs.contrast(pool)[0]) == -8_498


def test_jobs_adjusts_for_every_covariate(jobs: ModuleType) -> None:
    job = compile_script(EXAMPLES / "jobs.causal")
    assert not job.refused
    assert set(job.inputs["person"]) == {"treat", *jobs.COVARIATES}
    text = str(job.estimands["effect"])
    assert all(name in text for name in jobs.COVARIATES)
