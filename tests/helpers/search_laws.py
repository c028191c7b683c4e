"""What holds for every search, CTC and RNN-T, greedy and beam."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from transducer.search.tokens.hypothesis import Hypothesis, Search


def random_log_probs(seed: int, frames: int, tokens: int, sharpness: float) -> np.ndarray:
    """(T, V) float32: softmax of normal logits; at a sharpness of 8 or so most frames are almost certain."""
    logits = np.random.default_rng(seed).normal(size=(frames, tokens)) * sharpness
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


@st.composite
def log_probs_and_cuts(draw: st.DrawFn, max_frames: int = 40, tokens: int = 5) -> tuple[np.ndarray, list[int]]:
    """Log-probabilities, and where to cut them into steps; empty steps are among them."""
    frames = draw(st.integers(0, max_frames))
    sharpness = draw(st.sampled_from([0.5, 2.0, 8.0]))
    cuts = draw(st.lists(st.integers(0, frames), max_size=8))
    return random_log_probs(draw(st.integers(0, 2**16)), frames, tokens, sharpness), sorted(cuts)


def pieces(frames: Any, cuts: list[int]) -> list[Any]:
    bounds = [0, *cuts, len(frames)]
    return [frames[a:b] for a, b in itertools.pairwise(bounds)]


def head(hypothesis: Hypothesis, count: int) -> tuple:
    return (
        hypothesis.tokens[:count],
        hypothesis.frames[:count],
        hypothesis.ends[:count],
        hypothesis.confidences[:count],
    )


def check_laws(search: Search[Any], frames: Any, cuts: list[int], many: int = 100) -> None:
    """Cutting into steps changes no bit; the stable prefix never retracts; steps are pure; states can be saved."""
    whole = search.step(search.init(), frames)
    state, count, promise, done = search.init(), 0, ((), (), (), ()), 0
    for piece in pieces(frames, cuts):
        before = search.nbest(state, many)
        new = search.step(state, piece)
        assert search.nbest(state, many) == before
        assert search.nbest(search.step(pickle.loads(pickle.dumps(state)), piece), many) == search.nbest(new, many)
        state = new

        best = search.best(state)
        assert search.stable(state) >= count
        done += len(piece)
        for hypothesis in search.nbest(state, many):
            assert head(hypothesis, count) == promise
            check_times(hypothesis, done)
        count = search.stable(state)
        promise = head(best, count)
        assert count <= len(best.tokens)
        end = search.speech_end(state)
        spoken = [e for t, e in zip(best.tokens, best.ends, strict=True) if t not in search.silence]
        assert end == (spoken[-1] if spoken else None)
    assert search.nbest(state, many) == search.nbest(whole, many)
    assert search.stable(state) == search.stable(whole)


def check_times(hypothesis: Hypothesis, frames: int) -> None:
    assert len(hypothesis.tokens) == len(hypothesis.frames) == len(hypothesis.ends) == len(hypothesis.confidences)
    assert list(hypothesis.frames) == sorted(hypothesis.frames)
    for frame, end, confidence in zip(hypothesis.frames, hypothesis.ends, hypothesis.confidences, strict=True):
        assert 0 <= frame < end <= frames
        assert 0 <= confidence <= 1


class FrameClock:
    """A `Clock` over frames with their times, `stride` of them a step; the last time is that of the end.

    Args:
        times: of the frames so far, and once the source has `ended` the time at which it does.
    """

    def __init__(self, times: Sequence[float], stride: int = 1, ended: bool = True):
        self.times, self.stride, self.ended, self.steady, self.final = times, stride, ended, False, None

    def frame(self, step: int) -> int:
        return min(step * self.stride, len(self.times) - 1) if self.ended else step * self.stride

    def knows(self, step: int) -> bool:
        return self.frame(step) < len(self.times)

    def shown(self, step: int) -> tuple[float, int]:
        return self.times[self.frame(step)], self.frame(step)

    def shown_last(self, step: int) -> tuple[float, int]:
        last = self.frame(step + 1) - 1
        return self.times[last], last

    def before(self, step: int) -> tuple[float, int]:
        return self.shown(max(0, step - 1))

    def after(self, step: int) -> tuple[float, int] | None:
        return self.shown(step + 1) if self.knows(step + 1) else None

    def seconds(self, step: float) -> float:
        before = math.floor(step)
        first = self.times[self.frame(before)]
        return first if step == before else first + (step - before) * (self.times[self.frame(before + 1)] - first)
