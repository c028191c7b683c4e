"""What the restoring of readable text chooses from, and how a word is written with it."""

from __future__ import annotations

import re

import numpy as np

from transducer.text.english.acronyms import ACRONYMS

# The mark after a word; none comes first. The last two stand inside a sentence that goes on: "Where? he asked."
MARKS = ("", ",", ".", "?", "!", ";", ":", "\u2014", "?", "!")
# Of all but the first mark, as the labels of a model's head.
MARK_NAMES: tuple[str, ...] = ("comma", "full stop", "question", "exclamation", "semicolon", "colon", "dash")
MARK_NAMES += ("question inside", "exclamation inside")
SENTENCE_ENDS = tuple(MARKS.index(mark) for mark in ".?!")
INSIDE = {MARKS.index("?"): 8, MARKS.index("!"): 9}
LOWER, CAPITALISED, UPPER = range(3)
CASE_NAMES = ("capitalised", "upper")  # of all but the first

ANY_MARK = 0.45  # probability that there is some mark, from which on the likeliest is written; tuned on novels kept out

_PREFIX = re.compile(r"(o'|mc)(?=[a-z]{3})")


def best_marks(scores: np.ndarray) -> np.ndarray:
    """Logarithms of what is proportional to the probabilities of MARKS (..., M) -> the mark to write (...).

    That is not just the likeliest: where several marks share the probability, none of them may be as likely as none.
    """
    relative = np.exp(scores - scores.max(axis=-1, keepdims=True))
    none = relative[..., 0] / relative.sum(axis=-1)
    return np.where(1 - none > ANY_MARK, scores[..., 1:].argmax(axis=-1) + 1, 0)


def with_case(word: str, case: int) -> str:
    """The word in one of the three cases; only the case of its letters ever changes.

    "o'brien" becomes "O'Brien", "mcgregor" "McGregor"; "i" and its short forms are capitalised always, and so
    are a few acronyms.
    """
    lower = word.lower()
    if lower in ACRONYMS or case == UPPER:
        return _same(word, lower.upper())
    if case == LOWER and lower != "i" and not lower.startswith("i'"):
        return _same(word, lower)
    if match := _PREFIX.match(lower):
        return _same(word, match[0].capitalize() + lower[match.end() :].capitalize())
    return _same(word, lower[:1].upper() + lower[1:])


def _same(word: str, changed: str) -> str:
    # Some letters change into others: ß into SS.
    return changed if changed.casefold() == word.casefold() and len(changed) == len(word) else word
