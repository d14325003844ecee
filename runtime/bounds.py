"""What a saved model may ask for, settled before any of it is built: a folder may come from a stranger.

A network is first made without memory (on torch's "meta" device) and its weights' names and shapes
compared with the header of the weights file; so nothing is allocated that the file does not fill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from causalc.errors import CausalcError
from causalc.runtime.families.protocol import Shape
from causalc.runtime.seal import read_json

_DEEPEST = 256  # layers
_WIDEST = 1 << 20  # numbers side by side
_MOST_EVALUATIONS = 1000  # of the network, a sample: as many as any sampler has use for


def check(family: str, folder: Path) -> None:
    """Raise CausalcError unless the network that ``folder`` describes is the one its weights fill."""
    config = read_json(folder / "config.json")
    if not isinstance(config, dict):
        raise CausalcError(f"{folder / 'config.json'}: missing or damaged.")
    if family in _MODULES:
        compare(_module(family, config), folder / "model.safetensors")
    elif family == "transformer":
        compare(_author(config), folder / "model.safetensors")
        if not 1 <= _whole(config["evaluations"]) <= _WIDEST:
            raise CausalcError(f"{folder / 'config.json'}: impossible number of evaluations.")
    elif family == "diffusion":
        compare(_denoiser(config, folder), folder / "denoiser" / _WEIGHTS)
        scale = config["data_scale"]
        if not isinstance(scale, list) or len(scale) > _WIDEST:
            raise CausalcError(f"{folder / 'config.json'}: no scale of the data.")
        if not 1 <= _whole(config["evaluations"]) <= _MOST_EVALUATIONS:
            raise CausalcError(f"{folder / 'config.json'}: impossible number of evaluations.")


_WEIGHTS = "diffusion_pytorch_model.safetensors"


# Families whose whole module is a function of the shape and a few sizes, the depth last.
_MODULES = {
    "softmax": ("causalc.runtime.families.softmax", "Classifier", 2),
    "mixture": ("causalc.runtime.families.mixture", "Mixture", 3),
    "flow": ("causalc.runtime.families.flow", "Flow", 3),
    "vae": ("causalc.runtime.families.vae", "Autoencoder", 3),
    "gan": ("causalc.runtime.families.gan", "Adversaries", 3),
}


def _module(family: str, config: Mapping[str, Any]) -> Callable[[], nn.Module]:
    module, name, count = _MODULES[family]
    *widths, depth = map(_whole, config["size"])
    if len(widths) != count - 1:
        raise CausalcError(f"{family}: {len(widths) + 1} sizes where {count} are expected.")
    _small(depth, *widths)
    shape = Shape.from_json(config["shape"])
    maker: Any = getattr(import_module(module), name)
    return lambda: maker(shape, *widths, depth)


def _author(config: Mapping[str, Any]) -> Callable[[], nn.Module]:
    from causalc.runtime.families.transformer import ORDERS, Author

    width, depth = map(_whole, config["size"])
    _small(depth, width)
    if config["order"] not in ORDERS:
        raise CausalcError(f"Unknown order {str(config['order'])[:40]!r}.")
    shape = Shape.from_json(config["shape"])
    return lambda: Author(shape, width, depth, config["order"])


def _denoiser(config: Mapping[str, Any], folder: Path) -> Callable[[], nn.Module]:
    from causalc.runtime.families.diffusion import DENOISERS

    name = config["denoiser"]
    if name not in DENOISERS:
        raise CausalcError(f"Unknown denoiser {name!r}: use one of {', '.join(DENOISERS)}.")
    asked = read_json(folder / "denoiser" / "config.json")
    present = {path.name for path in (folder / "denoiser").iterdir()}
    if not isinstance(asked, dict) or present != {"config.json", _WEIGHTS}:
        raise CausalcError(f"{folder / 'denoiser'}: holds other files than a denoiser has.")
    options = {key: value for key, value in asked.items() if not key.startswith("_")}
    if options.get("shape") != config["shape"]:
        raise CausalcError(f"{folder / 'denoiser'}: made for other variables.")
    more = {key: _whole(value) for key, value in options.items() if key != "shape"}
    depth = more.get("depth", 1)
    # No tower, rather than one of width 0; no groups; a flat chart.
    without = {"tower_width": 0, "groups": 0, "chart_width": 0}.items() & more.items()
    _small(depth, *(value for key, value in more.items() - without if key != "depth"))
    maker: Any = getattr(import_module(DENOISERS[name]), name)
    return lambda: maker(shape=options["shape"], **more)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise CausalcError(f"{str(value)[:40]!r} where a whole number is expected.")
    return value


def _small(depth: int, *widths: int) -> None:
    if not 0 <= depth <= _DEEPEST or not all(1 <= width <= _WIDEST for width in widths):
        raise CausalcError(f"a network of depth {depth} and widths {widths} is out of bounds.")


def compare(make: Callable[[], nn.Module], path: Path) -> None:
    """Compare a network's weights with those of a file, by the header of each alone.

    Raises CausalcError where they differ in name or shape; neither is read into memory.
    """
    with torch.device("meta"):
        wanted = {name: list(value.shape) for name, value in make().state_dict().items()}
    with safe_open(path, "pt") as file:
        found = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    if wanted != found:
        raise CausalcError(f"{path}: its weights are not those of the network in its config.json.")
