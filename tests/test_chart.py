"""Coordinates on the surface near which images lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from causalc.runtime import specs
from causalc.runtime.chart import IMAGE, Curved
from causalc.runtime.charting import FLAT, Charted, _start, charted
from causalc.runtime.components import decomposed, of_channels
from causalc.runtime.encode import unpack
from causalc.runtime.families import diffusion
from causalc.runtime.families.protocol import Setting, Shape
from causalc.runtime.images import ImageDenoiser
from causalc.runtime.progress import Report
from causalc.runtime.schema import image, real

SETTING = Setting(0, "cpu")


def chart_of(pixels: torch.Tensor, steps: int) -> Charted:
    kind = image(*pixels.shape[2:], channels=pixels.shape[1])
    made = charted(pixels, kind, None, specs.diffusion(steps=steps), SETTING, Report())
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


def coloured(count: int, n: int = 500) -> torch.Tensor:
    """Images of 6 × 6 in any colour, of ``count`` shapes."""
    rng = np.random.default_rng(7)
    shapes = np.linalg.qr(rng.normal(size=(36, count)))[0]
    light = rng.normal(size=(n, count)) @ shapes.T
    colour = rng.uniform(size=(n, 3))
    flat = 0.3 * colour[:, :, None] * light[:, None] - 0.2
    return torch.from_numpy(flat.reshape(n, 3, 6, 6)).float()


def test_the_channels_of_images_have_the_components_of_their_shapes() -> None:
    """Ten shapes in any colour are ten components a channel, thirty in all."""
    pixels = coloured(10)
    found, together = of_channels(pixels), decomposed(pixels)
    assert together is not None
    assert found.needed(1 - 1e-6) == 10 and together.needed(1 - 1e-6) == 30
    each = found.first(10)
    torch.testing.assert_close(each.basis.T @ each.basis, torch.eye(10), rtol=0, atol=1e-5)
    torch.testing.assert_close(each.centre, pixels.flatten(1).mean(dim=0), rtol=0, atol=1e-5)
    assert found.total == pytest.approx(together.total / 3, rel=1e-4)


def test_a_curved_chart_starts_flat() -> None:
    """Before it is trained it keeps what as many principal components of whole images keep."""
    pixels = coloured(10)
    one, together = of_channels(pixels), decomposed(pixels)
    assert together is not None
    chart = Curved(image(6, 6, channels=3), 8, 10, 16)
    chart.centre.copy_(one.first(10).centre)
    chart.basis.copy_(one.first(10).basis)
    flat = pixels.flatten(1)
    _start(chart, chart.components(flat), None)
    with torch.no_grad():
        back = chart.decode(chart.encode(flat))
    leading = together.first(8).basis
    gaps = flat - chart.centre
    torch.testing.assert_close(back - chart.centre, gaps @ leading @ leading.T, rtol=0, atol=1e-3)


def test_what_lies_beyond_black_is_black() -> None:
    """A chart whose pixels are all far beyond what an image can be is right where the image is black or white."""
    chart = Curved(image(2, 2), 1, 1, 4).eval()
    chart.unit.fill_(1.0)
    chart.size.fill_(1.0)
    chart.basis.fill_(0.5)
    chart.centre.copy_(torch.tensor([3.0, -3.0, 3.0, -3.0]))
    batch = {IMAGE: torch.tensor([[[[1.0, -1.0], [1.0, 0.0]]]])}
    generator = torch.Generator().manual_seed(0)
    # One pixel of four is off, by 1; of the variance of 1.
    torch.testing.assert_close(chart.loss(batch, generator), torch.tensor([0.25]))
    z = torch.zeros(1, 1)
    assert chart.decode(z).tolist() == [[1.0, -1.0, 1.0, -1.0]]
    in_training = chart.train().loss(batch, generator)
    assert in_training.item() > 0.25
    assert torch.autograd.grad(in_training.sum(), [chart.back.bend.last.bias])[0].abs().sum() > 0


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
