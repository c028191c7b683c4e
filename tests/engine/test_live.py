"""A session without end: finals as of a file, early partials that change nothing, gaps, and constant memory."""

from __future__ import annotations

import pickle
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import transducer
from transducer.engine.live import LiveSession
from transducer.media import read_audio
from transducer.media.audio.medium import Samples
from transducer.media.medium import Block
from transducer.results import Event, Scene

MEDIA = Path(__file__).parents[2] / "sample_media"


@pytest.fixture(scope="module")
def model():
    return transducer.load("speech-en")


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    return read_audio(MEDIA / "letters.opus")


def blocks(samples: np.ndarray, size: int = 1600) -> list[Block]:
    return [Block(samples[start : start + size, None], None, None) for start in range(0, len(samples), size)]


def test_finals_are_those_of_a_stream_and_peeking_changes_nothing(model, spoken):
    sound = np.concatenate([spoken, np.zeros(16000, np.float32)])
    stream = model.stream(chunk_ms=320)
    expected = [*stream.push(sound), *stream.finish()]
    session = LiveSession(model.engine(chunk_ms=320))
    of_blocks, shown = [], []
    for block in blocks(sound):
        found = session.push(block)
        of_blocks += found
        shown += [*found, *session.peek(0.1)]
    rest = session.finish()
    of_blocks += rest
    shown += rest
    assert of_blocks == expected
    seen: tuple = ()
    for segment in shown:
        assert segment.words[: len(seen)] == seen  # what was stable stays
        seen = () if segment.final else segment.words[: segment.stable]
    assert len(shown) > len(sound) / 16000 * 4  # early ones among them


def test_partials_come_sooner_than_blocks(model, spoken):
    def first(peek: bool) -> float:
        """When three words are there."""
        session = LiveSession(model.engine(chunk_ms=640))
        for block in blocks(spoken):
            found = session.push(block) or (session.peek(0.1) if peek else [])
            if any(len(segment.words) >= 3 for segment in found):
                return session.position
        return session.position

    assert first(True) < first(False)


def test_nothing_is_shown_of_silence(model):
    session = LiveSession(model.engine(chunk_ms=320))
    noise = np.random.default_rng(0).normal(0, 1e-4, 10 * 16000).astype(np.float32)
    shown = [result for block in blocks(noise) for result in (*session.push(block), *session.peek(0.1))]
    assert not [segment for segment in [*shown, *session.finish()] if segment.words]


def test_times_go_on_behind_a_gap(model, spoken):
    session = LiveSession(model.engine(chunk_ms=320), keep=True)
    alone = LiveSession(model.engine(chunk_ms=320), keep=True)
    for block in blocks(spoken):
        session.push(block)
        alone.push(block)
    alone.finish()
    words = alone.result().words
    session.skip(60.0)
    for block in blocks(spoken):
        session.push(block)
    session.finish()
    both = session.result()
    assert [word.text for word in both.words] == [word.text for word in words] * 2
    for word, other in zip(both.words[len(words) :], words, strict=True):
        assert word.start == pytest.approx(other.start + 60)
    assert both.duration == pytest.approx(60 + len(spoken) / 16000)


def test_a_flush_makes_it_final_and_loses_nothing(model, spoken):
    whole = model.transcribe([spoken], chunk_ms=320).words
    pause, second = max((after.start - word.end, (after.start + word.end) / 2) for word, after in pairwise(whole))
    assert pause > 0.15
    session = LiveSession(model.engine(chunk_ms=320))
    found = []
    for block in blocks(spoken):
        found += session.push(block)
        if session.position - 0.1 < second <= session.position:
            found += session.flush()
            assert found[-1].final and found[-1].end < second + 0.1
    found += session.finish()
    words = [word.text for segment in found if segment.final for word in segment.words]
    assert sum(segment.final for segment in found) >= 2
    assert words[:3] == [word.text for word in whole[:3]] and words[-3:] == [word.text for word in whole[-3:]]
    assert len(words) == len(whole)


def test_events_and_scenes_are_those_of_the_whole():
    model = transducer.load("shots")
    whole = model.label(MEDIA / "shots.mp4")
    session = LiveSession(model.engine(), rate=25, block=2)
    found = []
    with model.medium.open(str(MEDIA / "shots.mp4"), fast=True) as reader:
        for block in reader:
            for number in range(len(block.inputs)):
                one = slice(number, number + 1)
                found += session.push(Block(block.inputs[one], block.times[one], block.frames[one]))
    found += session.finish()
    assert [result for result in found if isinstance(result, Event)] == list(whole.events)
    assert [result for result in found if isinstance(result, Scene)] == list(whole.segments)


def test_memory_does_not_grow(model, spoken):
    session = LiveSession(model.engine(chunk_ms=320, search="greedy"))
    sound = np.concatenate([spoken, np.zeros(16000, np.float32)])
    sizes = []
    for _ in range(4):
        for block in blocks(sound, 16000):
            session.push(block)
        session.flush()
        sizes.append(len(pickle.dumps((session._stream.state, session._builder, session._shown))))
    assert max(sizes[1:]) < 1.02 * sizes[1]


def test_raised_sound_is_the_same_in_any_pieces(spoken):
    medium = Samples(Fraction(16000))

    def heard(size: int) -> np.ndarray:
        pieces = iter([spoken[start : start + size] * 0.01 for start in range(0, len(spoken), size)])
        return np.concatenate([block.inputs for block in medium.open(pieces, level=True)])

    np.testing.assert_array_equal(heard(320), heard(5000))
