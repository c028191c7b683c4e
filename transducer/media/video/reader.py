"""Pictures in: any source -> RGB frames with exact times, lazily and in constant memory."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from transducer.errors import MediaError, UsageError
from transducer.media.io.decoding import open_container
from transducer.media.io.parts import warn_of_parts
from transducer.media.io.reader import Reader, check_span, prepend
from transducer.media.io.sources import LIVE_OPTIONS, is_media_source, open_source
from transducer.media.io.timing import UNKNOWN, stream_length
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

_WIDEST = 8  # pixels whose sides differ by more are damage


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
        timed: whether the source has times; those of network cameras (MJPEG over HTTP) are made up, 25 frames a second.
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
        self.timed = True
        self._last: Fraction | None = None
        self._still = False  # one picture, and no time in it
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
            first = self.index
            times: list[Fraction] = []
            images: np.ndarray | None = None
            while len(times) < size:
                try:
                    image, time = self._next(None if images is None else images[len(times)])
                except StopIteration:
                    break
                if images is None:
                    images = np.empty((size, *image.shape), np.uint8)
                    images[0] = image
                times.append(time)
            if images is not None:
                yield images[: len(times)], first, times
            if len(times) < size:
                return

    def _cut(self, frames: Iterator[TimedFrame], start: float, length: float | None) -> Iterator[TimedFrame]:
        """The frames from `start` on, `length` seconds of them; nothing behind them is read."""
        begin = _exact(start)
        end = None if length is None else begin + _exact(length)
        for item in frames:
            if end is not None and item.time >= end:
                return
            if item.time >= begin:
                yield item
            else:
                self.index += 1

    def _next(self, out: np.ndarray | None = None) -> tuple[np.ndarray, Fraction]:
        try:
            frame, time = next(self._items)
            image = self._picture.make(frame, out)
        except ValueError as error:
            self.close()
            raise MediaError(f"{self.name}: {error}; convert it to H.264") from None
        except StopIteration:
            if self._resources and not self._still:
                self.duration = self.position
            self.close()
            raise
        except BaseException:
            self.close()
            raise
        self.index += 1
        self._last = time
        if self.duration is not None and time > self.duration + 1:
            self.duration = None  # the header knew of a part only: fragments of MP4, files strung together
        if self.frames is not None and self.index > self.frames:
            self.frames = None
        return image, time


def open_video(
    source: Any,
    size: tuple[int, int] | None = None,
    *,
    fast: bool = False,
    square: bool = False,
    start: float = 0.0,
    length: float | None = None,
    live: bool = False,
) -> VideoReader:
    """Open the pictures of a source. Nothing is read ahead but what is needed to know that they can be decoded.

    Args:
        source: a path; an address (http, https, rtsp, ...); "-" for standard input; an open binary file, pipes
            included; or a `VideoReader` that gives this size.
        size: height and width to resize to, by the mean over areas; None for those of the first frame.
        fast: leave out what costs time and changes small pictures little: deblocking, and full resolution where
            the codec can decode a part of it.
        square: where `size` is None and pixels are not square, stretch the pictures so that they are.
        start: seconds to leave out: the first frame is the first one that is not shown before; frames keep their
            numbers and times.
        length: seconds to give from there; None for all.
        live: give each frame as soon as it can be, and not a few at a time, which is quicker; see `LIVE_OPTIONS`.

    Frames come in the order of presentation, upright, deinterlaced if they are larger than half of what is
    stored (smaller ones are means over both fields), without alpha.

    Raises:
        MediaError: the source can't be read, holds no pictures, or ends before `start`.
        UsageError: it isn't a source, or the size makes no sense.
    """
    check_span(start, length)
    if size is not None:
        try:
            sides = tuple(operator.index(side) for side in size)
        except TypeError:
            sides = ()
        if len(sides) != 2 or min(sides) < 1:
            raise UsageError(f"the size must be two positive whole numbers, height and width, got {size!r}")
        size = sides[0], sides[1]
    if isinstance(source, VideoReader):
        if size is not None and source.size != size:
            raise UsageError(f"{source.name}: is open at another size than {size[0]}x{size[1]}")
        if start or length is not None:
            raise UsageError(f"{source.name}: is open already; give what is to be read of it when it is opened")
        return source
    if not is_media_source(source):
        raise UsageError(f"{type(source).__name__} is no source; give a path, an address or an open file")
    opened = open_source(source)
    opened.options |= LIVE_OPTIONS if live else {}
    reader = VideoReader(opened.name, size)
    reader._resources.append(opened)
    try:
        warn_of_parts(opened, reader._warn)
        container = open_container(opened)
        reader._resources.append(container)
        stream = open_video_stream(container, opened)
        origin, known = clock_origin(container, stream), stream_length(container, stream)
        width, height = stream.codec_context.width, stream.codec_context.height
        assert stream.time_base is not None
        reader.fps, reader.tick = frame_rate(stream), stream.time_base
        reader.timed = container.format.name != "mpjpeg"
        if is_still_image(container):
            reader._still = True
            reader.frames, known = 1, UNKNOWN
        elif stream.frames:
            reader.frames = stream.frames
        reader.duration = None if known.end is None else float(known.end)
        open_decoder(stream, opened, size, fast, live)
        clock = FrameClock(reader._warn, stream.time_base, 1 / reader.fps, origin, known)
        frames = decode_video(container, stream, opened)
        small = size is not None and 2 * max(size) <= min(width, height)
        timed = reader._cut(clock.place(deinterlace(frames, small)), start, length)
        # The first frame shows that they can be decoded; without any there is nothing to read.
        first = next(timed, None)
        opened.check()
        if first is None:
            reason = clock.failure or (
                "has a header but no pictures; check how it was made" if not reader.index else ""
            )
            raise MediaError(f"{opened.name}: {reason or f'ends before {start:g} s, where it was to start'}")
        if square:
            width, height = _square(width, height, stream.sample_aspect_ratio)
        quarter = abs(first.frame.rotation) % 180 == 90
        reader.width, reader.height = (height, width) if quarter else (width, height)
        if square and size is None:
            reader._picture.size = reader.height, reader.width
        if length is not None and reader.duration is not None:
            reader.duration = min(reader.duration, start + length)
        reader._items = prepend(first, timed)
        return reader
    except BaseException:
        reader.close()
        raise


def _exact(seconds: float) -> Fraction:
    """The time that a number of seconds was meant to be: 0.04 is 1/25."""
    return Fraction(seconds).limit_denominator(10**9)


def _square(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Width and height with square pixels, of which there are no fewer; `aspect` is a pixel's width by its height."""
    if aspect is None or not Fraction(1, _WIDEST) <= aspect <= _WIDEST:
        return width, height
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))
