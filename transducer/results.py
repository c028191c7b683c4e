"""What the engine gives back: frozen, with times in seconds from the start of the source.

Times are rounded to microseconds, in which any frame of any rate keeps its place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from transducer.errors import UsageError, is_number

DIGITS = 6  # of times in seconds


class _Timed:
    """Rounds the times of what is made: sums of floats would show as 0.4700000000000001."""

    _TIMES: ClassVar[tuple[str, ...]] = ("start", "end")

    def __post_init__(self) -> None:
        for name in self._TIMES:
            seconds = getattr(self, name)
            if seconds is None and name == "change":
                continue
            if not is_number(seconds):
                raise UsageError(f"{name} of a {type(self).__name__} must be seconds, got {seconds!r:.80}")
            if not isinstance(seconds, int):
                object.__setattr__(self, name, round(float(seconds), DIGITS))


@dataclass(frozen=True)
class Word(_Timed):
    """A word with its times in seconds and the probability (0 to 1) that it is right.

    Attributes:
        glued: whether no space stands before it, as in languages that are written without spaces between words.
    """

    text: str
    start: float
    end: float
    confidence: float
    glued: bool = False


def text_of(words: Iterable[Word]) -> str:
    """Words as a text."""
    return "".join(word.text if word.glued else f" {word.text}" for word in words).removeprefix(" ")


@dataclass(frozen=True)
class Segment(_Timed):
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
        language: of many that the model has, such as "de"; empty where it has one.
    """

    words: tuple[Word, ...]
    final: bool
    start: float
    end: float
    stable: int = 0
    alternatives: tuple[tuple[str, float], ...] = ()
    language: str = field(default="", compare=False)

    @property
    def text(self) -> str:
        return text_of(self.words)

    @property
    def stable_text(self) -> str:
        return text_of(self.words[: self.stable])


@dataclass(frozen=True)
class Transcript(_Timed):
    """All segments of a source. `warnings` says what could not be read, and where."""

    _TIMES: ClassVar[tuple[str, ...]] = ("duration",)

    segments: tuple[Segment, ...]
    duration: float
    source: str = ""
    language: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return text_of(self.words)

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


@dataclass(frozen=True)
class Event(_Timed):
    """Something that happens in a video. Frames are counted from 0 in presentation order.

    What the ends mean depends on the model (`Labelling.kind`):

    - a transition between two shots lies between frames: `start_frame` is the last frame wholly of the old shot,
      `end_frame` the first wholly of the new one, `start` and `end` are the times at which these two are shown;
    - every other event consists of the frames `start_frame` to `end_frame`, both included; `start` is the time at
      which the first of them is shown, `end` the time at which the last one ends.

    Attributes:
        label: what it is.
        start, end: in seconds, on the clock of the source's sound.
        start_frame, end_frame: of the video, whatever its rate.
        score: probability, 0 to 1; of the frame where it is highest.
        change: of a transition, the time at which `start_frame` ends, and the shot before with it.
        values: of models of numbers, in the units of their training data; `label` has them as text, and the score is 1.
    """

    _TIMES: ClassVar[tuple[str, ...]] = ("start", "end", "change")

    label: str
    start: float
    end: float
    start_frame: int
    end_frame: int
    score: float
    change: float | None = field(default=None, compare=False, repr=False)
    values: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Scene(_Timed):
    """A stretch of a video: the frames `start_frame` to `end_frame`, both included.

    Scenes follow each other in time and do not overlap. Between two shots the frames of a gradual transition
    belong to neither, nor does the last frame of one that ends with the video; of everything else the scenes are a
    partition, with the label "" where nothing was found.

    Attributes:
        label: "shot" where events are transitions; else what is going on, or "".
        start: the time in seconds at which the first frame is shown.
        end: the time at which the last one ends.
        start_frame, end_frame: from 0 in presentation order.
        score: probability, 0 to 1; 1 for shots and for "".
        values: as of an `Event`.
    """

    label: str
    start: float
    end: float
    start_frame: int
    end_frame: int
    score: float
    values: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Labelling(_Timed):
    """The events of a video and the scenes between them.

    Attributes:
        source: its name.
        fps: frames per second, on average.
        frames: how many there are.
        duration: seconds; the time at which the last frame ends.
        events: in the order of their frames; spans of different labels may overlap.
        segments: at least one, unless there is no frame.
        warnings: what could not be read, and where.
        kind: of the events: "transitions", "spans", "dense", "steps", "peaks", "clip", "sequence",
            "numbers" or "whole_numbers"; see
            `transducer.search.events.rules`.
        labels: the names that the model knows; the first is "", the background. Empty for sequences. Of numbers, what
            they are called.
        frame_times: when each frame is shown, in seconds; None unless asked for.
        frame_scores: for each frame the probability of each of `labels`; None unless asked for.
        start_timecode: of the first frame, as the source has it ("hh:mm:ss:ff", before drop-frame numbers ";"); None
            if it has none.
    """

    _TIMES: ClassVar[tuple[str, ...]] = ("duration",)

    source: str
    fps: float
    frames: int
    duration: float
    events: tuple[Event, ...]
    segments: tuple[Scene, ...]
    warnings: tuple[str, ...] = ()
    kind: str = "spans"
    labels: tuple[str, ...] = ()
    frame_times: tuple[float, ...] | None = None
    frame_scores: tuple[tuple[float, ...], ...] | None = None
    start_timecode: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frame_times is not None:
            object.__setattr__(self, "frame_times", tuple(round(seconds, DIGITS) for seconds in self.frame_times))

    @property
    def frame_labels(self) -> tuple[str, ...] | None:
        """The most probable label of each frame; None where there are no `frame_scores`."""
        if self.frame_scores is None:
            return None
        return tuple(self.labels[max(range(len(scores)), key=scores.__getitem__)] for scores in self.frame_scores)

    @property
    def text(self) -> str:
        """The labels of the events in a row: of a lip reader, what is said."""
        return " ".join(event.label for event in self.events)


@dataclass(frozen=True)
class Annotation:
    """What is said in a video, and what is seen; times of both are on one clock.

    Attributes:
        source: its name.
        transcript: None where there is no sound.
        labelling: None where there are no pictures.
        warnings: what could not be read, and where.
    """

    source: str
    transcript: Transcript | None
    labelling: Labelling | None
    warnings: tuple[str, ...] = ()

    @property
    def duration(self) -> float:
        """Seconds: of the longer half."""
        return max((half.duration for half in (self.transcript, self.labelling) if half is not None), default=0.0)

    def scene_at(self, seconds: float) -> int | None:
        """The number (from 0) of the scene that began last by then; None before the first, or without pictures."""
        if not is_number(seconds):
            raise UsageError(f"a time must be a number of seconds, got {seconds!r:.80}")
        scenes = self.labelling.segments if self.labelling is not None else ()
        number = bisect_right(scenes, seconds, key=lambda scene: scene.start) - 1
        return number if number >= 0 else None
