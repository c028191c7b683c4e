"""What computes a network for an engine: PyTorch, or another library that runs what was exported."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from transducer.model.state import State


class Backend(Protocol):
    """A network from steps of a medium to the outputs of a head, see `transducer.model.sequence.Streaming`.

    Attributes:
        stride, latency, block, lookahead: of what streams.
        whole: whether its last stages need the whole source, see `conclude`.
    """

    @property
    def stride(self) -> int: ...
    @property
    def latency(self) -> int: ...
    @property
    def block(self) -> int: ...
    @property
    def lookahead(self) -> int: ...
    @property
    def whole(self) -> bool: ...

    def init_state(self, batch: int) -> State:
        """The state before the first step of so many streams."""

    def step(
        self, x: NDArray[Any], exists: NDArray[np.bool_], state: State
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], State]:
        """(B, n * block, C), (B, n * block), state -> outputs (B, T, V), which of them exist (B, T), new state."""

    def conclude(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(T, C), all that has come out of the stages that stream -> all outputs (T, V), by those that do not."""
