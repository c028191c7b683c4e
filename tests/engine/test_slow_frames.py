"""Frames that come more slowly than what a model knows: slides, dropped duplicates, rates that vary."""

from __future__ import annotations

import pickle
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import transducer
from transducer.engine.batch import LONGEST_HOLD
from transducer.engine.clock import FrameClock
from transducer.media import open_video
from transducer.results import Event
from transducer.search.events.rules import Found
from transducer.search.events.search import timed_event

SAMPLE = Path(__file__).resolve().parents[2] / "sample_media" / "shots.mp4"
SLIDES = (20, 150, 260, 80, 195, 325) * 2  # frames of the sample, each of another shot than the one before
SECONDS = 3  # of a slide


@pytest.fixture(scope="module")
def model():
    return transducer.load("shots")


@pytest.fixture(scope="module")
def slides() -> list[NDArray[np.uint8]]:
    with open_video(SAMPLE, (27, 48), fast=True) as reader:
        images = {frame.index: frame.image for frame in reader if frame.index in SLIDES}
    return [images[number] for number in SLIDES]


def cuts(count: int, period: Fraction, each: int) -> list[tuple[float, float, int, int]]:
    """Where the cuts are when each slide is `each` frames of one period."""
    return [(float((n * each - 1) * period), float(n * each * period), n * each - 1, n * each) for n in range(1, count)]


def found(events) -> list[tuple[float, float, int, int]]:
    assert all(event.label == "cut" for event in events)
    return [(event.start, event.end, event.start_frame, event.end_frame) for event in events]


@pytest.mark.parametrize("fps", [25, 12, 1, Fraction(1, 5)])
def test_slides_are_found_at_any_rate(model, slides, fps):
    each = max(1, round(SECONDS * fps))
    labelling = model.label([slide for slide in slides for _ in range(each)], fps=fps, frames=True)
    expected = cuts(len(slides), 1 / Fraction(fps), each)
    assert found(labelling.events) == [pytest.approx(row, abs=1e-6) for row in expected]
    assert labelling.frames == len(slides) * each == len(labelling.frame_scores) == len(labelling.frame_times)
    assert labelling.duration == pytest.approx(labelling.frames / fps)
    # A frame's scores say what there is in it, though most of its steps are like the one before.
    for event in labelling.events:
        assert 1 - labelling.frame_scores[event.end_frame][0] == pytest.approx(event.score, abs=1e-6)


def pushed(model, slides, times, sizes) -> list[Event]:
    """Events of one frame a slide, in packets of these sizes; saved and gone on with on the way."""
    stream, events, place = model.stream(fps=1), [], 0
    for size in sizes:
        events += stream.push(slides[place : place + size], times[place : place + size])
        stream = model.stream(state=pickle.loads(pickle.dumps(stream.state)))
        place += size
    return events + stream.finish()


def test_dropped_duplicates_in_any_packets(model, slides):
    """Each slide is one frame, shown for as long as it was: packets, saved states, neighbours make no difference."""
    times = np.cumsum([0.0, 3.0, 1.2, 0.5, 7.0, 900.0, 2.0, 0.04, 0.04, 4.0, 3.0, 3.0]).tolist()
    whole = pushed(model, slides, times, [12])
    assert [(event.start_frame, event.end_frame) for event in whole][:5] == [(n, n + 1) for n in range(5)]
    # Slides 6 and 7 are there for a frame each, which makes one change of 5 to 8.
    assert whole[5].start_frame >= 5 and whole[5].end_frame <= 8
    assert [(event.start, event.end) for event in whole[:5]] == [pytest.approx(times[n : n + 2]) for n in range(5)]
    assert pushed(model, slides, times, [1] * 12) == pushed(model, slides, times, [5, 1, 4, 2]) == whole
    batch = model.batch(3)
    for name in ("a", "b"):
        batch.join(name, rate=1)
    batch.push("a", slides, times)
    batch.push("b", slides[:2])
    events = []
    while "a" in batch.ready:
        events += batch.step().get("a", [])
    events += batch.finish("a")
    assert [replace(event, score=0) for event in events] == [replace(event, score=0) for event in whole]


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), 24, 25, 30, 60])
def test_usual_rates_are_taken_as_they_are(model, slides, fps):
    stream = model.stream(fps=fps)
    stream.push([slides[0]] * 50)
    assert stream.state.clock.received == 50


def test_a_frame_is_held_for_so_long_and_no_longer(model, slides):
    stream = model.stream()
    stream.push(slides[:2], [0.0, 36_000.0])
    assert stream.state.clock.received == 1 + round(LONGEST_HOLD * 25)


def held_clock() -> FrameClock:
    """Frames 7, 8 and 9, shown at 0, 1 and 3 s for 2, 4 and 3 steps; the end is at 4 s."""
    clock = FrameClock(1)
    for time, frame, steps in ((0.0, 7, 2), (1.0, 8, 4), (3.0, 9, 3)):
        clock.add([time], [frame])
        clock.hold(steps - 1)
    clock.close(1.0)
    return clock


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 1, (0.0, 1.0, 7, 7)),
        (0, 3, (0.0, 3.0, 7, 8)),
        (3, 6, (3.0, 4.0, 9, 9)),  # it begins within frame 8, which belongs to what was there when it began
        (3, 4, (1.0, 3.0, 8, 8)),
        (0, 8, (0.0, 4.0, 7, 9)),
    ],
)
def test_spans_are_whole_frames(start, end, expected):
    event = timed_event(Found("x", start, end, 0.5), held_clock())
    assert (event.start, event.end, event.start_frame, event.end_frame) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected", "change"),
    [
        (1, 2, (0.0, 1.0, 7, 8), 1.0),
        (1, 6, (0.0, 3.0, 7, 9), 1.0),
        (3, 4, (1.0, 3.0, 8, 9), 3.0),  # within frame 8 nothing changes
        (6, 7, (1.0, 3.0, 8, 9), 3.0),  # and the last one is the end
    ],
)
def test_transitions_lie_between_frames(start, end, expected, change):
    event = timed_event(Found("x", start, end, 0.5), held_clock(), transition=True)
    assert (event.start, event.end, event.start_frame, event.end_frame) == expected
    assert event.change == change


def test_times_between_the_steps_of_a_frame_are_in_proportion():
    clock = held_clock()
    assert [clock.seconds(step) for step in (0, 0.5, 1, 2, 2.5, 4, 9)] == [0.0, 0.25, 0.5, 1.0, 1.25, 2.0, 4.0]


def test_times_that_are_needed_are_kept():
    clock = held_clock()
    expected = timed_event(Found("x", 3, 5, 0.5), clock)
    clock.forget(9, {3, 4, 5, 6})
    assert timed_event(Found("x", 3, 5, 0.5), clock) == expected
