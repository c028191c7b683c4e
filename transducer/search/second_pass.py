"""Two models on one stream: the words of the first come at once, and the second writes each final segment anew.

Legend of axis suffixes: T output steps of the first model, n steps of the second one's front-end in each, F features.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.results import Segment
from transducer.search.full_context.search import FullContextSearch, FullContextState
from transducer.search.result_search import Clock, ResultSearch
from transducer.search.transcript import TranscriptBuilder
from transducer.text.english.normalise import normalise

MARGIN = 0.3  # seconds around the words of the first model that the second one hears
ALONE = 0.5  # of the confidence in a word is left where the first model heard another one


class SecondPassState(NamedTuple):
    """State of a stream.

    Attributes:
        first, second: states of the two searches.
        rows: (R, n * F) the newest features.
        position: output steps so far, the last of which has the last row.
        free: the first step of the second model's front-end that it has not heard.
        shown: the last partial segment; None after a final one.
    """

    first: Any
    second: FullContextState
    rows: NDArray[np.float32] | None = None
    position: int = 0
    free: int = 0
    shown: Segment | None = None


@dataclass(frozen=True)
class SecondPassSearch:
    """Reads the outputs of the first model with the features of the second one behind them.

    Nothing of a partial segment is stable: the second model may write it otherwise. Where it hears no speech, the
    segment is none. Where the two models heard the same, the times are those of the first one, see `merged`.

    Attributes:
        first: search of the model whose partial segments are shown, and which says where segments end.
        second: search of the model that writes the final ones.
        features: n * F, of the second model, the last columns; those before them are the first model's outputs.
        seconds_per_step: of the first model's outputs.
        steps: n, of the second model's front-end in each of these.
        lag: of the front-end's steps that the first row begins with, how many lie before the stream.
    """

    first: ResultSearch[Any, Segment]
    second: FullContextSearch
    features: int
    seconds_per_step: float
    steps: int
    lag: int

    kind = "words"

    def init(self) -> SecondPassState:
        """See `ResultSearch`."""
        return SecondPassState(self.first.init(), self.second.init())

    def step(
        self, states: Sequence[SecondPassState], outputs: Sequence[Any]
    ) -> list[tuple[SecondPassState, list[Segment]]]:
        """See `ResultSearch`."""
        parts = [np.asarray(part) for part in outputs]
        firsts = self.first.step([state.first for state in states], [part[:, : -self.features] for part in parts])
        results = []
        for state, part, (first, items) in zip(states, parts, firsts, strict=True):
            new = np.array(part[:, -self.features :], np.float32)
            rows = new if state.rows is None else np.concatenate([state.rows, new])
            state = state._replace(first=first, rows=rows, position=state.position + len(new))
            results.append(self._rewritten(state, items))
        return results

    def flush(self, state: SecondPassState) -> tuple[SecondPassState, list[Segment]]:
        """See `ResultSearch`."""
        first, items = self.first.flush(state.first)
        return self._rewritten(state._replace(first=first), items)

    def idle(self, state: SecondPassState) -> int:
        """See `ResultSearch`."""
        return self.first.idle(state.first)

    def needed(self, state: SecondPassState) -> Collection[int]:
        """See `ResultSearch`."""
        return self.first.needed(state.first)

    def times_of(self, segment: Segment) -> Collection[int]:
        """See `ResultSearch`."""
        return self.first.times_of(segment)

    def builder(self, keep: bool, scores: bool) -> TranscriptBuilder:
        """See `ResultSearch`."""
        return TranscriptBuilder(keep)

    def facts(self) -> dict[str, Any]:
        """See `ResultSearch`."""
        return {}

    def result(self, segment: Segment, clock: Clock) -> Segment | None:
        """See `ResultSearch`."""
        found: Segment | None = self.first.result(segment, clock)
        return found

    def _rewritten(self, state: SecondPassState, items: Sequence[Segment]) -> tuple[SecondPassState, list[Segment]]:
        results: list[Segment] = []
        for item in items:
            if not item.final:
                state = state._replace(shown=item if item.words else None)
                results.append(replace(item, stable=0))
                continue
            state, found = self._write(state, item)
            if not found and state.shown is not None:
                found = [Segment((), False, item.end, item.end)]
            state = state._replace(shown=None)
            results += found
        return self._forgotten(state), results

    def _write(self, state: SecondPassState, segment: Segment) -> tuple[SecondPassState, list[Segment]]:
        """What the second model says in place of a final segment of the first one."""
        assert state.rows is not None
        step = self.second.timer.seconds_per_frame
        origin = (state.position - len(state.rows)) * self.steps - self.lag
        begin = max(0, state.free, origin, math.floor((segment.start - MARGIN) / step))
        end = min(state.position * self.steps - self.lag, math.ceil((segment.end + MARGIN) / step))
        if end <= begin:
            return state, []
        features = state.rows.reshape(len(state.rows) * self.steps, -1)[begin - origin : end - origin]
        second, found = self.second.whole(state.second, begin, features, [word.text for word in segment.words])
        return state._replace(second=second, free=end), [merged(segment, written) for written in found]

    def _forgotten(self, state: SecondPassState) -> SecondPassState:
        """Without the rows that no segment to come can need, and without what only they would have been kept from."""
        if state.rows is None:
            return state
        needed = self.first.needed(state.first)
        first = min(needed, default=state.position) - math.ceil(MARGIN / self.seconds_per_step) - 1
        gone = max(0, first - (state.position - len(state.rows)))
        rows = state.rows[gone:].copy() if gone else state.rows
        origin = (state.position - len(rows)) * self.steps - self.lag
        return state._replace(rows=rows, free=max(state.free, origin))


def merged(heard: Segment, written: Segment) -> Segment:
    """What the second model wrote, with all that the first one knows of it.

    Words that both have, and others that stand in the same place among them, begin and end where the first model heard
    them: its times are those of frames, the second one's those of its attention. What both have is likelier to be
    right.
    """
    ours, theirs = ([normalise(word.text) for word in segment.words] for segment in (heard, written))
    words, heard_at = list(written.words), [False] * len(written.words)
    for same, first, first_end, begin, end in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        paired = first_end - first == end - begin
        for index in range(begin, end):
            word = words[index]
            sure = (1 + word.confidence) / 2 if same == "equal" else ALONE * word.confidence
            other = heard.words[first + index - begin] if paired else word
            words[index] = replace(word, confidence=sure, start=other.start, end=other.end)
            heard_at[index] = paired
    last = 0.0
    for index, word in enumerate(words):  # words of the second model alone lie between the others
        limit = min((words[later].start for later in range(index + 1, len(words)) if heard_at[later]), default=math.inf)
        start = max(min(word.start, limit), last)
        last = max(word.end if heard_at[index] else min(word.end, limit), start)
        words[index] = replace(word, start=start, end=last)
    return replace(written, words=tuple(words), start=words[0].start, end=words[-1].end)
