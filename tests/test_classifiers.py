"""Hugging Face classifiers from a folder as labelers; skipped where transformers is not installed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from causalc.errors import CausalcError
from causalc.model_folder import described
from causalc.runtime.families.protocol import Shape
from causalc.runtime.labelers import load_classifier
from causalc.runtime.noise import Noise
from causalc.runtime.schema import binary, categorical, image, vector
from causalc.script import compile_script

NOISE = Noise(0, "", 0, 90)


@pytest.fixture
def seer(tmp_path: Path) -> Path:
    """A tiny random classifier of pictures, saved."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    labels = {0: "cat", 1: "dog", 2: "owl"}
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    more = {"intermediate_size": 16, "image_size": 8, "patch_size": 4, "num_channels": 3}
    made = transformers.ViTConfig(**sizes, **more, id2label=labels)
    transformers.ViTForImageClassification(made).save_pretrained(tmp_path / "seer")
    return tmp_path


SCRIPT = """
graph {{ P -> L -> Y; P <-> Y }}
var P : image(8, 8, channels={channels})
var L : {kind}
var Y : binary
model L = pretrained("seer", inputs = [P])
query effect = P(Y, L | do(P))
"""


def compiled(home: Path, kind: str = 'categorical("owl", "cat", "dog")', channels: int = 3) -> Any:
    (home / "a.causal").write_text(SCRIPT.format(kind=kind, channels=channels), encoding="utf-8")
    return compile_script(home / "a.causal").program


def test_a_classifier_labels_inside_a_compiled_program(seer: Path) -> None:
    """Labels are matched by name, and are those that the network itself finds likeliest."""
    import transformers

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (90, 8, 8, 3), dtype=np.uint8)
    network = transformers.ViTForImageClassification.from_pretrained(seer / "seer").eval()
    with torch.no_grad():
        seen = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
        likeliest = network(pixel_values=seen).logits.argmax(dim=1).tolist()
    names = np.array(["cat", "dog", "owl"])[likeliest]
    data = {"P": pictures, "L": names, "Y": rng.integers(2, size=90)}
    sampler = compiled(seer).fit(data, progress=False)
    assert sampler.sample(90, P=pictures)["L"].tolist() == names.tolist()


def test_a_classifier_of_other_things_is_refused_at_compile_time(seer: Path) -> None:
    with pytest.raises(CausalcError, match=r"its labels are cat, dog, owl, and the levels of `L`"):
        compiled(seer, 'categorical("cat", "dog", "bat")')
    config = seer / "seer" / "config.json"
    config.write_text(
        json.dumps(json.loads(config.read_text()) | {"auto_map": {"AutoModel": "a.B"}})
    )
    with pytest.raises(CausalcError, match="asks for code of its own"):
        compiled(seer)


def test_weights_must_fill_the_network(seer: Path) -> None:
    config = seer / "seer" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"hidden_size": 4096}))
    shape = Shape((("L", categorical("cat", "dog", "owl")),), (("P", image(8, 8, 3)),))
    with pytest.raises(CausalcError, match="fewer weights than the network"):
        load_classifier(seer / "seer", shape, "cpu")


def test_a_classifier_of_texts(tmp_path: Path) -> None:
    """Texts of any length in one batch get the label that each gets alone."""
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "no", "sign", "of", "edema", "large"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    more = {
        "intermediate_size": 16,
        "vocab_size": len(words),
        "id2label": {0: "no", 1: "yes"},
        "initializer_range": 1.0,
    }
    torch.manual_seed(4)
    made = transformers.BertForSequenceClassification(transformers.BertConfig(**sizes, **more))
    made.save_pretrained(tmp_path)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    about = described(tmp_path)
    assert (about.reads, about.labels) == ("text", ("no", "yes"))
    texts = ["no sign of edema", "large edema", "edema", "no", "sign sign sign sign large"]
    shape = Shape((("E", binary("no", "yes")),), (("R", vector(1)),))
    classifier = load_classifier(tmp_path, shape, "cpu")
    together = classifier.draw({"R": np.array(texts, object)}, 5, NOISE)
    alone = [classifier.draw({"R": np.array([t], object)}, 1, NOISE)[0] for t in texts]
    assert together.tolist() == alone
    assert len(set(alone)) == 2
