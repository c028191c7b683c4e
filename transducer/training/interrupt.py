"""Ctrl-C and SIGTERM, kept until a training step is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Interrupt:
    """While open, the first SIGINT or SIGTERM is only noted; a second one ends the process as it would have.

    Call it to ask whether one has come. `again` sends what came once more, to those who handled it before.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, object] = {}

    def __call__(self) -> bool:
        return self.number is not None

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():  # others cannot handle signals
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def again(self) -> None:
        self._restore()
        if self.number is not None:
            signal.raise_signal(self.number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before = {}
