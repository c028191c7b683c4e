"""Addresses whose connection is lost are opened again, later and later, with times that go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds between two attempts; each is twice the one before
ATTEMPTS = 10  # in a row, about three minutes
LIVE = ("rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp", "tcp", "mmsh", "mmst")  # what ends there was cut off


class Reconnect:
    """When to open an address again, and which second it is then.

    The first connection has to work. A recording, which tells how long it is, goes on where it broke off. Of all else
    time goes on by the clock: what is heard after a loss has the time at which it came, counted from the first sound.

    Args:
        address: of the source.
        attempts: in a row, after which the source is given up.
        clock: seconds that pass.
    """

    def __init__(self, address: str, attempts: int = ATTEMPTS, clock: Callable[[], float] = time.monotonic) -> None:
        self._live = urlsplit(address).scheme.lower() in LIVE
        self._attempts, self._clock = attempts, clock
        self._zero: float | None = None  # when second 0 was
        self._failed = 0
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._stopped.set()

    def begin(self, start: float) -> Iterator[str]:
        """The source is open, from second `start` on; what there is to tell."""
        if self._zero is None:
            self._zero = self._clock() - start
        elif self._failed:
            yield f"connected again, at {start:.1f} s"
        self._failed = 0

    def wants(self) -> bool:
        """Whether an error is a reason to try again."""
        return self._zero is not None and self._failed < self._attempts and not self._stopped.is_set()

    def broke_off(self, reader: Any) -> bool:
        """Whether a source that has ended was cut off."""
        return not self._stopped.is_set() and (bool(getattr(reader, "incomplete", False)) or self._live)

    def lost(self, reason: str) -> str:
        """What to tell of a loss."""
        return f"{reason}; trying again in {self._delay:g} s"

    def wait(self, position: float, duration: float | None) -> tuple[float, float]:
        """Wait before the next attempt.

        Returns:
            The second at which the source goes on, and the second to open it at: 0 of what is live.

        Args:
            position: second up to which it has been given.
            duration: seconds of a recording, by its header; None for what is live.
        """
        self._stopped.wait(self._delay)
        self._failed += 1
        if duration is not None or self._zero is None:
            return position, position
        return max(position, self._clock() - self._zero), 0.0

    @property
    def _delay(self) -> float:
        return float(min(LONGEST_WAIT, FIRST_WAIT * 2**self._failed))
