"""Pictures of anything live -> blocks for a model: cameras, standard input, addresses, files at their own pace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from transducer.errors import MediaError
from transducer.media.live.capture import Gap, Item, Told
from transducer.media.live.pace import Pace
from transducer.media.live.reconnect import Reconnect
from transducer.media.live.sound import warnings_of
from transducer.media.medium import Block, Medium
from transducer.media.video.arrays import resize
from transducer.media.video.reader import VideoFrame

THUMBNAIL = (6, 16)  # height and width; a line of the terminal shows two rows


class PictureSink(Protocol):
    """What takes the pictures as they were seen, such as a `Saver`."""

    def picture(self, image: np.ndarray, time: Fraction) -> None: ...


class LivePictures:
    """Blocks of a medium of frames, gaps where a connection was lost, and what the source tells: iterate over it once.

    Args:
        open_frames: (second to begin at) -> frames with their times, such as a `VideoReader` or a `Camera`.
        medium: of the model.
        pace: holds the frames back until they would be seen.
        reconnect: for addresses; None where the end is the end.
        sink: gets the pictures as they were.

    Attributes:
        thumbnail: the newest picture, small.
        period: seconds that a frame lasts, about.
    """

    def __init__(
        self,
        open_frames: Callable[[float], Iterator[VideoFrame]],
        medium: Medium,
        pace: Pace | None = None,
        reconnect: Reconnect | None = None,
        sink: PictureSink | None = None,
    ):
        self._open, self._medium, self._pace, self._reconnect, self._sink = open_frames, medium, pace, reconnect, sink
        self.thumbnail: np.ndarray | None = None
        self.period = 1 / 25
        self._count = 0
        self._end = Fraction(0)  # of the newest frame

    def __iter__(self) -> Iterator[Item]:
        begin, zero = 0.0, Fraction(0)
        while True:
            failure, frames, told, duration = "", None, 0, None
            try:
                frames = self._open(begin)
                duration = getattr(frames, "duration", None)  # at the end it is what was read
                if self._reconnect is not None:
                    yield from map(Told, self._reconnect.begin(float(self._end)))
                for frame in frames if self._pace is None else self._pace.pictures(frames, _time):
                    yield from map(Told, warnings_of(frames)[told:])
                    told = len(warnings_of(frames))
                    yield self._block(frame.image, zero + frame.time, Fraction(getattr(frames, "fps", 0) or 25))
            except MediaError as error:
                if self._reconnect is None or not self._reconnect.wants():
                    raise
                failure = str(error)
            finally:
                close: Any = getattr(frames, "close", None)
                if close is not None:
                    close()
            rest = warnings_of(frames)[told:]
            if self._reconnect is None or not (failure or self._reconnect.broke_off(frames)):
                yield from map(Told, rest)
                return
            yield Told(self._reconnect.lost(failure or (rest[-1] if rest else "the connection ended")))
            start, begin = self._reconnect.wait(float(self._end), duration)
            if not begin:  # what is live begins anew, at 0
                zero = self._end = Fraction(start).limit_denominator(1_000_000)
                yield Gap(start)

    def _block(self, image: np.ndarray, time: Fraction, fps: Fraction) -> Block:
        if self._sink is not None:
            self._sink.picture(image, time)
        steps = self._medium.check(image)
        height, width = THUMBNAIL
        self.thumbnail = resize(image, (height, width))
        self._count, self._end, self.period = self._count + 1, time + 1 / fps, float(1 / fps)
        return Block(steps, [float(time)], [self._count - 1])


def _time(frame: VideoFrame) -> float:
    return float(frame.time)
