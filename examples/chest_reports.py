"""Stand-in chest x-rays with their reports: a structural model whose truth can be enumerated.

It has the layout of MIMIC-CXR: a report R in words, four findings, a picture X. `u`, how ill somebody is (0, 1
or 2), was never recorded; it moves both what the report says and whether there is pneumonia:

    u = 0, 1 or 2, a third each
    R = sentences that say: effusion none, small or large; atelectasis or not; opacity or not      each by u
    N = pneumonia            by u
    E = pleural effusion     5 % + 15 % a degree of effusion in R + 50 % if N
    A = atelectasis          5 % + 20 % if R says so              + 40 % if N + 20 % if E
    L = lung opacity         5 % + 20 % if R says so              + 35 % if N + 15 % if E + 15 % if A
    X = a picture of 24 x 24 pixels that shows E, A and L

Nothing here is medicine. The reports are made of phrases, in any order, so that most of them occur once; what a
report says can be read back from its words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from sklearn.svm import SVC

SIDE = 24
ILL = np.full(3, 1 / 3)
SAYS_EFFUSION = np.array([[0.80, 0.15, 0.05], [0.40, 0.35, 0.25], [0.05, 0.25, 0.70]])
SAYS_OTHER = np.array([0.1, 0.45, 0.9])
PNEUMONIA = np.array([0.1, 0.5, 0.9])
FINDINGS = ("N", "E", "A", "L")
SHOWN = ("E", "A", "L")

OPENINGS = ("Portable chest radiograph", "Frontal view of the chest", "AP chest x-ray", "")
PHRASES: dict[str, tuple[tuple[str, ...], ...]] = {
    "effusion": (
        ("no pleural effusion", "there is no pleural fluid", "the costophrenic angles are sharp"),
        ("small {side} pleural effusion", "trace {side} pleural fluid",
         "blunting of the {side} costophrenic angle"),
        ("large {side} pleural effusion", "there is a large amount of {side} pleural fluid",
         "layering {side} pleural effusion"),
    ),
    "atelectasis": (
        ("no atelectasis", "lung volumes are normal", "there is no volume loss"),
        ("{side} basilar atelectasis", "linear atelectasis at the {side} base",
         "volume loss at the {side} base"),
    ),
    "opacity": (
        ("no focal opacity", "no consolidation is seen", "both lungs are free of opacity"),
        ("patchy opacity in the {side} {zone} lung", "hazy {side} {zone} lobe opacity",
         "focal consolidation in the {side} {zone} zone"),
    ),
}  # fmt: skip
PLACES = {"side": ("left", "right"), "zone": ("upper", "middle")}
MEANINGS = tuple(product(range(3), range(2), range(2)))  # effusion, atelectasis, opacity


# ---- reports


def compose(meaning: tuple[int, ...], rng: np.random.Generator) -> str:
    """A report with this meaning: an opening or none, and three sentences in any order."""
    said = []
    for states, state in zip(PHRASES.values(), meaning, strict=True):
        chosen = {place: words[rng.integers(2)] for place, words in PLACES.items()}
        said.append(states[state][rng.integers(3)].format(**chosen))
    sentences = [OPENINGS[rng.integers(4)], *(said[i] for i in rng.permutation(3))]
    return " ".join(f"{s[0].upper()}{s[1:]}." for s in sentences if s)


@cache
def _known() -> list[tuple[re.Pattern[str], int, int]]:
    """A pattern for each phrase, with its topic and what it says."""
    either = {place: f"({'|'.join(words)})" for place, words in PLACES.items()}
    return [
        (re.compile(phrase.format(**either)), topic, state)
        for topic, states in enumerate(PHRASES.values())
        for state, phrases in enumerate(states)
        for phrase in phrases
    ]


def read_report(text: str) -> tuple[int, ...] | None:
    """What a report says, or None where it is not, word for word, one that ``compose`` can write."""
    sentences = text.removesuffix(".").split(". ")
    if sentences[0] in OPENINGS:
        sentences = sentences[1:]
    said: dict[int, int] = {}
    for sentence in sentences:
        words = sentence[:1].lower() + sentence[1:]
        for pattern, topic, state in _known():
            if sentence[:1].isupper() and pattern.fullmatch(words):
                said[topic] = state
    whole = text.endswith(".") and len(sentences) == len(said) == 3
    return tuple(said[topic] for topic in range(3)) if whole else None


# ---- pictures


def render(shown: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pictures ``(n, 24, 24, 1)`` uint8 of findings E, A, L ``(n, 3)``: where and how large is random."""
    n = len(shown)
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5)[:, None]

    def uniform(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, (n, 1, 1))

    def soft(inside: np.ndarray) -> np.ndarray:
        return np.asarray(1 / (1 + np.exp(-np.clip(inside, -30, 30))))

    def oval(cx: np.ndarray, cy: np.ndarray, rx: float, ry: float) -> np.ndarray:
        return soft(6 * (1 - np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)))

    dx, dy = uniform(-0.5, 0.5), uniform(-0.5, 0.5)
    lungs = np.stack([oval(cx + dx, 11.5 + dy, 4.4, 8.6) for cx in (6.5, 17.5)])
    heart = oval(13.2 + dx, 15.5 + dy, 4.0, 4.6)
    light = 125 - 85 * lungs.sum(axis=0)
    effusion, atelectasis, opacity = (shown[:, i, None, None] for i in range(3))
    side = rng.integers(2, size=(3, n))
    lung = lungs[side, np.arange(n)]  # of each finding, the lung that it is in
    fluid = soft(1.5 * (y - uniform(14.0, 16.0)))
    light = light + effusion * 130 * lung[0] * fluid
    band = np.exp(-(((y - uniform(10.5, 12.5)) / 0.9) ** 2))
    light = light + atelectasis * 115 * lung[1] * band
    centre = np.where(side[2] == 0, 6.5, 17.5)[:, None, None] + dx + uniform(-1, 1)
    spot = np.exp(-(((x - centre) / 2.2) ** 2 + ((y - uniform(5.5, 7.5)) / 2.0) ** 2))
    light = light + opacity * 125 * lung[2] * spot
    light = light + 60 * heart * (1 - effusion * lung[0] * fluid)
    light = light * uniform(0.94, 1.06) + rng.normal(0, 2.5, (n, SIDE, SIDE))
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)[..., None]


