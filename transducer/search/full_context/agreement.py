"""Words that do not change any more: what two decodings of a growing segment, one after the other, agree on.

Source: D. Liu, G. Spanakis, J. Niehues, "Low-latency sequence-to-sequence speech recognition and translation by partial
hypothesis selection", Interspeech 2020 (LocalAgreement-2); D. Macháček, R. Dabre, O. Bojar, "Turning Whisper into
real-time transcription system", 2023 (arXiv:2307.14743).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transducer.results import Word


class Draft(NamedTuple):
    """What is known of a segment that grows.

    Attributes:
        tokens, words: those that are stable. Every decoding that follows begins with these tokens.
        rest: the texts of the words that the newest decoding had after them.
        guess: the tokens of these.
        heard: one past the last step of speech that has been decoded.
        language: of the segment, once some words are stable; None where none has been told.
    """

    tokens: tuple[int, ...] = ()
    words: tuple[Word, ...] = ()
    rest: tuple[str, ...] = ()
    guess: tuple[int, ...] = ()
    heard: int = 0
    language: str | None = None


def agreed(before: Sequence[str], now: Sequence[str], over: bool) -> int:
    """How many words two decodings agree on, from the first one on.

    Args:
        over: whether the last word is known to be over; otherwise it may go on, and does not count.
    """
    count = 0
    for old, new in zip(before, now, strict=False):
        if old != new:
            break
        count += 1
    return count if over else min(count, len(now) - 1)
