"""Frames as a medium: one step is the pixels of one frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.errors import UsageError, is_number
from transducer.media.io.sources import is_media_source
from transducer.media.medium import Block, BlockReader
from transducer.media.video.arrays import ArrayFrames, check_picture, pixels, resize

USUAL_FPS = Fraction(25)
FILE_BLOCK, LIVE_BLOCK = 128, 4  # frames at a time: many are quicker, few are sooner


@dataclass(frozen=True)
class Frames:
    """Pictures of one size, uint8; a step's numbers are in the order row, column, channel.

    Attributes:
        height, width: in pixels.
        colours: 3 for red, green and blue, 1 for the brightness.
        known_fps: frames per second, of those that the model was trained on the least. Frames that come more slowly
            are held for so many steps as they are shown at this rate; None to take all as they come.
    """

    height: int
    width: int
    colours: int = 3
    known_fps: float | None = None

    name = "frames"
    dtype = np.dtype(np.uint8)
    steady, read_ahead = False, True
    options = ("fps", "fast", "start", "length")
    rate = USUAL_FPS

    @property
    def channels(self) -> int:
        return self.height * self.width * self.colours

    def block_for(self, reader: Any) -> int | None:
        return block_size(reader)

    def facts(self, lookahead: int) -> dict[str, Any]:
        return {
            "frame_size": f"{self.width}x{self.height}" + (" grey" if self.colours == 1 else ""),
            **({} if self.known_fps is None else {"frames_per_second": self.known_fps}),
            "look_ahead_frames": lookahead,
            "look_ahead_seconds": float(lookahead / self.rate),
        }

    def check(self, x: Any) -> NDArray[np.uint8]:
        """RGB of any size, uint8 (H, W, 3) for one frame, (T, H, W, 3) or a list for several -> (N, C).

        Raises:
            UsageError: another type or shape.
        """
        several = isinstance(x, list | tuple) or getattr(x, "ndim", 0) == 4
        size = self.height, self.width
        steps = [pixels(resize(check_picture(each, "a frame"), size), self.colours) for each in (x if several else [x])]
        return np.stack(steps) if steps else np.zeros((0, self.channels), np.uint8)

    def open(
        self,
        source: Any,
        *,
        fps: float | Fraction | None = None,
        fast: bool = False,
        start: float = 0.0,
        length: float | None = None,
        block: int | None = None,
    ) -> BlockReader:
        """Open what `open_video` takes, the file of a still image too, or pictures: an iterable of uint8 (H, W, 3)
        arrays, one of (T, H, W, 3), or a single one, which may be grey, (H, W).

        Args:
            fps: frames per second of pictures, 25 if not given.
            fast: decode with shortcuts, for models that were trained so.
            start, length: seconds to leave out, and to read from there; for files, see `open_video`.
            block: frames to read at a time; None for many with a file, and few with a source that may be live.

        Raises:
            MediaError: the source cannot be read or holds no picture. UsageError: it is no source, or an option does
                not fit it.
        """
        reader = self.read(source, fps, fast, start, length)
        count = block or block_size(reader)
        return BlockReader(reader, frame_blocks(reader, self.colours, count), lambda: frame_rate(reader), reader.frames)

    def read(
        self,
        source: Any,
        fps: float | Fraction | None = None,
        fast: bool = False,
        start: float = 0.0,
        length: float | None = None,
    ) -> Any:
        """A `VideoReader` or `ArrayFrames` of this size."""
        from transducer.media.video.reader import VideoReader, open_video

        size = self.height, self.width
        if is_media_source(source) or isinstance(source, VideoReader):
            if fps is not None:
                raise UsageError("fps is for arrays; a file says itself how fast its frames follow each other")
            return open_video(source, size, fast=fast, start=start, length=length)
        if isinstance(source, np.ndarray) and source.ndim in (2, 3):
            source = source[None]  # a still image: a video of one frame
        if not isinstance(source, Iterable):
            kind = type(source).__name__
            raise UsageError(f"{kind} is no source; give a path, an address, an open file, or pictures")
        if fps is not None and not (is_number(fps) and Fraction(fps).limit_denominator(100_000) > 0):
            raise UsageError(f"the frames per second must be a number more than 0, got {fps!r:.80}")
        if start or length is not None:
            raise UsageError("start and length are for files; cut the pictures themselves")
        return ArrayFrames(source, size, Fraction(fps or USUAL_FPS).limit_denominator(100_000))


def block_size(reader: Any) -> int:
    """Frames to read at a time."""
    return LIVE_BLOCK if reader.frames is None and reader.duration is None else FILE_BLOCK


def frame_rate(reader: Any) -> Fraction:
    """Frames per second, the usual ones where it is not known."""
    return Fraction(reader.fps) if reader.fps else USUAL_FPS


def frame_blocks(reader: Any, colours: int, count: int) -> Iterator[Block]:
    """The frames of a reader in blocks of `count`, the last of what is left. Closes the reader at the end."""
    try:
        for images, first, times in reader.batches(count):
            rows = images if colours == 3 else np.stack([pixels(image, colours) for image in images])
            numbers = list(range(first, first + len(images)))
            yield Block(rows.reshape(len(images), -1), [float(time) for time in times], numbers)
    finally:
        reader.close()
