"""Words as a medium: one step is one word of running text, as the numbers of its rows in tables of embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.errors import UsageError
from transducer.media.medium import BlockReader


@dataclass(frozen=True)
class Words:
    """The rows of each word, whole numbers as float32, which holds them exactly. The rate is that of speech, nominal.

    Attributes:
        sizes: rows of the table that each number of a word stands for.
    """

    sizes: tuple[int, ...]

    name = "words"
    dtype = np.dtype(np.float32)
    rate = Fraction(5, 2)
    steady, read_ahead = True, False
    options = ()

    @property
    def channels(self) -> int:
        return len(self.sizes)

    def block_for(self, reader: BlockReader) -> int | None:
        return None

    def facts(self, lookahead: int) -> dict[str, Any]:
        return {"vocabulary_words": self.sizes[0] - 1, "look_ahead_words": lookahead}

    def check(self, x: Any) -> NDArray[np.float32]:
        """float32 (N, C). Raises UsageError for anything else, and for what is no row."""
        array = np.asarray(x)
        if array.ndim != 2 or array.dtype != np.float32 or array.shape[1] != self.channels:
            raise UsageError(
                f"words must be a float32 array (N, {self.channels}), got {array.dtype} of shape {array.shape}"
            )
        if not ((array >= 0) & (array < np.array(self.sizes)) & (array == np.floor(array))).all():
            raise UsageError(f"rows of words must be whole numbers from 0 on, below {self.sizes}")
        return array

    def open(self, source: Any, *arguments: Any, **options: Any) -> BlockReader:
        """Raises UsageError: words come from other models."""
        raise UsageError("this model reads words and no media: see transducer transcribe --punctuate")
