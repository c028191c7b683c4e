"""Words as events: what a head that writes words says, listed like what a head of labels says."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, Protocol

from transducer.results import Event, Segment
from transducer.search.events.labelling import LabellingBuilder
from transducer.search.events.rules import Found
from transducer.search.events.search import timed_event
from transducer.search.result_search import Clock, ResultSearch
from transducer.search.tokens.words import WordTimer


class WordSearch(ResultSearch[Any, Segment], Protocol):
    """A search for segments whose timer makes frames of their words' times."""

    @property
    def timer(self) -> WordTimer: ...


class WordEventSearch:
    """A search for segments whose words are events; they become certain when their segment is final.

    Each event goes from the first to the last output step that its word touches.
    """

    kind = "events"

    def __init__(self, segments: WordSearch):
        self.segments = segments

    def init(self) -> Any:
        return self.segments.init()

    def step(self, states: Sequence[Any], outputs: Sequence[Any]) -> list[tuple[Any, list[Found]]]:
        """See `ResultSearch`."""
        return [(state, self._words(segments)) for state, segments in self.segments.step(states, outputs)]

    def flush(self, state: Any) -> tuple[Any, list[Found]]:
        """See `ResultSearch`."""
        state, segments = self.segments.flush(state)
        return state, self._words(segments)

    def idle(self, state: Any) -> int:
        """See `ResultSearch`."""
        return self.segments.idle(state)

    def needed(self, state: Any) -> Collection[int]:
        """See `ResultSearch`."""
        return self.segments.needed(state)

    def times_of(self, found: Found) -> set[int]:
        """See `ResultSearch`."""
        return {found.start, found.end, found.end + 1}

    def result(self, found: Found, clock: Clock) -> Event | None:
        """See `ResultSearch`."""
        return timed_event(found, clock)

    def builder(self, keep: bool, scores: bool) -> LabellingBuilder:
        """See `ResultSearch`."""
        return LabellingBuilder("sequence", (), scores, keep)

    def facts(self) -> dict[str, Any]:
        """See `ResultSearch`."""
        return {"events_kind": "sequence", "labels": []}

    def _words(self, segments: Sequence[Segment]) -> list[Found]:
        """The words of the segments that are final."""
        return [found for segment in segments if segment.final for found in self._found(segment)]

    def _found(self, segment: Segment) -> list[Found]:
        step = self.segments.timer.seconds_per_frame
        steps = [(word, word.start / step, word.end / step) for word in segment.words]
        # The margin is for rounding errors.
        return [
            Found(word.text, int(start + 1e-6), max(int(start + 1e-6), math.ceil(end - 1e-6) - 1), word.confidence)
            for word, start, end in steps
        ]
