"""When a step of a stream is shown or heard: what turns numbers of steps into seconds."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable
from fractions import Fraction

Stamp = tuple[float, int]  # a time in seconds, and the number of a frame


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

    def shown(self, step: int) -> Stamp:
        return self.seconds(step), step

    shown_last = shown

    def before(self, step: int) -> Stamp:
        return self.shown(max(0, step - 1))

    def after(self, step: int) -> Stamp | None:
        return self.seconds(step + 1), step + 1

    def begins(self, step: int) -> bool:
        return True


class FrameClock:
    """Steps with times of their own: frames of a video, at whatever rate they come.

    A frame may go on for several steps (`hold`). Times are kept for as long as a search may ask for them, so that
    memory does not grow with the stream.

    Args:
        stride: input steps per output step.

    Attributes:
        entries: the input step on which a frame begins -> its time in seconds, and the number of the frame.
        received: input steps that have come.
        closing: the input step after the last one, once the stream has ended.
    """

    steady = False

    def __init__(self, stride: int):
        self.stride = stride
        self.entries: dict[int, Stamp] = {}
        self.received = 0
        self.closing: int | None = None

    def add(self, times: Iterable[float], frames: Iterable[int]) -> None:
        """The times and frames of the next input steps."""
        for stamp in zip(times, frames, strict=True):
            self.entries[self.received] = stamp
            self.received += 1

    def hold(self, steps: int) -> None:
        """The newest frame goes on for so many more input steps."""
        self.received += steps

    @property
    def newest(self) -> Stamp | None:
        """The time and the number of the newest frame."""
        return next(reversed(self.entries.values()), None)

    def close(self, period: float) -> None:
        """The stream has ended; its last frame is shown for `period` seconds."""
        if self.newest is not None and self.closing is None:
            last, frame = self.newest
            self.closing = self.received
            self.entries[self.closing] = (last + period, frame + 1)

    @property
    def final(self) -> int | None:
        """The last output step of a stream that has ended; None before that."""
        return None if self.closing is None else -(-self.closing // self.stride) - 1

    def forget(self, judged: int, needed: Collection[int]) -> None:
        """Drop the times before output step `judged` - 1, but for those of the output steps `needed`, of the frames
        before them and of those after them."""
        keys = list(self.entries)
        # The newest one tells how times go on.
        end = min((judged - 1) * self.stride, self.received - 1)
        first = self._place(keys, end)
        if first <= 0:
            return
        kept = set(range(first, len(keys)))
        for place in {self._place(keys, self._input(step)) for step in needed}:
            kept.update((place - 1, place, place + 1))
        self.entries = {key: self.entries[key] for place, key in enumerate(keys) if place in kept}

    def knows(self, step: int) -> bool:
        return self._input(step) < self.received or self.closing is not None

    def seconds(self, step: float) -> float:
        """The time at which an output step begins; between two steps, and beyond the last, in proportion."""
        whole = int(step)
        begin = self._seconds(whole)
        if whole == step:
            return begin
        return begin + (step - whole) * (self._seconds(whole + 1) - begin)

    def frame(self, step: int) -> int:
        """The number of the frame that is shown when an output step begins."""
        return self._shown(self._input(step))[1]

    def shown(self, step: int) -> Stamp:
        """When the frame that is shown when an output step begins was first shown, and its number."""
        return self._shown(self._input(step))

    def shown_last(self, step: int) -> Stamp:
        """The same of the last frame that is shown in an output step."""
        return self._shown(self._input(step + 1) - 1)

    def before(self, step: int) -> Stamp:
        """The frame before the one that is shown when an output step begins; of the first one itself."""
        return self._shown(self._first(self._input(step)) - 1)

    def after(self, step: int) -> Stamp | None:
        """The time of the first frame that begins after an output step, and its number; None if it has not come."""
        following = self._input(step + 1)
        return next((stamp for key, stamp in self.entries.items() if key >= following), None)

    def begins(self, step: int) -> bool:
        """Whether a frame begins in an output step. The steps behind the end count as frames."""
        first, following = self._input(step), self._input(step + 1)
        return first == following or self._first(following - 1) >= first

    def end(self, step: int, period: float) -> Stamp:
        """The time at which the frame before an output step ends, and how many frames there are up to there."""
        if not step or not self.entries:
            return 0.0, 0
        found = self._input(step)
        time, frame = self._shown(found)
        return (time, frame) if found < self.received or found in self.entries else (time + period, frame + 1)

    def _input(self, step: int) -> int:
        """The first input step of an output step. The last output step may have fewer input steps than the others."""
        first = step * self.stride
        return first if self.closing is None else min(first, self.closing)

    @staticmethod
    def _place(keys: list[int], found: int) -> int:
        """Which of the frames is shown on an input step; the first one that is known where none is."""
        return max(0, bisect_right(keys, found) - 1)

    def _first(self, found: int) -> int:
        """The input step on which the frame begins that is shown on an input step."""
        keys = list(self.entries)
        return keys[self._place(keys, found)]

    def _shown(self, found: int) -> Stamp:
        return self.entries[self._first(found)]

    def _seconds(self, step: int) -> float:
        """Within a frame that goes on for several steps, in proportion."""
        found, keys = self._input(step), list(self.entries)
        place = self._place(keys, found)
        time, passed = self.entries[keys[place]][0], found - keys[place]
        if passed <= 0 or place + 1 == len(keys):
            return time
        return time + passed / (keys[place + 1] - keys[place]) * (self.entries[keys[place + 1]][0] - time)
