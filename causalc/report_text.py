"""What the report shows of texts: samples word for word, the words that tell two sets of them apart, distances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from markupsafe import Markup, escape

from causalc import charts
from causalc.compiler.drawing import clean
from causalc.runtime.data import labels
from causalc.runtime.schema import Kind
from causalc.runtime.tokens import END, bags, encode

SHOWN = 6  # texts
WORDS = 8
_LONGEST = 300  # characters of a text that are shown
_PART = 4096  # rows counted at a time


def said(text: str) -> str:
    """A text in quotes, shortened."""
    return f"“{_short(text)}”"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def codes_of(texts: Iterable[str], kind: Kind) -> np.ndarray:
    """Drawn texts as the data hold them; what was drawn may be no shortest spelling, and is cut."""
    return encode(texts, tuple(map(str, kind.levels)), kind.width)[0]


def gaps(codes: np.ndarray, kind: Kind, text: str) -> np.ndarray:
    """How many words each row has that a text has not, and the other way round, ``(n,)``."""
    size = len(kind.levels)
    wanted = bags(codes_of([text], kind), size)
    parts = [codes[i : i + _PART] for i in range(0, len(codes), _PART)]
    return np.concatenate([np.abs(bags(part, size) - wanted).sum(axis=1) for part in parts])


def pictures(
    name: str, kind: Kind, drawn: np.ndarray, rows: np.ndarray
) -> Iterator[charts.Picture]:
    """A few texts drawn and a few of the rows, and the words that differ most between the two."""
    yield charts.Picture(_listed(drawn, kind), f"{name}, drawn under do()")
    if len(rows):
        yield charts.Picture(_listed(rows, kind), f"{name} in the rows (naive)")
    words, groups = _words(kind, drawn, rows)
    if words:
        yield charts.Picture(charts.bars(words, groups, name), f"share of {name} with a word")


def _listed(codes: np.ndarray, kind: Kind) -> Markup:
    items = [escape(clean(_short(text))) for text in labels(codes[:SHOWN], kind)]
    return Markup('<ul class="texts small">{}</ul>').format(
        Markup("").join(Markup("<li>{}</li>").format(item) for item in items)
    )


def _words(
    kind: Kind, drawn: np.ndarray, rows: np.ndarray
) -> tuple[list[str], dict[str, np.ndarray]]:
    """The words whose shares differ most, most frequent first, with the share of texts that hold each."""
    tokens = [str(token) for token in kind.levels]
    whole = np.array([len(t) > 3 and t[0] == " " and t[1:].isalpha() for t in tokens])
    sets = {"do": drawn, **({"rows": rows} if len(rows) else {})}
    shares = {g: (bags(codes, len(tokens)) > 0).mean(axis=0) for g, codes in sets.items()}
    apart = np.ptp(np.stack(list(shares.values())), axis=0) if len(rows) else shares["do"]
    chosen = np.argsort(-apart * whole, kind="stable")[:WORDS]
    chosen = chosen[whole[chosen] & (shares["do"] + shares.get("rows", 0) > 0)[chosen]]
    chosen = chosen[np.argsort(-shares["do"][chosen], kind="stable")]
    return [tokens[i].strip() for i in chosen], {g: s[chosen] for g, s in shares.items()}


def compared(name: str, drawn: np.ndarray, rows: np.ndarray) -> list[tuple[str, str, str, str]]:
    """A line of the table: how long the texts are."""
    mine, naive = ((codes != END).sum(axis=1) for codes in (drawn, rows))
    apart = charts.number(float(mine.mean() - naive.mean()))
    what = f"mean ± spread of the tokens of {name}"
    return [(what, _spread(mine), _spread(naive), f"{apart} apart")]


def _spread(lengths: np.ndarray) -> str:
    return f"{charts.number(float(lengths.mean()))} ± {charts.number(float(lengths.std()))}"
