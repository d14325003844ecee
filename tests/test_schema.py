"""Kinds, schemas and model specifications: plain data that survives JSON."""

import json
import subprocess
import sys

import numpy as np
import pytest

from causalc.errors import CausalcError
from causalc.runtime import schema as s
from causalc.runtime import specs

KINDS = [
    s.binary(),
    s.binary("no", "yes"),
    s.categorical(3),
    s.categorical("a", "b"),
    s.ordinal("low", "mid", "high"),
    s.integer(),
    s.real(),
    s.vector(4),
    s.image(8, 9, channels=3),
    s.inferred(),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_kinds_survive_json(kind: s.Kind) -> None:
    assert s.Kind.from_json(json.loads(json.dumps(kind.to_json()))) == kind


def test_levels_and_shapes() -> None:
    assert s.categorical(3).levels == (0, 1, 2)
    assert s.image(8, 9, channels=3).width == 216
    assert s.image(8, 9).shape == (8, 9, 1)
    assert s.ordinal("lo", "hi").discrete and not s.integer().discrete
    assert str(s.ordinal("lo", "hi")) == "ordinal('lo', 'hi')"
    assert str(s.categorical(20)) == "categorical(20)"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: s.categorical(1), "two levels"),
        (lambda: s.categorical("a"), "two levels"),
        (lambda: s.categorical("a", "a"), "twice"),
        (lambda: s.binary("a", "b", "c"), "exactly two"),
        (lambda: s.vector(0), "at least 1"),
        (lambda: s.image(8, -1), "at least 1"),
        (lambda: s.Kind("tensor"), "Unknown kind"),
        (lambda: s.Kind.from_json({"kind": 3}), "Not a kind"),
        (lambda: s.Schema({"X": "real"}), "needs a kind"),
        (lambda: s.Schema({"Age": s.real()}).kind("age"), "did you mean 'Age'"),
    ],
)
def test_bad_kinds_are_refused(make, words: str) -> None:
    with pytest.raises(CausalcError, match=words):
        make()


def test_schema_survives_json_in_order() -> None:
    schema = s.Schema({f"v{i}": kind for i, kind in enumerate(KINDS)})
    again = s.Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert dict(again) == dict(schema) and list(again) == list(schema)


def test_inference() -> None:
    n = 30
    found = s.infer(
        {
            "flag": np.arange(n) % 2 == 0,
            "bit": np.arange(n) % 2,
            "few": np.arange(n) % 3 + 5,
            "many": np.arange(n),
            "real": np.linspace(0, 1, n),
            "text": np.array(["x", "y", "z"] * 10, object),
            "vector": np.zeros((n, 4)),
            "image": np.zeros((n, 8, 8, 3)),
        }
    )
    assert dict(found) == {
        "flag": s.binary(),
        "bit": s.binary(),
        "few": s.categorical(5, 6, 7),
        "many": s.integer(),
        "real": s.real(),
        "text": s.categorical("x", "y", "z"),
        "vector": s.vector(4),
        "image": s.image(8, 8, channels=3),
    }


def test_specs_survive_json_and_sort_their_options() -> None:
    spec = specs.diffusion(steps=40, backbone="mlp", channels=[16, 32], lr=0.001)
    assert specs.ModelSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    assert spec == specs.diffusion(lr=0.001, channels=(16, 32), backbone="mlp", steps=40)
    assert spec.get("steps", 1) == 40 and spec.get("width", 7) == 7


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: specs.diffusion(step=10), "did you mean 'steps'"),
        (lambda: specs.mixture(steps=0), "at least 1"),
        (lambda: specs.mixture(steps=True), "at least 1"),
        (lambda: specs.softmax(lr=-1.0), "above 0"),
        (lambda: specs.softmax(lr=float("inf")), "above 0"),
        (lambda: specs.diffusion(method="ddpm"), "one of edm, flow"),
        (lambda: specs.diffusion(channels="16"), "list of whole"),
        (lambda: specs.mixture(ema=1), "up to 1"),
        (lambda: specs.ModelSpec("difusion"), "did you mean 'diffusion'"),
        (lambda: specs.ModelSpec.from_json({"family": 1}), "Not a model"),
    ],
)
def test_bad_options_are_refused(make, words: str) -> None:
    with pytest.raises(CausalcError, match=words):
        make()


def test_declaring_loads_nothing_heavy() -> None:
    code = (
        "import sys; from causalc.runtime import schema, specs; specs.diffusion(steps=3);"
        "bad = {'torch', 'pandas', 'diffusers', 'pyarrow'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
