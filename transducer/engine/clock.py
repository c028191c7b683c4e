"""When a step of a stream is shown or heard: what turns numbers of steps into seconds."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from fractions import Fraction


class SteadyClock:
    """Step n is at n / rate seconds: samples, and all that is made of them.

    Args:
        rate: output steps per second.
        start: second at which the first of them begins.

    Attributes:
        end: second at which the stream has ended; None before that.
        final: the last output step of a stream that has ended; None before that.
    """

    steady = True

    def __init__(self, rate: Fraction, start: float = 0.0):
        self.rate, self.start = rate, start
        self.end: float | None = None
        self.final: int | None = None

    def close(self, seconds: float) -> None:
        """The stream has ended after so many seconds."""
        self.end = self.start + seconds
        self.final = max(0, math.ceil(seconds * self.rate - 1e-6) - 1)

    def seconds(self, step: float) -> float:
        """The time at which an output step begins, or at which the stream ends."""
        seconds = self.start + float(step / self.rate)
        return seconds if self.end is None else min(seconds, self.end)

    def frame(self, step: int) -> int:
        """Where there are no pictures, the output steps themselves are what is counted."""
        return step

    def knows(self, step: int) -> bool:
        return True


class FrameClock:
    """Steps with times of their own: frames of a video, at whatever rate they come.

    Times are kept for as long as a search may ask for them, so that memory does not grow with the stream.

    Args:
        stride: input steps per output step.

    Attributes:
        entries: input step -> its time in seconds, and the number of its frame.
        closing: the input step after the last one, once the stream has ended.
    """

    steady = False

    def __init__(self, stride: int):
        self.stride = stride
        self.entries: dict[int, tuple[float, int]] = {}
        self.received = 0
        self.closing: int | None = None

    def add(self, times: Iterable[float], frames: Iterable[int]) -> None:
        """The times and frames of the next input steps."""
        for stamp in zip(times, frames, strict=True):
            self.entries[self.received] = stamp
            self.received += 1

    def close(self, period: float) -> None:
        """The stream has ended; its last frame is shown for `period` seconds."""
        if self.received and self.closing is None:
            last, frame = self.entries[self.received - 1]
            self.closing = self.received
            self.entries[self.closing] = (last + period, frame + 1)

    @property
    def final(self) -> int | None:
        """The last output step of a stream that has ended; None before that."""
        return None if self.closing is None else -(-self.closing // self.stride) - 1

    def forget(self, judged: int, needed: Collection[int]) -> None:
        """Drop the times before output step `judged` - 1, but for those of the output steps `needed`."""
        kept = {self._input(step) for step in needed}
        # The newest one tells how times go on.
        end = min((judged - 1) * self.stride, self.received - 1)
        for step in [step for step in self.entries if step < end and step not in kept]:
            del self.entries[step]

    def knows(self, step: int) -> bool:
        return self._input(step) in self.entries

    def seconds(self, step: float) -> float:
        """The time at which an output step begins; between two steps, and beyond the last, in proportion."""
        whole = int(step)
        begin = self._entry(whole)[0]
        if whole == step:
            return begin
        return begin + (step - whole) * (self._entry(whole + 1)[0] - begin)

    def frame(self, step: int) -> int:
        """The number of the frame that is shown when an output step begins."""
        return self._entry(step)[1]

    def end(self, step: int, period: float) -> tuple[float, int]:
        """The time at which the frame before an output step ends, and how many frames there are up to there."""
        if not step or not self.entries:
            return 0.0, 0
        found = self._input(step)
        if found in self.entries:
            return self.entries[found]
        time, frame = self._entry(step)
        return time + period, frame + 1

    def _input(self, step: int) -> int:
        """The first input step of an output step. The last output step may have fewer input steps than the others."""
        first = step * self.stride
        return first if self.closing is None else min(first, self.closing)

    def _entry(self, step: int) -> tuple[float, int]:
        found = self._input(step)
        if found in self.entries:
            return self.entries[found]
        return self.entries[min(self.entries, key=lambda known: abs(known - found))]
