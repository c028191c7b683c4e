"""What a network for video reads: blocks of steps, a step being a frame, or a frame with the sound of its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.errors import UsageError
from transducer.media.video.opencv import load_opencv

USUAL_FPS = Fraction(25)


class FrameBlock(NamedTuple):
    """N steps.

    Attributes:
        inputs: (N, C), uint8 pixels in the order height, width, channel; with sound float32, the samples behind them.
        times: when each step's frame is shown, in seconds.
        frames: its number in the video.
    """

    inputs: NDArray[Any]
    times: list[float]
    frames: list[int]


class ArrayFrames:
    """Pictures from a program, with what `transducer.media.video.reader.VideoReader` has.

    Args:
        pictures: uint8 (H, W, 3) arrays, RGB, of any sizes, or one array of all, (T, H, W, 3).
        size: (height, width) to resize to.
        fps: frames per second.
    """

    def __init__(self, pictures: Iterable[Any], size: tuple[int, int], fps: Fraction):
        self.name, self.fps, self.size = "arrays", fps, size
        self.frames = len(pictures) if hasattr(pictures, "__len__") else None
        self.duration = None if self.frames is None else float(self.frames / fps)
        self.warnings: list[str] = []
        self._pictures = iter(pictures)

    def batches(self, count: int) -> Iterator[tuple[NDArray[np.uint8], int, list[Fraction]]]:
        """Up to `count` at a time: uint8 (n, H, W, 3), the first one's number, their times.

        Raises:
            UsageError: a picture of another type or shape.
        """
        first = 0
        while pictures := list(islice(self._pictures, count)):
            images = [
                resize(check_picture(picture, f"frame {number} of the source"), self.size)
                for number, picture in enumerate(pictures, start=first)
            ]
            yield np.stack(images), first, [number / self.fps for number in range(first, first + len(images))]
            first += len(images)

    def close(self) -> None:
        self._pictures = iter(())


def frame_blocks(reader: Any, size: tuple[int, int, int], count: int) -> Iterator[FrameBlock]:
    """The frames of a reader in blocks of `count`, the last of what is left; `size` is (height, width, channels).

    Closes the reader at the end.
    """
    try:
        for images, first, times in reader.batches(count):
            rows = images if size[2] == 3 else np.stack([pixels(image, size[2]) for image in images])
            numbers = list(range(first, first + len(images)))
            yield FrameBlock(rows.reshape(len(images), -1), [float(time) for time in times], numbers)
    finally:
        reader.close()


def audiovisual_blocks(
    video: Any, audio: Any, size: tuple[int, int, int], samples: int, count: int
) -> Iterator[FrameBlock]:
    """Steps of as long as so many `samples` last: the frame that is shown in the middle of each, and the sound.

    So a video of another rate is brought to that of the model. Where the sound has ended there is silence. Closes
    both readers at the end.
    """
    step = Fraction(samples, audio.rate)
    sound = _Sound(audio, samples)
    inputs: list[NDArray[np.float32]] = []
    times: list[float] = []
    frames: list[int] = []
    number, shown = 0, None

    try:
        for shown, until in _shown(video, step):
            while (number + Fraction(1, 2)) * step < until:
                inputs.append(np.concatenate([pixels(shown.image, size[2]).astype(np.float32), sound.next()]))
                times.append(float(number * step))
                frames.append(shown.index)
                number += 1
                if len(inputs) == count:
                    yield FrameBlock(np.stack(inputs), times, frames)
                    inputs, times, frames = [], [], []
        if inputs:
            yield FrameBlock(np.stack(inputs), times, frames)
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


def check_picture(picture: Any, what: str) -> NDArray[np.uint8]:
    """A picture as it should be. Raises UsageError for anything else."""
    array = np.asarray(picture)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or not array.size:
        raise UsageError(f"{what} must be uint8 of the shape (height, width, 3), got {array.dtype} of {array.shape}")
    return array


def resize(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture at (height, width); every pixel is the mean of the area that it covers."""
    if picture.shape[:2] == tuple(size):
        return picture
    cv2 = load_opencv()
    return cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def pixels(picture: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """(H, W, 3) -> (H * W * channels,); of one channel, the brightness."""
    if channels == 1:
        cv2 = load_opencv()
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return picture.reshape(-1)
