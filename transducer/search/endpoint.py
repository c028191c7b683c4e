"""When a segment ends: after silence, or when it has become too long.

Source: the endpointing rules of Kaldi, `online2/online-endpoint.h`, without its rules on final costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from transducer.errors import UsageError, is_number

# Seconds of a pause that ends a segment where a model writes whole sentences: readers pause within them, too.
SENTENCE_PAUSE = 1.6


@dataclass(frozen=True)
class EndpointRules:
    """A segment ends where the first of these is reached; all in seconds, infinity switches a rule off.

    Attributes:
        silence_without_words: trailing silence in a segment that has no words yet.
        silence_after_words: trailing silence in a segment that has some.
        max_length: of the segment.

    Raises:
        UsageError: a rule is not positive.
    """

    silence_without_words: float = 5.0
    silence_after_words: float = 0.8
    max_length: float = 20.0

    def __post_init__(self) -> None:
        for name, seconds in vars(self).items():
            if not ((is_number(seconds) or seconds == math.inf) and seconds > 0):
                raise UsageError(f"endpoint rule {name} must be more than 0 seconds, got {seconds!r:.80}")


class Endpointer:
    """The rules in frames: a pure function of how a segment stands after a frame.

    Args:
        rules: in seconds; rounded up to whole frames.
        seconds_per_frame: of the encoder's output.
    """

    def __init__(self, rules: EndpointRules, seconds_per_frame: float):
        # The margin keeps 0.8 s at 0.04 s from becoming 21 frames by a rounding error.
        self.without_words, self.after_words, self.max_length = (
            math.inf if math.isinf(seconds) else math.ceil(seconds / seconds_per_frame - 1e-6)
            for seconds in (rules.silence_without_words, rules.silence_after_words, rules.max_length)
        )

    def __call__(self, length: int, silence: int, words: bool) -> Literal["silence", "length"] | None:
        """What ends the segment here, if anything.

        Args:
            length: frames since the start of the segment.
            silence: how many of them have come since the last sound, or all without one.
            words: whether any were decoded.
        """
        if silence >= (self.after_words if words else self.without_words):
            return "silence"
        return "length" if length >= self.max_length else None
