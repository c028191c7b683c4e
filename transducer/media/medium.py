"""A medium: what a step of a model's input is, and how sources of it are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Block(NamedTuple):
    """N steps that follow each other.

    Attributes:
        inputs: (N, C), of the medium's dtype.
        times: when each step begins, in seconds; None where the clock is steady: step n of a source begins at
            its start + n / rate.
        frames: the number of each step's frame in the video; None where there are no frames.
    """

    inputs: NDArray[Any]
    times: list[float] | None
    frames: list[int] | None


class Medium(Protocol):
    """What a model takes: steps of C numbers each.

    Attributes:
        name: for messages: "samples", "frames", "frames and samples".
        channels: C, numbers of a step.
        dtype: float32 or uint8.
        rate: steps per second; nominal where each step has its own time.
        steady: whether step n is at n / rate.
        read_ahead: whether reading takes so long that a thread of its own is worth it.
        options: names of the options that `open` takes.
    """

    @property
    def steady(self) -> bool: ...
    @property
    def read_ahead(self) -> bool: ...
    @property
    def options(self) -> tuple[str, ...]: ...
    @property
    def name(self) -> str: ...
    @property
    def channels(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def rate(self) -> Fraction: ...

    def check(self, x: Any) -> NDArray[Any]:
        """What a program pushes -> (N, C), of `dtype`. Raises UsageError."""

    def block_for(self, reader: BlockReader) -> int | None:
        """Steps to work on at a time for this source; None for what the engine is made for."""

    def facts(self, lookahead: int) -> dict[str, Any]:
        """What people ask about it, and about a model that sees so many steps ahead."""

    def open(self, source: Any, *arguments: Any, **options: Any) -> BlockReader:
        """Open a source of steps. Raises MediaError, UsageError."""


class MediaReader(Protocol):
    """What is asked of the reader of an open source; what more there is depends on its kind."""

    @property
    def name(self) -> str: ...
    @property
    def duration(self) -> float | None: ...
    @property
    def position(self) -> float: ...
    @property
    def warnings(self) -> list[str]: ...
    def close(self) -> None: ...


class BlockReader(Iterator[Block]):
    """The steps of an open source, and a context manager.

    Reading and decoding happen where this is iterated over, which may be another thread. Closing it twice does no
    harm.

    Args:
        reader: has name, duration, position, warnings and close().
        blocks: of it.
        rate: gives steps per second, as far as it is known by now.
        frames: how many frames the header tells of; None where it doesn't, or there are none.
        delay: seconds by which steps come later than they were read.
        start: second of the source at which the first step begins, where steps have no times of their own.
    """

    def __init__(
        self,
        reader: MediaReader,
        blocks: Iterator[Block],
        rate: Callable[[], Fraction],
        frames: int | None = None,
        start: float = 0.0,
        delay: float = 0.0,
    ) -> None:
        self._reader, self._blocks, self._rate = reader, blocks, rate
        self.frames, self.start, self.delay = frames, start, delay

    @property
    def name(self) -> str:
        """Of the source, to show."""
        return self._reader.name

    @property
    def duration(self) -> float | None:
        """Seconds of the whole, as far as it is known."""
        return self._reader.duration

    @property
    def position(self) -> float:
        """Seconds that have been read."""
        return self._reader.position

    @property
    def warnings(self) -> list[str]:
        """One line for each place that could not be read; grows while it is read."""
        return self._reader.warnings

    @property
    def incomplete(self) -> bool:
        """What came is not the whole, see `transducer.media.io.reader.Reader`; known at the end."""
        return getattr(self._reader, "incomplete", False)

    @property
    def level(self) -> Any:
        """How loud the sound was so far, a `transducer.media.audio.level.LevelMeter`; None without sound."""
        return getattr(self._reader, "level", None)

    @property
    def rate(self) -> Fraction:
        """Steps per second of this source; for frames their mean, as far as it is known."""
        return self._rate()

    @property
    def fps(self) -> Fraction:
        """Frames per second of the pictures; where there are none, steps per second."""
        return Fraction(getattr(self._reader, "fps", None) or self._rate())

    def __next__(self) -> Block:
        return next(self._blocks)

    def __enter__(self) -> BlockReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        close: Any = getattr(self._blocks, "close", None)
        if close is not None:
            close()
        self._reader.close()
