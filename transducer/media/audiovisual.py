"""Frames and samples as one medium: one step is a frame and the sound that is heard while it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from transducer.errors import UsageError
from transducer.media.audio.reader import AudioReader, open_audio
from transducer.media.io.sources import STANDARD_INPUT
from transducer.media.medium import Block, BlockReader
from transducer.media.video.arrays import pixels
from transducer.media.video.medium import Frames, block_size

if TYPE_CHECKING:
    from transducer.media.video.reader import VideoReader


@dataclass(frozen=True)
class FramesAndSamples:
    """Steps of as long as so many samples last; float32: the pixels, 0 to 255, and behind them the samples.

    Attributes:
        frames: the pictures.
        samples: of sound in a step.
        samples_per_second: of that sound.
    """

    frames: Frames
    samples: int
    samples_per_second: int

    name = "frames and samples"
    dtype = np.dtype(np.float32)
    steady, read_ahead = False, True
    options = ("fast", "track", "start", "length")

    @property
    def channels(self) -> int:
        return self.frames.channels + self.samples

    @property
    def rate(self) -> Fraction:
        return Fraction(self.samples_per_second, self.samples)

    def block_for(self, reader: Any) -> int | None:
        return block_size(reader)

    def facts(self, lookahead: int) -> dict[str, Any]:
        return {**self.frames.facts(lookahead), "rate_hz": self.samples_per_second}

    def check(self, x: Any) -> NDArray[np.float32]:
        """float32 (N, C): the pixels of each step's frame, and behind them its samples.

        Raises:
            UsageError: another type or shape, or values that are no numbers.
        """
        array = np.asarray(x)
        if array.dtype != np.float32 or array.ndim != 2 or array.shape[1] != self.channels:
            raise UsageError(
                "this model needs the sound with the frames: give it a file, or steps as float32 of the shape "
                f"(steps, {self.channels}), pixels before samples; got {array.dtype} of {array.shape}"
            )
        if not np.isfinite(array).all():
            raise UsageError("pixels and samples must be finite numbers: NaN or infinity found")
        return array

    def open(
        self,
        source: Any,
        *,
        fast: bool = False,
        track: int | None = None,
        start: float = 0.0,
        length: float | None = None,
        block: int | None = None,
    ) -> BlockReader:
        """Open pictures and sound of a file or an address, which are read side by side.

        Args:
            source: a path or an address.
            fast: see `Frames.open`.
            track: of the sound, see `stream` of `open_audio`.
            start, length: seconds to leave out, and to read from there. Steps begin at `start`.
            block: steps to read at a time, see `Frames.open`.

        Raises:
            MediaError: it cannot be read, or lacks pictures or sound. UsageError: it can't be opened twice.
        """
        if not isinstance(source, str | Path) or str(source) == STANDARD_INPUT:
            raise UsageError(
                "this model needs picture and sound: give it a file or an address, which can be opened twice"
            )
        video = self.frames.read(source, fast=fast, start=start, length=length)
        try:
            audio = open_audio(source, self.samples_per_second, stream=track, start=start, length=length)
        except BaseException:
            video.close()
            raise
        blocks = audiovisual_blocks(video, audio, self.frames.colours, self.samples, block or block_size(video), start)
        return BlockReader(_Both(video, audio), blocks, lambda: self.rate, video.frames)


class _Both:
    """Two readers of one source."""

    def __init__(self, video: VideoReader, audio: AudioReader):
        self._video, self._audio = video, audio
        self.name = video.name

    @property
    def fps(self) -> Fraction:
        return self._video.fps

    @property
    def duration(self) -> float | None:
        return self._video.duration

    @property
    def position(self) -> float:
        return self._video.position

    @property
    def warnings(self) -> list[str]:
        return [*self._video.warnings, *self._audio.warnings]

    @property
    def incomplete(self) -> bool:
        return self._video.incomplete or self._audio.incomplete

    @property
    def level(self) -> Any:
        return self._audio.level

    def close(self) -> None:
        self._video.close()
        self._audio.close()


def audiovisual_blocks(
    video: Any, audio: Any, colours: int, samples: int, count: int, start: float = 0.0
) -> Iterator[Block]:
    """Steps of as long as so many `samples` last: the frame that is shown in the middle of each, and the sound.

    The first step begins at `start`. So a video of another rate is brought to that of the model. Where the sound has
    ended there is silence. Closes both readers at the end.
    """
    step = Fraction(samples, audio.rate)
    sound = _Sound(audio, samples)
    inputs: list[NDArray[np.float32]] = []
    times: list[float] = []
    frames: list[int] = []
    number, begin = 0, Fraction(start)

    try:
        for shown, until in _shown(video, step):
            while begin + (number + Fraction(1, 2)) * step < until:
                inputs.append(np.concatenate([pixels(shown.image, colours).astype(np.float32), sound.next()]))
                times.append(float(begin + number * step))
                frames.append(shown.index)
                number += 1
                if len(inputs) == count:
                    yield Block(np.stack(inputs), times, frames)
                    inputs, times, frames = [], [], []
        if inputs:
            yield Block(np.stack(inputs), times, frames)
    finally:
        video.close()
        audio.close()


def _shown(video: Any, step: Fraction) -> Iterator[tuple[Any, Fraction]]:
    """Each frame with the time until which it is shown; the last one for as long as a step, or as a frame."""
    last = None
    for frame in video:
        if last is not None:
            yield last, frame.time
        last = frame
    if last is not None:
        yield last, last.time + (1 / Fraction(video.fps) if video.fps else step)


class _Sound:
    """So many samples at a time; zeros after the end."""

    def __init__(self, audio: Any, samples: int):
        self._audio, self._samples, self._rest = audio, samples, np.zeros(0, np.float32)

    def next(self) -> NDArray[np.float32]:
        parts, count = [self._rest], len(self._rest)
        while count < self._samples:
            part = next(self._audio, None)
            if part is None:
                part = np.zeros(self._samples - count, np.float32)
            parts.append(part)
            count += len(part)
        whole = np.concatenate(parts)
        self._rest = whole[self._samples :]
        return whole[: self._samples]
