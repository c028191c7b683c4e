"""Reading ahead: an iterator that runs in a thread of its own, a bounded number of items before its user."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
PATIENCE = 2.0  # seconds that `close` waits for a read that is under way


def usable_cores() -> int:
    """The cores that this process may use; in a container that may be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def drain(items: Iterator[Item], offer: Callable[[Item], bool]) -> BaseException | None:
    """Hand items on until `offer` wants no more, then close what makes them; the first thing that went wrong."""
    failure: BaseException | None = None
    try:
        for item in items:
            if not offer(item):
                break
    except BaseException as error:  # KeyboardInterrupt from a file object, too
        failure = error
    try:
        close: Any = getattr(items, "close", None)
        if close is not None:
            close()
    except BaseException as error:
        failure = failure or error
    return failure


class Prefetch(Iterator[Item], Generic[Item]):
    """The items of an iterator, in order; what it raises is raised here, after the items before.

    The iterator is used, and closed where it can be, in the thread only. Useful where its work releases the
    interpreter's lock, as decoding does.

    Args:
        items: any iterator; a generator is closed at the end, so that its `finally` is where resources go.
        depth: items that may wait.
    """

    def __init__(self, items: Iterator[Item], depth: int = 4):
        self._items, self._depth = items, depth
        self._waiting: deque[Item] = deque()
        self._changed = threading.Condition()
        self._over = self._closed = False
        self._failure: BaseException | None = None
        # A read from a pipe may never return: it must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
        self._thread.start()

    def __next__(self) -> Item:
        with self._changed:
            while not (self._waiting or self._over or self._closed):
                self._changed.wait()
            if self._waiting and not self._closed:
                self._changed.notify_all()
                return self._waiting.popleft()
            failure, self._failure = self._failure, None
        if failure is not None and not self._closed:
            raise failure
        raise StopIteration

    def close(self) -> None:
        """End the thread; may be called twice. Waits for what it is at, but not for ever."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        failure = drain(self._items, self._offer)
        with self._changed:
            self._over, self._failure = True, failure
            self._changed.notify_all()

    def _offer(self, item: Item) -> bool:
        """Whether there was room for it before the end."""
        with self._changed:
            while len(self._waiting) >= self._depth and not self._closed:
                self._changed.wait()
            if not self._closed:
                self._waiting.append(item)
                self._changed.notify_all()
            return not self._closed
