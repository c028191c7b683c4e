"""Decoded frames -> RGB pictures of a given size, upright."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

# Means over areas where a side gets smaller, linear interpolation where it gets larger. FFmpeg scales the planes
# before it converts them, so that a small picture costs little more than reading the large one.
_FLAGS = int(Interpolation.AREA | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND)
_LARGEST_STEP = 128  # FFmpeg's filters have at most 256 taps


@dataclass(frozen=True)
class Orientation:
    """How a stored picture is turned to be shown: transposed first, then mirrored."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) -> a view of it: (W, H, 3) if transposed, else (H, W, 3)."""
        if self.transpose:
            image = image.transpose(1, 0, 2)
        if self.flip_rows:
            image = image[::-1]
        return image[:, ::-1] if self.flip_columns else image


UPRIGHT = Orientation()
# By quarter turns counterclockwise.
_QUARTERS = (UPRIGHT, Orientation(True, True, False), Orientation(False, True, True), Orientation(True, False, True))


def read_orientation(frame: av.VideoFrame) -> Orientation:
    """The orientation in a frame's display matrix, to the next quarter turn.

    A point (x, y) of the stored picture is shown at (a x + c y, b x + d y), with the matrix [a b u; c d v; x y w]
    in row-major 32-bit fixed point (libavutil/display.h).
    """
    try:
        side_data: Any = frame.side_data  # gives its values and not, as PyAV's stubs say, their names
        kinds = [(data.type.name, data) for data in side_data]
    except ValueError:  # PyAV doesn't know one of them
        return _QUARTERS[round(frame.rotation / 90) % 4]
    for kind, data in kinds:
        if kind == "DISPLAYMATRIX":
            a, b, _, c, d = struct.unpack_from("=5i", bytes(data))
            if abs(a) + abs(d) >= abs(b) + abs(c):
                return Orientation(False, d < 0, a < 0)
            return Orientation(True, b < 0, c < 0)
    return UPRIGHT


class Picture:
    """Makes RGB pictures (H, W, 3) of one size from the frames of one video; the size may be the first frame's.

    Args:
        size: height and width of what is given, or None for those of the first frame as it is shown.
    """

    def __init__(self, size: tuple[int, int] | None):
        self.size = size
        self._reformatter = VideoReformatter()
        self._stored: tuple[int, int] = (0, 0)
        self._rotation = 0
        self._orientation = UPRIGHT

    def orient(self, frame: av.VideoFrame) -> Orientation:
        """How this frame is to be turned. Read once, and where a frame differs from the one before."""
        stored = frame.height, frame.width
        if stored != self._stored or frame.rotation != self._rotation:
            self._stored, self._rotation = stored, frame.rotation
            self._orientation = read_orientation(frame)
        return self._orientation

    def make(self, frame: av.VideoFrame, out: np.ndarray | None = None) -> np.ndarray:
        """uint8 (H, W, 3), C-contiguous; written to `out` if that is given.

        Raises:
            ValueError: the frame's pixels can't be read.
        """
        orientation = self.orient(frame)
        stored = self._stored[::-1] if orientation.transpose else self._stored
        if self.size is None:
            self.size = stored
        height, width = self.size[::-1] if orientation.transpose else self.size
        image = self._to_rgb(frame, height, width)
        if orientation is not UPRIGHT:
            image = orientation.apply(image)
        if out is None:
            out = np.empty((*self.size, 3), np.uint8)
        out[...] = image
        return out

    def _to_rgb(self, frame: av.VideoFrame, height: int, width: int) -> np.ndarray:
        """uint8 (height, width, 3), a view of FFmpeg's memory."""
        try:
            while frame.width > width * _LARGEST_STEP or frame.height > height * _LARGEST_STEP:
                least = max(width, -(-frame.width // _LARGEST_STEP)), max(height, -(-frame.height // _LARGEST_STEP))
                frame = self._reformatter.reformat(frame, *least, "rgb24", interpolation=_FLAGS, threads=1)
            if (frame.width, frame.height, frame.format.name) != (width, height, "rgb24"):
                frame = self._reformatter.reformat(frame, width, height, "rgb24", interpolation=_FLAGS, threads=1)
        except (av.FFmpegError, ValueError) as error:
            raise ValueError(f"pictures of the format {frame.format.name} can't be read ({error})") from None
        plane: Any = frame.planes[0]  # a buffer, which PyAV's stubs do not say
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        return rows[:height, : width * 3].reshape(height, width, 3)
