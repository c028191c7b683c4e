"""An attention decoder as the search of a segment: it gathers the steps, and decodes them when the segment ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.search.tokens.attention.decoding import Decoding
from transducer.search.tokens.ctc import CTCGreedySearch
from transducer.search.tokens.hypothesis import Hypothesis, Search


class GatheredState(NamedTuple):
    """State in a segment.

    Attributes:
        parts: (T_i, C) steps so far, as they came.
        length: how many they are.
        first: state of the first pass; None without one.
        number: segments before this one.
        decoded: hypotheses of the whole segment, once it has ended; None before that.
    """

    parts: tuple[NDArray[np.float32], ...] = ()
    length: int = 0
    first: Any = None
    number: int = 0
    decoded: tuple[Hypothesis, ...] | None = None


class AttentionSearch(Search[GatheredState]):
    """Nothing is known of a segment before its end but what a first pass says; all of it may still change.

    Without a first pass nothing tells silence from speech: as far as endpoints are concerned, someone speaks all the
    time, so that only its greatest length, a flush or the end of the stream ends a segment.

    Args:
        decoding: what decodes.
        channels: of the steps; what the outputs have more than that are the log-probabilities of the first pass.
        first: the first pass, over the same tokens.
    """

    def __init__(self, decoding: Decoding, channels: int, first: CTCGreedySearch | None = None):
        self.decoding, self.channels, self.first = decoding, channels, first

    def init(self) -> GatheredState:
        return GatheredState(first=None if self.first is None else self.first.init())

    def restart(self, state: GatheredState, frame: int) -> GatheredState:
        return self.init()._replace(number=state.number + 1)

    def step(self, state: GatheredState, frames: Any) -> GatheredState:
        return self.step_many([state], [frames])[0][0]

    def step_many(
        self, states: Sequence[GatheredState], frames: Sequence[Any]
    ) -> list[tuple[GatheredState, list[int | None]]]:
        firsts: list[tuple[Any, list[int | None]]]
        if self.first is None:
            firsts = [
                (None, [state.length + n for n in range(1, len(part) + 1)])
                for state, part in zip(states, frames, strict=True)
            ]
        else:
            firsts = self.first.step_many(
                [state.first for state in states], [np.asarray(part)[:, self.channels :] for part in frames]
            )
        results = []
        for state, part, (first, ends) in zip(states, frames, firsts, strict=True):
            # A copy, because the caller may use its array again.
            new = np.array(part[:, : self.channels], dtype=np.float32)
            parts = (*state.parts, new) if len(new) else state.parts
            results.append((GatheredState(parts, state.length + len(new), first, state.number), ends))
        return results

    def finish(self, state: GatheredState) -> GatheredState:
        return self.finish_many([(state, state.length, True)])[0]

    def finish_many(self, endings: Sequence[tuple[GatheredState, int, bool]]) -> list[GatheredState]:
        memories = [self._memory(state)[:end] for state, end, _ in endings]
        found = self.decoding(memories, [state.number for state, _, _ in endings])
        return [
            state._replace(decoded=tuple(hypotheses)) for (state, _, _), hypotheses in zip(endings, found, strict=True)
        ]

    def best(self, state: GatheredState) -> Hypothesis:
        if state.decoded is not None:
            return state.decoded[0]
        return Hypothesis() if self.first is None else self.first.best(state.first)

    def nbest(self, state: GatheredState, n: int) -> list[Hypothesis]:
        return list(state.decoded[:n]) if state.decoded is not None else [self.best(state)][:n]

    def stable(self, state: GatheredState) -> int:
        return 0

    def speech_end(self, state: GatheredState) -> int | None:
        if self.first is None:
            return state.length or None
        return self.first.speech_end(state.first)

    def _memory(self, state: GatheredState) -> NDArray[np.float32]:
        return np.concatenate(state.parts) if state.parts else np.zeros((0, self.channels), np.float32)
