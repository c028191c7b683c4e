"""The trained parts of an RNN-T that a search needs, on the rows of many streams at once.

Legend: N rows (hypotheses, of one stream or of many), D features, V tokens with the blank at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from transducer.model.state import as_like, as_numpy, select, stack, without_gradients

# (N, D) encoder frames, (N, D') predictor output -> (N, V) log-probabilities; arrays of the predictor's kind.
Joint = Callable[[Any, Any], Any]
TILE = 4


class Predictor(Protocol):
    """The part of an RNN-T model that reads tokens, for N hypotheses at once.

    Its outputs and states are arrays of NumPy or tensors with the N rows on dimension 0, see `transducer.model.state`.
    """

    def start(self) -> Any:
        """State of one hypothesis before it has read anything. The first token that it reads is the blank."""
        ...

    def extend(self, tokens: Sequence[int], state: Any) -> tuple[Any, Any]:
        """Read one token in each row: N tokens, state of N rows -> (N, D), new state of N rows. Pure."""
        ...


class Rows:
    """Predictor and joint on any number of rows, none of which changes a bit of another one.

    A matrix product rounds differently with another number of rows. So rows are worked on in tiles of one size, the
    last of which is filled up: a row's bits depend on nothing but the row.

    Args:
        predictor, joint: of the model.
        tile: rows at a time; None where each row's bits are its own anyway (`transducer.model.packing.is_packed`).
    """

    def __init__(self, predictor: Predictor, joint: Joint, tile: int | None = TILE):
        self.predictor, self._joint, self.tile = predictor, joint, tile

    def start(self) -> Any:
        """State of one row that has read nothing."""
        return self.predictor.start()

    def extend(self, tokens: Sequence[int], state: Any) -> tuple[Any, Any]:
        """See `Predictor`."""

        def extend(rows: Sequence[int]) -> tuple[Any, Any]:
            return self.predictor.extend([tokens[row] for row in rows], select(state, rows))

        with without_gradients():
            return self._in_tiles(extend, len(tokens)) if self.tile else self.predictor.extend(tokens, state)

    def joint(self, frames: NDArray[np.float32], outputs: Any) -> NDArray[np.float32]:
        """(N, D), (N, D') -> (N, V) log-probabilities, in the main memory, where a search works."""
        there = as_like(frames, outputs)

        def joint(rows: Sequence[int]) -> Any:
            return self._joint(select(there, rows), select(outputs, rows))

        with without_gradients():
            return as_numpy(self._in_tiles(joint, len(outputs)) if self.tile else self._joint(there, outputs))

    def _in_tiles(self, call: Callable[[Sequence[int]], Any], count: int) -> Any:
        """The results of a call for `count` rows, one tile of rows after the other."""
        assert self.tile is not None
        tiles = [range(first, first + self.tile) for first in range(0, count, self.tile)]
        found = stack([call([min(row, count - 1) for row in tile]) for tile in tiles])
        return select(found, range(count))
