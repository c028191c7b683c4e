"""Captures: what waits is bounded, in each of the three ways, and nothing comes out of order."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from transducer.errors import MediaError
from transducer.media.live.capture import Capture, Ended, Gap, Inbox, Told
from transducer.media.medium import Block


def block(number: int) -> Block:
    """A second of a source."""
    return Block(np.full((10, 1), number, np.float32), None, None)


def record(items, full: str, limit: float) -> tuple[Inbox, Capture]:
    inbox = Inbox()
    capture = Capture(inbox, iter(items), lambda one: len(one.inputs) / 10, limit, full)
    return inbox, capture


def numbers(items) -> list[int]:
    return [int(item.inputs[0, 0]) for item in items if isinstance(item, Block)]


def drain(inbox: Inbox) -> list:
    """All up to the end."""
    found = []
    while not (found and isinstance(found[-1], Ended)):
        _, item = inbox.get(10.0)
        assert item is not None
        found.append(item)
    return found


def test_a_source_that_can_wait_is_held_up():
    asked = []

    def items():
        for number in range(20):
            asked.append(number)
            yield block(number)

    inbox, capture = record(items(), "wait", 3.0)
    capture.start()
    with inbox.changed:
        inbox.changed.wait_for(lambda: capture.lag >= 3.0, 10.0)
    assert len(asked) <= 4
    found = drain(inbox)
    assert numbers(found) == list(range(20))
    assert found[-1].failure is None and capture.frames_dropped == 0


def test_every_second_frame_is_dropped():
    inbox, capture = record((block(number) for number in range(9)), "thin", 4.0)
    capture.start()
    capture.join(10.0)
    found = drain(inbox)
    # 0 1 2 3 4 -> 0 2 4, with two more 0 2 4 5 6 -> 0 4 6, with two more 0 4 6 7 8 -> 0 6 8.
    assert numbers(found) == [0, 6, 8]
    assert capture.frames_dropped == 60
    assert capture.lag == pytest.approx(0.0)


def test_sound_is_lost_only_behind_the_limit_and_told():
    step = threading.Semaphore(0)

    def items():
        for number in range(12):
            step.acquire()
            yield block(number)

    inbox, capture = record(items(), "gap", 4.0)
    capture.start()
    step.release(7)
    found = []
    with inbox.changed:
        inbox.changed.wait_for(lambda: capture.lag >= 4.0, 10.0)
    while capture._missing != pytest.approx(3.0):
        pass
    found += [inbox.get(10.0)[1] for _ in range(3)]
    step.release(5)
    found += drain(inbox)
    assert numbers(found) == [0, 1, 2, 3, 7, 8, 9, 10, 11][: len(numbers(found))]
    (gap,) = [item for item in found if isinstance(item, Gap)]
    assert gap.start == pytest.approx(7.0)
    (told,) = [item for item in found if isinstance(item, Told)]
    assert "3.0 s of sound before 7.0 s are lost" in told.message


def test_a_failure_comes_after_what_was_read():
    def items():
        yield block(0)
        raise MediaError("gone")

    inbox, capture = record(items(), "wait", 4.0)
    capture.start()
    found = drain(inbox)
    assert numbers(found) == [0]
    assert isinstance(found[-1].failure, MediaError)


def test_stopping_leaves_what_waits_and_closes_the_source():
    closed = threading.Event()

    def items():
        try:
            for number in range(1000):
                yield block(number)
        finally:
            closed.set()

    inbox, capture = record(items(), "wait", 3.0)
    capture.start()
    with inbox.changed:
        inbox.changed.wait_for(lambda: capture.lag >= 3.0, 10.0)
    capture.stop()
    assert numbers(drain(inbox)) == [0, 1, 2]
    assert closed.wait(10.0)


def test_keys_come_first_and_nothing_comes_of_nothing():
    inbox, _ = record([], "wait", 1.0)
    inbox.press("flush")
    assert inbox.get(10.0) == (None, "flush")
    assert inbox.get(0.01) == (None, None)
