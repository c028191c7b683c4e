"""From tokens to words with times in seconds and confidences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from transducer.results import Word
from transducer.search.tokens.hypothesis import Hypothesis
from transducer.text.tokenizers.tokenizer import Tokenizer
from transducer.text.unspaced import character_spans

# Seconds that a word takes, and each of its letters: a fit to LibriSpeech's alignments.
_WORD, _LETTER = 0.02, 0.065


class Cut(NamedTuple):
    """A place between two words: the index of the word after it, of that word's first token, and the frame."""

    word: int
    token: int
    frame: int


@dataclass(frozen=True)
class WordTimer:
    """Groups the tokens of a hypothesis into words, and tells when they were said.

    A word lasts from the first frame of its first token to the end of the last frame of its last one, or to the
    next word where that comes first. Times are never negative, never go back, and start < end.

    Attributes:
        tokenizer: says where words begin.
        seconds_per_frame: of the encoder's output.
        time_shift: seconds added to all times, negative for a model that emits late. At the very start of a
            stream, where this would lead below zero, times are halved instead.
        confidence: of a word, from its tokens: the "min" or their geometric "mean".
        spaced: whether there are spaces between words; otherwise see `character_spans`.
    """

    tokenizer: Tokenizer
    seconds_per_frame: float
    time_shift: float = 0.0
    confidence: Literal["min", "mean"] = "min"
    spaced: bool = True

    def words(self, hypothesis: Hypothesis, start: int = 0, offset: float = 0.0) -> tuple[Word, ...]:
        """The words of a hypothesis.

        Args:
            hypothesis: of a segment.
            start: the frame of the stream on which the segment begins.
            offset: time of the stream's first frame, in seconds.
        """
        spans = self.spans(hypothesis.tokens)
        spelled = [self.tokenizer.decode(hypothesis.tokens[first:end]) for first, end in spans]
        texts = [text.strip() for text in spelled]
        # A word that does not begin where the one before it ended has white space before it.
        ends = [0, *(end for _, end in spans)][: len(spans)]
        return tuple(
            Word(
                text=text,
                start=offset + self._seconds(start + begin),
                end=offset + self._seconds(start + stop),
                confidence=self._pool(hypothesis.confidences[first:end]),
                glued=not self.spaced and first == before and not whole[:1].isspace(),
            )
            for text, whole, before, (first, end), (begin, stop) in zip(
                texts, spelled, ends, spans, self._times(hypothesis, texts, spans), strict=True
            )
        )

    def spans(self, tokens: Sequence[int]) -> list[tuple[int, int]]:
        """Indices into `tokens` of each word: from its first token, up to but without its end."""
        return self.tokenizer.word_spans(tokens) if self.spaced else character_spans(self.tokenizer, tokens)

    def cuts(self, hypothesis: Hypothesis) -> list[Cut]:
        """Where a segment can end without harm to a word: in the middle of the gap before each word.

        A word that begins on a frame that the one before it is still on has no gap before it (RNN-T may emit so),
        nor has one that begins on frame 0.
        """
        cuts, end = [], 0
        for word, (first, last) in enumerate(self.tokenizer.word_spans(hypothesis.tokens)):
            begin = hypothesis.frames[first]
            if 0 < begin >= end:
                cuts.append(Cut(word, first, (end + begin + 1) // 2))
            end = hypothesis.ends[last - 1]
        return cuts

    def frame_at(self, seconds: float) -> float:
        """The frame that a time belongs to, in parts where it lies within one, without the noise of rounding."""
        frame = seconds / self.seconds_per_frame
        return float(round(frame)) if abs(frame - round(frame)) < 1e-6 else frame

    def _times(
        self, hypothesis: Hypothesis, texts: Sequence[str], spans: Sequence[tuple[int, int]]
    ) -> list[tuple[float, float]]:
        """Frames of the segment from which and up to which each word lasts."""
        begins = _distinct([hypothesis.frames[first] for first, _ in spans])
        ends: list[float] = [hypothesis.ends[end - 1] for _, end in spans]
        times = []
        for index, (begin, stop) in enumerate(zip(begins, ends, strict=True)):
            times.append((begin, min(stop, begins[index + 1]) if index + 1 < len(begins) else stop))
        return times

    def _seconds(self, frame: float) -> float:
        seconds = frame * self.seconds_per_frame
        # Both sides grow strictly with the frame, so the order of times survives.
        return max(seconds + self.time_shift, seconds / 2) if self.time_shift < 0 else seconds + self.time_shift

    def _pool(self, confidences: tuple[float, ...]) -> float:
        if self.confidence == "min":
            return min(confidences)
        return math.exp(sum(math.log(max(p, 1e-30)) for p in confidences) / len(confidences))


@dataclass(frozen=True)
class FinishedWordTimer(WordTimer):
    """The same for a model that emits all tokens of a word when it is over.

    A word ends after the frame of its last token. How long it was nobody has said: it is taken to begin where the
    word before it ends, or so many seconds earlier as a word of so many letters takes.
    """

    def _times(
        self, hypothesis: Hypothesis, texts: Sequence[str], spans: Sequence[tuple[int, int]]
    ) -> list[tuple[float, float]]:
        times, before = [], 0.0
        for text, stop in zip(texts, _distinct([hypothesis.ends[end - 1] for _, end in spans]), strict=True):
            length = (_WORD + _LETTER * len(text)) / self.seconds_per_frame
            times.append((max(before, stop - length), stop))
            before = stop
        return times


def _distinct(frames: list[int]) -> list[float]:
    """Frames that never decrease -> frames that increase: where several words begin on one frame (RNN-T can emit
    so), each takes half of what the one before has left of it."""
    begins: list[float] = []
    for frame in frames:
        taken = bool(begins) and frame <= begins[-1]
        begins.append((begins[-1] + frame + 1) / 2 if taken else frame)
    return begins
