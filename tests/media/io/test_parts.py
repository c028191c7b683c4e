"""Files that were strung together, of the same kind and of others, from files, open files and pipes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_fixtures import Trickle, lag, noise, pcm, wav, wav_header, write_media

from transducer.media import open_audio, open_video, read_audio

RATE = 16000
KINDS = {
    "opus": ("libopus", [48000, 16000, 24000]),
    "oga": ("flac", [44100, 48000, 16000]),
    "aac": ("aac", [44100, 48000, 16000]),
    "mp3": ("libmp3lame", [44100, 48000, 16000]),
    "wav": ("pcm_s16le", [44100, 48000, 16000]),
    "mp4": ("aac", [44100, 48000, 16000]),
    "flac": ("flac", [44100, 44100, 44100]),
}


@pytest.fixture(scope="module")
def strung(tmp_path_factory):
    """By kind: the bytes of three files in one, and their sounds at 16 kHz."""
    folder = tmp_path_factory.mktemp("strung")

    def make(kind):
        codec, rates = KINDS[kind]
        data, sounds = b"", []
        for number, rate in enumerate(rates):
            sound = noise(1.5, rate, number)
            channels = np.stack([sound, sound], axis=1) if number == 1 and kind != "flac" else sound
            path = write_media(folder / f"{number}.{kind}", codec, channels, rate=rate)
            data += path.read_bytes()
            sounds.append(read_audio(path))
        return data, sounds

    return {kind: make(kind) for kind in KINDS}


def sources(data: bytes, path):
    path.write_bytes(data)
    return [path, io.BytesIO(data), Trickle(data, [1000, 30000]), Trickle(data, [5000], seekable=True)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_is_read_at_its_place(kind, strung, tmp_path):
    data, sounds = strung[kind]
    starts = np.cumsum([0, *(len(sound) for sound in sounds)])
    for source in sources(data, tmp_path / f"a.{kind}"):
        if kind == "mp4" and isinstance(source, Trickle) and not source.seekable():
            continue  # below
        with open_audio(source) as reader:
            heard = np.concatenate(list(reader))
        assert len(heard) == pytest.approx(starts[-1], abs=0.15 * RATE if kind in ("mp3", "aac") else 2)
        for start, sound in zip(starts, sounds, strict=False):
            late = lag(heard, sound[3200:20000]) - start - 3200
            assert abs(late) <= (0.15 * RATE if kind in ("mp3", "aac") else 2)
            at = start + 3200 + late
            likeness = np.corrcoef(heard[at : at + 16800], sound[3200:20000])[0, 1]
            assert likeness > 0.9
        assert not reader.incomplete or kind == "mp3"
        assert reader.duration == reader.position == len(heard) / RATE
        if kind not in ("mp3", "flac"):
            assert reader.warnings == []


@pytest.mark.parametrize("kind", ["wav", "oga", "opus"])
def test_files_and_pipes_give_the_same(kind, strung, tmp_path):
    first, *others = [read_audio(source) for source in sources(strung[kind][0], tmp_path / "a")]
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_parts_of_several_kinds(strung, tmp_path):
    data = wav(noise(0.5, RATE), RATE) + strung["opus"][0] + wav(noise(0.7, 8000), 8000)
    for source in sources(data, tmp_path / "a"):
        with open_audio(source) as reader:
            assert sum(map(len, reader)) == pytest.approx((0.5 + 4.5 + 0.7) * RATE, abs=4)
            assert reader.warnings == []


def test_what_cannot_be_read_behind_a_file_is_told(tmp_path):
    data = wav(noise(0.5, RATE), RATE) + b"something else" * 500
    for source in sources(data, tmp_path / "a"):
        with open_audio(source) as reader:
            assert sum(map(len, reader)) == RATE // 2
        assert len(reader.warnings) == 1 and "behind" in reader.warnings[0]
    data = wav(noise(0.5, RATE), RATE) + wav_header(1000, channels=0) + bytes(1000)
    for source in sources(data, tmp_path / "b"):
        with open_audio(source) as reader:
            assert sum(map(len, reader)) == RATE // 2
        assert len(reader.warnings) == 1 and "what follows behind 0.50 s" in reader.warnings[0] and reader.incomplete


def test_zeros_and_tags_behind_a_file_are_no_sound(tmp_path):
    for tail in (bytes(3000), b"TAG" + b"x" * 125):
        for source in sources(wav(noise(0.5, RATE), RATE) + tail, tmp_path / "a"):
            with open_audio(source) as reader:
                assert sum(map(len, reader)) == RATE // 2 and reader.warnings == []


def test_a_wav_whose_outer_size_was_never_set(tmp_path):
    data = bytearray(wav(noise(0.5, RATE), RATE))
    data[4:8] = (36).to_bytes(4, "little")
    for source in sources(bytes(data), tmp_path / "a"):
        with open_audio(source) as reader:
            assert sum(map(len, reader)) == RATE // 2 and reader.warnings == []


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x80000000 - 44, 0xFFFFFFFF - 36, 0xFFFFFFFF - 44])
@pytest.mark.parametrize("samples", [1, 4097, 16000])
def test_a_wav_of_unknown_length_is_whole(size, samples):
    data = wav_header(size) + pcm(noise(1, RATE)[:samples], "s16le")
    for source in (io.BytesIO(data), Trickle(data, [700]), Trickle(data, [5000], seekable=True)):
        with open_audio(source) as reader:
            assert sum(map(len, reader)) == samples
        assert reader.warnings == [] and not reader.incomplete


def test_a_wav_of_known_length_that_is_cut_is_told():
    data = wav(noise(1, RATE), RATE)[:-5000]
    for source in (io.BytesIO(data), Trickle(data, [700])):
        with open_audio(source) as reader:
            list(reader)
        assert reader.incomplete and "cut short" in reader.warnings[0]


def test_pictures_that_are_strung_together_are_told(tmp_path):
    from video_fixtures import write_video

    data = write_video(tmp_path / "a.mp4").read_bytes()
    (tmp_path / "two.mp4").write_bytes(2 * data)
    with open_video(tmp_path / "two.mp4") as reader:
        assert len(list(reader)) == 10
    assert len(reader.warnings) == 1 and "strung" in reader.warnings[0] and reader.incomplete


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_to_the_marks_between_parts_is_survived(strung, data):
    kind = data.draw(st.sampled_from(["opus", "wav", "oga", "mp4"]))
    damaged = bytearray(strung[kind][0][: data.draw(st.integers(2000, 60000))])
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(600, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    for source in (io.BytesIO(damaged), Trickle(bytes(damaged), [4000])):
        try:
            with open_audio(source) as reader:
                assert sum(map(len, reader)) < 700 * RATE
        except Exception as error:
            from transducer.errors import MediaError

            assert isinstance(error, MediaError)
