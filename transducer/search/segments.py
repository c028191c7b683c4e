"""From the outputs of a model to segments: search, endpoints and words, for a stream without end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.results import Segment
from transducer.search.endpoint import Endpointer, EndpointRules
from transducer.search.result_search import Clock
from transducer.search.tokens.hypothesis import Hypothesis, Search
from transducer.search.tokens.words import Cut, WordTimer
from transducer.search.transcript import TranscriptBuilder

_SQUEEZED = 0.5  # seconds


class SegmentState(NamedTuple):
    """State of a stream.

    Attributes:
        search: state of the search in the current segment.
        start: the frame of the stream on which the segment begins.
        length: frames of the segment so far.
        recent: (R, ...) the last R of them, from where a segment that gets too long may be cut.
        shown: the partial segment that was given out last; None where it had no words.
        offset: time of the stream's first frame, in seconds.
    """

    search: Any
    start: int
    length: int
    recent: NDArray[Any] | None
    shown: Segment | None
    offset: float


@dataclass
class _Walk:
    """One client on its way through the frames of a step; as in `SegmentState`, and:

    Attributes:
        window: (W, ...) the recent frames and the new ones.
        origin: the frame of the stream that the first of them is.
        results: segments that became final on the way.
    """

    search: Any
    start: int
    length: int
    shown: Segment | None
    offset: float
    window: NDArray[Any]
    origin: int
    results: list[Segment]

    @classmethod
    def begin(cls, state: SegmentState, frames: NDArray[Any]) -> _Walk:
        window = frames if state.recent is None else np.concatenate([state.recent, frames])
        origin = state.start + state.length + len(frames) - len(window)
        return cls(state.search, state.start, state.length, state.shown, state.offset, window, origin, [])

    @property
    def rest(self) -> int:
        """Frames that have not been searched."""
        return self.origin + len(self.window) - self.start - self.length

    def next(self, count: int) -> NDArray[Any]:
        first = self.start + self.length - self.origin
        return self.window[first : first + count]


class SegmentSearch:
    """Cuts a stream into segments, and searches each of them from a fresh state, so that state stays bounded.

    Endpoints are decided frame by frame: final segments do not depend on how the frames are cut into steps. After
    silence the next segment begins with the next frame. A segment that gets too long while someone speaks ends in
    the gap before its last word; the frames from there on are searched again as the next segment, so that no word
    is cut in two, lost or doubled. Only a single word as long as `max_length` is cut in two.

    Args:
        search: CTC or RNN-T, greedy or beam.
        timer: makes words of tokens.
        rules: where segments end.
        alternatives: n of the n-best list that final segments get; 0 for none.
    """

    kind = "words"

    def __init__(
        self, search: Search[Any], timer: WordTimer, rules: EndpointRules | None = None, alternatives: int = 0
    ):
        self.search = search
        self.timer = timer
        self.alternatives = alternatives
        self.endpointer = Endpointer(rules or EndpointRules(), timer.seconds_per_frame)
        self._shift = math.ceil(max(0.0, -timer.time_shift) / timer.seconds_per_frame)

    def init(self, offset: float = 0.0) -> SegmentState:
        """State of a stream whose first frame is at `offset` seconds."""
        return SegmentState(self.search.init(), 0, 0, None, None, offset)

    def step(self, states: Sequence[SegmentState], outputs: Sequence[Any]) -> list[tuple[SegmentState, list[Segment]]]:
        """Search more frames of many clients: (T_i, V) log-probabilities or (T_i, D) encoder output each. Pure.

        Returns:
            For each the new state, and the segments that became final, then the partial one if it changed.
        """
        walks = [_Walk.begin(state, np.asarray(frames)) for state, frames in zip(states, outputs, strict=True)]
        while going := [walk for walk in walks if walk.rest]:
            # No further than the frame on which a segment becomes too long at the latest.
            parts = [walk.next(int(min(walk.rest, self.endpointer.max_length - walk.length))) for walk in going]
            searched = self.search.step_many([walk.search for walk in going], parts)
            endings = []
            for walk, part, (search, ends) in zip(going, parts, searched, strict=True):
                ending = self._advance(walk, part, search, ends)
                if ending is not None:
                    endings.append((walk, *ending))
            finished = self.search.finish_many([(search, end, whole) for _, search, end, whole in endings])
            for (walk, _, end, _), search in zip(endings, finished, strict=True):
                self._end(walk, search, end)
        return [self._partial(walk) for walk in walks]

    def _advance(
        self, walk: _Walk, part: NDArray[Any], search: Any, ends: list[int | None]
    ) -> tuple[Any, int, bool] | None:
        """Take over what a search found in a part of the frames, or the first endpoint in it: the search there, how
        long the segment is, and whether the search has seen nothing beyond that."""
        before = walk.length
        for count, spoken in enumerate(ends, start=1):
            length = before + count
            reached = self.endpointer(length, length - (spoken or 0), spoken is not None)
            if reached is not None:
                break
        else:
            walk.search, walk.length = search, before + len(part)
            return None
        if count < len(part):
            search = self.search.step(walk.search, part[:count])
        end = length if reached == "silence" else self._cut(search, length)
        return search, end, end == length

    def _end(self, walk: _Walk, search: Any, end: int) -> None:
        """The segment of a finished search is over after its frame `end`, and another one begins."""
        final = self._final(search, walk.start, end, walk.offset)
        walk.results += final
        # Without a final segment nothing has replaced the partial one yet.
        walk.search, walk.shown = self.search.restart(search, end), None if final else walk.shown
        walk.start, walk.length = walk.start + end, 0

    def _partial(self, walk: _Walk) -> tuple[SegmentState, list[Segment]]:
        """State at the end of the frames, and the results with the partial segment, if that has changed."""
        search, start, length, shown = walk.search, walk.start, walk.length, walk.shown
        best = self.search.best(search)
        cut = self._certain_cut(best, self.search.stable(search))
        words = self.timer.words(best, start, walk.offset)
        recent = None
        if self.endpointer.max_length < math.inf:
            # A copy, because a view would keep all of the window alive, and change with the caller's array.
            recent = walk.window[start + cut.frame - walk.origin :].copy()
        now = walk.offset + (start + length) * self.timer.seconds_per_frame
        begin, end = (words[0].start, words[-1].end) if words else (now, now)
        partial = Segment(words=words, final=False, start=begin, end=end, stable=cut.word)
        results = walk.results
        if partial != shown and (words or shown):
            shown = partial if words else None
            results = [*results, partial]
        return SegmentState(search, start, length, recent, shown, walk.offset), results

    def flush(self, state: SegmentState) -> tuple[SegmentState, list[Segment]]:
        """End the segment here: at the end of the stream, or because the user wants the text now."""
        finals = self._final(self.search.finish(state.search), state.start, state.length, state.offset)
        search, start = self.search.restart(state.search, state.length), state.start + state.length
        return SegmentState(search, start, 0, None, None, state.offset), finals

    def idle(self, state: SegmentState) -> int:
        """See `ResultSearch`: since the segment began, as long as nothing was heard in it."""
        return state.length if self.search.speech_end(state.search) is None else 0

    def needed(self, state: SegmentState) -> range:
        """See `ResultSearch`: the segment, from its first frame on, or what a time shift moves that to."""
        return range(max(0, state.start - self._shift), state.start + state.length + 1)

    def times_of(self, segment: Segment) -> range:
        """See `ResultSearch`."""
        at = self.timer.frame_at
        return range(max(0, math.floor(at(segment.start))), math.ceil(at(segment.end)) + 2)

    def builder(self, keep: bool, scores: bool) -> TranscriptBuilder:
        """See `ResultSearch`."""
        return TranscriptBuilder(keep)

    def facts(self) -> dict[str, Any]:
        """See `ResultSearch`."""
        return {}

    def result(self, segment: Segment, clock: Clock) -> Segment | None:
        """See `ResultSearch`."""
        return timed_segment(segment, clock, self.timer)

    def _cut(self, search: Any, length: int) -> int:
        """Where to end a segment that is `length` frames long, too long: the first frame of the next one."""
        best = self.search.best(search)
        if best.tokens and best.ends[-1] < (self.search.speech_end(search) or 0):
            return best.ends[-1]  # there is another word, of which the search does not show a part
        cuts = self.timer.cuts(best)
        if cuts:
            return cuts[-1].frame
        # One word since frame 0. It may be over; if not, at least no token is cut in two.
        if len(best.tokens) > 1 and best.ends[-1] == length and best.ends[-2] <= best.frames[-1]:
            return best.frames[-1]
        return length

    def _certain_cut(self, best: Hypothesis, stable: int) -> Cut:
        """The last place for a cut that will stay one. `_cut` never goes back behind it, so that the words before
        it are stable, and the frames before it need not be kept."""
        cuts = self.timer.cuts(best) if stable else []
        return next((cut for cut in reversed(cuts) if cut.token < stable), Cut(0, 0, 0))

    def _final(self, search: Any, start: int, length: int, offset: float) -> list[Segment]:
        """The segment up to `length` frames, which is final; none if it has no words."""
        best = self.search.best(search).before(length)
        words = self.timer.words(best, start, offset)
        if not words:
            return []
        alternatives: dict[str, float] = {}
        for hypothesis in self.search.nbest(search, self.alternatives):
            alternatives.setdefault(self._text(hypothesis.before(length)), hypothesis.score)
        return [
            Segment(
                words=words,
                final=True,
                start=words[0].start,
                end=words[-1].end,
                stable=len(words),
                alternatives=tuple(alternatives.items()),
            )
        ]

    def _text(self, hypothesis: Hypothesis) -> str:
        return " ".join(word.text for word in self.timer.words(hypothesis))


def timed_segment(segment: Segment, clock: Clock, timer: WordTimer) -> Segment | None:
    """A segment with the times of its source; None as long as one of them is not known.

    On a clock that is not steady, times go from nominal seconds to the clock's.
    """
    if clock.steady:
        start = clock.seconds(0)
        segment = _later(segment, start) if start else segment
        if clock.final is None:
            return segment
        # Up to the end of the last step, which may be shorter than the others.
        return _until(segment, start + (clock.final + 1) * timer.seconds_per_frame)
    at = timer.frame_at
    if not clock.knows(math.ceil(at(segment.end))):
        return None
    return replace(
        segment,
        words=tuple(
            replace(word, start=clock.seconds(at(word.start)), end=clock.seconds(at(word.end)))
            for word in segment.words
        ),
        start=clock.seconds(at(segment.start)),
        end=clock.seconds(at(segment.end)),
    )


def _later(segment: Segment, seconds: float) -> Segment:
    """The same segment so many seconds later."""
    words = tuple(replace(word, start=word.start + seconds, end=word.end + seconds) for word in segment.words)
    return replace(segment, words=words, start=segment.start + seconds, end=segment.end + seconds)


def _until(segment: Segment, limit: float) -> Segment:
    """The same segment, the last half second of it squeezed if need be so that it ends by the limit."""
    if segment.end <= limit + 1e-6:
        return segment
    first = max(segment.start, limit - _SQUEEZED)
    place = min(first, max(0.0, limit - 0.1 * _SQUEEZED))
    slope = (limit - place) / (segment.end - first)

    def squeeze(time: float) -> float:
        return time if time <= first else place + (time - first) * slope

    words = tuple(replace(word, start=squeeze(word.start), end=squeeze(word.end)) for word in segment.words)
    return replace(segment, words=words, start=min(squeeze(segment.start), limit), end=limit)
