"""Functions of the host program, and classifiers from a folder, as conditional distributions.

A labeler that gives the same label whenever it sees the same inputs is a point mass: a factor like any other, and the
right one where the labels in the data were made by that very labeler.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import numpy as np
import torch

from causalc.errors import CausalcError
from causalc.model_folder import WEIGHTS, Described, described, label_codes, read_json
from causalc.runtime.data import canonical, labels
from causalc.runtime.families.protocol import Shape
from causalc.runtime.noise import Noise
from causalc.runtime.sources import to_array

Function = Callable[..., Any]
_AT_ONCE = 64  # rows


@dataclass(frozen=True, slots=True, eq=False)
class Called:
    """A function of the host program by the name that the script gives it.

    It is called with a mapping of columns, one entry a row, values as users write them (labels, uint8 pictures
    ``(n, h, w, channels)``, numbers); and, if it takes a second argument, with a ``Noise`` of these rows, whose
    ``normal(*shape)`` and ``uniform(*shape)`` make draws that do not depend on the batch. It returns n values.
    """

    shape: Shape
    name: str
    function: Function | None

    def draw(self, inputs: Mapping[str, np.ndarray], n: int, noise: Noise) -> np.ndarray:
        """Return what the function makes of the inputs, checked, as a canonical column."""
        ((target, kind),) = self.shape.targets
        if self.function is None:
            raise CausalcError(
                f"{target} is drawn by the function {self.name!r} of the host program, which was not given: "
                f"fit(..., callables={{{self.name!r}: f}}) or causalc.load(..., callables=...) binds it."
            )
        given = {name: labels(inputs[name], kind) for name, kind in self.shape.inputs}
        more = (noise,) if _takes_noise(self.function) else ()
        try:
            made = to_array(target, self.function(given, *more))
        except CausalcError:
            raise
        except Exception as error:  # whatever a function of somebody else raises
            reason = f"{type(error).__name__}: {error}"[:200]
            raise CausalcError(
                f"the function {self.name!r}, which draws {target}, failed ({reason})."
            ) from error
        if len(made) != n:
            raise CausalcError(
                f"the function {self.name!r} returned {len(made)} values of {target} for {n} rows."
            )
        return canonical(target, made, kind, f"The function {self.name!r}:")

    def save(self, folder: Path) -> None:
        """Write nothing: a function is bound again when the model is read back."""


def _takes_noise(function: Function) -> bool:
    try:
        taken = signature(function).parameters.values()
    except (TypeError, ValueError):  # some built-in functions have no signature
        return False
    places = [
        p for p in taken if p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    ]
    return len([p for p in places if p.default is Parameter.empty]) >= 2


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A Hugging Face classifier that gives its likeliest label; ``codes`` are the levels of its labels."""

    shape: Shape
    about: Described
    network: Any
    prepare: Callable[[np.ndarray], Mapping[str, torch.Tensor]]
    codes: np.ndarray
    device: str

    @torch.no_grad()
    def draw(self, inputs: Mapping[str, np.ndarray], n: int, noise: Noise) -> np.ndarray:
        """Return codes ``(n,)``."""
        ((name, kind),) = self.shape.inputs
        values, parts = labels(inputs[name], kind), []
        for first in range(0, n, _AT_ONCE):
            batch = self.prepare(values[first : first + _AT_ONCE])
            seen = {key: tensor.to(self.device) for key, tensor in batch.items()}
            parts.append(self.network(**seen).logits.argmax(dim=1).cpu().numpy())
        return np.asarray(self.codes[np.concatenate(parts)])

    def save(self, folder: Path) -> None:
        """Copy the classifier's files."""
        from causalc.runtime.pipelines import copied

        copied(self.about.path, folder)


def load_classifier(path: Path, shape: Shape, device: str) -> Classifier:
    """Read a classifier. Raises CausalcError unless its weights fill the network that its JSON describes."""
    about = described(path)
    codes = label_codes(about, shape.targets[0][1].levels)
    if codes is None:
        raise CausalcError(f"{about}: its labels are not the levels of {shape.target_names[0]}.")
    try:
        import transformers
    except ImportError as error:
        raise CausalcError(
            f"{about}: reading it takes the package transformers: pip install 'causalc[text]'."
        ) from error
    maker = getattr(transformers, about.name)
    settings = maker.config_class.from_dict(read_json(path / "config.json"))
    _fills(lambda: maker(settings), path / WEIGHTS["classifier"])
    network, told = maker.from_pretrained(
        path, local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    if told["missing_keys"] or told["mismatched_keys"]:
        raise CausalcError(
            f"{about}: its weights lack {sorted(map(str, told['missing_keys']))[:3]}."
        )
    network = network.requires_grad_(False).to(device).eval()
    prepare = _texts(path, transformers) if about.reads == "text" else _pictures(path, settings)
    return Classifier(shape, about, network, prepare, np.array(codes), device)


def _fills(make: Callable[[], Any], path: Path) -> None:
    """Raise CausalcError where a network is larger than its weights: it is not built in memory for that."""
    from safetensors import safe_open

    with torch.device("meta"):
        wanted = sum(value.numel() for value in make().parameters())
    with safe_open(path, "pt") as file:
        slices = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    if wanted > sum(int(np.prod(shape)) for shape in slices):
        raise CausalcError(f"{path}: holds fewer weights than the network in its config.json has.")


def _texts(path: Path, transformers: Any) -> Callable[[np.ndarray], Mapping[str, torch.Tensor]]:
    if not (path / "tokenizer.json").is_file():
        raise CausalcError(f"{path}: has no tokenizer.json; save the tokenizer beside the model.")
    more = path / "tokenizer_config.json"
    known = json.loads(more.read_text(encoding="utf-8")) if more.is_file() else {}
    special = {k: v for k, v in known.items() if k.endswith("_token") and isinstance(v, str)}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(path / "tokenizer.json"), **{"pad_token": "[PAD]", **special}
    )
    longest = min(int(known.get("model_max_length", 512)), 4096)

    def prepare(values: np.ndarray) -> Mapping[str, torch.Tensor]:
        made = tokenizer(
            [str(value) for value in values],
            padding=True,
            truncation=True,
            max_length=longest,
            return_tensors="pt",
        )
        return {name: made[name] for name in ("input_ids", "attention_mask")}

    return prepare


def _pictures(path: Path, settings: Any) -> Callable[[np.ndarray], Mapping[str, torch.Tensor]]:
    side = int(getattr(settings, "image_size", 224))
    found = path / "preprocessor_config.json"
    known = read_json(found) if found.is_file() else {}
    mean, spread = (
        torch.tensor(known.get(f"image_{k}", 0.5)).reshape(-1, 1, 1) for k in ("mean", "std")
    )

    def prepare(values: np.ndarray) -> Mapping[str, torch.Tensor]:
        pixels = torch.from_numpy(np.ascontiguousarray(values)).permute(0, 3, 1, 2).float() / 255
        pixels = pixels.expand(-1, int(getattr(settings, "num_channels", 3)), -1, -1)
        if pixels.shape[2:] != (side, side):
            pixels = torch.nn.functional.interpolate(
                pixels, (side, side), mode="bilinear", antialias=True
            )
        return {"pixel_values": (pixels - mean) / spread}

    return prepare
