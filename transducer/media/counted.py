"""Sources whose steps are counted and not timed: tokens of a text, rows of a table. Step n is "at second n"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from numpy.typing import NDArray

from transducer.media.medium import Block, BlockReader

RATE = Fraction(1)  # so that what is in seconds elsewhere is in steps here
AT_HAND = 256  # steps to work on at a time, where all of them are there already


def counts_steps(medium: Any) -> bool:
    """Whether the clock of a medium counts its steps: it has no seconds, and silence means nothing there."""
    return bool(getattr(medium, "counted", False))


@dataclass
class CountedSource:
    """What a `BlockReader` asks of a source; `total` is its steps, None as long as nobody knows."""

    name: str
    total: int | None = None
    position: float = 0.0
    warnings: list[str] = field(default_factory=list)
    closing: Callable[[], None] | None = None

    @property
    def duration(self) -> float | None:
        return None if self.total is None else float(self.total)

    def close(self) -> None:
        if self.closing is not None:
            self.closing()
            self.closing = None


def read_counted(source: CountedSource, arrays: Iterator[NDArray[Any]], block: int | None = None) -> BlockReader:
    """The steps of a source, arrays (N, C), in blocks of at most `block`."""

    def blocks() -> Iterator[Block]:
        try:
            for array in arrays:
                for start in range(0, len(array), block or max(len(array), 1)):
                    part = array[start : start + (block or len(array))]
                    source.position += len(part)
                    yield Block(part, None, None)
        finally:
            source.close()

    return BlockReader(source, blocks(), lambda: RATE)
