"""The hypotheses of a search for words, as arrays: of one stream, or of many in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NODE, CONTEXT, LAST, TRACE, START, END = range(6)
_ROWS = {"node": NODE, "context": CONTEXT, "last": LAST, "trace": TRACE, "start": START, "end": END}


class Beam(NamedTuple):
    """All hypotheses.

    Attributes:
        places: (6, H), each row of which is one of the following.
        score: (H,) log-score, look-ahead included.
    """

    places: Ints
    score: Floats

    @property
    def node(self) -> Ints:
        """Place in the tree; the root between words."""
        return self.places[NODE]

    @property
    def context(self) -> Ints:
        """Of the word scorer, after the words so far."""
        return self.places[CONTEXT]

    @property
    def last(self) -> Ints:
        """The token of the last frame, 0 for the blank."""
        return self.places[LAST]

    @property
    def trace(self) -> Ints:
        """Row of the last word, or of a join after it."""
        return self.places[TRACE]

    @property
    def start(self) -> Ints:
        """First frame of the word in progress."""
        return self.places[START]

    @property
    def end(self) -> Ints:
        """One past the last frame that had a sound."""
        return self.places[END]

    def take(self, rows: Ints) -> Beam:
        return Beam(self.places.take(rows, axis=1), self.score.take(rows))

    def at(self, **places: Ints | int) -> Beam:
        """A copy with other places."""
        new = self.places.copy()
        for name, values in places.items():
            new[_ROWS[name]] = values
        return Beam(new, self.score)


def concatenate(parts: Sequence[Beam]) -> Beam:
    """Their hypotheses, one after the other."""
    return Beam(np.concatenate([part.places for part in parts], axis=1), np.concatenate([part.score for part in parts]))
