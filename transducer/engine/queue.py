"""Steps that wait until there are enough of them for the network."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.media.medium import Medium


class StepQueue:
    """Steps (N, C) of a medium in the order in which they came."""

    def __init__(self, medium: Medium, steps: NDArray[Any] | None = None):
        self._nothing = np.zeros((0, medium.channels), medium.dtype)
        self._parts: deque[NDArray[Any]] = deque()
        self._size = 0
        if steps is not None:
            self.push(steps)

    def __len__(self) -> int:
        return self._size

    def push(self, steps: NDArray[Any]) -> None:
        """More steps, which are copied: the caller may use its buffer again."""
        if len(steps):
            self._append(np.array(steps, self._nothing.dtype))

    def hold(self, step: NDArray[Any], count: int) -> None:
        """One step (C,) so many times; it takes the memory of one."""
        if count:
            self._append(np.broadcast_to(np.array(step, self._nothing.dtype), (count, len(step))))

    @property
    def newest(self) -> NDArray[Any] | None:
        """(C,) The step that came last, if it still waits."""
        return self._parts[-1][-1] if self._parts else None

    def peek(self) -> NDArray[Any]:
        """All of them."""
        return np.concatenate([self._nothing, *self._parts])

    def pop(self, count: int) -> NDArray[Any]:
        """The oldest `count`, or as many as there are."""
        taken, left = [self._nothing], count
        while left and self._parts:
            part = self._parts.popleft()
            taken.append(part[:left])
            if len(part) > left:
                self._parts.appendleft(part[left:])
            left -= len(taken[-1])
        self._size -= count - left
        return taken[1] if len(taken) == 2 else np.concatenate(taken)

    def _append(self, steps: NDArray[Any]) -> None:
        self._parts.append(steps)
        self._size += len(steps)
