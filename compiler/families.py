"""What options a statement takes: model families, data sources, training, checks, sampling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from causalc.compiler.kinds import DISCRETE, KINDS, Kind
from causalc.grammar.tree import Literal, Sequence, Symbol, Value


@dataclass(frozen=True, slots=True)
class Number:
    """A number from ``low`` to ``high``; the ends themselves only where ``closed``."""

    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    closed: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words, quoted or not."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """Any string."""


@dataclass(frozen=True, slots=True)
class Wholes:
    """A list of whole numbers of at least 1."""


@dataclass(frozen=True, slots=True)
class Names:
    """A list of variables."""


Rule = Number | Choice | Text | Wholes | Names
Rules = Mapping[str, Rule]

COUNT = Number(low=1, whole=True)
POSITIVE = Number(low=0, closed=False)
FRACTION = Number(0, 1)
NETWORK: Rules = {
    "steps": COUNT,
    "lr": POSITIVE,
    "width": COUNT,
    "depth": COUNT,
    "batch": COUNT,
    "patience": COUNT,
    "ema": FRACTION,
    "weight_decay": FRACTION,
    "precision": Choice(("float32", "bfloat16", "auto")),
    "transform": Choice(("auto", "standard", "quantile")),
}


@dataclass(frozen=True, slots=True)
class Family:
    """A model family: the kinds it can model (``None``: all) and its options."""

    targets: tuple[str, ...] | None
    options: Rules


NOT_TEXT = tuple(kind for kind in KINDS if kind != "text")
FAMILIES: Mapping[str, Family] = {
    "table": Family(DISCRETE, {"smoothing": POSITIVE}),
    "softmax": Family(DISCRETE, NETWORK),
    "mixture": Family(("integer", "real", "vector"), {**NETWORK, "components": COUNT}),
    "diffusion": Family(
        NOT_TEXT,
        {
            **NETWORK,
            "evaluations": COUNT,
            "method": Choice(("edm", "flow")),
            "backbone": Choice(("auto", "mlp", "unet", "patches")),
            "channels": Wholes(),
            "autoencoder": Text(),
        },
    ),
    "flow": Family(("integer", "real", "vector"), {**NETWORK, "bins": COUNT}),
    "vae": Family(NOT_TEXT, {**NETWORK, "latent": COUNT}),
    "gan": Family(("image", "integer", "real", "vector"), {**NETWORK, "latent": COUNT}),
    "rows": Family(None, {}),
    "transformer": Family(
        ("text",),
        {
            **{name: rule for name, rule in NETWORK.items() if name != "transform"},
            "order": Choice(("left", "any")),
            "evaluations": COUNT,
        },
    ),
    "pretrained": Family(
        None,
        {
            "callable": Text(),
            "version": Text(),
            "inputs": Names(),
            "evaluations": COUNT,
            "steps": COUNT,
            "lr": POSITIVE,
            "batch": COUNT,
        },
    ),
}
IMAGE_BACKBONES = ("unet", "patches")
SOURCES: Mapping[str, Rules] = {
    "csv": {},
    "parquet": {},
    "arrow": {},
    "folder": {"table": Text(), "resize": Choice(("crop", "stretch"))},
}
DATA: Rules = {"split": Text()}
SEED = Number(0, 2**63 - 1, whole=True)
TRAIN: Rules = {
    "seed": SEED,
    "bootstrap": Number(low=0, whole=True),
    "strategy": Choice(("auto", "generate", "reweight")),
    "device": Text(),
    "budget": POSITIVE,
}
SAMPLE: Rules = {"n": Number(1, 1_000_000_000, whole=True), "seed": SEED}
CHECKS = ("positivity", "fit", "independences", "spread", "sensitivity")
OF_ESTIMATES = ("sensitivity",)


def fitting(kind: Kind) -> tuple[str, ...]:
    """The families that can model a kind."""
    return tuple(n for n, f in FAMILIES.items() if f.targets is None or kind.name in f.targets)


def accepts(rule: Rule, value: Value) -> bool:
    """Whether a value keeps to a rule."""
    match rule:
        case Number(low, high, whole, closed):
            if not isinstance(value, Literal) or isinstance(value.value, str | bool):
                return False
            number = value.value
            inside = low <= number <= high if closed else low < number < high
            return inside and (not whole or isinstance(number, int))
        case Choice(words):
            return _word(value) in words
        case Text():
            return _word(value) is not None
        case Wholes():
            return (
                isinstance(value, Sequence)
                and bool(value.items)
                and all(accepts(COUNT, item) for item in value.items)
            )
        case Names():
            return (
                isinstance(value, Sequence)
                and bool(value.items)
                and all(_word(item) for item in value.items)
            )
        case _:
            assert_never(rule)


def _word(value: Value) -> str | None:
    if isinstance(value, Symbol):
        return value.text
    return value.value if isinstance(value, Literal) and isinstance(value.value, str) else None


def describe(rule: Rule) -> str:
    """A rule in words, as in "``steps`` is ..."."""
    match rule:
        case Number(low, high, whole, closed):
            return _range("a whole number" if whole else "a number", low, high, closed)
        case Choice(words):
            return f"one of {', '.join(words)}"
        case Text():
            return "a string"
        case Wholes():
            return "a list of whole numbers, such as [16, 32]"
        case Names():
            return "a list of variables, such as [X, Z]"
        case _:
            assert_never(rule)


def _range(what: str, low: float, high: float, closed: bool) -> str:
    if low == -math.inf:
        return what
    if high == math.inf or high >= 2**53:
        return f"{what} of at least {low}" if closed else f"{what} above {low}"
    return f"{what} from {low} to {high}"
