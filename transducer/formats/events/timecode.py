"""Frames -> SMPTE timecode (SMPTE ST 12-1): hh:mm:ss:ff, with numbers left out where the rate needs it."""

from __future__ import annotations

from dataclasses import dataclass

HIGHEST = 60  # frames a second that timecode is in use for


@dataclass(frozen=True)
class TimecodeRate:
    """How frames are counted.

    Attributes:
        fps: frames per second, exact: 30000/1001 for what is called 29.97.
        nominal: frames that a timecode second counts.
        drop: two numbers (four at 60) are left out each minute but the tenth, so that the timecode keeps to the
            clock: the custom at 29.97 and 59.94 frames per second.
        native: whether each frame of the video has its own timecode; at more than 60 frames a second none fits.
    """

    fps: float
    nominal: int
    drop: bool
    native: bool = True

    def timecode(self, frame: int) -> str:
        """The timecode of frame `frame`, from 00:00:00:00 at 0; it starts again after a day."""
        if self.drop:
            lost = self.nominal // 15
            minute, ten_minutes = self.nominal * 60 - lost, self.nominal * 600 - 9 * lost
            tens, rest = divmod(frame, ten_minutes)
            frame += 9 * lost * tens + lost * (max(rest - lost, 0) // minute)
        seconds, frames = divmod(frame, self.nominal)
        hours, minutes = seconds // 3600 % 24, seconds // 60 % 60
        return f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}:{frames:02d}"


def exact_rate(fps: float) -> float:
    """A rate as measured or rounded -> the exact one that is meant: a whole number, or one times 1000/1001."""
    nominal = max(round(fps), 1)
    for candidate in (float(nominal), nominal * 1000 / 1001):
        if abs(fps - candidate) < 0.002:
            return candidate
    return fps


def timecode_rate(fps: float) -> TimecodeRate:
    """How timecode counts the frames of a video of this rate; by the clock, at 60 a second, those of a faster one."""
    fps = exact_rate(fps)
    nominal = max(round(fps), 1)
    if nominal > HIGHEST:
        return TimecodeRate(float(HIGHEST), HIGHEST, drop=False, native=False)
    drop = nominal % 30 == 0 and abs(fps - nominal * 1000 / 1001) < nominal * 0.0005
    return TimecodeRate(fps, nominal, drop)
