"""Trained conditionals over canonical columns, and the mapping of them that a program returns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from causalc.errors import CausalcError
from causalc.runtime import bounds
from causalc.runtime.encode import Encoder
from causalc.runtime.families.protocol import Fitted, Shape
from causalc.runtime.families.registry import family
from causalc.runtime.noise import Noise
from causalc.runtime.schema import Kind, Schema
from causalc.runtime.seal import put_text, read_json, read_sealed, sealed
from causalc.runtime.store import FORMAT, seal, verify

_MODEL = re.compile(r"model-[0-9]+-[0-9a-f]{12}")

Arrays = Mapping[str, np.ndarray]


class Model(Protocol):
    """Anything a network may draw from: a trained conditional, or real rows."""

    @property
    def key(self) -> str:
        """What identifies the model: equal keys, equal models."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """The variables it draws."""
        ...

    @property
    def inputs(self) -> tuple[str, ...]:
        """The variables it needs."""
        ...

    def sample(self, n: int, inputs: Arrays, noise: Noise) -> tuple[np.ndarray, ...]:
        """Draw ``n`` rows given canonical input columns; canonical columns, one a target."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model into an existing, empty folder."""
        ...


@dataclass(frozen=True, slots=True)
class Conditional:
    """A trained P(targets | inputs): a chain of links, each a fitted family."""

    key: str
    shape: Shape
    encoders: Mapping[str, Encoder]
    links: tuple[tuple[str, Fitted], ...]

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the targets."""
        return self.shape.target_names

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(name for name, _ in self.shape.inputs)

    def _encode(self, columns: Arrays, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
        return {name: self.encoders[name].encode(columns[name]) for name in names}

    def sample(self, n: int, inputs: Arrays, noise: Noise) -> tuple[np.ndarray, ...]:
        """Draw the targets link by link; ``n`` rows."""
        known = self._encode(inputs, self.inputs)
        for _, fitted in self.links:
            drawn = fitted.sample(n, known, noise)
            known |= drawn
        return tuple(self.encoders[name].decode(known[name]) for name in self.targets)

    def log_prob(self, columns: Arrays) -> np.ndarray:
        """Return log probabilities (densities of encoded values), float64 ``(n,)``.

        Raises CausalcError where a family has no density.
        """
        rows = self._encode(columns, (*self.inputs, *self.targets))
        parts = [fitted.log_prob(rows, rows) for _, fitted in self.links]
        return np.asarray(torch.stack(parts).sum(dim=0).numpy())

    def compile(self) -> None:
        """Have torch compile the networks of links that are called many times a draw, where an accelerator is."""
        for _, fitted in self.links:
            if hasattr(fitted, "compile"):
                fitted.compile()

    def save(self, folder: Path) -> None:
        """Write ``config.json`` and one folder a link."""
        config = {
            "type": "conditional",
            "key": self.key,
            "shape": self.shape.to_json(),
            "encoders": {name: encoder.to_json() for name, encoder in self.encoders.items()},
            "families": [name for name, _ in self.links],
        }
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        for i, (_, fitted) in enumerate(self.links):
            (folder / str(i)).mkdir()
            fitted.save(folder / str(i))


@dataclass(frozen=True, slots=True)
class Rows:
    """Real rows, drawn jointly with replacement in proportion to their weights."""

    key: str
    kinds: Mapping[str, Kind]
    columns: Arrays
    cumulative: np.ndarray | None

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.kinds)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Nothing: real rows are drawn unconditionally."""
        return ()

    def sample(self, n: int, inputs: Arrays, noise: Noise) -> tuple[np.ndarray, ...]:
        """Draw ``n`` rows."""
        u, total = noise.uniform(), len(self.columns[self.targets[0]])
        if self.cumulative is None:
            index = np.minimum((u * total).astype(np.int64), total - 1)
        else:
            index = np.searchsorted(self.cumulative, u * self.cumulative[-1], "right")
            index = np.minimum(index, total - 1)
        return tuple(self.columns[name][index] for name in self.targets)

    def save(self, folder: Path) -> None:
        """Write the rows as safetensors."""
        from safetensors.numpy import save_file

        arrays = {f"column.{i}": self.columns[name] for i, name in enumerate(self.targets)}
        if self.cumulative is not None:
            arrays["cumulative"] = self.cumulative
        kinds = [[name, kind.to_json()] for name, kind in self.kinds.items()]
        config = {"type": "rows", "key": self.key, "kinds": kinds}
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        save_file(
            {k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / "rows.safetensors"
        )


def load_model(
    folder: Path, device: str, functions: Mapping[str, Callable[..., Any]] | None = None
) -> Model:
    """Read a model written by ``save``. Raises CausalcError if it is not one.

    ``functions`` are those of the host program that such models may be bound to, by name.

    The folder may come from a stranger: classes come from closed lists, sizes are checked before
    anything is built (see ``bounds``), and whatever else is wrong with it is the folder's fault.
    """
    try:
        config = read_json(folder / "config.json")
        if config["type"] == "rows":
            return _load_rows(folder, config)
        if config["type"] == "pretrained":
            from causalc.runtime.binding import reopened

            return reopened(folder, config, device, functions or {})
        if config["type"] != "conditional":
            raise KeyError(config["type"])
        encoders = {name: Encoder.from_json(value) for name, value in config["encoders"].items()}
        made = []
        for i, name in enumerate(config["families"]):
            bounds.check(name, folder / str(i))
            made.append((name, family(name).load(folder / str(i), device)))
        model = Conditional(
            str(config["key"]), Shape.from_json(config["shape"]), encoders, tuple(made)
        )
        _check_chain(model)
        return model
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise CausalcError(f"{folder}: not a saved model ({reason}).") from error


def _check_chain(model: Conditional) -> None:
    """Raise CausalcError unless each link draws from what is known by then, and all targets come."""
    kinds = dict((*model.shape.inputs, *model.shape.targets))
    known = dict(model.shape.inputs)
    for _, fitted in model.links:
        if any(known.get(name) != kind for name, kind in fitted.shape.inputs):
            raise CausalcError(f"{fitted.shape} asks for what is not known by then.")
        known |= dict(fitted.shape.targets)
    if known != kinds or any(
        model.encoders[name].kind != kind or model.encoders[name].faulty
        for name, kind in kinds.items()
    ):
        raise CausalcError(f"{model.shape}: its parts are of other variables.")


def _load_rows(folder: Path, config: Mapping[str, Any]) -> Rows:
    from safetensors.numpy import load_file

    arrays = load_file(folder / "rows.safetensors")
    kinds = {name: Kind.from_json(kind) for name, kind in config["kinds"]}
    columns = {name: arrays[f"column.{i}"] for i, name in enumerate(kinds)}
    lengths = {len(values) for values in arrays.values()}
    codes = all(
        values.min() >= 0 and values.max() < len(kinds[name].levels)
        for name, values in columns.items()
        if kinds[name].levels
    )
    shaped = all(values.shape[1:] == kinds[name].shape for name, values in columns.items())
    if len(lengths) != 1 or 0 in lengths or not shaped or not codes:
        raise CausalcError("its columns do not fit their kinds.")
    return Rows(str(config["key"]), kinds, columns, arrays.get("cumulative"))


class Models(Mapping[str, Model]):
    """What ``train`` returns: models by name, with the schema and the seed. Self-contained.

    ``stages`` are the keys in the store of all that was fitted for them, in the order of the program.
    """

    backend = "sampling"

    def __init__(
        self,
        models: Mapping[str, Model],
        schema: Schema,
        seed: int,
        findings: tuple[str, ...] = (),
        data: str = "",
        stages: tuple[str, ...] = (),
        trained: tuple[Mapping[str, Any], ...] = (),
    ) -> None:
        self._models = dict(models)
        self.stages = stages
        self.trained = trained  # of each stage: label, rows, seconds, held-out losses
        self.data = data  # the fingerprint of the rows they were trained on, where known
        self.schema, self.seed, self.findings = schema, seed, findings

    def __getitem__(self, name: str) -> Model:
        if name not in self._models:
            raise CausalcError(f"There is no model {name!r} among {', '.join(self._models)}.")
        return self._models[name]

    def __contains__(self, name: object) -> bool:
        return name in self._models

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    def drawing(self, n: int, **options: Any) -> Any:
        """Begin drawing ``n`` rows (see ``causalc.runtime.draw.Draw``)."""
        from causalc.runtime.draw import Draw

        return Draw(self, n, **options)

    def save(self, folder: str | Path) -> dict[str, str]:
        """Write all models into ``folder`` (made if need be; it must not hold anything else).

        Returns the name of each model's folder in it. Raises CausalcError where it holds something else.
        """
        root = Path(folder)
        if root.exists() and (not root.is_dir() or (any(root.iterdir()) and not _ours(root))):
            raise CausalcError(f"{root}: not empty, and not a folder of saved models.")
        root.mkdir(parents=True, exist_ok=True)
        index = {}
        for i, (name, model) in enumerate(self._models.items()):
            place = root / f"model-{i}-{model.key[:12]}"
            index[name] = place.name
            if not place.exists():
                place.mkdir()
                model.save(place)
                seal(place, {"label": name, "seconds": 0.0})
        config = {
            "format": FORMAT,
            "type": "models",
            "seed": self.seed,
            "schema": self.schema.to_json(),
            "findings": list(self.findings),
            "data": self.data,
            "trained": [dict(one) for one in self.trained],
            "models": index,
        }
        put_text(root / "models.json", sealed(config))
        return index

    @staticmethod
    def load(
        folder: str | Path,
        device: str = "auto",
        callables: Mapping[str, Callable[..., Any]] | None = None,
    ) -> Models:
        """Read what ``save`` wrote, after checking every file."""
        root = Path(folder)
        config = read_json(root / "models.json")
        if not isinstance(config, dict) or not isinstance(config.get("models"), dict):
            raise CausalcError(f"{root}: not a folder of saved models.")
        if config.get("format") != FORMAT:
            raise CausalcError(f"{root}: saved in format {config.get('format')!r}, not {FORMAT}.")
        config = read_sealed(root / "models.json")
        if config is None:
            raise CausalcError(f"{root / 'models.json'}: changed since it was written; restore it.")
        try:
            schema, seed = Schema.from_json(config["schema"]), int(config["seed"])
            index, findings = dict(config["models"]), tuple(map(str, config["findings"]))
            data, trained = str(config.get("data", "")), tuple(map(dict, config.get("trained", ())))
        except (ValueError, KeyError, TypeError, OverflowError, AttributeError):
            raise CausalcError(f"{root}: not a folder of saved models.") from None
        models = {}
        for name, place in index.items():
            path = root / str(place)
            if not _MODEL.fullmatch(str(place)) or path.is_symlink():
                raise CausalcError(f"{root}: models.json names {place!r}, outside the folder.")
            verify(path)
            models[name] = load_model(path, pick_device(device), callables)
        return Models(models, schema, seed, findings, data, (), trained)


def _ours(root: Path) -> bool:
    return (root / "models.json").is_file()


def pick_device(device: str) -> str:
    """Return the torch device for "auto" (CUDA, then MPS, then the CPU) or check one given."""
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise CausalcError(f"device {device!r} cannot be used here ({reason}).") from error
    return device
