"""Encoders: exact inverses, a JSON state, unit scale."""

import json

import numpy as np
import pytest
import torch
from scipy import stats

from causalc.runtime.encode import Encoder, fit_encoder, unpack
from causalc.runtime.schema import Kind, categorical, image, integer, ordinal, real, vector

RNG = np.random.default_rng(0)
N = 2000
ATOMS = np.where(RNG.random(N) < 0.3, 0.0, np.exp(2 * RNG.normal(size=N)))
CASES = [
    (categorical("a", "b", "c"), RNG.integers(0, 3, N), "auto"),
    (ordinal(4), RNG.integers(0, 4, N), "auto"),
    (integer(), RNG.poisson(4, N), "standard"),
    (integer(), RNG.poisson(4, N), "quantile"),
    (integer(), RNG.integers(-5000, 5000, N), "quantile"),
    (real(), 1000 + 5 * RNG.normal(size=N), "standard"),
    (real(), 1000 + 5 * RNG.normal(size=N), "quantile"),
    (real(), ATOMS, "auto"),
    (real(), np.full(N, 3.5), "auto"),
    (real(), RNG.standard_t(2, N), "auto"),
    (vector(3), RNG.normal(size=(N, 3)).astype(np.float32) * [1, 50, 0.01], "auto"),
    (image(4, 5, channels=3), RNG.integers(0, 256, (N, 4, 5, 3), dtype=np.uint8), "auto"),
]


@pytest.mark.parametrize(("kind", "values", "transform"), CASES, ids=lambda v: str(v)[:12])
@pytest.mark.parametrize("spread", [False, True])
def test_decode_inverts_encode(
    kind: Kind, values: np.ndarray, transform: str, spread: bool
) -> None:
    values = values.astype(np.float32) if kind.name == "vector" else values
    fitted = fit_encoder(values, kind, transform)
    encoder = Encoder.from_json(json.loads(json.dumps(fitted.to_json())))
    assert encoder == fitted
    uniform = RNG.random(N) if spread and kind.scalar else None
    found = encoder.decode(encoder.encode(values, uniform))
    assert found.shape == values.shape
    if kind.scalar or kind.name == "vector":
        scale = np.abs(values).max() + 1
        np.testing.assert_allclose(found, values, rtol=2e-5, atol=2e-6 * scale)
    else:
        assert (found == values).all()
    if kind.name == "integer":
        assert (found == values).all()


def test_point_masses_are_found_again_and_scores_are_normal() -> None:
    encoder = fit_encoder(ATOMS, real())
    assert encoder.method == "quantile"
    scores = encoder.encode(ATOMS, RNG.random(N))[:, 0].numpy()
    assert (encoder.decode(torch.from_numpy(scores))[ATOMS == 0] == 0).all()
    # Failure rate 1e-4 were the scores independent; knots make them closer than that.
    assert stats.kstest(scores, "norm").pvalue > 1e-4
    drawn = encoder.decode(torch.from_numpy(RNG.normal(size=50_000).astype(np.float32)))
    assert abs((drawn == 0).mean() - (ATOMS == 0).mean()) < 0.01  # four standard errors


def test_quantiles_extend_beyond_the_data() -> None:
    values = RNG.standard_t(2, N)
    encoder = fit_encoder(values, real())
    beyond = np.array([values.min() - 10, values.max() + 10])
    np.testing.assert_allclose(encoder.decode(encoder.encode(beyond)), beyond, rtol=1e-4)


def test_images_unpack_to_unit_interval_channels_first() -> None:
    values = np.zeros((2, 4, 5, 3), np.uint8)
    values[1] = 255
    values[0, 0, 0, 2] = 51
    packed = fit_encoder(values, image(4, 5, channels=3)).encode(values)
    assert packed.dtype == torch.uint8 and packed.shape == (2, 3, 4, 5)
    pixels = unpack(packed)
    assert pixels.min() == -1 and pixels.max() == 1
    assert pixels[0, 2, 0, 0] == pytest.approx(-0.6)


def test_samples_outside_the_pixel_range_are_brought_back_only_when_decoded() -> None:
    encoder = fit_encoder(np.zeros((1, 1, 1, 1), np.uint8), image(1, 1))
    found = encoder.decode(torch.tensor([[[[-1.3]]], [[[1.2]]], [[[0.0]]]]))
    assert found.ravel().tolist() == [0, 255, 128]
