"""The clock of what is live: when it began, and files as if they happened now."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
PIECE = 0.02  # seconds of sound at a time, as a sound card gives it


class Beginning:
    """Second 0 of devices that are recorded together: when the first of them gave something.

    Args:
        clock: seconds that pass.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._zero: float | None = None

    def since(self) -> float:
        """Seconds since then; 0 for who asks first."""
        now = self._clock()
        with self._lock:
            self._zero = now if self._zero is None else self._zero
            return max(now - self._zero, 0.0)


class Pace:
    """Gives what is read no sooner than it would be heard or seen; several sources may share one.

    Args:
        clock: seconds that pass.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begin: float | None = None
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._stopped.set()

    def wait(self, second: float) -> None:
        """Until so many seconds have passed since the first call. A delay is made up for, never added to."""
        if self._begin is None:
            self._begin = self._clock()
        left = self._begin + second - self._clock()
        if left > 0:
            self._stopped.wait(left)

    def sound(self, arrays: Iterator[np.ndarray], rate: int) -> Iterator[np.ndarray]:
        """float32 (N,) arrays of any sizes -> pieces of 20 ms, each when its last sample has sounded."""
        size, place = round(PIECE * rate), 0
        self.wait(0.0)
        for samples in arrays:
            for first in range(0, len(samples), size):
                piece = samples[first : first + size]
                place += len(piece)
                self.wait(place / rate)
                yield piece

    def pictures(self, frames: Iterator[Item], time_of: Callable[[Item], float]) -> Iterator[Item]:
        """Each frame when it is shown."""
        self.wait(0.0)
        for frame in frames:
            self.wait(time_of(frame))
            yield frame
