"""Text encoders that somebody else trained: a local Hugging Face or sentence-transformers folder.

Frozen: a text's vector is the mean of its tokens' last states, of unit length times the root of its width. Every
distinct text is encoded once. Only JSON and safetensors are read, nothing is fetched and no code of the
folder is run. Needs the package ``transformers`` (``pip install causalc[text]``).
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from causalc.errors import CausalcError
from causalc.runtime.schema import Kind, TextEncoder
from causalc.runtime.tokens import vocabulary

_WEIGHTS = "model.safetensors"
_BATCH = 64


def described(encoder: TextEncoder) -> TextEncoder:
    """Return the encoder with the width and the digest of its folder.

    Raises CausalcError where the folder is none of a text encoder.
    """
    root = Path(encoder.path)
    try:
        config = json.loads((root / "config.json").read_text(encoding="utf-8"))
        width = config["hidden_size"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CausalcError(
            f"{root}: no folder of a text encoder ({_reason(error)}): name one with config.json, {_WEIGHTS} and a "
            "tokenizer, as transformers saves them."
        ) from None
    if not (root / _WEIGHTS).is_file():
        raise CausalcError(
            f"{root}: there is no {_WEIGHTS}; other formats of weights are not read, since they can run code: "
            "save the model again with safe_serialization=True."
        )
    if isinstance(width, bool) or not isinstance(width, int):
        raise CausalcError(f"{root}: its config.json gives no hidden_size.")
    return TextEncoder(encoder.path, _digest(root), width)


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:100] or type(error).__name__


def _digest(root: Path) -> str:
    """Return the sha256 of all that a text's vector depends on."""
    found = hashlib.sha256()
    for path in sorted(root.iterdir()):
        if path.suffix in (".json", ".txt", ".model") or path.name == _WEIGHTS:
            found.update(path.name.encode())
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


@dataclass(slots=True)
class FrozenEncoder:
    """An encoder with the vectors of the texts it has met."""

    about: TextEncoder
    tokenizer: Any = field(repr=False)
    model: Any = field(repr=False)
    known: dict[bytes, torch.Tensor] = field(default_factory=dict, repr=False)

    def __call__(self, codes: torch.Tensor, tokens: tuple[str, ...]) -> torch.Tensor:
        """Return vectors ``(n, width)`` of texts as codes ``(n, places)``, on the device of the codes."""
        rows = codes.to("cpu", torch.int32).numpy()
        keys = [row.tobytes() for row in rows]
        new = {key: row for key, row in zip(keys, rows, strict=True) if key not in self.known}
        texts = [vocabulary(tokens).text(row.tolist()) for row in new.values()]
        for start in range(0, len(texts), _BATCH):
            vectors = self._encode(texts[start : start + _BATCH])
            self.known.update(zip(list(new)[start : start + _BATCH], vectors, strict=True))
        found = [self.known[key] for key in keys]
        return (torch.stack(found) if found else torch.empty(0, self.about.width)).to(codes.device)

    @torch.no_grad()
    def _encode(self, texts: list[str]) -> torch.Tensor:
        given = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        states = self.model(**given).last_hidden_state.float()
        there = given["attention_mask"][:, :, None].float()
        mean = (states * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
        return torch.nn.functional.normalize(mean, dim=1) * math.sqrt(self.about.width)


@lru_cache(maxsize=4)
def frozen(about: TextEncoder) -> FrozenEncoder:
    """Read an encoder. Raises CausalcError where its folder is gone or changed, or transformers is absent."""
    if described(TextEncoder(about.path)) != about:
        raise CausalcError(
            f"{about.path}: the text encoder changed since a model was trained with it; put the old one back, or "
            "train again."
        )
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError:
        raise CausalcError(
            "text(encoder=...) needs the package transformers: pip install 'causalc[text]'."
        ) from None
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(about.path, **options)
        model = AutoModel.from_pretrained(about.path, use_safetensors=True, **options)
    except Exception as error:  # whatever a stranger's folder makes the package raise
        raise CausalcError(
            f"{about.path}: cannot be read as a text encoder ({_reason(error)})."
        ) from error
    return FrozenEncoder(about, tokenizer, model.eval())


class FrozenReader(torch.nn.Module):
    """A text as the vector ``(n, width)`` of a frozen encoder; it has no weights of its own."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        assert kind.encoder is not None
        self.about, self.tokens = kind.encoder, tuple(map(str, kind.levels))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Map codes ``(n, tokens)`` to ``(n, width)``."""
        return frozen(self.about)(codes, self.tokens)
