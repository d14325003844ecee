"""Texts: vocabulary, data, networks that read and write them, samplers with a known law."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from causalc import report_text
from causalc.errors import CausalcError
from causalc.runtime import bounds, specs
from causalc.runtime import schema as s
from causalc.runtime.choose import links
from causalc.runtime.data import labels, load
from causalc.runtime.draw import Draw
from causalc.runtime.families.protocol import Setting, Shape
from causalc.runtime.families.registry import family
from causalc.runtime.families.transformer import Author
from causalc.runtime.fitted import Models
from causalc.runtime.fitting import fit_conditional, shape_of
from causalc.runtime.noise import Noise
from causalc.runtime.progress import Report
from causalc.runtime.text_encoder import frozen
from causalc.runtime.text_network import Reader, Writer
from causalc.runtime.text_sampler import ended, invert, unmask, write
from causalc.runtime.tokens import BASE, END, count_words, decode, encode, learn

SAID = ["no pleural effusion", "small left pleural effusion", "large right pleural effusion", ""]
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


def vocabulary_of(said: list[str], times: int = 10) -> tuple[str, ...]:
    return learn(count_words(said * times))


def kind_of(said: list[str], most: int = 8) -> s.Kind:
    return s.Kind("text", vocabulary_of(said), (most,))


# ---- vocabulary


@given(st.lists(texts, max_size=4), texts)
def test_what_is_encoded_is_decoded(learnt: list[str], text: str) -> None:
    tokens = vocabulary_of(learnt)
    codes, lengths = encode([text], tokens, 150)
    assert decode(codes, tokens)[0] == unicodedata.normalize("NFC", text)
    assert lengths[0] == (codes != END).sum() and (codes[0, lengths[0] :] == END).all()


def test_a_vocabulary_is_a_function_of_the_counts_and_learns_words() -> None:
    one = vocabulary_of(SAID)
    assert one == learn(Counter(dict(reversed(count_words(SAID * 10).items()))))
    assert one[: len(BASE)] == BASE and " pleural" in one and " effusion" in one
    assert encode(SAID, one, 8)[1].tolist() == [3, 4, 4, 0]
    assert learn(Counter({"rare": 4})) == BASE  # below five times nothing is learnt


def test_words_of_any_length_are_coded_in_time_and_kept() -> None:
    long = "é" * 3000 + "9" * 3000 + " " * 500
    codes, _ = encode([long], BASE, 10_000)
    assert decode(codes, BASE)[0] == long


@pytest.mark.parametrize(
    "levels", [(*BASE, "Ā"), BASE[1:], (*BASE, 7), (*BASE, "aa", "aa"), ("x", "y")]
)
def test_other_levels_are_no_vocabulary(levels: tuple[Any, ...]) -> None:
    with pytest.raises(CausalcError):
        s.Kind("text", levels, (4,))
    with pytest.raises(CausalcError):
        s.Kind.from_json({"kind": "text", "shape": [4], "levels": list(levels)})


# ---- data


def containers(values: list[str], folder: Path) -> list[Any]:
    frame = pd.DataFrame({"R": values, "k": [0, 1] * (len(values) // 2)})
    frame.to_csv(folder / "rows.csv", index=False)
    frame.to_parquet(folder / "rows.parquet")
    table = pa.table({"R": pa.array(values, pa.large_string()), "k": frame["k"]})
    pa.feather.write_feather(table, folder / "rows.arrow")
    return [
        {"R": values, "k": frame["k"].to_numpy()},
        {"R": np.array(values), "k": frame["k"]},
        frame,
        table,
        folder / "rows.csv",
        folder / "rows.parquet",
        folder / "rows.arrow",
    ]


def test_every_container_gives_the_same_texts(tmp_path: Path) -> None:
    values = ["17", "2024-01-01", "true", "", "two\nlines, and a comma", 'a "quote"', "NA", "naïve"]
    schema = s.Schema({"R": s.text(40), "k": s.binary()})
    prints = set()
    for source in containers(values, tmp_path):
        columns = load(source, schema)
        assert labels(columns["R"], columns.schema["R"]).tolist() == values
        assert columns["R"].dtype == np.int32 and not columns.findings
        prints.add(columns.fingerprint())
    assert len(prints) == 1


def test_a_table_in_parts_gives_the_same_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = s.Schema({"R": s.text(8), "k": s.binary()})
    pd.DataFrame({"R": SAID * 20, "k": [0, 1] * 40}).to_csv(tmp_path / "rows.csv", index=False)
    whole = load(tmp_path / "rows.csv", schema)
    monkeypatch.setattr("causalc.runtime.stored.IN_MEMORY", 100)
    monkeypatch.setattr("causalc.runtime.stored.PART", 7)
    parts = load(tmp_path / "rows.csv", schema, tmp_path)
    assert parts.fingerprint() == whole.fingerprint()
    assert parts.schema["R"] == whole.schema["R"]


def test_long_texts_of_the_data_are_cut_and_counted() -> None:
    schema = s.Schema({"R": s.text(3)})
    columns = load({"R": SAID * 5}, schema)
    (line,) = columns.findings
    assert "10 of 20 texts take more than 3 tokens" in line and "text(max_tokens=4)" in line
    assert labels(columns["R"], columns.schema["R"])[1] == "small left pleural"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["a", None], "1 missing values, the first in row 1"),
        (["a", float("nan")], "1 missing values"),
        (["a", 3], "row 1: expected a text, got 3"),
        (["a", b"b"], "row 1: expected a text, got b'b'"),
        (["a", "\ud800"], "half of a character"),
        ([["a"], ["b"]], "one value a row"),
    ],
)
def test_what_is_no_text_is_refused(values: list[Any], said: str) -> None:
    with pytest.raises(CausalcError, match=said):
        load({"R": values}, s.Schema({"R": s.text(4)}))


def test_inputs_are_texts_one_or_one_a_row_and_never_cut() -> None:
    kind = kind_of(SAID, most=4)
    draw = Draw(Models({}, s.Schema({"R": kind}), 0), 4)
    assert labels(draw.input("R", SAID[1]), kind).tolist() == [SAID[1]] * 4
    assert labels(draw.input("R", SAID), kind).tolist() == SAID
    assert labels(draw.input("R", ""), kind).tolist() == [""] * 4
    with pytest.raises(CausalcError, match=r"a text of 6 tokens, at most 4 are taken"):
        draw.input("R", "no small left pleural effusion")
    with pytest.raises(CausalcError, match="expected one text"):
        draw.input("R", SAID[:3])
    with pytest.raises(CausalcError, match="expected a text, got 3"):
        draw.input("R", [3, "a", "b", "c"])
    assert draw.table({"R": draw.input("R", SAID)})["R"].tolist() == SAID


def test_a_kind_survives_json() -> None:
    kind = kind_of([*SAID, "naïve ✓"])
    assert s.Kind.from_json(json.loads(json.dumps(kind.to_json()))) == kind
    assert str(kind) == "text(8)"


# ---- samplers with a known law

CHAIN = 4  # places; tokens 0 (the end, absorbing), 1 and 2
START = np.array([0.1, 0.6, 0.3])
MOVE = np.array([[1, 0, 0], [0.3, 0.5, 0.2], [0.15, 0.25, 0.6]])
DRAWS = 60_000
# A chi-square of 31 cells lies above 72 less than once in ten thousand runs.
MOST_SQUARE = 72.0


def chain_law() -> np.ndarray:
    """P of every text of the Markov chain, ``(3,) * CHAIN``."""
    law = START
    for _ in range(CHAIN - 1):
        law = law[..., None] * MOVE
    return np.asarray(law)


def optimal(codes: torch.Tensor) -> torch.Tensor:
    """The exact posterior of each place given the tokens that are not masked (3), by enumeration."""
    law = torch.from_numpy(chain_law())
    patterns, which = codes.unique(dim=0, return_inverse=True)
    found = []
    for pattern in patterns.tolist():
        fits = law
        for place, code in enumerate(pattern):
            if code != 3:
                keep = torch.zeros(3, dtype=law.dtype)
                keep[code] = 1
                shape = [1] * CHAIN
                shape[place] = 3
                fits = fits * keep.reshape(shape)
        places = [fits.sum([j for j in range(CHAIN) if j != i]) for i in range(CHAIN)]
        found.append(torch.stack(places) / fits.sum())
    return torch.stack(found)[which].log()


def square(codes: torch.Tensor) -> float:
    counts = np.zeros((3,) * CHAIN)
    np.add.at(counts, tuple(codes.numpy().T), 1)
    law = chain_law()
    seen = law > 0
    assert counts[~seen].sum() == 0
    return float(((counts - DRAWS * law)[seen] ** 2 / (DRAWS * law[seen])).sum())


def test_unmasking_one_by_one_has_the_law_of_the_optimal_denoiser() -> None:
    noise = Noise(3, "unmask", 0, DRAWS)
    order, uniform = (torch.from_numpy(noise.uniform(CHAIN)) for _ in range(2))
    assert (chain_law() > 0).sum() == 31
    assert square(unmask(optimal, order, uniform, 3, CHAIN)) < MOST_SQUARE
    # Two places at once are drawn as if independent: the sampler's own law is then another one.
    assert square(unmask(optimal, order, uniform, 3, 2)) > 10 * MOST_SQUARE


def test_writing_has_the_law_of_the_chain() -> None:
    table = torch.from_numpy(np.vstack([MOVE, START])).log()
    uniform = torch.from_numpy(Noise(4, "write", 0, DRAWS).uniform(CHAIN))
    assert square(write(lambda previous, place: table[previous], uniform, 3)) < MOST_SQUARE


def test_draws_by_inversion_and_the_end() -> None:
    logits = torch.tensor([0.2, 0.3, 0.5]).log().expand(4, 3)
    uniform = torch.tensor([0.0, 0.19, 0.21, 1 - 2.0**-53], dtype=torch.float64)
    assert invert(logits, uniform).tolist() == [0, 0, 1, 2]
    assert ended(torch.tensor([[2, 0, 1], [1, 1, 1]])).tolist() == [[2, 0, 0], [1, 1, 1]]


# ---- networks


def untrained(kind: s.Kind, order: str, seed: int = 0) -> Author:
    torch.manual_seed(seed)
    made = Author(Shape((("R", kind),), (("k", s.binary()),)), 32, 2, order)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made.eval()


def test_steps_with_a_cache_are_the_whole_pass() -> None:
    writer: Writer = untrained(kind_of(SAID), "left").writer
    codes = torch.randint(0, writer.size, (5, 8), generator=torch.Generator().manual_seed(1))
    context = writer.known(torch.randn(5, 2, generator=torch.Generator().manual_seed(2)))
    whole, cache = writer(codes, context), []
    for place in range(8):
        previous = codes[:, place - 1] if place else torch.full((5,), writer.mask)
        step = writer.step(previous, place, context, cache)
        torch.testing.assert_close(step, whole[:, place], atol=1e-4, rtol=1e-4)


def test_probabilities_of_all_texts_sum_to_one() -> None:
    module = untrained(s.Kind("text", BASE, (2,)), "left")
    size = len(BASE)
    a, b = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    codes = torch.stack([a.flatten(), b.flatten()], dim=1)
    codes = codes[(codes[:, 0] != END) | (codes[:, 1] == END)]
    with torch.no_grad():
        batch = {"R": codes, "k": torch.zeros(len(codes), dtype=torch.int64)}
        total = module.log_probability(batch).double().exp().sum()
    assert float(total) == pytest.approx(1, abs=1e-4)


def test_what_follows_the_end_is_not_read() -> None:
    reader = Reader(kind_of(SAID)).eval()
    codes, _ = encode(SAID, vocabulary_of(SAID), 8)
    wide, _ = encode(SAID, vocabulary_of(SAID), 20)
    torch.testing.assert_close(reader(torch.from_numpy(codes)), reader(torch.from_numpy(wide)))
    alone = reader(torch.from_numpy(codes[:1]))
    torch.testing.assert_close(alone[0], reader(torch.from_numpy(codes))[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("order", ["left", "any"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_transformer_is_saved_and_draws_alike_in_any_batches(
    order: str, precision: str, tmp_path: Path
) -> None:
    columns = load({"R": SAID * 20, "k": [0, 1] * 40}, s.Schema({"R": s.text(8), "k": s.binary()}))
    shape = shape_of(columns, ("R",), ("k",))
    spec = specs.transformer(order=order, steps=20, width=32, precision=precision)
    made = fit_conditional("key", columns, None, shape, spec, Setting(0, "cpu"), Report(True))
    n = 700
    k = np.arange(n) % 2
    (drawn,) = made.sample(n, {"k": k}, Noise(1, "r", 0, n))
    assert drawn.shape == (n, 8) and drawn.dtype == np.int32
    parts = [
        made.sample(stop - start, {"k": k[start:stop]}, Noise(1, "r", start, stop))[0]
        for start, stop in ((0, 301), (301, n))
    ]
    assert (np.concatenate(parts) != drawn).any(axis=1).mean() < 0.01  # rounding of sums alone
    made.links[0][1].save(tmp_path)
    bounds.check("transformer", tmp_path)
    again = family("transformer").load(tmp_path, "cpu")
    rows = {"k": torch.from_numpy(k)}
    assert torch.equal(again.sample(n, rows, Noise(1, "r", 0, n))["R"], torch.from_numpy(drawn))
    if order == "any":
        with pytest.raises(CausalcError, match="masked diffusion has no probabilities"):
            made.log_prob({"k": columns["k"], "R": columns["R"]})
    else:
        assert (made.log_prob({"k": columns["k"], "R": columns["R"]}) < 0).all()


def test_a_doctored_folder_is_refused(tmp_path: Path) -> None:
    module = untrained(kind_of(SAID), "left")
    from causalc.runtime.families.transformer import FittedTransformer

    shape = Shape((("R", kind_of(SAID)),), (("k", s.binary()),))
    FittedTransformer(shape, module, (32, 2), 8).save(tmp_path)
    bounds.check("transformer", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for change in (
        {"size": [10**9, 2]},
        {"order": "up"},
        {"evaluations": 10**9},
        {"size": [64, 2]},
    ):
        (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(CausalcError):
            bounds.check("transformer", tmp_path)


def test_families_for_texts() -> None:
    kind = kind_of(SAID)
    both = Shape((("R", kind), ("y", s.real())), (("k", s.binary()),))
    assert [spec.family for _, spec in links(both, None, 100)] == ["transformer", "mixture"]
    assert links(both, specs.diffusion(), 100)[0][1].family == "transformer"
    spec = specs.transformer(order="any")
    assert links(both, spec, 100)[0][1] == spec
    assert links(both, spec, 100, density=True)[0][1] == specs.transformer()
    given = Shape((("k", s.binary()),), (("R", kind),))
    assert links(given, None, 100)[0][1].family == "softmax"


@pytest.mark.parametrize(
    "spec", [specs.table(), specs.softmax(), specs.mixture(), specs.diffusion()]
)
def test_a_text_is_no_target_of_other_families(spec: specs.ModelSpec) -> None:
    columns = load({"R": SAID * 5}, s.Schema({"R": s.text(8)}))
    shape = shape_of(columns, ("R",), ())
    with pytest.raises(CausalcError, match=rf"{spec.family}\(\).*R is text\(8\)"):
        fit_conditional("key", columns, None, shape, spec, Setting(0, "cpu"), Report(True))


# ---- encoders that somebody else trained


@pytest.fixture
def encoder_folder(tmp_path: Path) -> Path:
    """A tiny BERT with random weights and a tokenizer of words, as ``transformers`` saves them."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {w: i for i, w in enumerate(["[UNK]", "[PAD]", *sorted(set(" ".join(SAID).split()))])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", model_max_length=16
    )
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16,
    )  # fmt: skip
    folder = tmp_path / "encoder"
    fast.save_pretrained(folder)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def test_a_text_is_read_by_a_folder_named_as_its_encoder(
    encoder_folder: Path, tmp_path: Path
) -> None:
    schema = s.Schema({"R": s.text(8, encoder=str(encoder_folder)), "k": s.binary()})
    columns = load({"R": SAID * 30, "k": [0, 1, 1, 0] * 30}, schema)
    about = columns.schema["R"].encoder
    assert about is not None and about.width == 16 and len(about.digest) == 64
    shape = shape_of(columns, ("k",), ("R",))
    spec = specs.softmax(steps=60)
    made = fit_conditional("key", columns, None, shape, spec, Setting(0, "cpu"), Report(True))
    p = np.exp(made.log_prob({"R": columns["R"][:4], "k": np.array([0, 1, 1, 0])}))
    assert (p > 0.9).all()  # four texts that decide k
    made.links[0][1].save(tmp_path)
    bounds.check("softmax", tmp_path)
    config = json.loads((encoder_folder / "config.json").read_text())
    (encoder_folder / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 0.5}))
    frozen.cache_clear()
    with pytest.raises(CausalcError, match="the text encoder changed"):
        made.log_prob({"R": columns["R"][:4], "k": np.array([0, 1, 1, 0])})


