"""Pictures from a program: arrays that are checked and brought to one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.errors import UsageError
from transducer.media.video.opencv import load_opencv


class ArrayFrames:
    """Pictures from a program, with what `transducer.media.video.reader.VideoReader` has.

    Args:
        pictures: uint8 (H, W, 3) arrays, RGB, of any sizes, or one array of all, (T, H, W, 3).
        size: (height, width) to resize to.
        fps: frames per second.
    """

    def __init__(self, pictures: Iterable[Any], size: tuple[int, int], fps: Fraction):
        self.name, self.fps, self.size = "arrays", fps, size
        self.frames = len(pictures) if isinstance(pictures, Sized) else None
        self.duration = None if self.frames is None else float(self.frames / fps)
        self.index = 0
        self.warnings: list[str] = []
        self._pictures = iter(pictures)

    @property
    def position(self) -> float:
        """Seconds given so far."""
        return float(self.index / self.fps)

    def batches(self, count: int) -> Iterator[tuple[NDArray[np.uint8], int, list[Fraction]]]:
        """Up to `count` at a time: uint8 (n, H, W, 3), the first one's number, their times.

        Raises:
            UsageError: a picture of another type or shape.
        """
        while pictures := list(islice(self._pictures, count)):
            first = self.index
            images = [
                resize(check_picture(picture, f"frame {number} of the source"), self.size)
                for number, picture in enumerate(pictures, start=first)
            ]
            self.index += len(images)
            yield np.stack(images), first, [number / self.fps for number in range(first, self.index)]

    def close(self) -> None:
        self._pictures = iter(())


def check_picture(picture: Any, what: str) -> NDArray[np.uint8]:
    """A picture (H, W, 3); of a grey one, (H, W), all colours are the same. Raises UsageError for anything else."""
    array = np.asarray(picture)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
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
