"""What the network sees of a word: its number in a vocabulary, and its letters."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

UNKNOWN = 0  # the row of words that the vocabulary does not have
NGRAMS = 6


class WordFeatures:
    """Words in any case -> (row in the word embedding, NGRAMS rows in the embedding of letter n-grams).

    The n-grams are the first two and three letters, the last two, three and four, and the whole word, each hashed
    into `buckets` by CRC-32: words that the vocabulary lacks are known by how they begin and end (names by -son,
    adverbs by -ly).
    """

    def __init__(self, vocabulary: Iterable[str], buckets: int):
        self.rows = {word: number for number, word in enumerate(vocabulary, start=UNKNOWN + 1)}
        self.buckets = buckets

    def __call__(self, word: str) -> tuple[int, list[int]]:
        word = word.lower()
        parts = (f"<{word[:2]}", f"<{word[:3]}", f"{word[-2:]}>", f"{word[-3:]}>", f"{word[-4:]}>", f"<{word}>")
        return self.rows.get(word, UNKNOWN), [zlib.crc32(part.encode()) % self.buckets for part in parts]
