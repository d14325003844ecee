"""Which model family a conditional uses, and its options. Plain data: no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from causalc.errors import CausalcError
from causalc.runtime.schema import near

Option = int | float | str | bool | tuple[int, ...] | tuple[str, ...]

_Rules = dict[str, str | tuple[str, ...]]

_POSITIVE = "a number above 0"
_WHOLE = "a whole number of at least 1"
_STRING = "a string"
_NEURAL: _Rules = {
    "steps": _WHOLE,
    "lr": _POSITIVE,
    "width": _WHOLE,
    "depth": _WHOLE,
    "batch": _WHOLE,
    "patience": _WHOLE,
    "ema": "a number from 0 up to 1",
    "weight_decay": "a number from 0 up to 1",
    "precision": ("float32", "bfloat16", "auto"),
    "transform": ("auto", "standard", "quantile"),
}
_OPTIONS: dict[str, _Rules] = {
    "table": {"smoothing": _POSITIVE},
    "softmax": _NEURAL,
    "mixture": {**_NEURAL, "components": _WHOLE},
    "transformer": {
        **{name: rule for name, rule in _NEURAL.items() if name != "transform"},
        "order": ("left", "any"),
        "evaluations": _WHOLE,
    },
    "diffusion": {
        **_NEURAL,
        "evaluations": _WHOLE,
        "method": ("edm", "flow"),
        "backbone": ("auto", "mlp", "unet", "patches"),
        "channels": "a list of whole numbers",
        "autoencoder": _STRING,
    },
    "flow": {**_NEURAL, "bins": _WHOLE},
    "vae": {**_NEURAL, "latent": _WHOLE},
    "gan": {**_NEURAL, "latent": _WHOLE},
    "rows": {},
    "pretrained": {
        "folder": _STRING,
        "callable": _STRING,
        "version": _STRING,
        "inputs": "a tuple of variables",
        "evaluations": _WHOLE,
        "steps": _WHOLE,
        "lr": _POSITIVE,
        "batch": _WHOLE,
    },
}
FAMILIES = tuple(_OPTIONS)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model family and the options that differ from its defaults, sorted by name."""

    family: str
    options: tuple[tuple[str, Option], ...] = ()

    def __post_init__(self) -> None:
        if self.family not in _OPTIONS:
            hint = near(self.family, FAMILIES)
            raise CausalcError(f"Unknown model family {self.family!r}{hint}: use {_or(FAMILIES)}.")
        allowed = _OPTIONS[self.family]
        for name, value in self.options:
            if name not in allowed:
                hint = near(name, tuple(allowed))
                raise CausalcError(
                    f"{self.family}(): unknown option {name!r}{hint}; it takes {_or(allowed)}."
                )
            _check(self.family, name, value, allowed[name])

    def get(self, name: str, default: Option) -> Option:
        """Return an option, or ``default`` where it was not given."""
        return dict(self.options).get(name, default)

    def to_json(self) -> dict[str, object]:
        """Return the spec as a JSON value; ``from_json`` is the inverse."""
        options = {n: list(v) if isinstance(v, tuple) else v for n, v in self.options}
        return {"family": self.family, "options": options}

    @staticmethod
    def from_json(value: Mapping[str, object]) -> ModelSpec:
        """Read a spec written by ``to_json``. Raises CausalcError on anything else."""
        family, options = value.get("family"), value.get("options", {})
        if not isinstance(family, str) or not isinstance(options, Mapping):
            raise CausalcError(f"Not a model: {value!r}.")
        return _spec(family, options)

    def __str__(self) -> str:
        return f"{self.family}({', '.join(f'{name}={value!r}' for name, value in self.options)})"


def _or(names: Mapping[str, object] | tuple[str, ...]) -> str:
    return ", ".join(names)


