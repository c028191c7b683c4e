"""Streaming search for events over the outputs of a decoder.

Every search gives the same events however the frames are cut into steps, gives each as soon as no later frame can
change it, and keeps a state whose size does not depend on how long the stream is.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from transducer.search.events.frames import ClipSearch, DenseSearch, PeakSearch
from transducer.search.events.rules import EventRules, Found
from transducer.search.events.runs import SpanSearch, TransitionSearch

State = TypeVar("State")


class EventSearch(Protocol[State]):
    """All searches for events look the same from outside. State is explicit, as in `search.hypothesis`."""

    def init(self) -> State:
        """State before the first frame."""
        ...

    def step(self, state: State, outputs: Any) -> tuple[State, list[Found]]:
        """T more frames, (T, V) log-probabilities -> the new state, and the events that are certain now. Pure."""
        ...

    def finish(self, state: State) -> list[Found]:
        """The events that the end of the stream makes certain."""
        ...

    def needed(self, state: State) -> set[int]:
        """Frames whose times have to be kept, beside the last two.

        For every event to come that began already: its first frame and its last so far, and the frame after its
        first one (transitions) or after its last one (other kinds).
        """
        ...


_SEARCHES = {
    "transitions": TransitionSearch,
    "spans": SpanSearch,
    "dense": DenseSearch,
    "peaks": PeakSearch,
    "clip": ClipSearch,
}


def build_event_search(labels: tuple[str, ...], rules: EventRules) -> EventSearch[Any]:
    """The search for a kind of events over the log-probabilities of labels, the background first.

    Raises:
        ValueError: the kind needs tokens instead; see `search.event_words`.
    """
    if rules.kind not in _SEARCHES:
        raise ValueError(f"events of the kind {rules.kind!r} are not made of labels")
    return _SEARCHES[rules.kind](labels, rules)
