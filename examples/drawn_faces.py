"""Drawn faces in CelebA's graph: a structural model whose truth can be enumerated.

The faces are the old and the young man and woman of Noto Emoji (package manimgx-fonts), three pen widths, drawn in one
of four tones, turned and moved a little.

    U      a coin; never recorded
    I1     a portrait: male or female, young or old, evenly; its tone by both
    Male   what I1 shows, or (as often) U
    Young  what I1 shows, or (three times in five) U
    I2     the face that Male and Young name, in I1's tone (nine times in ten, otherwise any), turned and moved as I1

So Male goes with the tone of I2 through I1, and with Young through U as well; neither is an effect of Male.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE, TONES = 24, 4
GLYPHS = (("👵", "👩"), ("👴", "👨"))  # by male, by young
INK = np.array([[200, 20, 40], [230, 160, 0], [0, 140, 80], [40, 60, 210]])
PEN = (400, 550, 700)  # weights of the variable font
TONE = np.array(  # P(tone | male, young) of a portrait
    [
        [[0.60, 0.25, 0.10, 0.05], [0.40, 0.40, 0.15, 0.05]],
        [[0.05, 0.10, 0.25, 0.60], [0.05, 0.15, 0.40, 0.40]],
    ]
)
OWN_MALE, OWN_YOUNG, KEPT = 0.5, 0.4, 0.9


@dataclass(frozen=True, slots=True)
class Look:
    """What portraits show, codes ``(n,)``, and their ``pose`` ``(n, 4)``: pen, angle, shifts."""

    male: np.ndarray
    young: np.ndarray
    tone: np.ndarray
    pose: np.ndarray

    def paint(self) -> np.ndarray:
        """The pictures, ``(n, 24, 24, 3)`` uint8."""
        made = np.empty((len(self.male), SIDE, SIDE, 3), np.uint8)
        for i, (pen, angle, dx, dy) in enumerate(self.pose):
            glyph = _glyph(int(self.male[i]), int(self.young[i]), PEN[int(pen)])
            turned = glyph.rotate(angle, Image.Resampling.BICUBIC, translate=(dx, dy))
            small = turned.resize((SIDE, SIDE), Image.Resampling.BOX)
            ink = np.asarray(small, float)[..., None] / 255
            made[i] = np.rint(255 + ink * (INK[self.tone[i]] - 255))
        return made


@cache
def _glyph(male: int, young: int, weight: int) -> Image.Image:
    """A face as ink on nothing, four times as large as it is shown."""
    import manimgx_fonts

    font = ImageFont.truetype(
        str(Path(manimgx_fonts.__file__).parent / "NotoEmoji[wght].ttf"), int(3.4 * SIDE)
    )
    font.set_variation_by_axes([weight])
    picture, middle = Image.new("L", (4 * SIDE, 4 * SIDE)), (2 * SIDE, 2 * SIDE)
    ImageDraw.Draw(picture).text(middle, GLYPHS[male][young], font=font, fill=255, anchor="mm")
    return picture


def portraits(n: int, rng: np.random.Generator) -> Look:
    """Draw I1."""
    male, young = rng.integers(2, size=n), rng.integers(2, size=n)
    tone = (rng.random(n)[:, None] >= TONE[male, young].cumsum(axis=1)).sum(axis=1)
    pen, angle = rng.integers(len(PEN), size=n), rng.uniform(-3, 3, n)
    shift = rng.uniform(-2, 2, (n, 2))
    return Look(male, young, tone, np.column_stack([pen, angle, shift]))


def translated(one: Look, male: np.ndarray, young: np.ndarray, rng: np.random.Generator) -> Look:
    """Draw I2 given I1 and both labels."""
    n = len(male)
    tone = np.where(rng.random(n) < KEPT, one.tone, rng.integers(TONES, size=n))
    return Look(male, young, tone, one.pose)


@dataclass(frozen=True, slots=True)
class People:
    """Draws from the structural model; labels are codes ``(n,)``."""

    one: Look
    male: np.ndarray
    young: np.ndarray
    two: Look


def people(n: int, rng: np.random.Generator, do_male: int | None = None) -> People:
    """Draw people, with Male set from outside if ``do_male`` is given."""
    u, one = rng.integers(2, size=n), portraits(n, rng)
    male = np.where(rng.random(n) < OWN_MALE, one.male, u)
    male = male if do_male is None else np.full(n, do_male)
    young = np.where(rng.random(n) < OWN_YOUNG, one.young, u)
    return People(one, male, young, translated(one, male, young, rng))


# ---- the truth


def law(do: bool) -> np.ndarray:
    """P(young, tone of I2 | do(Male)), or without ``do`` P(… | Male): ``(2, 2, 4)``, male first."""
    eye, half = np.eye(2), np.full((2, 2), 0.5)
    by_male = OWN_MALE * eye[:, None] + (1 - OWN_MALE) * eye[None]  # (portrait, U, Male)
    if do:
        by_male = np.ones((2, 2, 2))
    by_young = OWN_YOUNG * eye[:, None] + (1 - OWN_YOUNG) * eye[None]
    kept = KEPT * np.eye(TONES) + (1 - KEPT) / TONES
    joint = np.einsum("mu,mua,yub,myt,ts->abs", half, by_male, by_young, TONE, kept)
    return np.asarray(joint / joint.sum(axis=(1, 2), keepdims=True))