def _check(family: str, name: str, value: Option, rule: str | tuple[str, ...]) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(rule, tuple):
        good, wanted = value in rule, f"one of {_or(rule)}"
    elif rule == _WHOLE:
        good, wanted = whole and int(value) >= 1, rule  # type: ignore[arg-type]
    elif rule == _POSITIVE:
        good, wanted = number and 0 < float(value) < float("inf"), rule  # type: ignore[arg-type]
    elif rule == _STRING:
        good, wanted = isinstance(value, str) and bool(value), rule
    elif rule.startswith("a tuple"):
        names = value if isinstance(value, tuple) else ()
        good, wanted = bool(names) and all(isinstance(name, str) for name in names), rule
    elif rule.startswith("a list"):
        items = value if isinstance(value, tuple) else ()
        good, wanted = bool(items) and all(type(i) is int and i >= 1 for i in items), rule
    else:
        good, wanted = number and 0 <= float(value) < 1, rule  # type: ignore[arg-type]
    if not good:
        raise CausalcError(f"{family}({name}={value!r}): {name} must be {wanted}.")


def _spec(family: str, options: Mapping[str, object]) -> ModelSpec:
    fixed = {n: tuple(v) if isinstance(v, list) else v for n, v in options.items()}
    return ModelSpec(family, tuple(sorted(fixed.items())))  # type: ignore[arg-type]


def table(**options: Option) -> ModelSpec:
    """Weighted counts; discrete targets and inputs. Option: smoothing (rows; default by likelihood)."""
    return _spec("table", options)


def softmax(**options: Option) -> ModelSpec:
    """A network with a softmax output; discrete targets, any inputs.

    Options: steps, lr, width, depth, batch, patience, ema, weight_decay, precision, transform.
    """
    return _spec("softmax", options)


def mixture(**options: Option) -> ModelSpec:
    """A mixture density network; real, integer and vector targets, any inputs.

    Options: components (default 10) and those of ``softmax``.
    """
    return _spec("mixture", options)


def diffusion(**options: Option) -> ModelSpec:
    """A diffusion model; targets of every kind but text, inputs of every kind.

    Options: evaluations (of the network, a sample), method ("edm" or "flow"), backbone, channels,
    autoencoder (a folder) and those of ``softmax``.
    """
    return _spec("diffusion", options)


def flow(**options: Option) -> ModelSpec:
    """A neural spline flow; real, integer and vector targets jointly, any inputs.

    Options: bins (of a spline, default 8) and those of ``softmax``.
    """
    return _spec("flow", options)


def vae(**options: Option) -> ModelSpec:
    """A conditional variational autoencoder; targets and inputs of every kind.

    Options: latent (numbers) and those of ``softmax``.
    """
    return _spec("vae", options)


def gan(**options: Option) -> ModelSpec:
    """A conditional generative adversarial network; real, integer, vector and image targets.

    Options: latent (numbers of noise) and those of ``softmax``.
    """
    return _spec("gan", options)


def rows(**options: Option) -> ModelSpec:
    """Real rows with the same inputs, drawn as they were observed; targets of every kind, discrete inputs.

    Takes no options.
    """
    return _spec("rows", options)


def transformer(**options: Option) -> ModelSpec:
    """A transformer that writes texts; text targets, any inputs.

    Options: order ("left": word after word, or "any": masked diffusion, all places at random),
    evaluations (of the network, a sample, for order="any"; by default one a token) and those of
    ``softmax`` but transform.
    """
    return _spec("transformer", options)


def pretrained(folder: str = "", inputs: Sequence[str] = (), **options: Option) -> ModelSpec:
    """A model that somebody else trained: a diffusers pipeline or a classifier in a folder, or a function.

    ``inputs`` are in the order in which the model reads them. Options: callable (the name of a function given to
    ``fit``) with its version, evaluations (of the network, a picture), and to train a pipeline further: steps, lr,
    batch.
    """
    if bool(folder) == bool(options.get("callable")):
        raise CausalcError("pretrained() takes one model: a folder, or callable=.")
    named = {"folder": folder, "inputs": tuple(inputs)}
    return _spec("pretrained", {**{k: v for k, v in named.items() if v}, **options})


MAKERS = {
    "table": table,
    "softmax": softmax,
    "mixture": mixture,
    "diffusion": diffusion,
    "flow": flow,
    "vae": vae,
    "gan": gan,
    "rows": rows,
    "transformer": transformer,
}
