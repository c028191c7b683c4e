"""Words that do not change any more: what decodings of a growing segment, one after the other, agree on.

Two that are certain of a word are enough, else three.

Source: D. Liu, G. Spanakis, J. Niehues, "Low-latency sequence-to-sequence speech recognition and translation by partial
hypothesis selection", Interspeech 2020 (LocalAgreement-2); D. Macháček, R. Dabre, O. Bojar, "Turning Whisper into
real-time transcription system", 2023 (arXiv:2307.14743).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transducer.results import Word

LIKELY = 0.7  # confidence from which on a decoding is certain of a word
CERTAIN, DOUBTFUL = 3, 2  # votes of a decoding
ENOUGH = 6


class Draft(NamedTuple):
    """What is known of a segment that grows.

    Attributes:
        tokens, words: those that are stable. Every decoding that follows begins with these tokens.
        log_probs: of these tokens, when they were written.
        rest: the texts of the words that the newest decoding had after them.
        votes: for each of these, see `votes`.
        guess: the tokens of these.
        heard: one past the last step of speech that has been decoded.
        language: of the segment, once some words are stable; None where none has been told.
    """

    tokens: tuple[int, ...] = ()
    words: tuple[Word, ...] = ()
    log_probs: tuple[float, ...] = ()
    rest: tuple[str, ...] = ()
    votes: tuple[int, ...] = ()
    guess: tuple[int, ...] = ()
    heard: int = 0
    language: str | None = None


def votes(draft: Draft, now: Sequence[Word]) -> tuple[int, ...]:
    """For each word of a decoding after the stable ones: votes of all in a row that have had it and those before it."""
    found = [CERTAIN if word.confidence >= LIKELY else DOUBTFUL for word in now]
    for place, (old, new, before) in enumerate(zip(draft.rest, now, draft.votes, strict=False)):
        if old != new.text:
            break
        found[place] += before
    return tuple(found)
