"""What the network sees of a word: its number in a vocabulary, and its letters."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 0  # the row of words that the vocabulary does not have
NGRAMS = 6


class WordFeatures:
    """Words in any case -> row in the word embedding, and NGRAMS rows in the embedding of letter n-grams.

    The n-grams are the first two and three letters, the last two, three and four, and the whole word, each hashed
    into `buckets` by CRC-32: words that the vocabulary lacks are known by how they begin and end (names by -son,
    adverbs by -ly).

    Args:
        vocabulary: words by row, anything at UNKNOWN.
    """

    def __init__(self, vocabulary: Sequence[str], buckets: int):
        self.rows = {word: row for row, word in enumerate(vocabulary) if row != UNKNOWN}
        self.buckets = buckets

    def __call__(self, words: Sequence[str]) -> NDArray[np.float32]:
        """(N, 1 + NGRAMS), what `transducer.frontends.words` takes."""
        return np.array([self._row(word.lower()) for word in words], np.float32).reshape(len(words), 1 + NGRAMS)

    def _row(self, word: str) -> list[int]:
        parts = (f"<{word[:2]}", f"<{word[:3]}", f"{word[-2:]}>", f"{word[-3:]}>", f"{word[-4:]}>", f"<{word}>")
        return [self.rows.get(word, UNKNOWN), *(zlib.crc32(part.encode()) % self.buckets for part in parts)]