# ---- the world


@dataclass(frozen=True, slots=True)
class World:
    """Draws from the structural model: what the report says ``(n, 3)``, and N, E, A, L ``(n, 4)``."""

    meaning: np.ndarray
    findings: np.ndarray


def chances(says: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The probability of the next of E, A, L given what the report says and the findings before it."""
    n = before[..., 0]
    match before.shape[-1]:
        case 1:
            return np.asarray(0.05 + 0.15 * says[..., 0] + 0.5 * n)
        case 2:
            return np.asarray(0.05 + 0.2 * says[..., 1] + 0.4 * n + 0.2 * before[..., 1])
        case _:
            both = before[..., 1] + before[..., 2]
            return np.asarray(0.05 + 0.2 * says[..., 2] + 0.35 * n + 0.15 * both)


def world(n: int, rng: np.random.Generator, do_report: tuple[int, ...] | None = None) -> World:
    """Draw ``n`` rows, with a report of that meaning set from outside if one is given."""
    u = rng.integers(3, size=n)
    effusion = (rng.random(n)[:, None] >= SAYS_EFFUSION[u].cumsum(axis=1)).sum(axis=1).clip(max=2)
    others = rng.random((n, 2)) < SAYS_OTHER[u][:, None]
    says = np.column_stack([effusion, others])
    if do_report is not None:
        says = np.tile(do_report, (n, 1))
    findings = (rng.random(n) < PNEUMONIA[u]).astype(int)[:, None]
    for _ in SHOWN:
        drawn = rng.random(n) < chances(says, findings)
        findings = np.column_stack([findings, drawn])
    return World(says, findings)


def rows(n: int, seed: int) -> dict[str, np.ndarray]:
    """The observed columns of ``n`` rows: R texts, N, E, A, L ``(n,)``, X ``(n, 24, 24, 1)``."""
    rng = np.random.default_rng(seed)
    drawn = world(n, rng)
    reports = np.array([compose(tuple(m), rng) for m in drawn.meaning.tolist()], object)
    columns = dict(zip(FINDINGS, drawn.findings.T, strict=True))
    return {"R": reports, **columns, "X": render(drawn.findings[:, 1:], rng)}


# ---- the truth


def law(meaning: tuple[int, ...], do: bool) -> np.ndarray:
    """P(N, E, A, L | do(R = a report that says so)), or without ``do`` given that report: ``(2, 2, 2, 2)``."""
    ill = ILL if do else ILL * _says(meaning)
    n = (ill / ill.sum()) @ np.column_stack([1 - PNEUMONIA, PNEUMONIA])
    joint = np.zeros((2, 2, 2, 2))
    for cell in np.ndindex(*joint.shape):
        p = n[cell[0]]
        for i in range(1, 4):
            one = float(chances(np.array(meaning), np.array(cell[:i])))
            p *= one if cell[i] else 1 - one
        joint[cell] = p
    return joint


def _says(meaning: tuple[int, ...]) -> np.ndarray:
    """P(the report says so | u)."""
    effusion, *others = meaning
    p = SAYS_EFFUSION[:, effusion]
    for said in others:
        p = p * (SAYS_OTHER if said else 1 - SAYS_OTHER)
    return np.asarray(p)


def meanings_given(shown: tuple[int, ...]) -> np.ndarray:
    """P(what the report says | E, A, L), over ``MEANINGS``."""
    p = np.array([(ILL @ _says(m)) * law(m, do=False).sum(axis=0)[shown] for m in MEANINGS])
    return np.asarray(p / p.sum())


# ---- the judge of pictures


@dataclass(frozen=True, slots=True)
class Judge:
    """Reads E, A and L off a picture with three support vector machines; ``accuracy`` on fresh pictures."""

    machines: tuple[SVC, ...]
    accuracy: tuple[float, ...]

    @staticmethod
    def trained(count: int = 3000) -> Judge:
        """Train on ``count`` pictures, test on as many others."""
        rng = np.random.default_rng(99)
        shown = rng.integers(2, size=(2 * count, 3))
        flat = _flat(render(shown, rng))
        machines = tuple(SVC(C=10).fit(flat[:count], shown[:count, i]) for i in range(3))
        accuracy = tuple(
            float(m.score(flat[count:], shown[count:, i])) for i, m in enumerate(machines)
        )
        return Judge(machines, accuracy)

    def read(self, pictures: np.ndarray) -> np.ndarray:
        """E, A, L of each picture, ``(n, 3)``."""
        return np.column_stack([machine.predict(_flat(pictures)) for machine in self.machines])


def _flat(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), -1) / 255.0
