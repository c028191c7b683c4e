"""Timestamps of frames -> times that increase, on the clock that the sound of the same file has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

import av

from transducer.media.audio.timeline import CUT_SHORT, RESTART
from transducer.media.io.decoding import Damage
from transducer.media.io.timing import UNKNOWN, Length


class TimedFrame(NamedTuple):
    """A decoded frame, and the seconds from the origin at which it is shown."""

    frame: av.VideoFrame
    time: Fraction


class Stamped(NamedTuple):
    """A decoded frame, and its timestamp in ticks, where it has one that can be believed."""

    frame: av.VideoFrame
    pts: int | None


def drop_lone_jumps(
    frames: Iterable[av.VideoFrame | Damage], tick: Fraction, step: Fraction
) -> Iterator[Stamped | Damage]:
    """Take the timestamp from a frame whose neighbours agree on another one: it is damaged, the clock didn't jump.

    Lazy; waits for the next frame only where a timestamp jumps by more than a second.

    Args:
        tick: seconds, of which timestamps are multiples.
        step: seconds a frame, on average.
    """
    jump, ticks = int(RESTART / tick), float(step / tick)
    last: int | None = None
    waiting: list[Stamped | Damage] = []  # a frame that jumps, and what came behind it without a timestamp
    for frame in frames:
        item: Stamped | Damage
        if isinstance(frame, Damage):
            item, pts = frame, None
        else:
            pts = frame.pts
            item = Stamped(frame, pts)
        if waiting:
            if pts is None:
                waiting.append(item)
                continue
            assert last is not None
            expected = last + ticks * (1 + sum(isinstance(w, Stamped) for w in waiting))
            held = waiting.pop(0)
            assert isinstance(held, Stamped) and held.pts is not None
            if abs(pts - expected) < min(jump, abs(pts - held.pts)):
                held, last = held._replace(pts=None), pts
            else:
                last = held.pts
            yield held
            yield from waiting
            waiting = []
        if pts is not None:
            if last is not None and abs(pts - last) > jump:
                waiting = [item]
                continue
            last = pts
        yield item
    yield from waiting


class FrameClock:
    """Gives each frame its time; says where frames are missing or damaged.

    Args:
        warn: takes one line for each place that is not as it should be.
        tick: seconds, of which timestamps are multiples.
        step: seconds a frame, on average.
        origin: the timestamp, in seconds, that is second 0; None: the first one.
        length: what is known of how long the video is.
    """

    def __init__(
        self,
        warn: Callable[..., None],
        tick: Fraction,
        step: Fraction,
        origin: Fraction | None = None,
        length: Length = UNKNOWN,
    ):
        self._warn = warn
        self._tick = tick
        self._step = step
        self._set_origin(origin)
        self._length = length
        self._last: Fraction | None = None  # time of the last frame given
        self._damage: Damage | None = None
        self._corrupt = False  # the last frame was

    @property
    def failure(self) -> str:
        """Why there is nothing at all, if there is a reason."""
        if self._last is not None or self._damage is None:
            return ""
        reason = self._damage.reason
        return f"reading stopped: {reason}" if reason else "is damaged so that none of its pictures can be decoded"

    def place(self, frames: Iterable[av.VideoFrame | Damage]) -> Iterator[TimedFrame]:
        """Lazily: frames with times, each later than the one before."""
        for item in drop_lone_jumps(frames, self._tick, self._step):
            if isinstance(item, Damage):
                # The first place of damage counts; what stops the reading altogether has a reason.
                self._damage = item if self._damage is None or item.reason else self._damage
                continue
            frame, pts = item
            time = self._time(pts)
            corrupt = frame.is_corrupt
            if corrupt or self._damage is not None:
                self._tell_damage(time)
            self._corrupt, self._last = corrupt, time
            yield TimedFrame(frame, time)
        self._finish()

    def _set_origin(self, origin: Fraction | None) -> None:
        self._origin = origin
        if origin is not None:
            # pts * tick - origin, with integers: it is done for each frame.
            self._scale = self._tick.numerator * origin.denominator
            self._offset = self._tick.denominator * origin.numerator
            self._denominator = self._tick.denominator * origin.denominator

    def _time(self, pts: int | None) -> Fraction:
        last = self._last
        if pts is None:
            return Fraction(0) if last is None else last + self._step
        if self._origin is None:
            self._set_origin(pts * self._tick - (0 if last is None else last + self._step))
        time = Fraction(pts * self._scale - self._offset, self._denominator)
        if last is None:
            return time
        ahead = time.numerator / time.denominator - last.numerator / last.denominator
        if 0 < ahead < RESTART or (ahead > 0 and self._length.believes(ahead, last)):
            return time
        if -RESTART < ahead <= 0:
            return last + self._step / 2  # two frames at once; half a step leaves room for the next one
        self._warn(f"timestamps jump by {ahead:+.2f} s at {float(last):.2f} s; taken as going on")
        assert self._origin is not None
        self._set_origin(self._origin + time - last - self._step)
        return last + self._step

    def _tell_damage(self, time: Fraction) -> None:
        if self._damage is None:
            if not self._corrupt:
                self._warn(
                    f"damaged at {float(time):.2f} s; the pictures show it until the next key frame", incomplete=True
                )
        elif self._last is not None and time - self._last > self._step * Fraction(3, 2):
            self._warn(
                f"damaged from {float(self._last):.2f} s to {float(time):.2f} s; the frames there are lost",
                incomplete=True,
            )
        else:
            self._warn(f"damaged at {float(time):.2f} s; what can't be decoded there is left out", incomplete=True)
        self._damage = None

    def _finish(self) -> None:
        if self._last is None:
            return
        end = self._last + self._step
        reason = self._damage.reason if self._damage is not None else ""
        declared = self._length.end if self._length.declared else None
        if reason:
            self._warn(f"reading stopped at {float(end):.2f} s: {reason}", incomplete=True)
        elif declared is not None and declared - end > max(Fraction(CUT_SHORT), 2 * self._step):
            self._warn(
                f"ends at {float(end):.2f} s, but its header says {float(declared):.2f} s; it was cut short or damaged",
                incomplete=True,
            )
        elif self._damage is not None:
            self._warn(f"damaged at its end, {float(end):.2f} s; it may have been cut short", incomplete=True)
