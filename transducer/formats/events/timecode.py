"""Frames -> SMPTE timecode (SMPTE ST 12-1): hh:mm:ss:ff, with numbers left out where the rate needs it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from transducer.errors import UsageError

HIGHEST = 60  # frames a second that timecode is in use for
# Before the frames a semicolon, comma or dot tells that numbers are left out.
_TIMECODE = re.compile(r"(\d\d)([:;])(\d\d)\2(\d\d)([:;.,])(\d\d+)")


@dataclass(frozen=True)
class TimecodeRate:
    """How frames are counted.

    Attributes:
        fps: frames per second, exact: 30000/1001 for what is called 29.97.
        nominal: frames that a timecode second counts.
        drop: two numbers (four at 60) are left out each minute but the tenth, so that the timecode keeps to the
            clock: the custom at 29.97 and 59.94 frames per second.
        native: whether each frame of the video has its own timecode; at more than 60 frames a second none fits.
        first: the count at the first frame of the video.
    """

    fps: float
    nominal: int
    drop: bool
    native: bool = True
    first: int = 0

    def timecode(self, frame: int) -> str:
        """The timecode of frame `frame` of the video; it starts again after a day.

        Drop-frame timecode has a semicolon before the frames, which is how programs tell it from the other kind.
        """
        frame += self.first
        if self.drop:
            minute, ten_minutes = self.nominal * 60 - self._lost, self.nominal * 600 - 9 * self._lost
            tens, rest = divmod(frame, ten_minutes)
            frame += 9 * self._lost * tens + self._lost * (max(rest - self._lost, 0) // minute)
        seconds, frames = divmod(frame, self.nominal)
        hours, minutes = seconds // 3600 % 24, seconds // 60 % 60
        return f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}{';' if self.drop else ':'}{frames:02d}"

    def count(self, timecode: str) -> int:
        """How many frames before this timecode a day began."""
        hours, minutes, seconds, frames = parse_timecode(timecode)
        minutes += 60 * hours
        lost = self._lost * (minutes - minutes // 10) if self.drop else 0
        return (60 * minutes + seconds) * self.nominal + frames - lost

    @property
    def _lost(self) -> int:
        """Numbers that are left out at a time."""
        return self.nominal // 15


def parse_timecode(text: str) -> tuple[int, int, int, int]:
    """Hours, minutes, seconds and frames.

    Raises:
        UsageError: it is no timecode.
    """
    match = _TIMECODE.fullmatch(text.strip())
    hours, minutes, seconds, frames = (int(match[group]) for group in (1, 3, 4, 6)) if match else (24, 0, 0, 0)
    if hours > 23 or max(minutes, seconds) > 59 or frames >= 2 * HIGHEST:
        raise UsageError(f"{text!r} is no timecode; write hh:mm:ss:ff, or hh:mm:ss;ff for drop-frame")
    return hours, minutes, seconds, frames


def is_drop_frame(text: str) -> bool:
    """Whether a timecode says that it leaves numbers out."""
    return text.strip()[8:9] != ":"


def source_timecode(tag: str | None) -> str | None:
    """The "timecode" of a file's metadata, hh:mm:ss:ff or hh:mm:ss;ff; None where there is none that can be read."""
    try:
        hours, minutes, seconds, frames = parse_timecode(tag or "")
    except UsageError:
        return None
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{';' if is_drop_frame(tag or '') else ':'}{frames:02d}"


def exact_rate(fps: float) -> float:
    """A rate as measured or rounded -> the exact one that is meant: a whole number, or one times 1000/1001."""
    nominal = max(round(fps), 1)
    for candidate in (float(nominal), nominal * 1000 / 1001):
        if abs(fps - candidate) < 0.002:
            return candidate
    return fps


def timecode_rate(fps: float, start: str | None = None) -> TimecodeRate:
    """How timecode counts the frames of a video of this rate; by the clock, at 60 a second, those of a faster one.

    Args:
        start: the timecode of the first frame, which also tells whether it is drop-frame. Without one that can be read
            the count begins at 0, and is drop-frame where that is the custom.
    """
    fps = exact_rate(fps)
    nominal = max(round(fps), 1)
    rate = TimecodeRate(fps, nominal, drop=nominal % 30 == 0 and abs(fps - nominal * 1000 / 1001) < nominal * 0.0005)
    if nominal > HIGHEST:
        rate = TimecodeRate(float(HIGHEST), HIGHEST, drop=False, native=False)
    start = source_timecode(start)
    if start is None:
        return rate
    rate = replace(rate, drop=rate.drop and is_drop_frame(start))
    return replace(rate, first=rate.count(start))
