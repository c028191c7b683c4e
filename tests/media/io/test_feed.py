"""File objects that give more, less or something else than they were asked for."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_fixtures import noise, wav
from video_fixtures import write_video

from transducer.media import open_audio, open_video, read_audio
from transducer.media.io.fanout import FanOut
from transducer.media.io.feed import FileFeed

RATE = 16000
DATA = bytes(range(256)) * 40


class Generous(io.RawIOBase):
    """read(n) gives `more` bytes more than n, or all that is left; tell() knows what was given."""

    def __init__(self, data: bytes, more: int, seekable: bool = False):
        self._file, self._more, self._seekable = io.BytesIO(data), more, seekable
        self.tell = self._file.tell

    def readable(self):
        return True

    def seekable(self):
        return self._seekable

    def seek(self, offset, whence=0):
        return self._file.seek(offset, whence)

    def read(self, size=-1):
        return self._file.read(size + self._more)


@settings(deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1), st.integers(0, 5000))
def test_bytes_come_once_and_in_order(sizes, more):
    feed = FileFeed(Generous(DATA, more), "x")
    got = b""
    for size in sizes:
        part = feed.read(size)
        assert len(part) <= size
        got += part
    assert got == DATA[: len(got)] and (len(got) == len(DATA) or part)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 2), st.integers(1, 3000)), min_size=1), st.integers(0, 5000)
)
def test_places_are_those_of_the_file(steps, more):
    feed, file = FileFeed(Generous(DATA, more, seekable=True), "x"), io.BytesIO(DATA)
    for offset, whence, size in steps:
        if whence == 1:
            offset -= file.tell()
        elif whence == 2:
            offset = -offset
        assert feed.seek(offset, whence) == file.seek(offset, whence)
        assert feed.read(size) == file.read(size)
        assert feed.tell() == file.tell()


def test_what_was_put_back_comes_again():
    feed = FileFeed(Generous(DATA, 0, seekable=True), "x")
    feed.put_back(feed.take(512))
    assert feed.tell() == 0 and feed.take(600) == DATA[:600] and feed.tell() == 600


@pytest.mark.parametrize("seekable", [False, True])
@pytest.mark.parametrize("times", [1, 50])
def test_sound_of_a_file_that_gives_too_much(seekable, times):
    data = wav(noise(0.5 * times, RATE), RATE)
    sound = read_audio(io.BytesIO(data))
    for more in (1, 100_000, 10_000_000):
        np.testing.assert_array_equal(read_audio(Generous(data, more, seekable)), sound)


@pytest.mark.parametrize("seekable", [False, True])
@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_pictures_of_a_file_that_gives_too_much(seekable, kind, tmp_path):
    data = write_video(tmp_path / f"a.{kind}").read_bytes()  # mp4 with its index at the end
    with open_video(io.BytesIO(data)) as reader:
        wanted = [frame.image for frame in reader]
    with open_video(Generous(data, 1 << 20, seekable)) as reader:
        np.testing.assert_array_equal([frame.image for frame in reader], wanted)


def test_a_pipe_that_gives_too_much_and_has_several_readers():
    data = wav(noise(0.5, RATE), RATE)
    (first, second) = FanOut(Generous(data, 1 << 20), 2, "pipe").readers
    sound = read_audio(io.BytesIO(data))
    np.testing.assert_array_equal(read_audio(first), sound)
    np.testing.assert_array_equal(read_audio(second), sound)
    first, second = FanOut(io.BytesIO(data), 2, "pipe").readers
    assert len(first.read(10)) == 10


def test_seeking_that_fails_is_no_crash(tmp_path):
    class Broken(io.BytesIO):
        def seek(self, offset, whence=0):
            if offset:
                raise OSError(5, "Input/output error")
            return super().seek(offset, whence)

    path = write_video(tmp_path / "a.mkv", sound=noise(0.4, 48000))
    with open_audio(Broken(path.read_bytes())) as reader:
        assert sum(map(len, reader)) > 0
