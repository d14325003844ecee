"""Exported samplers: the function equals the sampler, the file the function, for any number of rows."""

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import causalc
from causalc.compiler.view import Spec
from causalc.embedding import SamplingFunction, export, export_denoisers
from causalc.errors import CausalcError
from causalc.runtime.data import labels

ROWS = 400
SCHEMA = {
    "C": 'categorical("a", "b", "c")',
    "R": "real",
    "I": "integer",
    "V": "vector(2)",
    "M": "image(4, 4, channels=3)",
    "B": "binary",
    "D": "ordinal(4)",
}
CALM = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def spec(family: str, **options: Any) -> Spec:
    steps = {"steps": 4, "width": 16} if family != "table" else {}
    return Spec(family, (), tuple(sorted({**steps, **options}.items())))


def few(**options: Any) -> Spec:
    return spec("diffusion", evaluations=2, **options)


def table() -> dict[str, np.ndarray]:
    """Rows of every kind, with a point mass in R so that it is coded by quantiles."""
    rng = np.random.default_rng(0)
    code = rng.integers(0, 3, ROWS)
    real = np.where(rng.random(ROWS) < 0.2, 0.5, rng.standard_t(2, ROWS))
    tint = rng.random((ROWS, 1, 1, 3)) * np.ones((ROWS, 4, 4, 1))
    return {
        "C": np.array(["a", "b", "c"], object)[code],
        "R": real,
        "I": rng.poisson(3, ROWS),
        "V": (rng.normal(size=(ROWS, 2)) + code[:, None]).astype(np.float32),
        "M": (tint * 255).astype(np.uint8),
        "B": (rng.random(ROWS) < 0.3).astype(int),
        "D": rng.integers(0, 4, ROWS),
    }


CASES = {
    "codes": ("P(C, D | do(B))", "R -> B; R -> C; B -> C; B -> D; R -> D", {"D": few()}),
    "tables": ("P(C, D | do(B), I = 2)", "I -> B; B -> D; I -> C; B -> C", {}),
    "numbers": (
        "P(R, V | do(I))",
        "C -> I; C -> R; I -> R; I -> V; B -> R",
        {"R": few(), "V": spec("mixture", components=3)},
    ),
    "heun": ("P(V | do(R))", "C -> R; C -> V; R -> V", {"V": few(method="edm")}),
    "picture": ("P(M | do(B))", "D -> B; D -> M; B -> M", {"M": few(backbone="mlp")}),
    "flow": ("P(R | do(I))", "C -> I; C -> R; I -> R", {"R": spec("flow")}),
    "autoencoder": (
        "P(C, V | do(I))",
        "B -> I; B -> C; I -> C; I -> V; C -> V",
        {"C": spec("vae"), "V": spec("vae")},
    ),
    "adversaries": ("P(V | do(I))", "B -> I; B -> V; I -> V", {"V": spec("gan")}),
    "components": ("P(M | do(V))", "B -> V; B -> M; V -> M", {"M": few()}),
}
SLOW = {"components": [pytest.mark.slow]}
EACH = [pytest.param(c, marks=SLOW.get(c, [])) for c in CASES]
FILES = [
    pytest.param(c, marks=[] if c in ("tables", "numbers", "autoencoder") else [pytest.mark.slow])
    for c in CASES
]
VALUES = {"B": 1, "R": 0.5, "I": 2, "V": np.array([0.5, 1.0], np.float32)}


@cache
def sampler_of(case: str) -> Any:
    query, graph, models = CASES[case]
    program = causalc.compile(query, graph, schema=SCHEMA, models=models)
    return program.fit(table(), progress=False)


def values_of(function: SamplingFunction) -> dict[str, Any]:
    return {name: VALUES[name] for name in function.inputs}


def numbers(column: Any) -> np.ndarray:
    found = np.stack([np.asarray(value) for value in column])
    return found if found.dtype.kind in "OU" else found.astype(np.float64)


@pytest.mark.parametrize("case", EACH)
def test_the_function_gives_the_rows_of_the_sampler(case: str) -> None:
    sampler = sampler_of(case)
    function = SamplingFunction(sampler)
    given = values_of(function)
    with torch.no_grad():
        drawn = function(function.columns(300, given), function.noise(300, seed=5))
    frame = sampler.sample(300, seed=5, **given)
    assert list(drawn) == list(frame)
    for name, column in drawn.items():
        kind = sampler.models.schema[name]
        mine = numbers(labels(column.numpy(), kind)).reshape(numbers(frame[name]).shape)
        wanted = numbers(frame[name])
        if (
            kind.discrete or kind.name == "integer"
        ):  # a draw on the edge between two may fall either way
            assert (mine != wanted).mean() <= 0.01
        else:
            assert np.allclose(mine, wanted, rtol=1e-4, atol=1 if kind.name == "image" else 1e-4)


