"""What the engine gives back: frozen, with times in seconds from the start of the source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A word with its times in seconds and the probability (0 to 1) that it is right."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Segment:
    """A stretch of speech between two endpoints.

    A partial segment (`final` False) replaces the partial before it. Its first `stable` words stay as they
    are, times included, in every later result of the same segment; the rest may still change. A final
    segment never changes, and all its words are stable.

    Attributes:
        words: in time order.
        final: no later result will replace this one.
        start, end: of the segment in seconds; of the first and last word, where there are words.
        stable: how many leading words will not change any more.
        alternatives: n-best texts with their log-probabilities, best first; empty unless asked for.
    """

    words: tuple[Word, ...]
    final: bool
    start: float
    end: float
    stable: int = 0
    alternatives: tuple[tuple[str, float], ...] = ()

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def stable_text(self) -> str:
        return " ".join(word.text for word in self.words[: self.stable])


@dataclass(frozen=True)
class Transcript:
    """All segments of a source. `warnings` says what could not be read, and where."""

    segments: tuple[Segment, ...]
    duration: float
    source: str = ""
    language: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments if segment.words)

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for segment in self.segments for word in segment.words)

    @property
    def final(self) -> bool:
        return all(segment.final for segment in self.segments)

    @property
    def start(self) -> float:
        return self.segments[0].start if self.segments else 0.0

    @property
    def end(self) -> float:
        return self.segments[-1].end if self.segments else 0.0
