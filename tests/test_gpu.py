"""On an accelerator: every family trains there, moves to a CPU and back, and draws what it draws on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from test_families import DENSE, ROUND_TRIPS, brief, rows_of

import causalc
from causalc.compiler.view import Spec
from causalc.runtime import specs
from causalc.runtime.families.protocol import Setting, Shape
from causalc.runtime.families.registry import family
from causalc.runtime.noise import Noise
from causalc.runtime.progress import Report
from causalc.runtime.schema import image, vector

pytestmark = pytest.mark.gpu
ROUNDING = 1e-4  # of single precision, over a network and the steps of a sampler
# The share of rows that rounding may carry over a border: to another code, or another try at an image.
TURNED = 0.02


@pytest.mark.parametrize(("name", "shape"), ROUND_TRIPS, ids=lambda v: str(v))
def test_every_family_trains_here_and_draws_the_same_on_a_cpu(
    name: str, shape: Shape, tmp_path: Path
) -> None:
    rows = rows_of(shape, 300)
    fitted = family(name).fit(shape, rows, None, brief(name, 4), Setting(0, "cuda"), Report())
    fitted.save(tmp_path)
    again = family(name).load(tmp_path, "cpu")
    here, there = (f.sample(300, rows, Noise(3, "k", 0, 300)) for f in (fitted, again))
    for target, _ in shape.targets:
        assert here[target].device.type == "cpu"
        far = (here[target].double() - there[target].double()).abs().reshape(300, -1).amax(dim=1)
        assert (far > ROUNDING * (1 + there[target].abs().max())).double().mean() <= TURNED
    if name in DENSE:
        torch.testing.assert_close(
            fitted.log_prob(rows, rows), again.log_prob(rows, rows), rtol=1e-3, atol=1e-4
        )


def confounded(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of a front-door whose latent is a coin, and P(Y = 1 | do(X = x)) for both x."""
    rng = np.random.default_rng(seed)
    x_u, m_x, y_mu = [0.2, 0.8], [0.1, 0.7], np.array([[0.1, 0.6], [0.5, 0.9]])
    u = rng.integers(2, size=n)
    x = (rng.random(n) < np.take(x_u, u)).astype(int)
    m = (rng.random(n) < np.take(m_x, x)).astype(int)
    y = (rng.random(n) < y_mu[m, u]).astype(int)
    of_m = y_mu.mean(axis=1)
    truth = np.array([(1 - p) * of_m[0] + p * of_m[1] for p in m_x])
    return pd.DataFrame({"X": x, "M": m, "Y": y}), truth


@pytest.mark.parametrize("kind", ["diffusion", "softmax"])
def test_a_query_is_answered_here(kind: str, tmp_path: Path) -> None:
    """40,000 rows and draws: the plug-in's standard error is below .006; P(Y | x) is off by .2."""
    data, truth = confounded(40_000, 0)
    binary = dict.fromkeys("XMY", "binary")
    program = causalc.compile(
        "P(Y | do(X))",
        "X -> M; M -> Y; X <-> Y",
        binary,
        models={v: Spec(kind) for v in "XMY"},
    )
    sampler = program.fit(data, device="cuda", progress=False, store=tmp_path / "store")
    found = [sampler.sample(40_000, X=x, seed=x)["Y"].mean() for x in (0, 1)]
    np.testing.assert_allclose(found, truth, atol=0.025)
    again = sampler.sample(40_000, X=1, seed=1)["Y"].mean()
    assert again == found[1]


def test_numbers_are_drawn_alike_however_many_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    data = pd.DataFrame({"X": x, "Y": np.where(rng.random(4000) < 0.5, x, 2 - x)})
    program = causalc.compile(
        "P(Y | do(X))",
        "X -> Y",
        {"X": "real", "Y": "real"},
        models={"Y": Spec("diffusion", (), (("steps", 200),))},
    )
    sampler = program.fit(data, device="cuda", progress=False)
    drawn = [
        sampler.sample(9000, X=0.3, seed=2, batch_size=size)["Y"].to_numpy()
        for size in (9000, 1000, 137)
    ]
    for other in drawn[1:]:
        np.testing.assert_allclose(other, drawn[0], rtol=1e-3, atol=1e-3)


@pytest.mark.filterwarnings("default")  # what torch imports to compile warns of parts of its own
def test_compiled_networks_draw_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    v = rng.normal(size=(2000, 12)).astype(np.float32)
    data = {"X": v[:, 0] + rng.normal(size=2000), "V": list(v)}
    program = causalc.compile(
        "P(V | do(X))",
        "X -> V",
        {"X": "real", "V": Spec("vector", (12,))},
        models={"V": Spec("diffusion", (), (("steps", 50),))},
    )
    sampler = program.fit(pd.DataFrame(data), device="cuda", progress=False)
    plain = np.stack(list(sampler.sample(5000, X=0.2, seed=1)["V"]))
    assert sampler.compiled() is sampler
    compiled = np.stack(list(sampler.sample(5000, X=0.2, seed=1)["V"]))
    np.testing.assert_allclose(compiled, plain, rtol=1e-3, atol=1e-3)


WIDE = Shape((("v", vector(16)),), (("a", vector(16)),))
PICTURE = Shape((("y", image(8, 8)),), (("a", vector(4)),))


@pytest.mark.parametrize("shape", [WIDE, PICTURE], ids=str)
def test_memory_does_not_grow_with_the_number_of_draws(shape: Shape) -> None:
    rows = rows_of(shape, 400)
    fitted = family("diffusion").fit(
        shape, rows, None, specs.diffusion(steps=3), Setting(0, "cuda"), Report()
    )
    most = []
    for n in (150_000, 450_000):
        many = {name: values.repeat(n // 400, 1) for name, values in rows.items() if name == "a"}
        torch.cuda.reset_peak_memory_stats()
        fitted.sample(n, many, Noise(0, "k", 0, n))
        most.append(torch.cuda.max_memory_allocated())
    assert most[1] < 1.1 * most[0]


@pytest.mark.parametrize("precision", ["bfloat16", "auto"])
def test_half_precision_trains(precision: str) -> None:
    """A line with noise of .5, whose standard error over 2,000 rows and draws is .02."""
    rng = np.random.default_rng(1)
    a = torch.from_numpy(rng.normal(size=(2000, 1)).astype(np.float32))
    y = a + 0.5 * torch.from_numpy(rng.normal(size=(2000, 1)).astype(np.float32))
    shape: Any = Shape((("y", vector(1)),), (("a", vector(1)),))
    spec = specs.diffusion(steps=400, precision=precision)
    fitted = family("diffusion").fit(
        shape, {"a": a, "y": y}, None, spec, Setting(0, "cuda"), Report()
    )
    drawn = fitted.sample(2000, {"a": torch.ones(2000, 1)}, Noise(0, "k", 0, 2000))["y"]
    assert float(drawn.mean()) == pytest.approx(1, abs=0.15)
    assert float(drawn.std()) == pytest.approx(0.5, abs=0.1)
