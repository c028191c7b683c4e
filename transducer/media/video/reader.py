"""Pictures in: any source -> RGB frames with exact times, lazily and in constant memory."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from transducer.errors import MediaError, UsageError
from transducer.media.io.decoding import Length, open_container, stream_length
from transducer.media.io.parts import warn_of_parts
from transducer.media.io.reader import Reader, prepend
from transducer.media.io.sources import is_media_source, open_source
from transducer.media.video.clock import FrameClock, TimedFrame
from transducer.media.video.decoding import (
    clock_origin,
    decode_video,
    frame_rate,
    is_still_image,
    open_decoder,
    open_video_stream,
)
from transducer.media.video.deinterlace import deinterlace
from transducer.media.video.picture import Picture


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """A picture.

    Attributes:
        image: uint8 (H, W, 3), red, green and blue, C-contiguous.
        index: from 0, in the order of presentation.
        time: seconds, on the clock of the sound that `open_audio` reads from the same source.
    """

    image: np.ndarray
    index: int
    time: Fraction


class VideoReader(Reader[TimedFrame], Iterator[VideoFrame]):
    """The pictures of a source: an iterator of `VideoFrame`, and a context manager.

    Attributes:
        name: of the source, to show.
        width, height: of the pictures in the source, as they are shown (turned), in pixels.
        fps: frames per second, on average as far as the source's header tells.
        tick: seconds; the timestamps in the source are multiples of it.
        frames: how many there are, as far as the header tells; None if it doesn't.
        duration: seconds, as far as the header tells; None if it doesn't.
        index: of the next frame.
        warnings: one line for each place that could not be read; grows while the pictures are read.
    """

    def __init__(self, name: str, size: tuple[int, int] | None = None):
        super().__init__(name)
        self.size = size
        self.width = 0
        self.height = 0
        self.fps = Fraction(25)
        self.tick = Fraction(1, 25)
        self.frames: int | None = None
        self.index = 0
        self._last: Fraction | None = None
        self._picture = Picture(size)

    @property
    def position(self) -> float:
        """Seconds given so far: where the last frame ends."""
        return 0.0 if self._last is None else float(self._last + 1 / self.fps)

    def __next__(self) -> VideoFrame:
        image, time = self._next()
        return VideoFrame(image, self.index - 1, time)

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, int, list[Fraction]]]:
        """The rest of the frames, up to `size` at a time: uint8 (n, H, W, 3), the first one's index, their times.

        Raises:
            UsageError: the size is no positive number.
        """
        if size < 1:
            raise UsageError(f"a batch must hold at least one frame, got {size}")
        while True:
            first, times, images = self.index, [], None
            while len(times) < size:
                try:
                    image, time = self._next(None if images is None else images[len(times)])
                except StopIteration:
                    break
                if images is None:
                    images = np.empty((size, *image.shape), np.uint8)
                    images[0] = image
                times.append(time)
            if times:
                yield images[: len(times)], first, times
            if len(times) < size:
                return

    def _next(self, out: np.ndarray | None = None) -> tuple[np.ndarray, Fraction]:
        try:
            frame, time = next(self._items)
            image = self._picture.make(frame, out)
        except ValueError as error:
            self.close()
            raise MediaError(f"{self.name}: {error}; convert it to H.264") from None
        except BaseException:  # the end of the video, too
            self.close()
            raise
        self.index += 1
        self._last = time
        if self.duration is not None and time > self.duration + 1:
            self.duration = None  # the header knew of a part only: fragments of MP4, files strung together
        if self.frames is not None and self.index > self.frames:
            self.frames = None
        return image, time


def open_video(source: Any, size: tuple[int, int] | None = None, *, fast: bool = False) -> VideoReader:
    """Open the pictures of a source. Nothing is read ahead but what is needed to know that they can be decoded.

    Args:
        source: a path; an address (http, https, rtsp, ...); "-" for standard input; an open binary file, pipes
            included; or a `VideoReader` that gives this size.
        size: height and width to resize to, by the mean over areas; None for those of the first frame.
        fast: leave out what costs time and changes small pictures little: deblocking, and full resolution where
            the codec can decode a part of it.

    Frames come in the order of presentation, upright, deinterlaced if they are larger than half of what is
    stored (smaller ones are means over both fields), without alpha. Pixels that are not square stay as stored.

    Raises:
        MediaError: the source can't be read or holds no pictures.
        UsageError: it isn't a source, or the size makes no sense.
    """
    if size is not None:
        given = size
        try:
            size = tuple(operator.index(side) for side in size)
        except TypeError:
            size = (0,)
        if len(size) != 2 or min(size) < 1:
            raise UsageError(f"the size must be two positive whole numbers, height and width, got {given!r}")
    if isinstance(source, VideoReader):
        if size is not None and source.size != size:
            raise UsageError(f"{source.name}: is open at another size than {size[0]}x{size[1]}")
        return source
    if not is_media_source(source):
        raise UsageError(f"{type(source).__name__} is no source; give a path, an address or an open file")
    opened = open_source(source)
    reader = VideoReader(opened.name, size)
    reader._resources.append(opened)
    try:
        warn_of_parts(opened, reader._warn)
        container = open_container(opened)
        reader._resources.append(container)
        stream = open_video_stream(container, opened)
        origin, length = clock_origin(container, stream), stream_length(container, stream)
        width, height = stream.codec_context.width, stream.codec_context.height
        reader.fps, reader.tick = frame_rate(stream), stream.time_base
        if is_still_image(container):
            reader.frames, length = 1, Length()
        elif stream.frames:
            reader.frames = stream.frames
        reader.duration = None if length.end is None else float(length.end)
        open_decoder(stream, opened, size, fast)
        clock = FrameClock(reader._warn, stream.time_base, 1 / reader.fps, origin, length)
        frames = decode_video(container, stream, opened)
        small = size is not None and 2 * max(size) <= min(width, height)
        timed = clock.place(deinterlace(frames, small))
        # The first frame shows that they can be decoded; without any there is nothing to read.
        first = next(timed, None)
        opened.check()
        if first is None:
            reason = clock.failure
            raise MediaError(f"{opened.name}: {reason or 'has a header but no pictures; check how it was made'}")
        quarter = abs(first.frame.rotation) % 180 == 90
        reader.width, reader.height = (height, width) if quarter else (width, height)
        reader._items = prepend(first, timed)
        return reader
    except BaseException:
        reader.close()
        raise
