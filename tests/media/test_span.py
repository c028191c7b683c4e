"""A part of a source, by seconds: what it is within the whole, to the sample and to the frame."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_fixtures import Trickle, noise, write_media
from video_fixtures import number_in, write_video

from transducer.errors import MediaError, UsageError
from transducer.media import open_audio, open_video, read_audio
from transducer.media.audio.medium import Samples
from transducer.media.audiovisual import FramesAndSamples
from transducer.media.video.medium import Frames

RATE = 16000


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return write_video(path, images=60, rate=25, sound=noise(2.4, 48000))


@pytest.fixture(scope="module")
def whole(film):
    return read_audio(film)


@settings(deadline=None, max_examples=25)
@given(st.floats(0, 2.3), st.floats(1e-3, 3) | st.none())
def test_samples_are_those_of_the_whole(film, whole, start, length):
    with open_audio(film, start=start, length=length) as reader:
        assert reader.position == reader.start == pytest.approx(start, abs=1 / RATE)
        got = np.concatenate([np.zeros(0, np.float32), *reader])
        end = None if length is None else round((start + length) * RATE)
        np.testing.assert_array_equal(got, whole[round(start * RATE) : end])
        assert reader.position == pytest.approx(reader.start + len(got) / RATE) == reader.duration


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "m4a", "mkv", "ts"])
def test_samples_of_every_kind_and_of_pipes(kind, tmp_path):
    codec = {"wav": "pcm_s16le", "flac": "flac", "mp3": "libmp3lame"}.get(kind, "aac")
    path = write_media(tmp_path / f"a.{kind}", codec, noise(2, 44100))
    sound = read_audio(path)
    for source in (path, io.BytesIO(path.read_bytes()), Trickle(path.read_bytes(), [3000])):
        if kind in ("mp3", "m4a") and isinstance(source, Trickle):
            continue  # a pipe's padding is not cut off, see test_pipes.py
        got = read_audio(source, start=0.7, length=0.5)
        np.testing.assert_array_equal(got, sound[11200:19200])


def test_parts_follow_each_other_without_a_seam(film, whole):
    pieces = [read_audio(film, start=0.3 * n, length=0.3) for n in range(8)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole[: 8 * 4800])


def test_arrays_are_cut_too():
    sound = noise(1, RATE).astype(np.float32)
    np.testing.assert_array_equal(read_audio([sound[:300], sound[300:]], start=0.01, length=0.5), sound[160:8160])


def test_nothing_behind_the_part_is_read(film):
    file = Trickle(write_long(film.parent / "long.wav"), [4096])
    with open_audio(file, start=1, length=1) as reader:
        assert sum(map(len, reader)) == RATE
    assert file.bytes_read < 200_000


def write_long(path):
    return write_media(path, "pcm_s16le", noise(60, RATE), rate=RATE).read_bytes()


@pytest.mark.parametrize("rate", [25, Fraction(30000, 1001)])
def test_frames_keep_numbers_and_times(rate, tmp_path):
    path = write_video(tmp_path / "a.mp4", images=40, rate=rate)
    with open_video(path) as reader:
        frames = list(reader)
    for first, last in ((0, 40), (7, 20), (39, 40), (10, 11)):
        start = float(frames[first].time)
        length = float(last / Fraction(rate)) - start
        with open_video(path, start=start, length=length) as reader:
            got = list(reader)
        assert [(f.index, f.time) for f in got] == [(f.index, f.time) for f in frames[first:last]]
        assert [number_in(f.image) for f in got] == list(range(first, last))
        assert reader.duration == reader.position == pytest.approx(float(last / Fraction(rate)), abs=1e-3)
    with open_video(path, (18, 24), start=0.5) as reader:
        assert next(reader.batches(100))[1] == next(f.index for f in frames if f.time >= 0.5)


def test_media_open_parts(film, whole):
    with Samples(RATE).open(film, start=0.5, length=0.25) as reader:
        assert reader.start == 0.5
        got = np.concatenate([block.inputs[:, 0] for block in reader])
    np.testing.assert_array_equal(got, whole[8000:12000])
    with Frames(18, 24).open(film, start=0.4, length=0.4) as reader:
        blocks = list(reader)
    assert [n for block in blocks for n in block.frames] == list(range(10, 20))
    assert [t for block in blocks for t in block.times] == pytest.approx(np.arange(10, 20) / 25)
    medium = FramesAndSamples(Frames(18, 24, 1), 640, RATE)
    with medium.open(film, start=0.4, length=0.4) as reader:
        blocks = list(reader)
    inputs = np.concatenate([block.inputs for block in blocks])
    np.testing.assert_array_equal(inputs[:, 432:].ravel(), whole[6400:12800])
    assert [t for block in blocks for t in block.times] == pytest.approx(0.4 + np.arange(10) / 25)
    assert [n for block in blocks for n in block.frames] == list(range(10, 20))


@pytest.mark.parametrize(("start", "length"), [(-1, None), (float("nan"), None), (float("inf"), 1), (0, 0), (0, -3)])
def test_seconds_that_make_no_sense(film, start, length):
    for read in (open_audio, open_video):
        with pytest.raises(UsageError):
            read(film, start=start, length=length)


def test_a_start_behind_the_end(film):
    for read in (open_audio, open_video):
        with pytest.raises(MediaError, match="ends before 9 s"):
            read(film, start=9)


def test_what_is_open_has_its_part_already(film):
    with open_audio(film) as sound, pytest.raises(UsageError, match="open already"):
        open_audio(sound, start=1)
    with open_video(film) as video, pytest.raises(UsageError, match="open already"):
        open_video(video, length=1)
    with pytest.raises(UsageError, match="for files"):
        Frames(8, 8).open([np.zeros((8, 8, 3), np.uint8)], start=1)
