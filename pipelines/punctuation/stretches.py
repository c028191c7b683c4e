"""Stretches of running text as pairs, and text to try the recipe on where there are no novels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.punctuation.novels import Text
from transducer.data.pairs import Pair
from transducer.text.readable.features import UNKNOWN, WordFeatures


class Stretches:
    """Pairs of `length` words: x their rows in the model's tables, y the marks and cases.

    Where a stretch ends, its last words have no future, as at the end of a segment.

    Args:
        types: the words that there are.
        errors: how many are replaced by others of the text, as a recogniser may: 0 to 1.
        unknown: how many lose their own row, so that their letters must do.
        vary: whether each time it is cut at other places.
    """

    def __init__(
        self,
        text: Text,
        types: Sequence[str],
        features: WordFeatures,
        length: int,
        errors: float = 0.0,
        unknown: float = 0.0,
        vary: bool = False,
    ):
        self.text, self.length, self.errors, self.unknown, self.vary = text, length, errors, unknown, vary
        self.rows = features(types)
        self.lengths = np.full(max(0, len(text) - vary * length) // length, length)
        self.fingerprint = f"{len(text)} words, {length}, {errors}, {unknown}, {vary}"

    def __len__(self) -> int:
        return len(self.lengths)

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        start = index * self.length + (int(rng.integers(self.length)) if self.vary else 0)
        part = self.text[start : start + self.length]
        wrong = rng.random(self.length) < self.errors
        words = np.where(wrong, self.text.words[rng.integers(len(self.text), size=self.length)], part.words)
        x = self.rows[words]
        x[rng.random(self.length) < self.unknown, 0] = UNKNOWN
        return Pair(x, {"marks": part.marks, "cases": part.cases}, f"words from {start} on")


_SUBJECTS = ("Mary", "the old man", "Mr. Brown", "I", "the dog", "our captain")
_VERBS = ("went", "came", "looked", "returned", "wrote")
_PLACES = ("to London", "to the river", "from Paris", "home", "in the dark")
_ENDS = (".", ".", "?", "!", "; it was late.", ", and nobody saw it.", ", but why?")


def toy_lines(sentences: int, seed: int) -> Iterator[str]:
    """Two short books of made-up sentences, as `novels.read` takes them."""
    rng = np.random.default_rng(seed)
    for number in range(sentences):
        subject, verb, place, end = (part[rng.integers(len(part))] for part in (_SUBJECTS, _VERBS, _PLACES, _ENDS))
        begin = "\ufeff" if number % (sentences // 2) == 0 else ""
        yield f"{begin}{subject[0].upper()}{subject[1:]} {verb} {place}{end}"
