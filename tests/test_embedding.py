"""Samplers in other programs: folders for a hub, data sets of torch, an estimator in scikit-learn's manner."""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch.utils.data import DataLoader

import causalc
from causalc.embedding import (
    Effect,
    InterventionalRows,
    InterventionalStream,
    model_card,
    push_to_hub,
)
from causalc.errors import CausalcError

GRAPH = "X -> M -> Y; X <-> Y; Z -> Y"
EVIL = 'a "b" `c` ```\n---\n<script>alert(1)</script>: |'


def rows(n: int = 4000) -> dict[str, np.ndarray]:
    """The front door with a covariate: E[Y | do(X = x), Z = z] = 1 + .6 m(x) + z, m(x) = .2 + .6 x."""
    rng = np.random.default_rng(0)
    u, z = rng.random(n) < 0.5, rng.integers(0, 2, n)
    x = (rng.random(n) < np.where(u, 0.8, 0.2)).astype(int)
    m = (rng.random(n) < 0.2 + 0.6 * x).astype(int)
    y = (rng.random(n) < 0.1 + 0.3 * m + 0.3 * u + 0.2 * z).astype(int)
    return {"X": x, "M": m, "Y": y, "Z": z}


@pytest.fixture(scope="module")
def sampler() -> Any:
    return causalc.compile("P(Y, M | do(X), Z)", GRAPH).fit(rows(), progress=False)


# ---- folders


def front(text: str) -> dict[str, Any]:
    _, head, _ = text.split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(head)
    return found


def test_a_saved_sampler_has_a_card_made_of_its_own_facts(sampler: Any, tmp_path: Path) -> None:
    sampler.save(tmp_path / "s")
    text = (tmp_path / "s" / "README.md").read_text(encoding="utf-8")
    said = front(text)
    assert said["library_name"] == "causalc"
    mine = said["causalc"]
    assert mine["queries"] == {"query": "P(Y, M | do(X), Z)"}
    assert mine["estimands"] == {"query": sampler.program.estimand.text}
    assert set(mine["graph"]["directed"]) == {"X -> M", "M -> Y", "Z -> Y"}
    assert mine["graph"]["bidirected"] == ["X <-> Y"]
    assert mine["data_fingerprint"] == sampler.models.data and len(mine["data_fingerprint"]) == 64
    assert set(mine["families"]) == set(sampler.models)
    assert {m["rows"] for m in mine["metrics"]} == {4000}
    assert sampler.program.estimand.text in text
    loaded = causalc.load(tmp_path / "s")
    assert front(model_card(loaded)) == said  # nothing of it is lost on the way
    pd.testing.assert_frame_equal(loaded.sample(50, X=1, Z=0), sampler.sample(50, X=1, Z=0))


def test_no_name_breaks_out_of_the_card() -> None:
    name = EVIL.replace("\n", " ")
    graph = causalc.Graph.from_edges([name, "Y"], [(name, "Y")], [])
    quoted = "`" + name.replace("`", "``") + "`"
    program = causalc.compile(f"P(Y | do({quoted}))", graph)
    data = {name: rows()["X"], "Y": rows()["Y"]}
    text = model_card(program.fit(data, progress=False))
    assert front(text)["causalc"]["graph"]["nodes"] == [name, "Y"]
    outside = re.sub(r"^(`{3,})[^\n]*\n.*?^\1$", "", text.split("---\n", 2)[2], flags=re.M | re.S)
    assert "<script>" not in re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)


