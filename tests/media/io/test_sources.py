"""Sound from files, open files and arrays."""

from __future__ import annotations

import io
import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_fixtures import Trickle, write_talk

from transducer.errors import TransducerError, UsageError
from transducer.media import RawFormat, open_audio, read_audio

RATE = 16000


@pytest.fixture(scope="module")
def media(tmp_path_factory) -> dict[str, Path]:
    return write_talk(tmp_path_factory.mktemp("media"))


def test_files_strung_together(tmp_path, media):
    path = tmp_path / "two.flac"
    path.write_bytes(2 * media["flac"].read_bytes())
    once = read_audio(media["flac"], rate=44100)
    with open_audio(path, rate=44100) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader)), np.concatenate([once, once]))
    assert len(reader.warnings) == 1 and "at 1.50 s; taken as going on" in reader.warnings[0]


def test_an_open_file_is_read_from_where_it_stands(media):
    file = io.BytesIO(b"something else" + media["m4a"].read_bytes())
    file.seek(len(b"something else"))
    np.testing.assert_array_equal(read_audio(file), read_audio(media["m4a"]))
    assert not file.closed


def test_files_are_closed(media):
    before = len(os.listdir("/proc/self/fd"))
    reader = open_audio(media["mp3"])
    assert len(os.listdir("/proc/self/fd")) == before + 1
    reader.close()
    reader.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert list(reader) == []
    for _ in open_audio(media["mp3"]):  # read to the end: closes by itself
        pass
    with pytest.raises(TransducerError):
        open_audio(Path(__file__))
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_exception_of_the_source_gets_through(media):
    class Failing(Trickle):
        error: BaseException = KeyboardInterrupt()

        def read(self, size=-1):
            if self.bytes_read > 20000:
                raise self.error
            return super().read(size)

    with pytest.raises(KeyboardInterrupt):
        read_audio(Failing(media["wav"].read_bytes(), [1000]))
    lost = Failing(media["wav"].read_bytes(), [1000])
    lost.error = OSError(5, "Input/output error")
    with open_audio(lost) as reader:
        assert 0.1 < sum(map(len, reader)) / RATE < 0.4
    assert len(reader.warnings) == 1 and "input/output error" in reader.warnings[0]
    assert "reading stopped at 0.2" in reader.warnings[0]


def test_a_file_address(media):
    np.testing.assert_array_equal(read_audio(f"file://{media['flac']}"), read_audio(media["flac"]))


def test_a_strange_name(tmp_path, media):
    for name in ["-dash.flac", "a:b.flac", "http:.flac", "100%d.flac", "Größe ☃.flac", "two\nlines.flac"]:
        shutil.copy(media["flac"], tmp_path / name)
        with open_audio(tmp_path / name) as reader:
            assert next(reader).size and "\n" not in reader.name
    raw_name = os.path.join(os.fsencode(tmp_path), b"latin-\xe9.flac")
    shutil.copy(media["flac"], raw_name)
    with open_audio(os.fsdecode(raw_name)) as reader:
        assert next(reader).size
        reader.name.encode()


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=10))
def test_arrays_are_passed_through(lengths):
    samples = np.random.default_rng(0).normal(0, 0.1, sum(lengths)).astype(np.float32)
    arrays = np.split(samples, np.cumsum(lengths)[:-1])
    with open_audio(iter(arrays)) as reader:
        np.testing.assert_array_equal(np.concatenate([*reader, np.zeros(0, np.float32)]), samples)
    assert reader.position == pytest.approx(sum(lengths) / RATE)
    np.testing.assert_array_equal(read_audio(samples), samples)


def test_arrays_are_taken_one_by_one():
    taken = []

    def arrays():
        for number in itertools.count():
            taken.append(number)
            yield np.zeros(100, np.float32)

    reader = open_audio(arrays())
    assert taken == []
    next(reader)
    assert taken == [0]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.zeros(10), "float64"),
        (np.zeros((2, 10), np.float32), "shape"),
        (np.zeros(10, np.int16), "int16"),
        (np.array([0, np.nan, 0], np.float32), "position 1"),
        (np.array([np.inf], np.float32), "position 0"),
        ("text", "type"),
    ],
)
def test_arrays_are_checked(bad, says):
    reader = open_audio([np.zeros(5, np.float32), bad])
    assert len(next(reader)) == 5
    with pytest.raises(UsageError, match=f"array 1 .*{says}"):
        next(reader)


def test_an_open_reader_is_a_source(media):
    reader = open_audio(media["mp3"])
    assert open_audio(reader) is reader
    with pytest.raises(UsageError, match="8000"):
        open_audio(reader, rate=8000)
    reader.close()


@pytest.mark.parametrize("source", [None, 3, b"RIFF", io.StringIO("text"), ""])
def test_what_is_no_source(source):
    with pytest.raises(UsageError):
        open_audio(source)


def test_raw_is_for_files():
    with pytest.raises(UsageError):
        open_audio([np.zeros(5, np.float32)], raw=RawFormat())
