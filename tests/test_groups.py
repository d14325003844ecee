"""Groups of images: their centres, the softmax that asks for them, and the law of what is then drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from causalc.runtime import specs
from causalc.runtime.contrast import Tower
from causalc.runtime.families import diffusion
from causalc.runtime.families.diffusion import FittedDiffusion, fit
from causalc.runtime.families.protocol import Setting, Shape
from causalc.runtime.groups import Grouping, ask, central, nearest, number_of_groups
from causalc.runtime.noise import Noise
from causalc.runtime.progress import Report
from causalc.runtime.schema import image, real
from causalc.runtime.train import seeded


def test_few_rows_tell_no_groups_apart() -> None:
    assert [number_of_groups(n) for n in (0, 199, 200, 1000, 1e6)] == [0, 0, 2, 10, 64]


def test_centres_are_the_weighted_means_of_what_lies_together() -> None:
    rng = np.random.default_rng(0)
    where = np.repeat([[0.0, 0], [9, 0], [0, 9]], 40, axis=0)
    points = torch.from_numpy(where + 0.1 * rng.normal(size=(120, 2))).float()
    mass = torch.from_numpy(rng.random(120))
    centres = central(points, mass, 3, seed=0)
    found = nearest(points, centres).view(3, 40)
    assert len(set(found[:, 0].tolist())) == 3 and (found == found[:, :1]).all()
    for i in range(3):
        part = slice(40 * i, 40 * i + 40)
        mean = (mass[part, None] * points[part]).sum(0) / mass[part].sum()
        torch.testing.assert_close(centres[found[i, 0]].double(), mean, rtol=1e-4, atol=1e-4)
    same = central(torch.zeros(10, 2), torch.ones(10), 3, seed=0)
    assert same.shape == (3, 2) and not same.any()


def test_groups_are_asked_for_by_what_towers_know() -> None:
    """Right codes are log p(g | x) / p(g) and left ones are x one-hot: the softmax is p(g | x) itself."""
    law = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])
    asked = torch.nn.Linear(2, 3)
    groups = torch.arange(3).repeat_interleave(100)
    mass = law.mean(0).repeat_interleave(100) / 100
    right = (law / law.mean(0)).log().T[groups] * 2**0.5
    ask(asked, right, groups, mass)
    torch.testing.assert_close(torch.softmax(asked(torch.eye(2)), dim=1), law, rtol=1e-5, atol=1e-5)
    assert not any(p.requires_grad for p in asked.parameters())


def test_an_image_is_astray_by_how_much_nearer_another_centre_is() -> None:
    with seeded(5):
        grouping = Grouping((("y", image(4, 4)),), 16, 3, 6)
        tower = Tower((("y", image(4, 4)),), 16, 3)
    generator = torch.Generator().manual_seed(0)
    basis, centres = (torch.randn(n, 3, generator=generator) for n in (3, 6))
    grouping.take(tower, basis, centres)
    rows = {"y": torch.rand(50, 1, 4, 4, generator=generator) * 2 - 1}
    group = torch.arange(50) % 6
    far = torch.cdist(tower(rows, 50) @ basis, centres).square()
    astray = far.gather(1, group[:, None])[:, 0] - far.amin(dim=1)
    torch.testing.assert_close(grouping.astray(rows, group), astray, rtol=1e-4, atol=1e-5)
    assert (grouping.astray(rows, grouping(rows, 50)) == 0).all()


BAR = np.array([[1, 1, 0, 0]] * 4)


def bars(rng: np.random.Generator, right: np.ndarray) -> np.ndarray:
    """Bars at the left or right, of any brightness, in noise: ``(n, 1, 4, 4)`` bytes."""
    n = len(right)
    light = np.where(right[:, None, None], BAR[:, ::-1], BAR) * rng.uniform(0.5, 1, (n, 1, 1))
    return np.clip(255 * light + rng.normal(0, 10, light.shape), 0, 255).astype(np.uint8)[:, None]


def test_an_image_that_goes_astray_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A denoiser that is told what another row is given draws a bar at the wrong side with p = ½, so that of
    four tries all are wrong with p⁴. 1,000 draws: three standard errors of that are .023."""
    rng = np.random.default_rng(4)
    right = rng.random(2000) < 0.5
    shape = Shape((("y", image(4, 4)),), (("x", image(4, 4)),))
    rows = {name: torch.from_numpy(bars(rng, right)) for name in "xy"}
    model = fit(shape, rows, None, specs.diffusion(steps=150), Setting(0, "cpu"), Report(True))
    assert isinstance(model, FittedDiffusion)
    knowing = diffusion.Preconditioned.knowing

    def mistaken(self: Any, network: Any, known: torch.Tensor) -> Any:
        return knowing(self, network, known[torch.from_numpy(rng.permutation(len(known)))])

    monkeypatch.setattr(diffusion.Preconditioned, "knowing", mistaken)
    wrong = {}
    for tries in (1, 4):
        monkeypatch.setattr(diffusion, "_TRIES", tries)
        drawn = model.sample(1000, {"x": rows["x"][:1000]}, Noise(1, "k", 0, 1000))["y"][:, 0]
        sides = drawn.view(1000, 4, 2, 2).mean(dim=(1, 3))
        there = sides[:, 1] > sides[:, 0]
        wrong[tries] = float((there != torch.from_numpy(right[:1000])).double().mean())
    assert wrong[1] == pytest.approx(0.5, abs=0.05)
    assert wrong[4] == pytest.approx(0.5**4, abs=0.03)


@pytest.mark.slow
def test_what_is_drawn_is_one_shape_or_the_other_as_the_input_says() -> None:
    """Y is a bar at the left or, with probability sigmoid(2 x), at the right, in noise. 4,000 rows; at each x the
    share of 1,500 draws that are at the right has a standard error of .013, what the rows say one of .02."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=4000)
    pixels = bars(rng, rng.random(4000) < 1 / (1 + np.exp(-2 * x)))
    shape = Shape((("y", image(4, 4)),), (("x", real()),))
    rows = {
        "y": torch.from_numpy(pixels),
        "x": torch.from_numpy(x[:, None]).float(),
    }
    model = fit(shape, rows, None, specs.diffusion(steps=1000), Setting(0, "cpu"), Report())
    assert isinstance(model, FittedDiffusion)
    for at in (-1.0, 0.0, 1.0):
        given = {"x": torch.full((1500, 1), at)}
        drawn = model.sample(1500, given, Noise(1, "k", 0, 1500))["y"][:, 0]
        sides = drawn.view(1500, 4, 2, 2).mean(dim=(1, 3))
        share = float((sides[:, 1] > sides[:, 0]).double().mean())
        assert share == pytest.approx(1 / (1 + np.exp(-2 * at)), abs=0.08)
        # Neither side is half lit, as both are in the mean of the two shapes: real sides are at 0 to 1 and at -1.
        lit, dark = sides.max(dim=1).values, sides.min(dim=1).values
        assert ((lit > 0) & (dark < -0.5)).double().mean() > 0.98