def test_a_readme_of_somebody_else_stays(sampler: Any, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    sampler.save(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_parts_of_the_folder_are_read_by_their_diffusers_classes(tmp_path: Path) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler

    from causalc.compiler.view import Spec
    from causalc.runtime.denoisers import MixtureDenoiser

    spec = Spec("diffusion", (), (("steps", 3), ("width", 8)))
    program = causalc.compile(
        "P(Y | do(X))", "X -> Y", {"X": "binary", "Y": "real"}, models={"Y": spec}
    )
    data = {"X": rows(300)["X"], "Y": np.random.default_rng(0).normal(size=300)}
    program.fit(data, progress=False).save(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    (part,) = [v for k, v in index.items() if not k.startswith("_")]
    place = tmp_path / part[2] / "0"
    assert isinstance(MixtureDenoiser.from_pretrained(place / "denoiser"), torch.nn.Module)
    assert FlowMatchEulerDiscreteScheduler.from_pretrained(place / "scheduler").config.shift == 1.0
    assert sorted(p.suffix for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".json") == [
        ".md",
        ".py",
        ".safetensors",
    ]


def test_push_to_hub_uploads_the_saved_folder(
    sampler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    calls: list[Any] = []

    class Api:
        def __init__(self, token: str | None) -> None:
            calls.append(token)

        def create_repo(self, repo_id: str, **options: Any) -> None:
            calls.append((repo_id, options))

        def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> Any:
            loaded = causalc.load(folder_path)
            calls.append((repo_id, sorted(p.name for p in Path(folder_path).iterdir()), loaded))

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    assert push_to_hub(sampler, "me/effect", private=True, token="secret") == "me/effect"
    assert calls[0] == "secret" and calls[1][1]["private"] is True
    assert calls[2][1] == ["README.md", "model_index.json", "models", "program.py", "query.json"]

    def fail(self: Any, repo_id: str, **options: Any) -> None:
        raise OSError("offline\nand more")

    monkeypatch.setattr(Api, "create_repo", fail)
    with pytest.raises(CausalcError, match=r"^me/effect: not uploaded \(offline\)$"):
        push_to_hub(sampler, "me/effect")


# ---- rows


def read(items: Any) -> list[tuple[int, ...]]:
    return [tuple(int(item[name]) for name in ("Y", "M", "X", "Z")) for item in items]


def test_rows_are_those_of_the_sampler_in_any_order(sampler: Any) -> None:
    data = InterventionalRows(sampler, 250, seed=3, block=64, X=[0, 1, 1], Z=1)
    x = np.resize([0, 1, 1], 250)
    frame = sampler.sample(250, seed=3, X=x, Z=1)
    assert read(data[i] for i in range(250)) == list(
        zip(frame.Y, frame.M, x, [1] * 250, strict=True)
    )
    assert read([data[-1], data[7]]) == [read([data[249]])[0], read([data[7]])[0]]
    with pytest.raises(IndexError):
        data[250]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # a machine of few cores
@pytest.mark.parametrize("workers", [0, 3])
def test_workers_share_a_stream_without_repeating(sampler: Any, workers: int) -> None:
    whole = InterventionalRows(sampler, 200, seed=1, X=1, Z=0)
    stream = InterventionalStream(sampler, n=200, seed=1, block=16, X=1, Z=0)
    loader = DataLoader(
        stream,
        batch_size=None,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
    )
    found = read(loader)
    if workers < 2:
        assert found == read(whole[i] for i in range(200))
    else:  # each row once, in the order of the workers
        assert sorted(found) == sorted(read(whole[i] for i in range(200)))
        assert found == read(loader)


def test_a_stream_without_end_and_its_pickle(sampler: Any) -> None:
    stream = iter(pickle.loads(pickle.dumps(InterventionalStream(sampler, block=8, X=1, Z=0))))
    taken = [next(stream) for _ in range(30)]
    assert len(set(read(taken))) > 1
    assert taken[0]["Y"].dtype == torch.int64 and taken[0]["Y"].shape == ()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"X": 1}, "needs a value for `Z`"),
        ({"X": 2, "Z": 0}, "2"),
        ({"X": 1, "Z": []}, "no values"),
        ({"X": 1, "Z": 0, "block": 0}, "block=0"),
        ({"X": 1, "Z": 0, "W": 0}, "no input `W`"),
    ],
)
def test_mistakes_are_said_at_once(sampler: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(CausalcError, match=said):
        InterventionalStream(sampler, **options)
    with pytest.raises(CausalcError, match="n=0"):
        InterventionalRows(sampler, 0, X=1, Z=0)


# ---- an estimator


def truth(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.asarray(0.25 + 0.3 * (0.2 + 0.6 * x) + 0.2 * z)


def test_the_estimator_predicts_the_effect() -> None:
    """4,000 rows and 20,000 draws: the error of each of four means has a standard deviation below 0.025."""
    frame = pd.DataFrame(rows())
    effect = Effect("P(Y | do(X), Z)", GRAPH, draws=20_000).fit(frame)
    at = pd.DataFrame({"X": [0, 0, 1, 1], "Z": [0, 1, 0, 1], "other": "text"})
    found = effect.predict(at)
    assert found.dtype == np.float64
    assert np.abs(found - truth(at["X"].to_numpy(), at["Z"].to_numpy())).max() < 0.1
    many = at.iloc[[3, 0, 0, 3, 2]]
    assert effect.predict(many).tolist() == found[[3, 0, 0, 3, 2]].tolist()
    event = Effect("P(Y | do(X), Z)", GRAPH, event=1, draws=20_000).fit(frame)
    assert np.allclose(event.predict(at), found)
    assert Effect("P(Y | do(X = 1))", GRAPH, draws=100).fit(frame).predict().shape == (1,)


def test_the_estimator_refuses_what_it_cannot() -> None:
    effect = Effect("P(Y | do(X), Z)", GRAPH)
    with pytest.raises(CausalcError, match="not fitted"):
        effect.predict({"X": [1], "Z": [0]})
    with pytest.raises(ValueError, match="no parameter 'depth'"):
        effect.set_params(depth=3)
    with pytest.raises(causalc.NotIdentifiable):
        Effect("P(Y | do(X))", "X -> Y; X <-> Y").fit(rows())
    with pytest.raises(CausalcError, match="one outcome"):
        Effect("P(Y, M | do(X))", GRAPH).fit(rows())
    with pytest.raises(CausalcError, match="no column 'Z'"):
        effect.fit(rows()).predict({"X": [1]})
    with pytest.raises(CausalcError, match="is not the column 'Y'"):
        effect.fit(rows(), 1 - rows()["Y"])
    words = rows() | {"Y": np.array(["no", "yes"], object)[rows()["Y"]]}
    with pytest.raises(CausalcError, match="give an event"):
        Effect("P(Y | do(X), Z)", GRAPH).fit(words)
    said = Effect("P(Y | do(X), Z)", GRAPH, event="yes").fit(words).predict({"X": [1], "Z": [0]})
    assert 0 < said[0] < 1


def test_scikit_learn_takes_the_estimator() -> None:
    pytest.importorskip("sklearn")
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV, cross_val_score

    effect = Effect("P(Y | do(X), Z)", GRAPH, draws=64)
    twin = clone(effect)
    assert twin is not effect and twin.get_params() == effect.get_params()
    frame = pd.DataFrame(rows(600))
    scores = cross_val_score(
        effect, frame[["X", "M", "Z"]], frame["Y"], cv=2, scoring="neg_mean_squared_error"
    )
    assert (scores > -0.5).all() and (scores < 0).all()
    search = GridSearchCV(effect, {"strategy": ["auto", "reweight"]}, cv=2)
    search.fit(frame[["X", "M", "Z"]], frame["Y"])
    assert search.best_params_["strategy"] in ("auto", "reweight")
