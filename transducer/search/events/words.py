"""Words as events: the search of a sequence decoder over video frames."""

from __future__ import annotations

import math
from typing import Any

from transducer.heads.ctc import CTCConfig
from transducer.heads.rnnt import RNNTConfig
from transducer.results import Event, Segment
from transducer.search.endpoint import EndpointRules
from transducer.search.events.rules import EventRules, Found
from transducer.search.events.search import timed_event
from transducer.search.result_search import Clock
from transducer.search.segments import SegmentSearch, SegmentState
from transducer.search.tokens.beam import BeamConfig
from transducer.search.tokens.ctc import CTCBeamSearch, CTCGreedySearch
from transducer.search.tokens.hypothesis import Search
from transducer.search.tokens.rnnt import RNNTBeamSearch
from transducer.search.tokens.rnnt_greedy import RNNTGreedySearch
from transducer.search.tokens.words import WordTimer
from transducer.text.tokenizers.tokenizer import Tokenizer

USUAL_FPS = 25  # what the rules for endpoints, which are in seconds, are counted at


class WordSearch:
    """Events that are words; they become certain when a segment of speech is over.

    Args:
        search: over the outputs of the decoder.
        tokenizer: makes words of tokens.
        stride: frames per output of the decoder.
    """

    def __init__(self, search: Search[Any], tokenizer: Tokenizer, stride: int = 1):
        # All "seconds" of the search for segments are frames here.
        rules = EndpointRules(*(seconds * USUAL_FPS for seconds in vars(EndpointRules()).values()))
        self._segments = SegmentSearch(search, WordTimer(tokenizer, float(stride)), rules)

    def init(self) -> SegmentState:
        return self._segments.init()

    def step(self, state: SegmentState, outputs: Any) -> tuple[SegmentState, list[Found]]:
        """T more outputs of the decoder, (T, V) or (T, D) -> the new state, and the words that are certain. Pure."""
        ((state, segments),) = self._segments.step([state], [outputs])
        return state, _words(segments)

    def finish(self, state: SegmentState) -> list[Found]:
        """The words that are left at the end of the stream."""
        return _words(self._segments.flush(state)[1])

    def needed(self, state: SegmentState) -> set[int]:
        """See `EventSearch`."""
        stride = int(self._segments.timer.seconds_per_frame)
        return set(range(state.start * stride, (state.start + state.length) * stride + 1))


def build_word_search(part: CTCConfig | RNNTConfig, head: Any, tokenizer: Tokenizer, rules: EventRules) -> WordSearch:
    """The search that the rules name, for a decoder."""
    silence, beam = tokenizer.silence, BeamConfig(rules.beam or BeamConfig.size)
    search: Search
    if isinstance(part, CTCConfig):
        search = CTCBeamSearch(beam, silence=silence) if rules.search == "beam" else CTCGreedySearch(silence)
    elif rules.search == "beam":
        search = RNNTBeamSearch(head.predictor, head.joint, config=beam, silence=silence)
    else:
        search = RNNTGreedySearch(head.predictor, head.joint, silence=silence)
    return WordSearch(search, tokenizer)


def word_events(segment: Segment, clock: Clock, seconds_per_step: float) -> list[Event]:
    """The words of a segment as events, each from the first to the last output step that it touches.

    Args:
        segment: final, in nominal seconds: as `SegmentSearch.step` gives it, and not its `result`.
        clock: of the stream; must know the end of the segment, as it does where `result` is not None.
        seconds_per_step: nominal; `WordTimer.seconds_per_frame`.
    """
    events = [timed_event(found, clock) for found in _found(segment, seconds_per_step)]
    return [event for event in events if event is not None]


def _words(segments: list[Segment]) -> list[Found]:
    """The words of the segments that are final."""
    return [found for segment in segments if segment.final for found in _found(segment, 1.0)]


def _found(segment: Segment, seconds_per_step: float) -> list[Found]:
    steps = [(word, word.start / seconds_per_step, word.end / seconds_per_step) for word in segment.words]
    # The margin is for rounding errors.
    return [
        Found(word.text, int(start + 1e-6), max(int(start + 1e-6), math.ceil(end - 1e-6) - 1), word.confidence)
        for word, start, end in steps
    ]
