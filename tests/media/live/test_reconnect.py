"""Addresses that break off: opened again, with times that go on."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from transducer.errors import MediaError
from transducer.media.audio.medium import Samples
from transducer.media.live import reconnect as module
from transducer.media.live.capture import Gap, Told
from transducer.media.live.pictures import LivePictures
from transducer.media.live.reconnect import Reconnect
from transducer.media.live.sound import LiveSound
from transducer.media.medium import Block
from transducer.media.video.medium import Frames
from transducer.media.video.reader import VideoFrame

RATE = 16000


class Connection:
    """Some seconds of sound on a clock of its own, then the loss of the connection."""

    def __init__(self, clock: list[float], seconds: float, whole: bool, duration: float | None = None):
        self.warnings: list[str] = []
        self.incomplete, self.duration = not whole, duration
        self._clock, self._left = clock, round(seconds * 10)

    def __iter__(self):
        return self

    def __next__(self):
        if not self._left:
            self.duration = 3.0  # what was read, as readers tell at the end
            self.warnings += ["radio: the connection broke off"] * self.incomplete
            raise StopIteration
        self._left -= 1
        self._clock[0] += 0.1
        return np.full(RATE // 10, 0.1, np.float32)


@pytest.fixture
def quick(monkeypatch):
    """A clock that only tests move; waiting moves it, too."""
    clock = [100.0]

    class Waiting:
        def __init__(self):
            self.over = False

        def wait(self, seconds):
            clock[0] += seconds

        def is_set(self):
            return self.over

        def set(self):
            self.over = True

    monkeypatch.setattr(module.threading, "Event", Waiting)
    return clock


def hear(opened, quick, address: str = "http://radio/live"):
    """All items, and the seconds at which the source was opened."""
    begins = []

    def open_arrays(begin: float):
        begins.append(begin)
        found = opened.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    kept: list[np.ndarray] = []

    class Sink:
        def sound(self, samples):
            kept.append(samples)

        def silence_until(self, second):
            kept.append(np.zeros(round(second * RATE) - sum(map(len, kept)), np.float32))

    reconnect = Reconnect(address, clock=lambda: quick[0])
    items = list(LiveSound(open_arrays, Samples(Fraction(RATE)), None, reconnect, Sink()))
    return items, begins, np.concatenate(kept)


def seconds(items) -> float:
    return sum(len(item.inputs) for item in items if isinstance(item, Block)) / RATE


def test_live_sound_goes_on_by_the_clock(quick):
    opened = [Connection(quick, 3, False), MediaError("refused"), Connection(quick, 2, True)]
    items, begins, kept = hear(opened, quick)
    assert begins == [0.0, 0.0, 0.0]
    (gap, *more) = [item for item in items if isinstance(item, Gap)]
    # After 3 s: 1 s to the attempt that fails, 2 s more to the one that works.
    assert gap.start == pytest.approx(4.0) and [item.start for item in more] == [pytest.approx(6.0)]
    assert seconds(items) == pytest.approx(5.0)
    told = [item.message for item in items if isinstance(item, Told)]
    assert any("the connection broke off; trying again in 1 s" in message for message in told)
    assert any("refused; trying again in 2 s" in message for message in told)
    assert any("connected again, at 6.0 s" in message for message in told)
    assert len(kept) == 8 * RATE and not kept[3 * RATE : 6 * RATE].any()  # the recording is on the same clock


def test_a_recording_goes_on_where_it_broke_off(quick):
    opened = [Connection(quick, 3, False, duration=5.0), Connection(quick, 2, True, duration=5.0)]
    items, begins, _ = hear(opened, quick)
    assert begins == [0.0, pytest.approx(3.0)]
    assert not [item for item in items if isinstance(item, Gap)]
    assert seconds(items) == pytest.approx(5.0)


def test_it_is_given_up_after_a_while(quick):
    opened = [Connection(quick, 1, False), *[MediaError("refused") for _ in range(50)]]
    with pytest.raises(MediaError, match="refused"):
        hear(opened, quick)
    assert len(opened) == 50 - module.ATTEMPTS
    assert quick[0] > 150  # seconds: each wait is longer than the one before


def test_the_first_connection_has_to_work(quick):
    with pytest.raises(MediaError, match="no such host"):
        hear([MediaError("no such host")], quick)


def test_what_ends_by_itself_has_ended(quick):
    items, begins, _ = hear([Connection(quick, 1, True)], quick)
    assert begins == [0.0] and seconds(items) == pytest.approx(1.0)


def test_pictures_go_on_by_the_clock(quick):
    class Film:
        def __init__(self, count: int, whole: bool):
            self.warnings, self.incomplete, self.duration, self.fps = [], not whole, None, Fraction(10)
            self._frames = [VideoFrame(np.zeros((4, 4, 3), np.uint8), n, Fraction(n, 10)) for n in range(count)]

        def __iter__(self):
            for frame in self._frames:
                quick[0] += 0.1
                yield frame

    opened = [Film(10, False), Film(5, True)]
    reconnect = Reconnect("http://camera/live", clock=lambda: quick[0])
    items = list(LivePictures(lambda begin: opened.pop(0), Frames(4, 4), None, reconnect))
    times = [item.times[0] for item in items if isinstance(item, Block)]
    frames = [item.frames[0] for item in items if isinstance(item, Block)]
    assert times == pytest.approx([*(n / 10 for n in range(10)), *(2 + n / 10 for n in range(5))])
    assert frames == list(range(15))
    assert [item.start for item in items if isinstance(item, Gap)] == [pytest.approx(2.0)]
