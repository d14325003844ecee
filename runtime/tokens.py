"""Texts as codes: a byte-level vocabulary learnt from the data and held by the kind as its levels.

A text is put into Unicode's normal form C and cut into words (letters, up to four digits, other
marks, each with the space before it). Words are UTF-8 bytes that merge pairwise into tokens, the
earliest learnt first. Every byte is a token, so that whatever was never seen can still be written.
Code 0 ends a text, and fills the row behind the end. Tokens are held as text in which character
number b stands for byte b, so that a vocabulary is plain JSON.
"""

from __future__ import annotations

import heapq
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np

from causalc.errors import CausalcError

END = 0
BASE = ("", *map(chr, range(256)))
MOST_TOKENS = 2048  # in a vocabulary
_LEAST = 5  # times a pair must occur to become a token
_WORDS = 1 << 18  # words whose codes are remembered
# Bounded, since the time to code a word grows with the square of its length.
_WORD = re.compile(r" ?[^\W\d_]{1,40}| ?\d{1,4}| ?(?:[^\w\s]|_){1,8}|\s{1,40}")


def words_of(text: str) -> list[str]:
    """Cut a text into words: joined, they are its normal form C."""
    return _WORD.findall(unicodedata.normalize("NFC", text))


def count_words(texts: Iterable[str], counts: Counter[str] | None = None) -> Counter[str]:
    """Return how often each word occurs, added to ``counts``."""
    found: Counter[str] = Counter() if counts is None else counts
    for text in texts:
        found.update(words_of(text))
    return found


def learn(counts: Counter[str]) -> tuple[str, ...]:
    """Return the vocabulary of words that occur so often: the levels of a text.

    Byte-pair encoding: the pair of neighbours that occurs most often becomes a token, ties by the
    pair itself, until none occurs five times or there are 2,048 tokens.
    """
    parts = {word: _bytes(word) for word in counts}
    pairs: Counter[tuple[str, str]] = Counter()
    where: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for word, tokens in parts.items():
        for pair in pairwise(tokens):
            pairs[pair] += counts[word]
            where[pair].add(word)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    found = dict.fromkeys(BASE)
    while heap and len(found) < MOST_TOKENS:
        count, pair = heapq.heappop(heap)
        if -count != pairs[pair]:  # an entry from before another merge
            continue
        if -count < _LEAST:
            break
        found[pair[0] + pair[1]] = None
        for changed in _merge_everywhere(pair, parts, counts, pairs, where):
            heapq.heappush(heap, (-pairs[changed], changed))
    return tuple(found)


def _merge_everywhere(
    pair: tuple[str, str],
    parts: dict[str, list[str]],
    counts: Counter[str],
    pairs: Counter[tuple[str, str]],
    where: defaultdict[tuple[str, str], set[str]],
) -> set[tuple[str, str]]:
    """Merge a pair in every word that has it; returns the pairs whose counts changed."""
    changed: set[tuple[str, str]] = set()
    for word in where.pop(pair):
        for old in pairwise(parts[word]):
            pairs[old] -= counts[word]
            changed.add(old)
        parts[word] = _merged(parts[word], pair)
        for new in pairwise(parts[word]):
            pairs[new] += counts[word]
            where[new].add(word)
            changed.add(new)
    pairs[pair] = 0
    return {one for one in changed if pairs[one] > 0}


def _merged(tokens: Sequence[str], pair: tuple[str, str]) -> list[str]:
    found: list[str] = []
    for token in tokens:
        # An odd run of one token merges from the left, wherever the word is met.
        if found and (found[-1], token) == pair:
            found[-1] += token
        else:
            found.append(token)
    return found


def _bytes(word: str) -> list[str]:
    try:
        return list(word.encode("utf-8").decode("latin-1"))
    except UnicodeEncodeError:
        raise CausalcError(f"{word[:20]!r} is no text: it holds half of a character.") from None


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens of a text variable, code 0 the end; ``codes`` and ``text`` are inverse."""

    tokens: tuple[str, ...]
    _code: dict[str, int] = field(repr=False)
    _known: dict[str, tuple[int, ...]] = field(default_factory=dict, repr=False)

    def codes(self, text: str) -> list[int]:
        """Return the codes of a text, without an end."""
        return [code for word in words_of(text) for code in self._word(word)]

    def text(self, codes: Iterable[int]) -> str:
        """Return the text of codes up to the first end; bytes that are no UTF-8 show as U+FFFD."""
        found = []
        for code in codes:
            if code == END:
                break
            found.append(self.tokens[code])
        return "".join(found).encode("latin-1").decode("utf-8", errors="replace")

    def _word(self, word: str) -> tuple[int, ...]:
        if word not in self._known:
            if len(self._known) >= _WORDS:
                self._known.clear()
            self._known[word] = self._coded(_bytes(word))
        return self._known[word]

    def _coded(self, tokens: list[str]) -> tuple[int, ...]:
        while len(tokens) > 1:
            codes = {(a, b): self._code.get(a + b) for a, b in pairwise(tokens)}
            first = min((c for c in codes.values() if c is not None), default=None)
            if first is None:
                break
            (pair, *_) = (pair for pair, code in codes.items() if code == first)
            tokens = _merged(tokens, pair)
        return tuple(self._code[token] for token in tokens)


@lru_cache(maxsize=32)
def vocabulary(tokens: tuple[str, ...]) -> Vocabulary:
    """Return the vocabulary with these tokens."""
    return Vocabulary(tokens, {token: code for code, token in enumerate(tokens)})


def encode(
    texts: Iterable[str], tokens: tuple[str, ...], width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return codes int32 ``(n, width)``, cut or filled with ends, and the length of each text.

    Raises CausalcError for half of a character (a lone surrogate).
    """
    known = vocabulary(tokens)
    rows = [known.codes(text) for text in texts]
    lengths = np.array([len(row) for row in rows], np.int64)
    found = np.full((len(rows), width), END, np.int32)
    for place, row in zip(found, rows, strict=True):
        place[: len(row)] = row[:width]
    return found, lengths


def decode(codes: np.ndarray, tokens: tuple[str, ...]) -> np.ndarray:
    """Return the texts of codes ``(n, width)``, an object array ``(n,)``."""
    known = vocabulary(tokens)
    found = np.empty(len(codes), object)
    found[:] = [known.text(row) for row in codes.tolist()]
    return found


def bags(codes: np.ndarray, size: int) -> np.ndarray:
    """Return how often each of ``size`` tokens stands in each row, float64 ``(n, size)``."""
    n = len(codes)
    keys = np.arange(n)[:, None] * size + codes
    counts = np.bincount(keys[codes != END], minlength=n * size)
    return np.asarray(counts.reshape(n, size), np.float64)
