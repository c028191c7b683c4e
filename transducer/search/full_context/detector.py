"""Speech and pauses, step by step, from log-mel features: louder than a noise floor that is tracked in each band.

The floor is the least level of late, allowed to rise slowly: minimum statistics (R. Martin, 2001, "Noise power spectral
density estimation based on optimal smoothing and minimum statistics", IEEE TSAP 9-5) without their corrections.

Legend of axis suffixes: T steps, F bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]


class DetectorState(NamedTuple):
    """State between two steps.

    Attributes:
        steps: how many there were.
        recent: (R, F) levels of the newest steps that the means still need.
        floor: (F,) the least level so far, less what the floor has risen since step 0.
    """

    steps: int = 0
    recent: NDArray[np.float64] | None = None
    floor: NDArray[np.float64] | float = np.inf


@dataclass(frozen=True)
class SpeechDetector:
    """Whether somebody may be speaking, for each step. It would rather hear speech in noise than miss some.

    Every step's judgement depends on the steps before it alone, and not on how they are cut into parts.

    Attributes:
        first, last: the part of the bands that counts; below it is hum, above it little of vowels.
        smoothing, averaging: steps whose mean is the level, and the level that the floor is the least of.
        rise: of the floor, in decades of power a step.
        margin: decades above the floor, on the mean of the bands, from which on it is speech.
        quietest, loudest: levels below are all the same silence; a floor begins no higher than this.
    """

    first: float = 0.05
    last: float = 0.8
    smoothing: int = 5
    averaging: int = 20
    rise: float = 0.002
    margin: float = 0.4
    quietest: float = -7.0
    loudest: float = -3.0

    def init(self) -> DetectorState:
        """State before the first step."""
        return DetectorState(floor=self.loudest)

    def step(self, state: DetectorState, features: NDArray[np.float32]) -> tuple[DetectorState, Bools]:
        """(T, F) more steps, log10 of the power in bands -> the new state, (T,) whether each may be speech. Pure."""
        if not len(features):
            return state, np.zeros(0, np.bool_)
        first = round(self.first * features.shape[1])
        bands = slice(first, max(round(self.last * features.shape[1]), first + 1))
        levels = np.maximum(features[:, bands].astype(np.float64), self.quietest)
        # Before the first step it was as loud as there.
        before = np.repeat(levels[:1], self.averaging - 1, axis=0) if state.recent is None else state.recent
        window = np.concatenate([before, levels])
        risen = self.rise * np.arange(state.steps, state.steps + len(levels))[:, None]
        lowest = _means(window, self.averaging) - risen
        floors = np.minimum(np.minimum.accumulate(lowest, axis=0), state.floor)
        level = _means(window[self.averaging - self.smoothing :], self.smoothing)
        speech = np.maximum(level - floors - risen, 0.0).mean(axis=1) >= self.margin
        recent = window[len(levels) :].copy()
        return DetectorState(state.steps + len(levels), recent, floors[-1]), speech


def _means(window: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The means of `count` rows in a row, each added up in the same order."""
    length = len(window) - count + 1
    total = window[:length].copy()
    for shift in range(1, count):
        total += window[shift : shift + length]
    return total / count
