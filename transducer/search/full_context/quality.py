"""Whether a text is one: what decoders write of noise and music, and when they go round in circles.

Thresholds of text are those of OpenAI's `whisper/transcribe.py`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

# Without enough silence behind a segment, decoders say all of it twice: circles from two rounds on, see `once_round`.
DOUBLED = (2, 10)


@dataclass(frozen=True)
class Thresholds:
    """When a text is not taken as it is.

    Attributes:
        compression: bytes of a text, over those that zlib makes of it; more is the same thing again and again.
        log_prob: the least mean log-probability of a token.
        no_speech: probability of no speech, above which a text of a low log-probability is none.
        doubtful: probability of no speech, above which there is none where neither window gives a good text.
        temperatures: that a final text is drawn at where the one before was not taken, one after the other.
    """

    compression: float = 2.4
    log_prob: float = -1.0
    no_speech: float = 0.6
    doubtful: float = 0.2
    temperatures: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)


def compression_ratio(text: str) -> float:
    """Bytes of the text, over those that zlib makes of it."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def said_once(tokens: Sequence[int], spelling: Callable[[int], str]) -> int:
    """How many tokens are left of a text where what comes twice at its end comes once, see `DOUBLED`.

    Capitals and punctuation make no difference.

    Args:
        spelling: of a token.
    """
    places, said = [], []
    for place, token in enumerate(tokens):
        text = spelling(token).casefold()
        key = "".join(filter(str.isalnum, text)) or (token if "\ufffd" in text else None)  # a part of a character
        if key is not None:
            places.append(place)
            said.append(key)
    left = once_round(said, *DOUBLED)
    return places[left] if left < len(said) else len(tokens)


def once_round(tokens: Sequence[Hashable], times: int = 3, least: int = 6) -> int:
    """How many tokens are left of a text when each circle at its end is gone round once; all of them if there is none.

    Args:
        times: that the same tokens come one after the other, without which it is no circle.
        least: tokens in all these times together.
    """
    count = len(tokens)
    for period in range(1, count // times + 1):
        rounds = 1
        while rounds * period + period <= count and (
            tokens[count - (rounds + 1) * period : count - rounds * period] == tokens[count - period :]
        ):
            rounds += 1
        if rounds >= times and rounds * period >= least:
            return count - period * (rounds - 1)
    return count
