"""Streaming search for events over the outputs of a decoder.

Every search gives the same events however the frames are cut into steps, gives each as soon as no later frame can
change it, and keeps a state whose size does not depend on how long the stream is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from transducer.results import Event
from transducer.search.events.frames import ClipSearch, DenseSearch, PeakSearch
from transducer.search.events.labelling import LabellingBuilder
from transducer.search.events.numbers import NumberSearch, WholeNumberSearch
from transducer.search.events.rules import OF_NUMBERS, EventRules, Found
from transducer.search.events.runs import SpanSearch, TransitionSearch
from transducer.search.events.steps import StepSearch
from transducer.search.result_search import Clock

State = TypeVar("State")


class EventSearch(Protocol[State]):
    """All searches for events look the same from outside. State is explicit, as in `search.hypothesis`."""

    def init(self) -> State:
        """State before the first frame."""
        ...

    def step(self, state: State, outputs: Any) -> tuple[State, list[Found]]:
        """T more frames, (T, V) log-probabilities or numbers -> the new state, and the events certain now. Pure."""
        ...

    def finish(self, state: State) -> list[Found]:
        """The events that the end of the stream makes certain."""
        ...

    def restart(self, state: State) -> State:
        """State after `finish` where the stream goes on: what was given out does not come again."""
        ...

    def needed(self, state: State) -> set[int]:
        """Frames whose times have to be kept, beside the last two.

        For every event to come that began already: its first frame and its last so far, and the frame after its
        first one (transitions) or after its last one (other kinds).
        """
        ...


_SEARCHES: dict[str, Callable[[tuple[str, ...], EventRules], EventSearch[Any]]] = {
    "transitions": TransitionSearch,
    "spans": SpanSearch,
    "dense": DenseSearch,
    "steps": StepSearch,
    "peaks": PeakSearch,
    "clip": ClipSearch,
    "numbers": NumberSearch,
    "whole_numbers": WholeNumberSearch,
}


def build_event_search(labels: tuple[str, ...], rules: EventRules) -> EventSearch[Any]:
    """The search for a kind of events over the log-probabilities of labels, the background first.

    Raises:
        ValueError: the kind needs tokens instead; see `search.event_words`.
    """
    if rules.kind not in _SEARCHES:
        raise ValueError(f"events of the kind {rules.kind!r} are not made of labels")
    return _SEARCHES[rules.kind](labels, rules)


class EventState(NamedTuple):
    """Output steps searched, and the state of the search for events."""

    step: int
    search: Any


class EventResultSearch:
    """Search for events as a `ResultSearch`; its frames are output steps of the head.

    Args:
        labels: names, the background first.
        rules: of any kind but "sequence".
    """

    kind = "events"

    def __init__(self, labels: tuple[str, ...], rules: EventRules):
        self.labels, self.rules = labels, rules
        self._search = build_event_search(labels, rules)

    def init(self) -> EventState:
        return EventState(0, self._search.init())

    def step(self, states: Sequence[EventState], outputs: Sequence[Any]) -> list[tuple[EventState, list[Found]]]:
        """See `ResultSearch`; the events that are certain now."""
        results = []
        for state, log_probs in zip(states, outputs, strict=True):
            search, found = self._search.step(state.search, log_probs)
            results.append((EventState(state.step + len(log_probs), search), found))
        return results

    def flush(self, state: EventState) -> tuple[EventState, list[Found]]:
        """The events that are certain if the stream ends here. If it does not, they are not given out again, and what
        was under way is over."""
        return state._replace(search=self._search.restart(state.search)), self._search.finish(state.search)

    def idle(self, state: EventState) -> int:
        """See `ResultSearch`: of events, silence says as much as anything."""
        return 0

    def needed(self, state: EventState) -> set[int]:
        """See `ResultSearch`."""
        return self._search.needed(state.search)

    def times_of(self, found: Found) -> set[int]:
        """See `ResultSearch`."""
        return {found.start, found.start + 1, found.end, found.end + 1}

    def builder(self, keep: bool, scores: bool) -> LabellingBuilder:
        """See `ResultSearch`."""
        scores = scores and self.rules.kind not in OF_NUMBERS  # there are no probabilities
        return LabellingBuilder(self.rules.kind, self.labels, scores, keep)

    def facts(self) -> dict[str, Any]:
        """See `ResultSearch`."""
        return {"events_kind": self.rules.kind, "labels": list(self.labels[1:])}

    def result(self, found: Found, clock: Clock) -> Event | None:
        """See `ResultSearch`; `transducer.results.Event` says what the ends of an event are."""
        return timed_event(found, clock, self.rules.kind == "transitions")


def timed_event(found: Found, clock: Clock, transition: bool = False) -> Event | None:
    """An event in output steps as one in seconds and frames; None as long as its end is not known.

    A step may stand for several frames. Of a transition's first step only the last frame counts, and of its last step
    the first one: the frames in between belong to neither shot. And a frame may go on for several steps: it belongs to
    the event that is there when it begins. Within a single frame nothing changes, so a transition found there is the
    one to the next frame, or of the last frame, from the one before.
    """
    label, start, end, score, values = found
    if clock.final is not None:  # a head that writes late may go on in the silence behind the end
        start, end = min(start, clock.final), min(end, clock.final)
    following = clock.after(end)
    score = min(1.0, score)
    if not transition:
        if following is None:
            return None
        first, next_first = clock.shown(start), clock.after(start)
        if start and next_first is not None and clock.shown(start - 1) == first and next_first <= clock.shown(end):
            first = next_first
        last = max(clock.frame(end), following[1] - 1)
        return Event(label, first[0], following[0], first[1], last, score, values=values)
    old, change, new = clock.shown_last(start), clock.after(start), clock.shown(end)
    if old == new:
        if following is None:
            return None
        if clock.final is None or following != clock.after(clock.final):
            new = following
        else:
            old, change = clock.before(end), new
    if change is None:
        return None
    return Event(label, old[0], new[0], old[1], new[1], score, change=change[0])
