"""Models that somebody else trained, each bound to one factor: frozen, or trained further on the rows.

A frozen model is no stage of the store: nothing is computed for it. Its key holds the contents of its folder, or the
name, the version and the first answers of a function, so whatever was generated from it is made again once it changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from causalc.errors import CausalcError
from causalc.model_folder import Slot, described, digest, misfits
from causalc.runtime import labelers, pipelines
from causalc.runtime.data import Columns
from causalc.runtime.families.protocol import Setting, Shape
from causalc.runtime.fitting import encode_rows, encoders_of
from causalc.runtime.labelers import Called, Function
from causalc.runtime.noise import Noise
from causalc.runtime.progress import Report
from causalc.runtime.schema import Kind, Schema
from causalc.runtime.specs import ModelSpec
from causalc.runtime.store import key_of
from causalc.runtime.train import Plan

_EVALUATIONS = 50  # as diffusers has it
_MOST_EVALUATIONS = 1000
_ASKED = 64  # rows on which a function is asked for what tells it from another
_PLAN = Plan(steps=1, lr=1e-4, batch=64)


class Source(Protocol):
    """What draws: a pipeline, a classifier or a function."""

    def draw(self, inputs: Mapping[str, np.ndarray], n: int, noise: Noise) -> np.ndarray:
        """Draw a canonical column."""
        ...

    def save(self, folder: Path) -> None:
        """Write what it was read from into an existing, empty folder."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Pretrained:
    """P(target | inputs) by a model that was not trained here; ``form`` says how to read it back."""

    key: str
    shape: Shape
    source: Source
    form: Mapping[str, Any]

    @property
    def targets(self) -> tuple[str, ...]:
        """The name of the target."""
        return self.shape.target_names

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs, in the order in which the model reads them."""
        return tuple(name for name, _ in self.shape.inputs)

    def sample(
        self, n: int, inputs: Mapping[str, np.ndarray], noise: Noise
    ) -> tuple[np.ndarray, ...]:
        """Draw the target; ``n`` rows."""
        return (self.source.draw(inputs, n, noise),)

    def log_prob(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Raise CausalcError: such a model draws, and its probabilities are not asked for."""
        raise CausalcError(f"{self.shape}: a pretrained model has no probabilities here.")

    def save(self, folder: Path) -> None:
        """Write ``config.json`` and the model's own folder."""
        config = {"type": "pretrained", "key": self.key, "shape": self.shape.to_json(), **self.form}
        (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        (folder / "model").mkdir()
        self.source.save(folder / "model")


def located(spec: ModelSpec | None, base: Path) -> ModelSpec | None:
    """Return a spec whose autoencoder, if it has one, is found from anywhere; paths are relative to ``base``."""
    return _with_autoencoder(spec, lambda path: str(base / path))


def named(spec: ModelSpec | None, base: Path) -> ModelSpec | None:
    """Return a spec whose autoencoder, if it has one, is named by its contents: what a key holds."""
    return _with_autoencoder(spec, lambda path: digest(base / path))


def _with_autoencoder(spec: ModelSpec | None, change: Callable[[str], str]) -> ModelSpec | None:
    if spec is None or not spec.get("autoencoder", ""):
        return spec
    given = dict(spec.options)
    given["autoencoder"] = change(str(given["autoencoder"]))
    return ModelSpec(spec.family, tuple(sorted(given.items())))


def bound(
    shape: Shape,
    spec: ModelSpec,
    columns: Columns,
    base: Path,
    device: str,
    functions: Mapping[str, Function],
) -> Pretrained:
    """Return the model that ``spec`` names, frozen; its path is relative to ``base``.

    A function is called on the first of ``columns``, to tell it from another of the same name.

    Raises CausalcError where it cannot draw the target from these inputs, or may not be used at all.
    """
    ordered = _ordered(shape, spec)
    name = spec.get("callable", "")
    if name:
        form = {"form": "callable", "callable": name, "version": spec.get("version", "")}
        called = Called(ordered, str(name), functions.get(str(name)))
        return Pretrained(_known_by(called, form, columns), ordered, called, form)
    path = base / str(spec.get("folder", ""))
    about = described(path)
    reasons = misfits(about, *_slots(ordered))
    if reasons:
        raise CausalcError(f"{about} cannot stand for {shape}: {'; '.join(reasons)}.")
    count = int(spec.get("evaluations", _EVALUATIONS))  # type: ignore[arg-type]
    form = {"form": about.form, "evaluations": count}
    key = key_of(["pretrained", ordered.to_json(), digest(path), form])
    return Pretrained(key, ordered, _read(about.form, path, ordered, count, device), form)


def _read(form: str, path: Path, shape: Shape, evaluations: int, device: str) -> Source:
    if form == "classifier":
        return labelers.load_classifier(path, shape, device)
    if not 1 <= evaluations <= _MOST_EVALUATIONS:
        raise CausalcError(
            f"{path}: evaluations={evaluations}: a number from 1 to {_MOST_EVALUATIONS} is of use."
        )
    return pipelines.load(path, shape, evaluations, device)


def _ordered(shape: Shape, spec: ModelSpec) -> Shape:
    """Return the shape with its inputs in the order in which the model reads them."""
    kinds, listed = dict(shape.inputs), spec.get("inputs", ())
    names = tuple(map(str, listed)) if isinstance(listed, tuple) and listed else tuple(kinds)
    if sorted(names) != sorted(kinds) or len(shape.targets) != 1:
        raise CausalcError(f"a model with the inputs {', '.join(names)} cannot stand for {shape}.")
    return Shape(shape.targets, tuple((name, kinds[name]) for name in names))


def _slots(shape: Shape) -> tuple[tuple[str, Slot], list[tuple[str, Slot]]]:
    ((name, kind),) = shape.targets
    return (name, _slot(kind)), [(v, _slot(k)) for v, k in shape.inputs]


def _slot(kind: Kind) -> Slot:
    if kind.discrete:
        return "discrete", kind.levels
    return kind.name, kind.shape if kind.name == "image" else ()


def _known_by(called: Called, form: Mapping[str, Any], columns: Columns) -> str:
    """Return the key of a function: its name, its version and its answers on the first rows."""
    n = min(_ASKED, columns.rows)
    inputs = {name: columns[name][:n] for name, _ in called.shape.inputs}
    first = called.draw(inputs, n, Noise(0, "first answers", 0, n))
    targets = Schema(dict(called.shape.targets))
    mark = Columns(targets, {next(iter(targets)): first}).fingerprint()
    return key_of(["pretrained", called.shape.to_json(), dict(form), mark])


def tuned(
    model: Pretrained,
    key: str,
    columns: Columns,
    spec: ModelSpec,
    setting: Setting,
    report: Report,
) -> Pretrained:
    """Return the model after ``steps`` steps of training on these rows, all weights free.

    Raises CausalcError where it is no diffusers pipeline.
    """
    if not isinstance(model.source, pipelines.Pipeline):
        raise CausalcError(
            f"{model.shape}: only diffusers pipelines are trained further; leave out steps= to use this model as it is."
        )
    encoders = encoders_of(columns, model.shape, "standard")
    rows = encode_rows(columns, model.shape, encoders, setting.seed)
    with report.stage(f"{model.shape} pretrained, trained further"):
        pipelines.tune(model.source, rows, _PLAN.override(spec), setting, report)
    return Pretrained(key, model.shape, model.source, model.form)


def reopened(
    folder: Path,
    config: Mapping[str, Any],
    device: str,
    functions: Mapping[str, Callable[..., Any]],
) -> Pretrained:
    """Read what ``Pretrained.save`` wrote."""
    shape = Shape.from_json(config["shape"])
    form = {k: v for k, v in config.items() if k not in ("type", "key", "shape")}
    source: Source
    if form["form"] == "callable":
        source = Called(shape, str(form["callable"]), functions.get(str(form["callable"])))
    else:
        about = described(folder / "model")
        reasons = misfits(about, *_slots(shape))
        if reasons or about.form != form["form"]:
            raise CausalcError(f"{about} cannot stand for {shape}: {'; '.join(reasons)}.")
        source = _read(about.form, folder / "model", shape, int(form["evaluations"]), device)
    return Pretrained(str(config["key"]), shape, source, form)
