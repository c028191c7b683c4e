"""Steps that wait until there are enough of them for the network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.media.medium import Medium


class StepQueue:
    """Steps (N, C) of a medium in the order in which they came."""

    def __init__(self, medium: Medium, steps: NDArray[Any] | None = None):
        self._nothing = np.zeros((0, medium.channels), medium.dtype)
        self._parts: list[NDArray[Any]] = []
        self._size = 0
        if steps is not None:
            self.push(steps)

    def __len__(self) -> int:
        return self._size

    def push(self, steps: NDArray[Any]) -> None:
        """More steps, which are copied: the caller may use its buffer again."""
        if len(steps):
            self._parts.append(np.array(steps, self._nothing.dtype))
            self._size += len(steps)

    def peek(self) -> NDArray[Any]:
        """All of them."""
        if len(self._parts) != 1:
            self._parts = [np.concatenate([self._nothing, *self._parts])]
        return self._parts[0]

    def pop(self, count: int) -> NDArray[Any]:
        """The oldest `count`, or as many as there are."""
        steps = self.peek()
        self._parts = [steps[count:]]
        self._size = len(self._parts[0])
        return steps[:count]
