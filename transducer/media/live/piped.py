"""Pictures whose source knows no times: bare frames, frames whose rate only the user knows, and network cameras."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np

from transducer.errors import MediaError, UsageError
from transducer.media.live.pace import Beginning
from transducer.media.live.sound import standard_input
from transducer.media.video.reader import VideoFrame


class RawPictures(NamedTuple):
    """What bare frames without a header hold.

    Attributes:
        encoding: a pixel format as FFmpeg names it, such as rgb24, bgr24, gray, yuv420p.
        width, height: in pixels.
        fps: frames per second.
    """

    encoding: str
    width: int
    height: int
    fps: Fraction

    def check(self) -> None:
        """Raises UsageError for a format that there is not."""
        try:
            av.VideoFormat(self.encoding, self.width, self.height)
        except ValueError:
            raise UsageError(
                f"--raw {self.encoding}: no such format of pixels; rgb24, bgr24, gray, yuv420p, nv12 are some"
            ) from None


class RawFrames(Iterator[VideoFrame]):
    """Bare frames of an open file, one after the other; a part of a frame at the end is left out.

    Raises:
        MediaError: it cannot be read.
    """

    def __init__(self, file: Any, raw: RawPictures) -> None:
        self.fps, self._index = raw.fps, 0
        options = {
            "pixel_format": raw.encoding,
            "video_size": f"{raw.width}x{raw.height}",
            "framerate": f"{raw.fps.numerator}/{raw.fps.denominator}",
        }
        try:
            self._container = av.open(file, "r", format="rawvideo", options=options)
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(f"standard input holds no frames of {raw.encoding}: {error}") from None
        self._frames = self._container.decode(video=0)

    def __next__(self) -> VideoFrame:
        try:
            image: np.ndarray = next(self._frames).to_ndarray(format="rgb24")
        except (av.FFmpegError, EOFError):
            raise StopIteration from None
        self._index += 1
        return VideoFrame(image, self._index - 1, (self._index - 1) / self.fps)

    def close(self) -> None:
        self._container.close()


class AsTheyCome(Iterator[VideoFrame]):
    """Frames with the times at which they come, counted from the first: a network camera sends no others.

    Args:
        clock: seconds that pass.
    """

    def __init__(self, frames: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._frames, self.fps = frames, frames.fps
        self._since, self._last = Beginning(clock).since, -1.0

    @property
    def warnings(self) -> list[str]:
        """Of the source."""
        return list(self._frames.warnings)

    @property
    def incomplete(self) -> bool:
        """Whether the connection was lost, as far as the source tells."""
        return bool(self._frames.incomplete)

    def __next__(self) -> VideoFrame:
        frame = next(self._frames)
        # Two frames at once, after a pause of the network, still follow each other.
        self._last = max(self._since(), self._last + 0.001)
        return VideoFrame(frame.image, frame.index, Fraction(self._last).limit_denominator(1_000_000))

    def close(self) -> None:
        self._frames.close()


class AtRate(Iterator[VideoFrame]):
    """Frames that follow each other at a rate, whatever their source says of it."""

    def __init__(self, frames: Any, fps: Fraction) -> None:
        self._frames, self.fps = frames, fps

    @property
    def warnings(self) -> list[str]:
        """Of the source."""
        return list(self._frames.warnings)

    def __next__(self) -> VideoFrame:
        frame = next(self._frames)
        return VideoFrame(frame.image, frame.index, frame.index / self.fps)

    def close(self) -> None:
        self._frames.close()


def raw_frames(raw: RawPictures) -> RawFrames:
    """The bare frames on standard input."""
    return RawFrames(standard_input(), raw)
