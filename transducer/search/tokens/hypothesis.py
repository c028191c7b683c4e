"""What a search finds, and what every search can do.

A search turns the output of an encoder, frame by frame, into token sequences. It belongs to one stream and
keeps nothing to itself: its state is explicit, a NamedTuple of numbers, tuples and arrays. `step` never
changes the state it is given, so a state can be forked, pickled and continued.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

State = TypeVar("State")


class Token(NamedTuple):
    """A token where it was emitted, on the best alignment of its hypothesis.

    Attributes:
        token: its id.
        frame: the first frame of it.
        end: one past the last frame of it.
        log_prob: of the token on the frame where it is highest.
    """

    token: int
    frame: int
    end: int
    log_prob: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A token sequence with its times and its score.

    Attributes:
        tokens: ids, without blanks.
        frames: the first frame of each token, counted from where the search began; never decreasing.
        ends: one past the last frame of each token; `frames[i] < ends[i]`.
        confidences: the probability of each token, on the frame where it is highest.
        score: log-probability; with what a scorer adds to it, where there is one.
    """

    tokens: tuple[int, ...] = ()
    frames: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    confidences: tuple[float, ...] = ()
    score: float = 0.0

    @classmethod
    def of(cls, tokens: Iterable[Token], score: float) -> Hypothesis:
        columns = tuple(zip(*tokens, strict=True))
        if not columns:
            return cls(score=score)
        ids, frames, ends, log_probs = columns
        return cls(ids, frames, ends, tuple(min(1.0, math.exp(log_prob)) for log_prob in log_probs), score)

    def before(self, frame: int) -> Hypothesis:
        """The tokens that began before a frame; the score stays that of the whole."""
        count = bisect_left(self.frames, frame)
        return Hypothesis(
            self.tokens[:count], self.frames[:count], self.ends[:count], self.confidences[:count], self.score
        )


class Search(Protocol[State]):
    """All searches look the same from outside, whatever the model and however wide they look.

    The result never depends on how the frames are cut into steps: a step of T frames equals T steps of one.
    """

    def init(self) -> State:
        """State before the first frame."""
        ...

    def step(self, state: State, frames: Any) -> State:
        """State after T more frames, (T, V) log-probabilities or (T, D) encoder output. Pure."""
        ...

    def step_many(self, states: Sequence[State], frames: Sequence[Any]) -> list[tuple[State, list[int | None]]]:
        """Many streams at once, each with frames of its own, (T_i, V) or (T_i, D).

        Returns:
            For each what `step` would give it, to the bit, whoever else is there, and what `speech_end` was after
            every one of its frames. Pure.
        """
        results = []
        for state, part in zip(states, frames, strict=True):
            ends = []
            for index in range(len(part)):
                state = self.step(state, part[index : index + 1])
                ends.append(self.speech_end(state))
            results.append((state, ends))
        return results

    def restart(self, state: State, frame: int) -> State:
        """State before the first frame of the next segment, where the one of `state` ends before its `frame`."""
        return self.init()

    def finish(self, state: State) -> State:
        """State at the end of a segment, to read results from: only hypotheses that may end here."""
        return state

    def finish_many(self, endings: Sequence[tuple[State, int, bool]]) -> list[State]:
        """States at the ends of many segments, to read results from.

        Args:
            endings: of each segment the state, how many frames it has, and whether these are all that were searched.
                A segment that was too long may end before the newest frame.
        """
        return [self.finish(state) if whole else state for state, _, whole in endings]

    def best(self, state: State) -> Hypothesis:
        """The best hypothesis so far."""
        ...

    def nbest(self, state: State, n: int) -> list[Hypothesis]:
        """At most n hypotheses with different tokens, best first."""
        return [self.best(state)][:n]

    def stable(self, state: State) -> int:
        """How many leading tokens of `best` will not change any more, nor their times and confidences."""
        ...

    def speech_end(self, state: State) -> int | None:
        """One past the last frame of the best hypothesis's last token that is no silence; None without one.

        Counts tokens that `best` does not show yet, where a search shows whole words only.
        """
        ...


def speech_end(tokens: Iterable[Token], silence: frozenset[int]) -> int | None:
    """One past the last frame of the last token that is no silence. `tokens` come last one first."""
    return next((token.end for token in tokens if token.token not in silence), None)


def speech_ends(tokens: Sequence[Token], silence: frozenset[int], first: int, count: int) -> list[int | None]:
    """`speech_end` after each of `count` frames from `first` on, where no token is ever taken back."""
    ends: list[int | None] = []
    spoken = [token for token in tokens if token.token not in silence]
    for frame in range(first + count, first, -1):
        while spoken and spoken[-1].frame >= frame:
            spoken.pop()
        ends.append(min(spoken[-1].end, frame) if spoken else None)
    return ends[::-1]
