"""The family that draws real rows: the empirical conditional, weights and gaps included."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy import stats

from causalc.errors import CausalcError
from causalc.runtime import specs
from causalc.runtime.families import rows as family
from causalc.runtime.families.protocol import Setting, Shape
from causalc.runtime.noise import Noise
from causalc.runtime.progress import Report
from causalc.runtime.schema import binary, categorical, image, real

DRAWS = 20_000
FAILURE_RATE = 1e-6
SHAPE = Shape((("y", real()), ("d", image(2, 2))), (("a", binary()), ("b", categorical(3))))


def observed(n: int = 500) -> dict[str, torch.Tensor]:
    """Rows that know their own number: ``y`` is it, and so is the first pixel modulo 256."""
    rng = np.random.default_rng(0)
    number = torch.arange(n)
    return {
        "a": torch.from_numpy(rng.integers(0, 2, n)),
        "b": torch.from_numpy(rng.integers(0, 2, n)),  # the level 2 is never seen
        "y": number[:, None].float(),
        "d": (number[:, None, None, None] % 256).to(torch.uint8).expand(n, 1, 2, 2).contiguous(),
    }


def fitted(weights: torch.Tensor | None = None) -> family.FittedRows:
    return family.fit(
        SHAPE, observed(), weights, specs.rows(), Setting(0, "cpu"), Report(quiet=True)
    )


def drawn(model: family.FittedRows, a: int, b: int) -> dict[str, torch.Tensor]:
    given = {"a": torch.full((DRAWS,), a), "b": torch.full((DRAWS,), b)}
    return model.sample(DRAWS, given, Noise(3, "k", 0, DRAWS))


def test_rows_of_the_stratum_come_whole_and_in_proportion_to_their_weights() -> None:
    rows = observed()
    weights = torch.from_numpy(np.random.default_rng(1).exponential(size=500))
    weights[::7] = 0.0
    found = drawn(fitted(weights), 1, 0)
    number = found["y"][:, 0].long()
    assert (found["d"][:, 0, 0, 0].long() == number % 256).all()  # one row, not parts of several
    here = (rows["a"] == 1) & (rows["b"] == 0)
    expected = torch.where(here, weights, 0.0)
    count = torch.bincount(number, minlength=500)
    assert (count[expected == 0] == 0).all()
    share = (expected / expected.sum())[expected > 0].numpy()
    test = stats.chisquare(count[expected > 0].numpy(), DRAWS * share)
    assert test.pvalue > FAILURE_RATE


def test_a_stratum_without_rows_takes_the_heaviest_of_the_nearest() -> None:
    rows = observed()
    weights = torch.ones(500, dtype=torch.float64)
    weights[(rows["a"] == 1) & (rows["b"] == 1)] = 9.0
    number = drawn(fitted(weights), 1, 2)["y"][:, 0].long()
    assert ((rows["a"][number] == 1) & (rows["b"][number] == 1)).all()


def test_rows_have_no_density() -> None:
    with pytest.raises(CausalcError, match="no density"):
        fitted().log_prob(observed(), observed())


@pytest.mark.parametrize(
    "damage",
    [
        lambda t: t["first"].mul_(2),
        lambda t: t["mass"].neg_(),
        lambda t: t["mass"].fill_(float("nan")),
        lambda t: t.update({"values.0": t["values.0"][:-1].clone()}),
        lambda t: t.update({"values.1": t["values.1"].float()}),
        lambda t: t.update(strata=t["strata"][:, :1].clone()),
        lambda t: t["values.0"].fill_(float("inf")),
    ],
)
def test_damaged_rows_are_refused(damage, tmp_path: Path) -> None:
    fitted().save(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["shape"] == SHAPE.to_json()
    tensors = load_file(tmp_path / "rows.safetensors")
    damage(tensors)
    save_file(tensors, tmp_path / "rows.safetensors")
    with pytest.raises(CausalcError, match="not those of strata"):
        family.load(tmp_path, "cpu")
