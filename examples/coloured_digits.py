"""Coloured handwritten digits in a napkin graph: a structural model whose truth can be enumerated.

The digits are scikit-learn's, 8 x 8 pixels, 1,797 of them. Each picture has a digit, one of six colours and
one of three degrees of brightness (of thickness, where other hands are given). `u` is the hidden cause of W1's
and Y's colour, `v` of W1's and X's brightness:

    W1 = (any digit,        almost u,                        almost v)
    W2 = (almost W1's digit, almost the group of W1's colour)           red, green, blue: 0; the others: 1
    X  = (almost W2's digit, a colour of almost W2's group,  almost v)
    Y  = (almost X's digit,  almost u,                       almost X's brightness)

"almost a" is a nine times in ten, otherwise any value at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

COLOURS = ("red", "green", "blue", "yellow", "magenta", "cyan")
RGB = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], float)
BRIGHTNESS = np.array([0.4, 0.7, 1.0])
DIGITS, GROUPS, SLIP = 10, 2, 0.1


@dataclass(frozen=True, slots=True)
class Hands:
    """Handwritten digits in [0, 1], each in three degrees, ``(3, hands, h, w)``, and the digit of each hand."""

    shapes: np.ndarray
    digit: np.ndarray


@cache
def strokes() -> Hands:
    """The 1,797 digits of scikit-learn in three degrees of brightness."""
    found = load_digits()
    return Hands(BRIGHTNESS[:, None, None, None] * found.images / 16, found.target)


@dataclass(frozen=True, slots=True)
class Look:
    """What each picture of a column shows: codes ``(n,)``."""

    digit: np.ndarray
    colour: np.ndarray
    brightness: np.ndarray

    def paint(self, rng: np.random.Generator, hands: Hands | None = None) -> np.ndarray:
        """Pictures ``(n, h, w, 3)`` uint8, each of a random hand; by default those of ``strokes``."""
        hands = hands or strokes()
        hand = np.empty(len(self.digit), int)
        for digit in range(DIGITS):
            here = np.flatnonzero(self.digit == digit)
            hand[here] = rng.choice(np.flatnonzero(hands.digit == digit), len(here))
        light = hands.shapes[self.brightness, hand]
        return np.rint(255 * light[..., None] * RGB[self.colour, None, None]).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class World:
    """Draws from the structural model: what the pictures show, and W2 (digit and group as one of 20 codes)."""

    w1: Look
    w2: np.ndarray
    x: Look
    y: Look


def world(n: int, rng: np.random.Generator, do_x: Look | None = None) -> World:
    """Draw ``n`` rows, with X set from outside if ``do_x`` is given."""

    def almost(value: np.ndarray, levels: int) -> np.ndarray:
        return np.where(rng.random(n) < SLIP, rng.integers(levels, size=n), value)

    u, v = rng.integers(len(COLOURS), size=n), rng.integers(len(BRIGHTNESS), size=n)
    w1 = Look(rng.integers(DIGITS, size=n), almost(u, len(COLOURS)), almost(v, len(BRIGHTNESS)))
    digit, group = almost(w1.digit, DIGITS), almost(w1.colour // 3, GROUPS)
    colour = 3 * almost(group, GROUPS) + rng.integers(3, size=n)
    x = do_x or Look(almost(digit, DIGITS), colour, almost(v, len(BRIGHTNESS)))
    y = Look(
        almost(x.digit, DIGITS), almost(u, len(COLOURS)), almost(x.brightness, len(BRIGHTNESS))
    )
    return World(w1, GROUPS * digit + group, x, y)


def rows(n: int, seed: int, hands: Hands | None = None) -> dict[str, np.ndarray]:
    """The observed columns of ``n`` rows: W1, X, Y ``(n, h, w, 3)`` and W2 ``(n,)``."""
    rng = np.random.default_rng(seed)
    drawn = world(n, rng)
    pictures = {
        name: look.paint(rng, hands) for name, look in zip("wxy", _looks(drawn), strict=True)
    }
    return {"W1": pictures["w"], "W2": drawn.w2, "X": pictures["x"], "Y": pictures["y"]}


def _looks(drawn: World) -> tuple[Look, Look, Look]:
    return drawn.w1, drawn.x, drawn.y


# ---- the truth


def _almost(levels: int) -> np.ndarray:
    return (1 - SLIP) * np.eye(levels) + SLIP / levels


def colour_law(do: bool) -> np.ndarray:
    """P(Y's colour | do(X's colour)), or without ``do`` P(Y's colour | X's colour): ``(6, 6)``, rows sum to 1.

    By enumeration of u, W1's colour and W2's group. Digits and brightness have no common cause with colour.
    """
    six, two = _almost(len(COLOURS)), _almost(GROUPS)
    group = np.eye(GROUPS)[np.arange(len(COLOURS)) // 3]
    within = group.T / 3
    u = np.full(len(COLOURS), 1 / len(COLOURS))
    if do:
        return np.tile(np.einsum("u,uy->y", u, six), (len(COLOURS), 1))
    joint = np.einsum("u,ua,ag,gh,hk,kx,uy->xy", u, six, group, two, two, within, six)
    return np.asarray(joint / joint.sum(1, keepdims=True))


def digit_law() -> float:
    """The probability that Y shows X's digit, whatever is done to X."""
    return float(_almost(DIGITS)[0, 0])


# ---- the judge


@dataclass(frozen=True, slots=True)
class Judge:
    """Reads pictures: a support vector machine for the digit, the nearest of six hues for the colour."""

    machine: SVC
    accuracy: float

    @staticmethod
    def trained() -> Judge:
        """Train on seven tenths of the handwritten digits; ``accuracy`` is that on the rest."""
        shapes, shown = _flat(strokes().shapes[-1]), strokes().digit
        parts = train_test_split(shapes, shown, test_size=0.3, random_state=0, stratify=shown)
        seen, unseen, labels, answers = parts
        machine = SVC(gamma=0.256, C=10).fit(seen, labels)
        return Judge(machine, float(machine.score(unseen, answers)))

    def digit(self, pictures: np.ndarray) -> np.ndarray:
        """The digit of each picture ``(n, 8, 8, 3)``."""
        return np.asarray(self.machine.predict(_flat(pictures.max(axis=-1))))

    def colour(self, pictures: np.ndarray) -> np.ndarray:
        """The colour of each picture, as an index into ``COLOURS``."""
        mean = pictures.reshape(len(pictures), -1, 3).mean(axis=1)
        hues = RGB / np.linalg.norm(RGB, axis=1, keepdims=True)
        return np.asarray((mean @ hues.T).argmax(axis=1))


def _flat(shapes: np.ndarray) -> np.ndarray:
    """Strokes as rows of 64 numbers whose largest is 1: how bright a picture is says nothing about its digit."""
    flat = shapes.reshape(len(shapes), -1).astype(float)
    return np.asarray(flat / np.maximum(flat.max(axis=1, keepdims=True), 1e-3))
