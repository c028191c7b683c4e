"""Events that are no runs by hysteresis: a label for every frame, single frames, one label for the whole."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.search.events.rules import EventRules, Found


class Stretch(NamedTuple):
    """Frames from `begin` on with one label, `count` of them so far, and its highest probability among them."""

    label: int
    begin: int
    count: int  # type: ignore[assignment]  # hides a method of tuples
    score: float


class DenseState(NamedTuple):
    """State of a dense search.

    Attributes:
        frame: frames seen.
        current: the stretch that goes on; None before the first that is long enough.
        next: what may take its place, once it is long enough.
        mass: probabilities summed over all frames, (V,), as long as there is no current stretch.
        first: the first of these frames.
    """

    frame: int
    current: Stretch | None
    next: Stretch | None
    mass: tuple[float, ...]
    first: int = 0


class DenseSearch:
    """The most probable label of each frame; a stretch that is too short is part of what was before it, and at the
    very beginning of what comes after it.

    Args:
        labels: names, the background first.
        rules: of the kind "dense". A frame whose best label has less than its threshold is background.
    """

    def __init__(self, labels: tuple[str, ...], rules: EventRules):
        self.labels, self.rules = labels, rules
        # The background needs no probability.
        self._highs = np.array([0.0, *(rules.high_of(label) for label in labels[1:])])
        self._shortest = [rules.shortest(label) for label in labels]

    def init(self) -> DenseState:
        return DenseState(0, None, None, (0.0,) * len(self.labels))

    def step(self, state: DenseState, log_probs: NDArray[np.float32]) -> tuple[DenseState, list[Found]]:
        """T more frames, (T, V) -> the new state, and the events that are certain. Pure."""
        probabilities = np.exp(log_probs.astype(np.float64))
        best = probabilities.argmax(axis=1)
        scores = probabilities[np.arange(len(best)), best]
        best[scores < self._highs[best]] = 0
        frame, current, following, mass, first = state
        found: list[Found] = []
        for row, (label, score) in enumerate(zip(best.tolist(), scores.tolist(), strict=True)):
            if current is None:
                mass = tuple((np.array(mass) + probabilities[row]).tolist())
            if current is not None and label == current.label:
                current = current._replace(count=current.count + 1, score=max(current.score, score))
                following = None
            else:
                if following is not None and label == following.label:
                    following = following._replace(count=following.count + 1, score=max(following.score, score))
                else:
                    following = Stretch(label, frame, 1, score)
                if following.count >= self._shortest[label]:
                    if current is None:
                        following = following._replace(begin=first)
                    else:
                        found += self._event(current, following.begin - 1)
                    current, following = following, None
            frame += 1
        return DenseState(frame, current, following, mass, first), found

    def finish(self, state: DenseState) -> list[Found]:
        """The event that the stream ends in."""
        current, count = state.current, state.frame - state.first
        if current is None and count:
            # Nothing was long enough: the label that is most probable over all.
            label = int(np.argmax(state.mass))
            current = Stretch(label, state.first, count, state.mass[label] / count)
        return [] if current is None else self._event(current, state.frame - 1)

    def restart(self, state: DenseState) -> DenseState:
        """See `EventSearch`. An event that goes on is another one from here on."""
        return self.init()._replace(frame=state.frame, first=state.frame)

    def needed(self, state: DenseState) -> set[int]:
        """See `EventSearch`."""
        frames = {state.first} if state.current is None else set()
        if state.current is not None and state.current.label:  # no event comes of the background
            frames.add(state.current.begin)
        if state.next is not None:
            frames |= {state.next.begin - 1, state.next.begin}
        return frames

    def _event(self, stretch: Stretch, end: int) -> list[Found]:
        return [Found(self.labels[stretch.label], stretch.begin, end, stretch.score)] if stretch.label else []


class PeakState(NamedTuple):
    """State of a search for peaks.

    Attributes:
        frame: frames seen.
        recent: (2 * window, V - 1) probabilities of the last of them, -1 where there was none.
        given: (V - 1,) the last frame where a flush gave out a peak of each label; it has no other one nearby.
    """

    frame: int
    recent: NDArray[np.float64]
    given: tuple[float, ...]


class PeakSearch:
    """The frames where the probability of a label is higher than on any of `window` frames before, and as high as on
    any of `window` frames after.

    Args:
        labels: names, the background first.
        rules: of the kind "peaks".
    """

    def __init__(self, labels: tuple[str, ...], rules: EventRules):
        self.labels, self.window = labels, rules.window
        self._highs = np.array([rules.high_of(label) for label in labels[1:]])

    def init(self) -> PeakState:
        labels = len(self._highs)
        return PeakState(0, np.full((2 * self.window, labels), -1.0), (-math.inf,) * labels)

    def step(self, state: PeakState, log_probs: NDArray[np.float32]) -> tuple[PeakState, list[Found]]:
        """T more frames, (T, V) -> the new state, and the events that are certain. Pure."""
        probabilities = np.exp(log_probs[:, 1:].astype(np.float64))
        recent = np.concatenate([state.recent, probabilities])[len(log_probs) :].copy()
        return PeakState(state.frame + len(log_probs), recent, state.given), self._peaks(state, probabilities)

    def finish(self, state: PeakState) -> list[Found]:
        """The events that only the end of the stream makes certain."""
        return self._peaks(state, np.full((self.window, len(self._highs)), -1.0))

    def restart(self, state: PeakState) -> PeakState:
        """See `EventSearch`."""
        given = list(state.given)
        for found in self.finish(state):
            given[self.labels.index(found.label) - 1] = found.end
        return state._replace(given=tuple(given))

    def needed(self, state: PeakState) -> set[int]:
        """See `EventSearch`."""
        return set(range(max(0, state.frame - self.window), state.frame))

    def _peaks(self, state: PeakState, probabilities: NDArray[np.float64]) -> list[Found]:
        """Peaks among the frames which have, with these T, all of their neighbours."""
        if not len(probabilities):
            return []
        rows = np.concatenate([state.recent, probabilities])
        # (T, V - 1, 2 * window + 1): every frame in the middle of its neighbours.
        around = np.lib.stride_tricks.sliding_window_view(rows, 2 * self.window + 1, axis=0)
        here = around[..., self.window]
        before, after = around[..., : self.window].max(axis=-1), around[..., self.window + 1 :].max(axis=-1)
        first = state.frame - self.window
        return [
            Found(self.labels[label + 1], first + row, first + row, float(here[row, label]))
            for row, label in np.argwhere((here > before) & (here >= after) & (here >= self._highs)).tolist()
            if first + row > state.given[label] + self.window
        ]


class ClipState(NamedTuple):
    """Frames seen, the log-probabilities (V,) on the last one, and the first frame of the clip."""

    frame: int = 0
    last: NDArray[np.float32] | None = None
    first: int = 0


class ClipSearch:
    """One label for all frames: what a pooled decoder says on the last one.

    Args:
        labels: names, the background first.
        rules: of the kind "clip". With less than its threshold the best label is background.
    """

    def __init__(self, labels: tuple[str, ...], rules: EventRules):
        self.labels, self.rules = labels, rules

    def init(self) -> ClipState:
        return ClipState()

    def step(self, state: ClipState, log_probs: NDArray[np.float32]) -> tuple[ClipState, list[Found]]:
        """T more frames, (T, V) -> the new state, and no event. Pure."""
        last = log_probs[-1].copy() if len(log_probs) else state.last
        return ClipState(state.frame + len(log_probs), last, state.first), []

    def finish(self, state: ClipState) -> list[Found]:
        """The label, from the first frame to the last; nothing for background."""
        if state.last is None:
            return []
        best = int(np.argmax(state.last))
        label, score = self.labels[best], float(np.exp(state.last[best], dtype=np.float64))
        if not best or score < self.rules.high_of(label):
            return []
        return [Found(label, state.first, state.frame - 1, score)]

    def restart(self, state: ClipState) -> ClipState:
        """See `EventSearch`. What follows is another clip."""
        return ClipState(state.frame, None, state.frame)

    def needed(self, state: ClipState) -> set[int]:
        """See `EventSearch`."""
        return {state.first}
