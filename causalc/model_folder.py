"""What a folder of somebody else's model says of itself: its JSON is read, nothing in it is executed.

Accepted are diffusers pipelines and Hugging Face classifiers of a closed list, with safetensors weights, complete on
this disk. ``described`` is what a compiler may know before anything is loaded: which kinds of variable the model
makes and reads. Both the compiler and the runtime ask here, so that they cannot disagree.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from causalc.errors import CausalcError

PIPELINES: Mapping[str, tuple[str, ...]] = {
    "DDPMPipeline": ("unet", "scheduler"),
    "DDIMPipeline": ("unet", "scheduler"),
    "LDMPipeline": ("vqvae", "unet", "scheduler"),
}
NETWORKS: Mapping[str, tuple[str, ...]] = {"unet": ("UNet2DModel",), "vqvae": ("AutoencoderKL",)}
SCHEDULERS = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
)
READERS: Mapping[str, str] = {  # classifiers by what they read
    **dict.fromkeys(
        (
            "AlbertForSequenceClassification",
            "BertForSequenceClassification",
            "DistilBertForSequenceClassification",
            "ElectraForSequenceClassification",
            "MPNetForSequenceClassification",
            "RobertaForSequenceClassification",
        ),
        "text",
    ),
    **dict.fromkeys(
        (
            "ConvNextForImageClassification",
            "DeiTForImageClassification",
            "ResNetForImageClassification",
            "ViTForImageClassification",
        ),
        "image",
    ),
}
WEIGHTS = {"pipeline": "diffusion_pytorch_model.safetensors", "classifier": "model.safetensors"}
_PLAIN = (".json", ".safetensors", ".txt", ".md", ".png", ".jpg")
_FORBIDDEN_KEYS = ("auto_map", "custom_pipelines", "custom_pipeline", "trust_remote_code")
_MOST_FILES, _MOST_JSON, _MOST_TOKENS = 200, 1 << 20, 1 << 25
_MOST_NUMBER, _MOST_LAYERS, _LONGEST = 1 << 20, 64, 4096

Slot = tuple[str, tuple[Any, ...]]
"""A variable as a model sees it: ("image", (h, w, channels)), ("discrete", levels) or (kind, ())."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a model makes and reads.

    A pipeline makes pictures of ``size`` (height, width, channels) and reads ``channels`` channels of pictures beside
    the noise (with an autoencoder, of their latents: ``latent`` of them a picture) and one of ``classes`` classes. A
    classifier makes one of ``labels`` and ``reads`` "image" or "text".
    """

    path: Path
    form: str
    name: str
    size: tuple[int, int, int] = (0, 0, 0)
    channels: int = 0
    latent: int = 0
    classes: int = 0
    labels: tuple[str, ...] = ()
    reads: str = ""

    def __str__(self) -> str:
        return f"{self.path} ({self.name})"


def described(path: Path) -> Described:
    """Read what the model in ``path`` is. Raises CausalcError where it is not one that may be used, and why."""
    files = inspected(path)
    if "model_index.json" in files:
        return _pipeline(path)
    if "config.json" in files:
        return _classifier(path)
    raise CausalcError(
        f"{path}: holds neither model_index.json (a diffusers pipeline) nor config.json (a classifier)."
    )


def inspected(path: Path) -> dict[str, Path]:
    """Return the files of a model folder by relative name; hidden ones are left aside.

    Raises CausalcError for code, for weights other than safetensors (pickled ones can run code), for links and for
    JSON that asks for code of its own.
    """
    if not path.is_dir():
        raise CausalcError(f"{path}: no such folder of a model.")
    found: dict[str, Path] = {}
    for file in sorted(_visible(path)):
        name = file.relative_to(path).as_posix()
        if file.is_symlink():
            raise CausalcError(f"{path}: {name} is a link; copy the model itself.")
        if file.suffix == ".py":
            raise CausalcError(
                f"{path}: {name} is code, and code of a model folder is never run; such a model goes "
                "through a function of your own, pretrained(callable = ...)."
            )
        if file.suffix not in _PLAIN:
            raise CausalcError(
                f"{path}: {name}: weights must be safetensors (others can hold code) and the rest JSON; "
                "save the model again with save_pretrained(folder, safe_serialization=True)."
            )
        found[name] = file
        if len(found) > _MOST_FILES:
            raise CausalcError(f"{path}: holds more files than a model has.")
        if file.suffix == ".json":
            _refuse_code(path, name, read_json(file))
    return found


def _visible(path: Path) -> Iterator[Path]:
    for child in path.iterdir():
        if child.name.startswith("."):
            continue
        if child.is_dir() and not child.is_symlink():
            yield from _visible(child)
        else:
            yield child


def digest(path: Path) -> str:
    """Return the sha256 of a model folder: names and contents of its files."""
    total = hashlib.sha256()
    for name, file in inspected(path).items():
        with file.open("rb") as content:
            total.update(f"{name}\0{hashlib.file_digest(content, 'sha256').hexdigest()}\0".encode())
    return total.hexdigest()


def read_json(file: Path) -> Any:
    """Read a JSON file of bounded size. Raises CausalcError."""
    most = _MOST_TOKENS if file.name in ("tokenizer.json", "vocab.json") else _MOST_JSON
    try:
        if file.stat().st_size > most:
            raise CausalcError(f"{file}: larger than such a file can be.")
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CausalcError(f"{file}: not JSON ({str(error)[:80]}).") from error


def _refuse_code(path: Path, name: str, value: Any) -> None:
    if isinstance(value, dict):
        for key in _FORBIDDEN_KEYS:
            if value.get(key):
                raise CausalcError(
                    f"{path}: {name} asks for code of its own ({key}), which is never run; such a model goes "
                    "through a function of your own, pretrained(callable = ...)."
                )


def config(folder: Path, known: Sequence[str]) -> dict[str, Any]:
    """Return the configuration of a part, its class among ``known`` and its numbers within bounds."""
    name = "scheduler_config.json" if folder.name == "scheduler" else "config.json"
    value = read_json(folder / name)
    if not isinstance(value, dict) or value.get("_class_name") not in known:
        shown = value.get("_class_name") if isinstance(value, dict) else None
        raise CausalcError(f"{folder / name}: {shown!r} where one of {', '.join(known)} belongs.")
    _bounded(folder / name, value)
    return value


def _bounded(place: Path, value: Mapping[str, Any]) -> None:
    for key, entry in value.items():
        items = entry if isinstance(entry, list) else [entry]
        most = _MOST_LAYERS if "layers" in key else _MOST_NUMBER
        numbers = [i for i in items if isinstance(i, int | float) and not isinstance(i, bool)]
        if len(items) > _LONGEST or any(not abs(i) <= most for i in numbers):
            raise CausalcError(f"{place}: {key} is out of bounds.")


def _pipeline(path: Path) -> Described:
    index = read_json(path / "model_index.json")
    name = str(index.get("_class_name")) if isinstance(index, dict) else ""
    if name not in PIPELINES:
        raise CausalcError(
            f"{path}: {name!r} is not a pipeline that can stand in a program; these can: {', '.join(PIPELINES)}. "
            "Any other model goes through a function of your own, pretrained(callable = ...)."
        )
    for part, entry in index.items():
        if isinstance(entry, list) and entry != [None, None] and part not in PIPELINES[name]:
            raise CausalcError(f"{path}: {name} has no part {part!r}.")
    for part in PIPELINES[name]:
        allowed = NETWORKS.get(part, SCHEDULERS)
        entry = index.get(part)
        if not isinstance(entry, list) or entry[:1] != ["diffusers"] or entry[-1] not in allowed:
            raise CausalcError(
                f"{path}: its {part} is {entry!r}; one of {', '.join(allowed)} of diffusers belongs there."
            )
    return _of_parts(path, name)


def _of_parts(path: Path, name: str) -> Described:
    try:
        unet, scheduler = (
            config(path / "unet", NETWORKS["unet"]),
            config(path / "scheduler", SCHEDULERS),
        )
        made, seen = int(unet["out_channels"]), int(unet["in_channels"])
        side = unet["sample_size"]
        height, width = (int(side), int(side)) if isinstance(side, int) else map(int, side)
        classes = int(unet.get("num_class_embeds") or 0)
        if unet.get("class_embed_type") is not None:
            raise CausalcError(
                f"{path}: classes of type {unet['class_embed_type']!r} are not read."
            )
        channels, latent = seen - made, 0
        if "vqvae" in PIPELINES[name]:
            vae = _autoencoder(path / "vqvae")
            latent = vae.latent
            if made != latent:
                raise CausalcError(
                    f"{path}: the network makes {made} channels, the autoencoder {latent}."
                )
            if scheduler.get("clip_sample", False):
                raise CausalcError(
                    f"{path}: its scheduler clips latents at ±1 (clip_sample), which are not bounded by it; "
                    "set clip_sample to false in scheduler_config.json."
                )
            made, height, width = vae.channels, height * vae.factor, width * vae.factor
    except (KeyError, TypeError, ValueError) as error:
        raise CausalcError(f"{path}: its configuration is incomplete ({error}).") from error
    return Described(path, "pipeline", name, (height, width, made), channels, latent, classes)


@dataclass(frozen=True, slots=True)
class Autoencoder:
    """An autoencoder of pictures with ``channels``: ``latent`` numbers for each square of ``factor`` pixels a side."""

    path: Path
    channels: int
    latent: int
    factor: int


def autoencoder(path: Path) -> Autoencoder:
    """Read what the autoencoder in ``path`` is. Raises CausalcError where it is none that may be used."""
    inspected(path)
    return _autoencoder(path)


def _autoencoder(path: Path) -> Autoencoder:
    value = config(path, NETWORKS["vqvae"])
    try:
        factor = 2 ** (len(value["block_out_channels"]) - 1)
        return Autoencoder(path, int(value["out_channels"]), int(value["latent_channels"]), factor)
    except (KeyError, TypeError, ValueError) as error:
        raise CausalcError(f"{path}: its configuration is incomplete ({error}).") from error


def _classifier(path: Path) -> Described:
    value = read_json(path / "config.json")
    names = value.get("architectures") if isinstance(value, dict) else None
    name = str(names[0]) if isinstance(names, list) and len(names) == 1 else repr(names)
    if name not in READERS:
        raise CausalcError(
            f"{path}: {name} is not a classifier that can stand in a program; these can: "
            f"{', '.join(READERS)}."
        )
    _bounded(path / "config.json", value)
    labels = value.get("id2label")
    if not isinstance(labels, dict) or sorted(labels) != sorted(map(str, range(len(labels)))):
        raise CausalcError(f"{path}: config.json has no id2label that numbers its labels from 0.")
    ordered = tuple(str(labels[str(i)]) for i in range(len(labels)))
    return Described(path, "classifier", name, labels=ordered, reads=READERS[name])


# ---- what a model may stand for


def misfits(
    model: Described, target: tuple[str, Slot], inputs: Sequence[tuple[str, Slot]]
) -> list[str]:
    """Return why the model cannot draw ``target`` from ``inputs``, as clauses; none where it can.

    Kinds that are not known yet ("inferred") are taken to fit.
    """
    if model.form == "classifier":
        return [*_label_misfits(model, *target), *_reading_misfits(model, inputs)]
    found = []
    name, (kind, shape) = target
    if kind != "image":
        found.append(f"it makes pictures, and `{name}` is {_words(kind, shape)}")
    elif shape != model.size:
        found.append(f"it makes pictures of {_size(model.size)}, and `{name}` is {_size(shape)}")
    pictures = [(v, s) for v, (k, s) in inputs if k == "image"]
    codes = [(v, s) for v, (k, s) in inputs if k == "discrete"]
    found += [
        f"it cannot read `{v}`, which is {_words(k, s)}"
        for v, (k, s) in inputs
        if k not in ("image", "discrete", "inferred")
    ]
    if any(k == "inferred" for _, (k, _) in inputs):
        return found
    return [*found, *_picture_misfits(model, pictures), *_class_misfits(model, codes)]


def _picture_misfits(
    model: Described, pictures: Sequence[tuple[str, tuple[Any, ...]]]
) -> Iterator[str]:
    names = _and([v for v, _ in pictures])
    wanted = sum(model.latent or shape[2] for _, shape in pictures)
    if wanted != model.channels:
        if not model.channels:
            yield f"it reads no picture, and {names} would be one to read"
        elif not pictures:
            yield f"it reads a picture beside the noise ({model.channels} channels), and no input is one"
        else:
            unit = "the latents of" if model.latent else "in"
            yield f"it reads {model.channels} channels of pictures beside the noise, and {unit} {names} are {wanted}"
    for v, shape in pictures:
        if shape[:2] != model.size[:2] or (model.latent and shape != model.size):
            yield f"it reads pictures of the size it makes, {_size(model.size)}, and `{v}` is {_size(shape)}"


def _class_misfits(model: Described, codes: Sequence[tuple[str, tuple[Any, ...]]]) -> Iterator[str]:
    names, count = _and([v for v, _ in codes]), math.prod(len(levels) for _, levels in codes)
    if codes and not model.classes:
        yield f"it takes no class, and {names} would be one"
    elif model.classes and not codes:
        yield f"it takes one of {model.classes} classes, and no input is one"
    elif codes and count != model.classes:
        yield f"it takes one of {model.classes} classes, and {names} have {count} combinations"


def _label_misfits(model: Described, name: str, slot: Slot) -> Iterator[str]:
    kind, levels = slot
    if kind not in ("discrete", "inferred"):
        yield f"it gives one of {len(model.labels)} labels, and `{name}` is {_words(kind, levels)}"
    elif kind == "discrete" and label_codes(model, levels) is None:
        shown = ", ".join(model.labels[:6]) + (", …" if len(model.labels) > 6 else "")
        yield f"its labels are {shown}, and the levels of `{name}` are {', '.join(map(str, levels[:6]))}"


def label_codes(model: Described, levels: Sequence[Any]) -> list[int] | None:
    """Return the level of each label: of the same name, or where levels are just 0, 1, …, of the same number."""
    names = [str(level) for level in levels]
    if sorted(names) == sorted(model.labels):
        return [names.index(label) for label in model.labels]
    numbered = list(levels) == list(range(len(levels)))
    return list(range(len(levels))) if numbered and len(levels) == len(model.labels) else None


def _reading_misfits(model: Described, inputs: Sequence[tuple[str, Slot]]) -> Iterator[str]:
    what = {"text": "a text", "image": "a picture"}[model.reads]
    if len(inputs) != 1:
        yield f"it reads {what} and nothing else, and the inputs are {_and([v for v, _ in inputs]) or 'none'}"
    for v, (kind, shape) in inputs:
        if kind not in (model.reads, "inferred"):
            yield f"it reads {what}, and `{v}` is {_words(kind, shape)}"


def _words(kind: str, shape: tuple[Any, ...]) -> str:
    if kind == "discrete":
        return f"one of {len(shape)} levels"
    return _size(shape) if kind == "image" else kind


def _size(shape: Sequence[int]) -> str:
    return f"{shape[0]} × {shape[1]} with {shape[2]} channel{'s' * (shape[2] > 1)}"


def _and(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return ", ".join(quoted[:-1]) + " and " + quoted[-1] if len(quoted) > 1 else "".join(quoted)
