"""Runs of frames by hysteresis, and the events that are such runs: transitions and spans.

A run opens where its probability is at least `high` and reaches as far to both sides as it stays at least `low`
(the two thresholds of J. Canny, "A Computational Approach to Edge Detection", 1986). What a search remembers of a run
are sums and the highest frame, so that its state does not grow with the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from operator import add
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.search.events.rules import EventRules, Found


class Run(NamedTuple):
    """The frames `begin` to `end`, both included.

    Attributes:
        peak, score: the frame where the probability is highest, and how high.
        mass: probabilities of the labels, summed over the frames.
        open: `high` was reached.
    """

    begin: int
    end: int
    peak: int
    score: float
    mass: tuple[float, ...]
    open: bool

    @property
    def length(self) -> int:
        return self.end - self.begin + 1

    def then(self, later: Run) -> Run:
        best = later if later.score > self.score else self
        mass = tuple(map(add, self.mass, later.mass))
        return Run(self.begin, later.end, best.peak, best.score, mass, self.open or later.open)


class RunState(NamedTuple):
    """State of a detector.

    Attributes:
        frame: frames seen.
        run: the one that the last frame belongs to.
        waiting: the one before, open and over; it may still be merged with the next.
    """

    frame: int = 0
    run: Run | None = None
    waiting: Run | None = None

    @property
    def horizon(self) -> int:
        """No run to come begins before this frame."""
        run = self.waiting or self.run
        return self.frame if run is None else run.begin


class RunDetector:
    """Finds runs in the order of their frames.

    Args:
        high, low: thresholds, inclusive.
        merge: frames below `low` that may lie inside a run.
        longest: a run of so many frames ends there, and another may follow at once.
        apart: tells of two runs, both over, whether they stay two however near they are.
    """

    def __init__(
        self,
        high: float,
        low: float,
        merge: int = 0,
        longest: float = float("inf"),
        apart: Callable[[Run, Run], bool] = lambda earlier, later: False,
    ):
        self.high, self.low, self.merge, self.longest, self.apart = high, low, merge, longest, apart

    def step(
        self, state: RunState, probabilities: NDArray[np.float64], masses: NDArray[np.float64]
    ) -> tuple[RunState, list[tuple[int, Run]]]:
        """T more frames: (T,) and (T, K) -> the new state, and the runs that are certain, each with the frame that
        made it so. Pure."""
        found: list[tuple[int, Run]] = []
        first = state.frame
        active = np.flatnonzero(probabilities >= self.low)
        index = 0
        while index < len(probabilities):
            if state.run is None and state.waiting is None:
                # Most frames are far from any event.
                place = int(np.searchsorted(active, index))
                index = int(active[place]) if place < len(active) else len(probabilities)
                if index == len(probabilities):
                    break
            run = self._advance(state.run, first + index, float(probabilities[index]), masses[index])
            state, certain = self._settle(state, run, first + index)
            found += [(first + index, done) for done in certain]
            index += 1
        return state._replace(frame=first + len(probabilities)), found

    def finish(self, state: RunState) -> list[Run]:
        """What is left at the end of the stream."""
        waiting, run = state.waiting, state.run
        if run is None or not run.open:
            return [waiting] if waiting else []
        return self._together(waiting, run)

    def restart(self, state: RunState) -> RunState:
        """State after `finish` where the stream goes on: a run that nobody was told of goes on, too."""
        return state._replace(run=None if state.run is None or state.run.open else state.run, waiting=None)

    def _advance(self, run: Run | None, frame: int, probability: float, mass: NDArray[np.float64]) -> Run | None:
        """The run with this frame; None if it is no part of one."""
        if probability < self.low:
            return None
        here = Run(frame, frame, frame, probability, tuple(mass.tolist()), probability >= self.high)
        return here if run is None else run.then(here)

    def _settle(self, state: RunState, run: Run | None, frame: int) -> tuple[RunState, list[Run]]:
        """State after a frame with the run that it belongs to, and what is certain now."""
        waiting, certain = state.waiting, []
        over = run if run is not None and run.length >= self.longest else state.run if run is None else None
        if over is not None:
            run = None
            if over.open:
                *certain, waiting = self._together(waiting, over)
        if waiting is not None:
            within = self._joins(waiting, run) if run is not None else frame - waiting.end <= self.merge
            if not within:
                certain.append(waiting)
                waiting = None
        return RunState(frame + 1, run, waiting), certain

    def _together(self, earlier: Run | None, later: Run) -> list[Run]:
        """Two runs that are over as one, or as two."""
        if earlier is None:
            return [later]
        if self._joins(earlier, later) and not self.apart(earlier, later):
            return [earlier.then(later)]
        return [earlier, later]

    def _joins(self, earlier: Run, later: Run) -> bool:
        """Whether two runs are one, as far as the second is known."""
        return later.begin - earlier.end - 1 <= self.merge and later.end - earlier.begin + 1 <= self.longest


class TransitionState(NamedTuple):
    """State of a search for transitions.

    Attributes:
        runs: of the detector.
        held: events in the order of their frames, of which the first waits for another cut nearby.
        given: the last frame of what a flush gave out; what belongs to that must not come again.
    """

    runs: RunState = RunState()
    held: tuple[Found, ...] = ()
    given: float = -math.inf


class TransitionSearch:
    """Transitions between shots: one run for all labels, named after the label with the most probability in it.
    Between two cuts lies a shot, however short: they are never merged.

    Args:
        labels: names, the background first.
        rules: of the kind "transitions".
    """

    def __init__(self, labels: tuple[str, ...], rules: EventRules):
        self.labels, self.rules = labels, rules
        high = rules.lowest_high
        self._detector = RunDetector(high, rules.low_of(high), rules.merge, rules.longest, self._both_cuts)

    def init(self) -> TransitionState:
        return TransitionState()

    def step(self, state: TransitionState, log_probs: NDArray[np.float32]) -> tuple[TransitionState, list[Found]]:
        """T more frames, (T, V) -> the new state, and the events that are certain. Pure."""
        probabilities = np.exp(log_probs.astype(np.float64))
        runs, certain = self._detector.step(state.runs, 1.0 - probabilities[:, 0], probabilities[:, 1:])
        held = list(state.held)
        for _, run in certain:
            self._hold(held, run, state.given)
        released = list(self._release(held, runs.horizon))
        return TransitionState(runs, tuple(held), state.given), released

    def finish(self, state: TransitionState) -> list[Found]:
        """The events that the end of the stream makes certain."""
        held = list(state.held)
        for run in self._detector.finish(state.runs):
            self._hold(held, run, state.given)
        return held

    def restart(self, state: TransitionState) -> TransitionState:
        """See `EventSearch`."""
        runs = [run for run in self._detector.finish(state.runs) if self._event(run, state.given)]
        given = max([state.given, *(found.end for found in state.held), *(run.end for run in runs)])
        return TransitionState(self._detector.restart(state.runs), (), given)

    def needed(self, state: TransitionState) -> set[int]:
        """See `EventSearch`."""
        frames = {state.runs.frame - 1}
        for run in (state.runs.run, state.runs.waiting):
            if run is not None:
                frames |= {run.begin - 1, run.begin, run.begin + 1, run.end, run.peak - 1, run.peak}
        for found in state.held:
            frames |= {found.start, found.start + 1, found.end}
        return frames

    def _label(self, run: Run) -> str:
        return self.labels[1 + int(np.argmax(run.mass))]

    def _both_cuts(self, earlier: Run, later: Run) -> bool:
        return self._label(earlier) == self._label(later) == self.rules.cut

    def _event(self, run: Run, given: float) -> Found | None:
        """The event of a run, if it is one, and no part of what was given out already."""
        label = self._label(run)
        if run.score < self.rules.high_of(label) or run.length < self.rules.shortest(label):
            return None
        if (run.peak if label == self.rules.cut else run.end) == 0:
            return None  # there is nothing before the first frame
        if run.begin - given - 1 <= self.rules.merge:
            return None
        if label != self.rules.cut:
            return Found(label, max(0, run.begin - 1), run.end, run.score)
        return None if run.peak - given <= self.rules.min_gap else Found(label, run.peak - 1, run.peak, run.score)

    def _hold(self, held: list[Found], run: Run, given: float) -> None:
        """Add the event of a run, and keep the better of two cuts too near to each other."""
        event = self._event(run, given)
        if event is None:
            return
        if event.label == self.rules.cut:
            rival = next((found for found in reversed(held) if found.label == self.rules.cut), None)
            if rival is not None and event.end - rival.end <= self.rules.min_gap:
                if event.score <= rival.score:
                    return
                held.remove(rival)
        held.append(event)

    def _release(self, held: list[Found], horizon: int) -> Iterator[Found]:
        while held and (held[0].label != self.rules.cut or horizon > held[0].end + self.rules.min_gap):
            yield held.pop(0)


class SpanSearch:
    """Spans of every label on its own.

    Args:
        labels: names, the background first.
        rules: of the kind "spans".
    """

    def __init__(self, labels: tuple[str, ...], rules: EventRules):
        self.labels, self.rules = labels, rules
        highs = [rules.high_of(label) for label in labels[1:]]
        self._detectors = [RunDetector(high, rules.low_of(high), rules.merge, rules.longest) for high in highs]

    def init(self) -> tuple[RunState, ...]:
        return (RunState(),) * len(self._detectors)

    def step(
        self, state: tuple[RunState, ...], log_probs: NDArray[np.float32]
    ) -> tuple[tuple[RunState, ...], list[Found]]:
        """T more frames, (T, V) -> the new state, and the events that are certain, in the order in which they became
        so, and then of the labels. Pure."""
        probabilities = np.exp(log_probs.astype(np.float64))
        states, found = [], []
        for number, (detector, runs) in enumerate(zip(self._detectors, state, strict=True), start=1):
            column = probabilities[:, number]
            runs, certain = detector.step(runs, column, column[:, None])
            states.append(runs)
            found += [(frame, number, run) for frame, run in certain]
        found.sort(key=lambda entry: entry[:2])
        return tuple(states), self._events([(number, run) for _, number, run in found])

    def finish(self, state: tuple[RunState, ...]) -> list[Found]:
        """The events that the end of the stream makes certain."""
        rest = zip(self._detectors, state, strict=True)
        return self._events([(n, run) for n, (detector, runs) in enumerate(rest, 1) for run in detector.finish(runs)])

    def restart(self, state: tuple[RunState, ...]) -> tuple[RunState, ...]:
        """See `EventSearch`. A span that goes on is another one from here on."""
        return tuple(detector.restart(runs) for detector, runs in zip(self._detectors, state, strict=True))

    def needed(self, state: tuple[RunState, ...]) -> set[int]:
        """See `EventSearch`."""
        runs = [run for part in state for run in (part.run, part.waiting) if run is not None]
        return {frame for run in runs for frame in (run.begin, run.end, run.end + 1)}

    def _events(self, runs: list[tuple[int, Run]]) -> list[Found]:
        found = [Found(self.labels[number], run.begin, run.end, run.score) for number, run in runs]
        return [event for event in found if event.end - event.start + 1 >= self.rules.shortest(event.label)]
