"""Contrast, the weights it smooths and the components of images, each against its closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from causalc.runtime.components import Components, decomposed, leading
from causalc.runtime.contrast import Contrast, Few, Strokes, Tower, evenly_lit, grain
from causalc.runtime.data import Columns
from causalc.runtime.encode import fit_encoder
from causalc.runtime.families.protocol import Setting
from causalc.runtime.images import nats
from causalc.runtime.progress import Report
from causalc.runtime.schema import Schema, categorical, image
from causalc.runtime.smoothing import Smoother
from causalc.runtime.train import Plan, seeded, train

SETTING = Setting(seed=0, device="cpu")
L, R = categorical(*"abcd"), categorical(*"uvw")
JOINT = np.array([[6, 1, 1], [2, 6, 2], [1, 2, 7], [4, 4, 4]]) / 40


def draw(law: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, ...]:
    """Codes of ``n`` draws from a joint law, one array an axis."""
    cells = np.random.default_rng(seed).choice(law.size, n, p=law.ravel())
    return tuple(np.unravel_index(cells, law.shape))


def encoded(schema: Schema, codes: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {
        name: fit_encoder(codes[name], kind).encode(codes[name]) for name, kind in schema.items()
    }


def test_scores_are_the_log_ratio_up_to_a_function_of_the_right_side() -> None:
    """20,000 rows. Over eight seeds the worst of the twelve errors was .021 to .074, mean .043 and standard
    deviation .02: .2 is seven deviations away. The log ratios themselves span 2.0."""
    schema = Schema({"l": L, "r": R})
    left, right = draw(JOINT, 20_000, 1)
    rows = encoded(schema, {"l": left, "r": right})
    with seeded(0):
        network = Contrast((("l", L),), (("r", R),), width=32, rank=8)
    network.standardise(rows)
    train(network, rows, None, Plan(steps=600, lr=3e-3, batch=256), SETTING, Report())
    network.eval()
    codes = encoded(schema, {"l": np.arange(4), "r": np.resize(np.arange(3), 4)})
    with torch.no_grad():
        found = (
            network.scores(network.left(codes, 4), network.right(codes, 4))[:3].double().numpy().T
        )
    wanted = np.log(JOINT / JOINT.sum(1, keepdims=True))  # log p(r | l), less a function of r
    found, wanted = (table - table.mean(0) for table in (found, wanted))
    assert np.ptp(wanted) > 2
    np.testing.assert_allclose(found, wanted, rtol=0, atol=0.2)


def test_smoothed_weights_are_the_conditional_expectation() -> None:
    """u -> v, u -> y, v -> y, all discrete: E[q(v)/P(v | u) | y, v] by enumeration, 8,000 rows. The weights
    span a factor of 88. Over eight seeds the root mean square error relative to the truth was .10 to .17,
    standard deviation .02: .3 is seven of them above the mean. That of plain weights was at least 2.6."""
    rng = np.random.default_rng(5)
    p_u = np.full(6, 1 / 6)
    p_v = np.array([[0.97, 0.02, 0.01], [0.02, 0.96, 0.02], [0.9, 0.05, 0.05]] * 2)
    p_y = rng.dirichlet(np.ones(4), size=(6, 3))
    joint = p_u[:, None, None] * p_v[:, :, None] * p_y
    u, v, y = draw(joint, 8000, 7)
    q = np.bincount(v) / len(v)
    weight = q / p_v
    wanted = (joint * weight[:, :, None]).sum(0) / joint.sum(0)  # (v, y)

    schema = Schema({"u": categorical(*"abcdef"), "v": R, "y": L})
    smoother = Smoother(
        Columns(schema, {"u": u, "v": v, "y": y}), "v", ("u",), np.log(p_v[u]), weight[u, v]
    )
    assert smoother.applies(("y",)) and not smoother.applies(("y", "u"))
    found = smoother.smooth(("y",), SETTING, Report())
    assert found.mean() == pytest.approx(1)
    error = found / wanted[v, y] - 1
    plain = weight[u, v] / wanted[v, y] - 1
    assert np.sqrt((error**2).mean()) < 0.3 < 2 < np.sqrt((plain**2).mean())


def components(images: torch.Tensor, weights: torch.Tensor | None = None) -> Components | None:
    found = decomposed(images, weights)
    return None if found is None else found.kept()


def test_components_keep_94_percent_of_the_variance_and_invert() -> None:
    rng = np.random.default_rng(0)
    sizes = np.array([9.0, 4.0, 1.0, 0.1])
    basis = np.linalg.qr(rng.normal(size=(48, 4)))[0]
    flat = rng.normal(size=(2000, 4)) * sizes @ basis.T
    pixels = torch.from_numpy(flat.reshape(2000, 3, 4, 4)).float()
    found = components(pixels)
    assert found is not None
    assert found.basis.shape == (48, 2)  # 81 + 16 of 98 is 99 %, 81 alone 83 %
    np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(2), atol=1e-5)
    np.testing.assert_allclose(found.scale, [9, 4], rtol=0.1)
    z = (pixels.flatten(1) - found.centre) @ found.basis / found.scale
    np.testing.assert_allclose(z.std(0), [1, 1], rtol=0.01)
    left = pixels.flatten(1) - (z * found.scale) @ found.basis.T - found.centre
    assert left.var() < 0.06 * pixels.flatten(1).var()


def test_components_count_weights_and_fix_their_signs() -> None:
    rng = np.random.default_rng(1)
    rows = torch.from_numpy(rng.normal(size=(3000, 1, 3, 3))).float()
    rows[:1500, 0, 0] *= 5
    heavy = torch.cat([torch.full((1500,), 1e-9), torch.ones(1500)])
    plain, weighted = components(rows), components(rows, heavy)
    assert plain is not None and weighted is not None
    assert plain.scale[0] > 3 and weighted.scale[0] < 1.3
    for one in (plain, weighted):
        assert (one.basis.gather(0, one.basis.abs().argmax(0, keepdim=True)) > 0).all()


def test_leading_components_of_large_images_are_the_exact_ones() -> None:
    """40 components of falling size in 1,200 pixels: what a random start leaves is below rounding."""
    rng = np.random.default_rng(4)
    sizes = 2.0 ** -np.arange(40)
    basis = np.linalg.qr(rng.normal(size=(1200, 40)))[0]
    flat = rng.normal(size=(700, 40)) * sizes @ basis.T + 0.3
    found = leading(torch.from_numpy(flat).view(700, 3, 20, 20).float(), 8)
    assert found is not None
    one, total = found
    centred = flat - flat.mean(0)
    _, exact, right = np.linalg.svd(centred / np.sqrt(700), full_matrices=False)
    np.testing.assert_allclose(one.scale, exact[:8], rtol=1e-4)
    np.testing.assert_allclose(np.abs(right[:8] @ one.basis.numpy()), np.eye(8), atol=1e-3)
    assert total == pytest.approx((exact**2).sum(), rel=1e-4)


def test_towers_see_large_images_by_their_leading_components() -> None:
    rng = np.random.default_rng(5)
    pixels = torch.from_numpy(rng.normal(size=(400, 1, 30, 30)) + 2.0).float()
    pixels[:200] += torch.from_numpy(rng.normal(size=(1, 30, 30))).float()
    codes = (torch.arange(400) < 200).long()
    variables = (("a", categorical("l", "r")), ("p", image(30, 30)))
    tower = Tower(variables, 16, 4)
    tower.standardise({"a": codes, "p": pixels})
    (project,) = tower.leading
    seen = project(pixels.flatten(1))
    assert seen.shape == (400, 128) and tower({"a": codes, "p": pixels}, 400).shape == (400, 4)
    assert float(seen.square().mean()) == pytest.approx(1, rel=0.01)
    assert float(seen.mean(0).abs().max()) < 1e-4
    apart = (seen[:200].mean(0) - seen[200:].mean(0)).abs()
    assert int(apart.argmax()) == 0  # the two groups differ by the first component
    # White noise of unit size on pixels comes out as large as the jitter says.
    noise = torch.from_numpy(rng.normal(size=(2000, 900))).float() @ project.basis
    jitter = tower.jitter[-1] / min(1.0, 30 / 35)
    unit = float((pixels - pixels.mean(0)).std())
    assert float(noise.std()) * unit == pytest.approx(float(jitter), rel=0.05)


def test_evenly_lit_images_forget_light_and_colour() -> None:
    shape = torch.rand(5, 1, 4, 4)
    tint = torch.tensor([1.0, 0.5, 0.1]).view(1, 3, 1, 1)
    one, other = evenly_lit(2 * shape - 1), evenly_lit(shape * tint - 1)
    torch.testing.assert_close(one, other, rtol=0, atol=0.05)
    torch.testing.assert_close(one.square().mean(dim=1), torch.ones(5), rtol=0, atol=0.05)
    assert evenly_lit(torch.full((2, 3, 4, 4), 0.3)).abs().max() < 1e-4


def test_grain_tells_how_fast_an_image_varies_whatever_its_light() -> None:
    """Of black and white stripes a share 1 / width of the neighbours across differ, by two standard deviations."""
    columns = torch.arange(32)
    stripes = torch.stack([(columns // width % 2).float() for width in (1, 2, 4)])
    images = stripes[:, None, None].expand(3, 1, 32, 32)
    differ = torch.tensor([31, 15, 7]) / 31  # of those across; half of all are along the stripes
    found = grain(2 * images - 1)
    torch.testing.assert_close(found[:, 0], differ.log(), rtol=0, atol=0.1)
    faint = grain(0.2 * images.expand(3, 3, 32, 32) - 0.9)
    torch.testing.assert_close(faint, found, rtol=0, atol=0.03)
    assert grain(torch.full((1, 1, 16, 16), 0.5)).isfinite().all()


def test_what_an_image_is_like_is_jittered_in_training_alone() -> None:
    kinds = (("x", image(16, 16)), ("k", categorical("a", "b")))
    with seeded(6):
        few = Few(kinds, 3)
    generator = torch.Generator().manual_seed(0)
    rows = {"x": torch.rand(40, 1, 16, 16, generator=generator), "k": torch.arange(40) % 2}
    few.standardise(rows)
    still = few(rows, 40)
    assert torch.equal(still, few(rows, 40))
    assert not torch.equal(still, few(rows, 40, generator))
    small = Few((("x", image(8, 8)),), 3)  # of so few pixels grain would tell which image it is
    assert len(few.centre) == 3 and len(small.centre) == 2


def test_images_without_few_components_stay_pixels() -> None:
    noise = torch.from_numpy(np.random.default_rng(2).normal(size=(300, 1, 20, 20))).float()
    assert components(noise) is None
    many = torch.from_numpy(np.random.default_rng(2).normal(size=(1500, 1, 20, 20))).float()
    assert components(many) is None  # 256 would keep three quarters
    assert components(many * torch.linspace(1, 0.05, 400).view(1, 20, 20)) is not None
    assert components(torch.zeros(100, 1, 4, 4)) is None
    assert components(torch.zeros(1, 1, 4, 4)) is None


def test_distances_of_features_are_nats() -> None:
    rng = np.random.default_rng(3)
    codes = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    one, other = rng.normal(size=(2, 6))
    ratios = codes @ (one - other) / np.sqrt(6)
    found = np.linalg.norm((one - other) @ nats(torch.from_numpy(codes)).numpy())
    assert found == pytest.approx(ratios.std(ddof=1), rel=1e-5)


def test_components_of_large_images_are_those_of_the_whole_covariance() -> None:
    """64 × 64 × 1 is beyond what is taken apart exactly; the first three variances are far apart."""
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(4096, 3, generator=generator))[0]
    codes = torch.randn(600, 3, generator=generator) * torch.tensor([9.0, 5.0, 2.0])
    rows = codes @ basis.T + 0.001 * torch.randn(600, 4096, generator=generator)
    found = components(rows.reshape(600, 1, 64, 64))
    assert found is not None
    exact = torch.linalg.svdvals(rows - rows.mean(dim=0)) / 600**0.5
    assert torch.allclose(found.scale, exact[: len(found.scale)], rtol=1e-3)
    inside = (basis.T @ found.basis[:, :2]).norm(dim=0)  # 1 where a component lies in their span
    assert torch.allclose(inside, torch.ones(2), atol=1e-3)
    again = components(rows.reshape(600, 1, 64, 64))
    assert again is not None
    assert (again.basis == found.basis).all()


def test_a_stroke_is_found_wherever_it_lies() -> None:
    torch.manual_seed(0)
    strokes = Strokes(image(12, 16))
    grey = torch.zeros(1, 12, 16)
    grey[:, 4:8, 4:8] = torch.randn(4, 4)
    moved = torch.roll(grey, (2, 4), dims=(1, 2))
    here, there = (strokes.filters[0](x[:, None]) for x in (grey, moved))
    torch.testing.assert_close(there[:, :, 1:, 2:], here[:, :, :-1, :-2])
    assert not torch.allclose(there, here)


@pytest.mark.parametrize(
    ("sides", "layers"), [((7, 20), 0), ((8, 8), 1), ((9, 11), 1), ((22, 23), 2)]
)
def test_filters_are_for_pictures_of_any_sides_that_are_long_enough(
    sides: tuple[int, int], layers: int
) -> None:
    strokes = Strokes(image(*sides))
    assert len(strokes.filters) == layers
    if layers:
        found = strokes(torch.zeros(3, sides[0] * sides[1]))
        assert found.shape == (3, strokes.width)
    assert (strokes.width > 0) == (layers > 0)
