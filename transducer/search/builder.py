"""What becomes of the results of a source: a builder gathers them, and makes the whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from transducer.media.medium import Block

Result = TypeVar("Result", contravariant=True)
Whole = TypeVar("Whole", covariant=True)


class Source(NamedTuple):
    """What is known of a source that has been worked on.

    Attributes:
        name: to show.
        position: seconds that have been worked on.
        warnings: what could not be read, and where.
        rate: frames per second; of sound, outputs of the head per second.
        frames: how many have been judged.
        end: the time at which the last of them ends.
        language: of the words.
    """

    name: str
    position: float
    warnings: tuple[str, ...]
    rate: float
    frames: int
    end: float
    language: str = ""


class Builder(Protocol[Result, Whole]):
    """Gathers the results of one source."""

    def block(self, block: Block) -> None:
        """Steps that have been read, before any result of them."""
        ...

    def outputs(self, outputs: NDArray[np.float32], begins: Sequence[bool]) -> None:
        """(T, V): what the head says of the next steps; of each, whether a frame begins in it or only goes on."""
        ...

    def add(self, result: Result) -> bool:
        """Take a result; whether it is one to be shown by itself."""
        ...

    def close(self, source: Source) -> None:
        """The source has ended."""
        ...

    def result(self, source: Source) -> Whole:
        """The whole, as far as it is certain."""
        ...
