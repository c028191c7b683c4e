"""Work for which the processor waits, on several things at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], values: Iterable[T], threads: int) -> Iterator[R]:
    """What a function gives for each value, in their order. No more values are taken than twice the threads ahead.

    Args:
        threads: 0 for none: a value is taken when its result is asked for.
    """
    if not threads:
        yield from map(function, values)
        return
    executor, waiting = ThreadPoolExecutor(threads), deque[Future[R]]()
    try:
        for value in values:
            waiting.append(executor.submit(function, value))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
