"""Coordinates on the surface near which images lie."""

from __future__ import annotations

import numpy as np
import torch

from causalc.runtime import specs
from causalc.runtime.chart import FLAT, Charted, charted
from causalc.runtime.components import decomposed
from causalc.runtime.encode import unpack
from causalc.runtime.families import diffusion
from causalc.runtime.families.protocol import Setting, Shape
from causalc.runtime.images import ImageDenoiser
from causalc.runtime.progress import Report
from causalc.runtime.schema import image, real

SETTING = Setting(0, "cpu")


def chart_of(pixels: torch.Tensor, steps: int) -> Charted:
    found = decomposed(pixels)
    assert found is not None
    made = charted(pixels, found, specs.diffusion(steps=steps), SETTING, Report())
    assert made is not None
    return made


def flat_images(count: int) -> torch.Tensor:
    """3,000 images of 12 × 12 of ``count`` independent numbers."""
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.normal(size=(144, count)))[0]
    flat = 0.1 * rng.normal(size=(3000, count)) @ basis.T
    return torch.from_numpy(flat.reshape(3000, 1, 12, 12)).float()


def test_few_components_are_a_flat_chart_whose_inverse_is_exact() -> None:
    pixels = flat_images(12)
    made = chart_of(pixels, 1)
    assert not made.curved and made.sizes["latent"] == 12 <= FLAT
    z = made.chart.encode(pixels.flatten(1))
    torch.testing.assert_close(z.std(dim=0), made.scale, rtol=0.02, atol=0)
    torch.testing.assert_close(made.chart.decode(z), pixels.flatten(1), rtol=0, atol=1e-5)


def test_what_is_flat_is_not_bent() -> None:
    """Of 64 independent numbers no chart of half as many can keep more than half: held-out rows say so."""
    made = chart_of(flat_images(64), 60)
    assert not made.curved and made.sizes["latent"] == made.sizes["components"] > 32


def test_a_curved_chart_keeps_what_twice_as_many_components_lose() -> None:
    """A bump of 12 × 12 at a place and of a width: three numbers, on a surface of many components. The share of
    the variance that is lost was .011 after 300 steps, .010 after 800; by twice as many components .063."""
    rng = np.random.default_rng(5)
    at = rng.uniform(2, 10, size=(3000, 2, 1))
    line, width = np.arange(12), rng.uniform(0.6, 1.2, size=(3000, 1))
    rows, columns = (np.exp(-(((line - at[:, i]) / width) ** 2)) for i in range(2))
    pixels = torch.from_numpy(2 * rows[:, :, None] * columns[:, None] - 1).float()[:, None]
    made = chart_of(pixels, 300)
    latent = made.sizes["latent"]
    assert made.curved and latent <= 24
    flat = pixels.flatten(1)
    with torch.no_grad():
        z = made.chart.encode(flat)
        back = made.chart.decode(z)
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(latent), rtol=0, atol=1e-3)
    torch.testing.assert_close(z.std(dim=0), torch.ones(latent), rtol=0, atol=1e-3)
    found = decomposed(pixels)
    assert found is not None
    few = found.first(2 * latent).scale.square().sum()
    lost = (back - flat).square().sum(dim=1).mean()
    assert float(lost) < found.total - float(few)


def test_what_is_worked_out_once_is_what_each_batch_would() -> None:
    """The loss of 400 rows with coordinates, features and groups beside them is that of the images."""
    rng = np.random.default_rng(6)
    x = torch.from_numpy(rng.normal(size=(400, 1))).float()
    pixels = torch.from_numpy(rng.integers(0, 255, size=(400, 1, 5, 5)).astype(np.uint8))
    shape = Shape((("y", image(5, 5)),), (("x", real()),))
    rows, spec, report = {"y": pixels, "x": x}, specs.diffusion(steps=4), Report()
    found = diffusion._charted(shape, rows, None, spec, SETTING, report)
    assert found is not None
    name, config = diffusion.denoiser_for(shape, spec, found.sizes, 400)
    assert name == "ImageDenoiser" and config["groups"] == 4
    network = ImageDenoiser(**config)
    network.prepare(shape, rows, found.chart, None, spec, SETTING, report)
    module = diffusion.Preconditioned(shape, network, found.scale).eval()
    torch.nn.init.normal_(network.last.weight)
    worked_out = diffusion._worked_out(module, rows, SETTING)
    assert not set(worked_out) & set(rows) and len(worked_out) == 3

    def loss(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return module.loss(batch, torch.Generator().manual_seed(1))

    torch.testing.assert_close(
        loss(dict(worked_out)), loss({name: unpack(values) for name, values in rows.items()})
    )
