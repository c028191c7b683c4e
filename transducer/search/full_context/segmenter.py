"""Where the segments of a stream begin, are decoded, and end: by counting steps, never packets.

Legend of axis suffixes: T steps, F features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.search.endpoint import Endpointer
from transducer.search.full_context.detector import Bools, DetectorState, SpeechDetector


class Stretch(NamedTuple):
    """A segment as far as it goes, to be decoded.

    Attributes:
        begin: its first step in the stream.
        spoken: one past the last step on which somebody may have spoken.
        final: whether the segment ends here; otherwise it goes on growing.
        features: (T, F) of it.
        speech: (T,) where somebody may be speaking.
    """

    begin: int
    spoken: int
    final: bool
    features: NDArray[np.float32]
    speech: Bools

    @property
    def end(self) -> int:
        """One past its last step."""
        return self.begin + len(self.features)


class SegmenterState(NamedTuple):
    """State between two steps.

    Attributes:
        detector: state of the detector.
        features, speech: (R, F), (R,): the newest steps, those of the segment and some of those before it.
        position: steps so far.
        begin: the segment's first step; None while nobody speaks.
        spoken: see `Stretch`.
        free: the first step that no segment before has.
    """

    detector: DetectorState
    features: NDArray[np.float32] | None = None
    speech: Bools | None = None
    position: int = 0
    begin: int | None = None
    spoken: int = 0
    free: int = 0


@dataclass(frozen=True)
class Segmenter:
    """Segments begin with speech and end with a pause, or before they get too long, in the best pause that they have.

    Attributes:
        detector: tells speech from pauses.
        endpointer: says when a segment is over.
        growth: a growing segment is decoded on every step of the stream whose number, from 1, is a multiple of that
            and `lag` less; 0 for never.
        lag: steps by which the front-end lags what has been heard, so that blocks of media end on steps to decode at.
        short: steps of a segment up to which that is so; up to twice as many it is decoded half as often, and so on, or
            a long segment would cost more with every step.
        before, after: steps before and after speech that belong to a segment.
        least: steps of speech without which it is none.
        levels: of features, log10 of the power in bands, in the scale of `WhisperMel`.
    """

    detector: SpeechDetector
    endpointer: Endpointer
    growth: int = 0
    lag: int = 0
    short: int = 800
    before: int = 40
    after: int = 40
    least: int = 8
    levels: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray

    def init(self) -> SegmenterState:
        """State before the first step."""
        return SegmenterState(self.detector.init())

    def step(self, state: SegmenterState, features: NDArray[Any]) -> tuple[SegmenterState, list[Stretch]]:
        """(T, F) more steps -> the new state, and what is to be decoded, in order. Pure."""
        detector, found = self.detector.step(state.detector, self.levels(np.asarray(features)))
        # Copies: the caller may use its array again.
        if state.features is None or state.speech is None:
            rows, speech = np.array(features, np.float32), found
        else:
            rows, speech = np.concatenate([state.features, features]), np.concatenate([state.speech, found])
        begin, spoken, position, free = state.begin, state.spoken, state.position, state.free
        origin, stretches = position + len(found) - len(rows), []

        def stretch(end: int, final: bool) -> None:
            assert begin is not None
            part = slice(begin - origin, end - origin)
            if np.count_nonzero(speech[part]) >= self.least:
                stretches.append(Stretch(begin, min(spoken, end), final, rows[part], speech[part]))

        for heard in found.tolist():
            position += 1
            if heard:
                begin = max(free, position - 1 - self.before) if begin is None else begin
                spoken = position
            if begin is None:
                continue
            reached = self.endpointer(position - begin, position - spoken, True)
            if reached == "silence":
                free = min(position, spoken + self.after)
                stretch(free, True)
                begin = None
            elif reached == "length":
                part = slice(begin - origin, position - origin)
                free = begin + best_pause(self.levels(rows[part]), speech[part])
                stretch(free, True)
                begin = free if speech[free - origin : position - origin].any() else None
            elif self.growth and not (position + self.lag) % (self.growth * (1 + (position - begin) // self.short)):
                stretch(position, False)
        kept = begin if begin is not None else max(free, position - self.before)
        state = SegmenterState(
            detector, rows[kept - origin :].copy(), speech[kept - origin :].copy(), position, begin, spoken, free
        )
        return state, stretches

    def flush(self, state: SegmenterState) -> tuple[SegmenterState, Stretch | None]:
        """The segment ends here: the state before the next one, and what is to be decoded, if there is speech."""
        begin, after = state.begin, state._replace(begin=None, free=state.position)
        if begin is None or state.features is None or state.speech is None:
            return after, None
        count = min(len(state.features), state.spoken + self.after - begin)
        last = Stretch(begin, state.spoken, True, state.features[:count], state.speech[:count])
        return after, last if np.count_nonzero(state.speech) >= self.least else None


def best_pause(levels: NDArray[Any], speech: Bools) -> int:
    """Where to cut a segment that is too long, by its levels (T, F): in the middle of the longest pause of its second
    half, or where it is least loud there if it has none. At least one step stays on either side."""
    half = len(speech) // 2
    best, run = (0, 0), 0
    for step in range(half, len(speech)):
        run = 0 if speech[step] else run + 1
        best = max(best, (run, step))
    if best[0]:
        length, last = best
        cut = last + 1 - length // 2
    else:
        loud = levels[half:].mean(axis=1, dtype=np.float64)
        around = np.convolve(np.pad(loud, 5, mode="edge"), np.ones(11), mode="valid")
        cut = half + int(around.argmin())
    return min(max(cut, 1), len(speech) - 1)
