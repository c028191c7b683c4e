"""Media: steps of every kind from sources of every kind, whatever the blocks are."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pytest
from media_fixtures import noise, wav
from video_fixtures import number_in, numbered, write_video

from transducer.errors import UsageError
from transducer.media.audio.medium import Samples
from transducer.media.audio.reader import open_audio, read_audio
from transducer.media.audiovisual import FramesAndSamples
from transducer.media.video.medium import Frames

RATE = 16000


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return write_video(path, images=30, rate=25, sound=noise(1.2, 48000))


@pytest.mark.parametrize("block", [None, 100])
def test_samples_are_the_sound_of_the_source(film, block):
    medium = Samples(RATE)
    with medium.open(film, block=block) as reader:
        blocks = list(reader)
        assert reader.name == str(film) and reader.duration == pytest.approx(1.2, abs=0.05)
        assert reader.position == pytest.approx(1.2, abs=0.05)
    inputs = np.concatenate([each.inputs for each in blocks])
    assert inputs.shape[1] == medium.channels == 1 and inputs.dtype == medium.dtype
    assert np.array_equal(inputs[:, 0], read_audio(film, RATE))
    assert block is None or max(len(each.inputs) for each in blocks) <= block
    assert all(each.times is None and each.frames is None for each in blocks)
    assert medium.rate == reader.rate == RATE


def test_samples_of_a_program_go_through_as_they_are():
    sound = noise(0.5, RATE).astype(np.float32)
    with Samples(RATE).open([sound[:100], sound[100:]]) as reader:
        assert np.array_equal(np.concatenate([each.inputs[:, 0] for each in reader]), sound)


def test_samples_of_raw_sound_need_its_format():
    from transducer.media import RawFormat

    data = (noise(0.5, RATE) * 32767).astype("<i2")
    with Samples(RATE).open(io.BytesIO(data.tobytes()), raw=RawFormat("s16le", RATE, 1)) as reader:
        assert sum(len(each.inputs) for each in reader) == len(data)


def test_frames_have_times_and_numbers(film):
    medium = Frames(18, 24)
    with medium.open(film, block=7) as reader:
        assert reader.frames == 30
        blocks = list(reader)
        assert reader.rate == 25
    inputs = np.concatenate([each.inputs for each in blocks])
    assert inputs.shape == (30, medium.channels) and inputs.dtype == medium.dtype
    assert [number_in(image) for image in inputs.reshape(30, 18, 24, 3)] == list(range(30))
    assert [number for each in blocks for number in each.frames] == list(range(30))
    assert [time for each in blocks for time in each.times] == pytest.approx(np.arange(30) / 25)


@pytest.mark.parametrize("colours", [1, 3])
def test_pictures_of_a_program_are_steps_like_those_pushed(colours):
    pictures = [numbered(number) for number in range(5)]
    medium = Frames(18, 24, colours)
    with medium.open(iter(pictures), fps=10, block=5) as reader:
        (block,) = list(reader)
        assert reader.position == 0.5
    assert np.array_equal(block.inputs, medium.check(pictures))
    assert np.array_equal(block.inputs, medium.check(np.stack(pictures)))
    assert np.array_equal(block.inputs[:1], medium.check(pictures[0]))
    assert block.times == pytest.approx([0, 0.1, 0.2, 0.3, 0.4]) and block.inputs.shape[1] == medium.channels


def test_frames_and_samples_are_steps_of_one_length(film):
    medium = FramesAndSamples(Frames(18, 24, 1), 800, RATE)
    assert medium.rate == 20 and medium.channels == 18 * 24 + 800
    with medium.open(film, block=5) as reader:
        blocks = list(reader)
        assert reader.warnings == []
    inputs = np.concatenate([each.inputs for each in blocks])
    sound = read_audio(film, RATE)
    assert inputs.dtype == medium.dtype and np.array_equal(inputs[:, 432:].ravel()[: len(sound)], sound)
    # The frame in the middle of each step of 50 ms.
    assert [number for each in blocks for number in each.frames] == [int((n + 0.5) * 1.25) for n in range(24)]
    assert [time for each in blocks for time in each.times] == pytest.approx(np.arange(24) / 20)
    assert np.array_equal(medium.check(inputs), inputs)


@pytest.mark.parametrize(
    ("medium", "wrong"),
    [
        (Samples(RATE), np.zeros(5)),
        (Samples(RATE), np.zeros((5, 1), np.float32)),
        (Samples(RATE), np.array([0, np.nan], np.float32)),
        (Frames(8, 8), np.zeros((8, 8, 4), np.uint8)),
        (Frames(8, 8), [np.zeros((8, 8, 3), np.float32)]),
        (FramesAndSamples(Frames(8, 8), 4, RATE), np.zeros((2, 8, 8, 3), np.uint8)),
        (FramesAndSamples(Frames(8, 8), 4, RATE), np.full((2, 196), np.inf, np.float32)),
    ],
)
def test_what_does_not_fit_is_refused(medium, wrong):
    with pytest.raises(UsageError):
        medium.check(wrong)


def test_options_that_do_not_fit_are_refused(film):
    with pytest.raises(UsageError, match="fps is for arrays"):
        Frames(8, 8).open(film, fps=3)
    with pytest.raises(UsageError, match="more than 0"):
        Frames(8, 8).open([numbered(0)], fps=0)
    with pytest.raises(UsageError, match="no source"):
        Frames(8, 8).open(7)
    with pytest.raises(UsageError, match="opened twice"):
        FramesAndSamples(Frames(8, 8), 4, RATE).open(io.BytesIO(film.read_bytes()))


def test_closing_releases_the_file_before_the_end(film):
    with film.open("rb") as file:
        reader = Samples(RATE).open(file)
        next(reader)
        reader.close()
        reader.close()
        assert list(reader) == []
    sound = open_audio(io.BytesIO(wav(noise(1, RATE), RATE)))
    with Samples(RATE).open(sound) as reader:
        next(reader)
    assert list(sound) == []


def test_media_can_be_told_apart():
    assert Samples(RATE) == Samples(Fraction(RATE)) != Samples(8000)
    assert Frames(8, 8) != Frames(8, 8, 1)
