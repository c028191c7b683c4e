"""Ctrl-C and SIGTERM of a live command."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """The first one ends the source, and what was heard becomes final; the second ends everything at once.

    Attributes:
        asked: whether the source is to end.
        terminated: whether SIGTERM asked for it.
    """

    def __init__(self) -> None:
        self.asked = False
        self.terminated = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        previous = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self.terminated = number == signal.SIGTERM