def test_a_folder_that_is_no_encoder_is_refused(tmp_path: Path) -> None:
    schema = s.Schema({"R": s.text(8, encoder=str(tmp_path))})
    with pytest.raises(CausalcError, match="no folder of a text encoder"):
        load({"R": SAID}, schema)
    (tmp_path / "config.json").write_text('{"hidden_size": 16}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CausalcError, match=r"no model.safetensors; other formats"):
        load({"R": SAID}, schema)
    with pytest.raises(CausalcError, match="takes no encoder"):
        s.Kind("real", encoder=s.TextEncoder("x"))


# ---- what a report shows of texts


def test_a_report_shows_texts_as_text_and_the_words_that_differ() -> None:
    columns = load({"R": [*SAID[:3], "<b>&"] * 10}, s.Schema({"R": s.text(8)}))
    kind, codes = columns.schema["R"], columns["R"]
    drawn, rows, words = report_text.pictures("R", kind, codes, codes[::2])
    assert "<li>&lt;b&gt;&amp;</li>" in drawn.body and "<b>" not in drawn.body
    assert "&lt;b&gt;" not in rows.body  # every second row has it never
    assert "left" in words.body and " pleural 75.0%" in words.body
    assert report_text.gaps(codes[:4], kind, SAID[0]).tolist() == [0, 3, 3, 6]
    ((_, mine, _, _),) = report_text.compared("R", codes, codes)
    assert mine.startswith("3.5 ±")
    assert report_text.codes_of(["no " * 20], kind).shape == (1, 8)