@CALM
@pytest.mark.parametrize("case", FILES)
def test_an_exported_file_is_the_function_at_any_number_of_rows(case: str, tmp_path: Path) -> None:
    function = SamplingFunction(sampler_of(case))
    export(sampler_of(case), tmp_path / "sampler.pt2")
    said = {"causalc.json": ""}
    loaded = torch.export.load(tmp_path / "sampler.pt2", extra_files=said).module()
    signature = json.loads(said["causalc.json"])
    assert list(signature["inputs"]) == list(function.inputs)
    given = values_of(function)
    for n in (1, 2, 5, 4099):
        arguments = function.columns(n, given), function.noise(n, seed=n)
        with torch.no_grad():
            mine, theirs = function(*arguments), loaded(*arguments)
        assert list(theirs) == list(signature["outcomes"])
        for name, column in mine.items():
            told = signature["outcomes"][name]
            assert str(theirs[name].dtype) == f"torch.{told['dtype']}"
            assert [n, *told["shape"]] == list(theirs[name].shape)
            far = (column.double() - theirs[name].double()).abs()
            if column.dtype.is_floating_point:
                assert far.max() <= 1e-4 * (1 + column.abs().max())
            else:
                assert (far > 0).double().mean() <= 0.01


@CALM
def test_denoisers_are_exported_each(tmp_path: Path) -> None:
    with pytest.raises(CausalcError, match="no diffusion model"):
        export_denoisers(sampler_of("tables"), tmp_path)
    for case in ("codes", "numbers", "picture"):
        sampler = sampler_of(case)
        for what, path in export_denoisers(sampler, tmp_path / case).items():
            (fitted,) = [
                f
                for model in sampler.models.values()
                for _, f in getattr(model, "links", ())
                if str(f.shape) == what
            ]
            loaded = torch.export.load(path).module()
            rows = {n: e.encode(table()[n]) for n, e in encoders(sampler, what).items()}
            inputs = {name: rows[name] for name, _ in fitted.shape.inputs}
            sigma = torch.logspace(-2, 1, ROWS)
            x = torch.randn(ROWS, fitted.module.slots[-1][1]) * (1 + sigma[:, None])
            with torch.no_grad():
                assert torch.allclose(
                    loaded(x, sigma, inputs), fitted.denoise(x, sigma, inputs), atol=1e-4
                )


def encoders(sampler: Any, what: str) -> dict[str, Any]:
    for model in sampler.models.values():
        for _, fitted in getattr(model, "links", ()):
            if str(fitted.shape) == what:
                wanted = [name for name, kind in fitted.shape.inputs if kind.scalar or kind.shape]
                return {name: model.encoders[name] for name in wanted} | {
                    name: _Codes(sampler.models.schema[name].levels)
                    for name, kind in fitted.shape.inputs
                    if kind.discrete
                }
    raise AssertionError(what)


class _Codes:
    def __init__(self, levels: tuple[Any, ...]) -> None:
        self.levels = levels

    def encode(self, values: np.ndarray) -> torch.Tensor:
        return torch.tensor([self.levels.index(v) for v in values.tolist()])


def test_a_denoiser_recovers_what_it_can() -> None:
    """At a vanishing noise level the denoised is what was given."""
    (model,) = [m for n, m in sampler_of("heun").models.items() if n.startswith("V_given")]
    ((_, fitted),) = model.links
    x = torch.randn(50, 2)
    inputs = {
        "R": torch.zeros(50, 1),
        "C": torch.zeros(50, dtype=torch.int64),
    }
    with torch.no_grad():
        near = fitted.denoise(x, torch.full((50,), 1e-3), inputs)
    assert (near - x).abs().max() < 0.02


def test_what_cannot_be_exported_is_said(tmp_path: Path) -> None:
    program = causalc.compile(
        "P(C | do(B ~ bernoulli(0.3)))", "R -> B; R -> C; B -> C", schema=SCHEMA
    )
    with pytest.raises(CausalcError, match="policy"):
        export(program.fit(table(), progress=False), tmp_path / "a.pt2")
    sampler = sampler_of("tables")
    with pytest.raises(CausalcError, match="no query `other`"):
        export(sampler, tmp_path / "a.pt2", query="other")
    with pytest.raises(CausalcError, match="missing or unknown"):
        SamplingFunction(sampler).columns(3, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(CausalcError, match="cannot be written"):
        export(sampler, tmp_path / "file" / "a.pt2")
    assert math.isfinite(sampler.sample(2, B=1).D.sum())
