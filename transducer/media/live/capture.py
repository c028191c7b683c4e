"""Live sources read in threads of their own, so that nothing is missed while a model works; what waits is bounded."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

from transducer.media.io.prefetch import drain
from transducer.media.medium import Block

SOUND_LIMIT = 30.0  # seconds that may wait
PICTURE_LIMIT = 1.0
Full = Literal["wait", "thin", "gap"]


class Gap(NamedTuple):
    """Nothing is known of the source before second `start`; what follows begins there."""

    start: float


class Told(NamedTuple):
    """A line for the user about the source."""

    message: str


class Ended(NamedTuple):
    """There is no more; `failure` is why, unless the source was at its end."""

    failure: BaseException | None


Item = Block | Gap | Told | Ended


class Inbox:
    """Where several captures put what they read, for one reader."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._captures: list[Capture] = []
        self._keys: deque[str] = deque()

    def press(self, key: str) -> None:
        """Something that the user wants now."""
        with self.changed:
            self._keys.append(key)
            self.changed.notify_all()

    def get(self, timeout: float) -> tuple[Capture | None, Any]:
        """What came first: (capture, item), (None, key), or (None, None) if nothing comes in `timeout` seconds."""
        until = time.monotonic() + timeout
        with self.changed:
            while True:
                if self._keys:
                    return None, self._keys.popleft()
                waiting = [capture for capture in self._captures if capture._waiting]
                if waiting:
                    first = min(waiting, key=lambda capture: capture._waiting[0][0])
                    return first, first._take()
                left = until - time.monotonic()
                if left <= 0:
                    return None, None
                self.changed.wait(left)


class Capture:
    """Reads a source in a thread until it ends or is stopped.

    Attributes:
        frames_dropped: how many frames were.

    Args:
        inbox: where to put what is read.
        items: blocks, gaps, and what is told. It is used, and closed, in the thread only.
        seconds: how long a block lasts.
        limit: seconds of media that may wait for the model.
        full: what happens to more: "wait" holds up the source, which has to allow that; "thin" drops every second of
            the frames that wait; "gap" drops what comes until half of the limit is left, and puts a `Gap` there.
    """

    def __init__(
        self,
        inbox: Inbox,
        items: Iterator[Item],
        seconds: Callable[[Block], float],
        limit: float = SOUND_LIMIT,
        full: Full = "wait",
    ):
        self._inbox, self._items, self._seconds, self._limit, self._full = inbox, items, seconds, limit, full
        self._waiting: deque[tuple[float, Item]] = deque()
        self._held = 0.0
        self._stopped = False
        self._missing: float | None = None  # seconds that were dropped since the last gap
        self._place = 0.0
        self.frames_dropped = 0
        inbox._captures.append(self)
        # A read from a device may never return: it must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    @property
    def lag(self) -> float:
        """Seconds of media that wait for the model."""
        return self._held

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End soon; what waits can still be got, and then comes `Ended`."""
        with self._inbox.changed:
            if not self._stopped:
                self._stopped = True
                self._waiting.append((time.monotonic(), Ended(None)))
            self._inbox.changed.notify_all()

    def join(self, timeout: float) -> None:
        if self._thread.ident is not None:  # it may never have been started
            self._thread.join(timeout)

    def _take(self) -> Item:
        _, item = self._waiting.popleft()
        if isinstance(item, Block):
            self._held = max(0.0, self._held - self._seconds(item))
        self._inbox.changed.notify_all()
        return item

    def _run(self) -> None:
        failure = drain(self._items, self._offer)
        with self._inbox.changed:
            if not self._stopped:
                self._stopped = True
                self._waiting.append((time.monotonic(), Ended(failure)))
            self._inbox.changed.notify_all()

    def _offer(self, item: Item) -> bool:
        """Whether more is wanted."""
        with self._inbox.changed:
            length = self._seconds(item) if isinstance(item, Block) else 0.0
            if self._full == "wait":
                while self._held >= self._limit and not self._stopped:
                    self._inbox.changed.wait()
            if self._stopped:
                return False
            if isinstance(item, Gap):
                self._place = item.start
            self._place += length
            if self._full == "gap" and length and self._is_lost(length):
                return True
            self._waiting.append((time.monotonic(), item))
            self._held += length
            if self._full == "thin" and self._held > self._limit:
                self._thin()
            self._inbox.changed.notify_all()
            return True

    def _is_lost(self, length: float) -> bool:
        """Whether a block finds no room."""
        if self._missing is None and self._held + length <= self._limit:
            return False
        if self._missing is not None and self._held <= self._limit / 2:
            lost, self._missing = self._missing, None
            now, start = time.monotonic(), self._place - length
            told = f"this machine is too slow: {lost:.1f} s of sound before {start:.1f} s are lost"
            self._waiting += [(now, Told(told)), (now, Gap(start))]
            return False
        self._missing = (self._missing or 0.0) + length
        return True

    def _thin(self) -> None:
        """Drop every second of the frames that wait."""
        kept: deque[tuple[float, Item]] = deque()
        self._held = 0.0
        for number, (arrived, item) in enumerate(self._waiting):
            if isinstance(item, Block):
                if number % 2:
                    self.frames_dropped += len(item.inputs)
                    continue
                self._held += self._seconds(item)
            kept.append((arrived, item))
        self._waiting = kept
