"""How far the work on a source has come, looked at from beside it: what hangs cannot tell that it does."""

from __future__ import annotations

import faulthandler
import os
import threading
from collections.abc import Callable
from typing import Protocol, TextIO

PAUSE = 1.0  # seconds between two looks
PATIENCE = 600.0  # seconds without progress that are granted to any work
SLOWEST = 5.0  # and for each second of the media that is worked on, so many more


class Watched(Protocol):
    """A session, or a reader."""

    @property
    def position(self) -> float: ...
    @property
    def duration(self) -> float | None: ...


def granted(seconds: float) -> float:
    """Seconds that may pass without progress on so much media, after which the work on it is taken to hang."""
    return PATIENCE + SLOWEST * seconds


def end_unless_told(seconds: float) -> None:
    """End this process, whatever it is in, where this is not called again in what is granted for so much media."""
    global _nowhere
    if _nowhere is None:
        _nowhere = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    faulthandler.dump_traceback_later(granted(seconds), exit=True, file=_nowhere)


_nowhere: TextIO | None = None


class Watch:
    """A thread that looks at what a process works on. It ends with the process.

    Args:
        moved: is told of the position and the duration, in seconds, whenever the first of them has changed; in the
            thread. What it raises as OSError ends the watch: nobody listens any more.
    """

    def __init__(self, moved: Callable[[float, float | None], None]):
        self._moved = moved
        self._lock = threading.Lock()
        self._watched: Watched | None = None
        self._position = -1.0
        threading.Thread(target=self._run, daemon=True, name="watch").start()

    def follow(self, watched: Watched | None) -> None:
        """Look at this from now on; at nothing if None. What was looked at before is told of no more."""
        with self._lock:
            self._watched, self._position = watched, -1.0

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(PAUSE):
            with self._lock:
                if self._watched is None or self._watched.position == self._position:
                    continue
                self._position = self._watched.position
                try:
                    self._moved(self._position, self._watched.duration)
                except OSError:
                    return
