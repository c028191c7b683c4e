"""Sound of anything live -> blocks for a model: microphones, standard input, addresses, files at their own pace."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from transducer.errors import MediaError, UsageError
from transducer.media.live.capture import Gap, Item, Told
from transducer.media.live.pace import Pace
from transducer.media.live.reconnect import Reconnect
from transducer.media.medium import Medium


class SoundSink(Protocol):
    """What takes the sound as it was heard, such as a `Saver`."""

    def sound(self, samples: np.ndarray) -> None: ...
    def silence_until(self, second: float) -> None: ...


class Level:
    """How loud it is; full scale is 1.

    Attributes:
        peak: now.
        loudest: so far; None before there was any sound.
    """

    def __init__(self) -> None:
        self.peak = 0.0
        self.loudest: float | None = None

    def add(self, samples: np.ndarray) -> None:
        """More of the sound, (N,): the peak falls by 20 dB in a second of what is quieter."""
        if len(samples):
            newest = float(np.abs(samples).max())
            self.peak = max(newest, self.peak * 10 ** (-len(samples) / 16000))
            self.loudest = max(newest, self.loudest or 0.0)


class LiveSound:
    """Blocks of a medium of samples, gaps where a connection was lost, and what the source tells: iterate over it once.

    Args:
        open_arrays: (second to begin at) -> float32 (N,) arrays at the medium's rate; with `warnings`, `duration` and
            `incomplete`, if it has them.
        medium: of the model.
        pace: holds the sound back until it would be heard.
        reconnect: for addresses; None where the end is the end.
        sink: gets the sound as it was, before quiet sound is raised for the model.

    Attributes:
        level: how loud it is now.
    """

    def __init__(
        self,
        open_arrays: Callable[[float], Iterator[np.ndarray]],
        medium: Medium,
        pace: Pace | None = None,
        reconnect: Reconnect | None = None,
        sink: SoundSink | None = None,
    ):
        self._open, self._medium, self._pace, self._reconnect, self._sink = open_arrays, medium, pace, reconnect, sink
        self.level = Level()
        self._heard = 0

    def __iter__(self) -> Iterator[Item]:
        start = begin = 0.0
        while True:
            failure, arrays, told, duration = "", None, 0, None
            try:
                arrays = self._open(begin)
                duration = getattr(arrays, "duration", None)  # at the end it is what was read
                if self._reconnect is not None:
                    yield from map(Told, self._reconnect.begin(start))
                for block in self._medium.open(self._listen(arrays), level=True):
                    yield from map(Told, warnings_of(arrays)[told:])
                    told = len(warnings_of(arrays))
                    yield block
            except MediaError as error:
                if self._reconnect is None or not self._reconnect.wants():
                    raise
                failure = str(error)
            finally:
                close: Any = getattr(arrays, "close", None)
                if close is not None:
                    close()
            rest = warnings_of(arrays)[told:]
            if self._reconnect is None or not (failure or self._reconnect.broke_off(arrays)):
                yield from map(Told, rest)
                return
            yield Told(self._reconnect.lost(failure or (rest[-1] if rest else "the connection ended")))
            start, self._heard = start + self._heard / int(self._medium.rate), 0
            start, begin = self._reconnect.wait(start, duration)
            if not begin:
                if self._sink is not None:
                    self._sink.silence_until(start)
                yield Gap(start)

    def _listen(self, arrays: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """The sound, at its pace, counted, measured and kept."""
        for samples in arrays if self._pace is None else self._pace.sound(arrays, int(self._medium.rate)):
            self._heard += len(samples)
            self.level.add(samples)
            if self._sink is not None:
                self._sink.sound(samples)
            yield samples


def warnings_of(reader: Any) -> list[str]:
    """Of what is being read; of None, there are none."""
    return list(getattr(reader, "warnings", ()))


def standard_input() -> io.RawIOBase:
    """Standard input without a buffer: what is there can be read at once, and no lock outlives the program.

    Raises:
        UsageError: it is closed, or a terminal.
    """
    try:
        number = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        raise UsageError("there is no standard input to read from; name a file") from None
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal; pipe sound into it, or leave out - for the microphone")
    return _StandardInput(number)


class _StandardInput(io.FileIO):
    def __init__(self, number: int) -> None:
        super().__init__(number, closefd=False)
        self.name = "standard input"
