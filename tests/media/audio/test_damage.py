"""Damaged sound: what can be decoded is given, at the right time, with a warning that says where."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_fixtures import lag, noise, pcm, wav, wav_header, write_media

from transducer.errors import TransducerError
from transducer.media import RawFormat, open_audio
from transducer.media.io.reader import MAX_WARNINGS

RATE = 16000
SECONDS = 8.0
CODECS = {"flac": "flac", "mp3": "libmp3lame", "m4a": "aac", "opus": "libopus", "webm": "libopus", "ts": "aac"}


def read(source, **arguments):
    with open_audio(source, **arguments) as reader:
        sound = np.concatenate(list(reader))
    return sound, reader.warnings


def seconds_in(warning: str) -> list[float]:
    return [float(number) for number in re.findall(r"(\d+\.\d+) s", warning)]


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    sound = noise(SECONDS, 48000)
    # Matroska can be read again from the next cluster on; ones of 0.5 s keep the files of the tests short.
    options = {"webm": {"cluster_time_limit": "500"}}
    return {
        ext: write_media(folder / f"talk.{ext}", codec, sound, rate=48000, options=options.get(ext))
        for ext, codec in CODECS.items()
    }


@pytest.mark.parametrize("kind", list(CODECS))
def test_damage_in_the_middle(media, kind, tmp_path, capfd):
    data = bytearray(media[kind].read_bytes())
    middle, size = len(data) // 2, len(data) // 100
    data[middle : middle + size] = np.random.default_rng(3).bytes(size)
    path = tmp_path / f"damaged.{kind}"
    path.write_bytes(data)
    sound, warnings = read(path)
    whole, none = read(media[kind])
    assert none == []
    # Warned of, by name and with the place.
    assert 1 <= len(warnings) <= 3 and all("damaged." in warning for warning in warnings)
    assert any(2.9 < second < 5.1 for second in seconds_in(warnings[0]))
    # What comes before is untouched.
    before = int(2.9 * RATE)
    np.testing.assert_array_equal(sound[:before], whole[:before])
    # What comes after is there; and, where the format has timestamps, in its place. Raw MP3 frames have none.
    end = len(sound) - len(whole) if kind == "mp3" else 0
    assert abs(end) < 0.5 * RATE
    after = slice(6 * RATE, 7 * RATE)
    shift = lag(sound[after], whole[after])
    assert abs(shift - end) <= (26e-3 * RATE if kind == "mp3" else 32)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["flac", "mp3", "webm"])
@pytest.mark.parametrize("part", [0.3, 0.7])
def test_a_file_that_was_cut_short(media, kind, part, tmp_path):
    data = media[kind].read_bytes()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(data[: int(part * len(data))])
    sound, warnings = read(path)
    whole, _ = read(media[kind])
    assert abs(len(sound) / RATE - part * SECONDS) < 1
    common = len(sound) - 1000
    np.testing.assert_array_equal(sound[:common], whole[:common])
    assert len(warnings) == 1
    said = seconds_in(warnings[0])
    assert said[0] == pytest.approx(len(sound) / RATE, abs=0.01) and said[1] == pytest.approx(SECONDS, abs=0.1)


def test_a_wav_that_was_cut_short(tmp_path):
    path = tmp_path / "cut.wav"
    path.write_bytes(wav(noise(2.0, RATE), RATE)[:-30001])
    sound, warnings = read(path)
    assert len(sound) == pytest.approx(2 * RATE - 15001, abs=1)
    assert len(warnings) == 1 and "cut short" in warnings[0] and "1.06 s" in warnings[0]


def test_samples_that_are_no_numbers(tmp_path):
    samples = noise(1.0, RATE)
    bad = samples.copy()
    bad[[4000, 4001, 9000]] = np.nan, np.inf, 1e30
    path = tmp_path / "nan.wav"
    path.write_bytes(wav(bad, RATE, 32, float_samples=True))
    sound, warnings = read(path)
    expected = samples.astype(np.float32)
    expected[[4000, 4001, 9000]] = 0
    np.testing.assert_array_equal(sound, expected)
    assert len(warnings) == 1
    assert "nan.wav: 3 samples" in warnings[0] and "0.250 s" in warnings[0]


def test_one_dead_channel_does_not_silence_the_other():
    samples = noise(0.1, RATE)
    both = np.stack([samples, np.full_like(samples, np.nan)], axis=1)
    sound, warnings = read(io.BytesIO(wav(both, RATE, 32, float_samples=True)))
    np.testing.assert_allclose(sound, samples / 2, atol=1e-6)
    assert len(warnings) == 1 and "1600 samples" in warnings[0]


def test_loud_floats_are_kept():
    samples = 3 * noise(0.1, RATE)
    sound, warnings = read(io.BytesIO(pcm(samples, "f32le")), raw=RawFormat("f32le", RATE, 1))
    np.testing.assert_array_equal(sound, samples.astype(np.float32))
    assert warnings == []


def test_warnings_do_not_grow_without_end(tmp_path):
    path = write_media(tmp_path / "talk.m4a", "aac", np.tile(noise(1.0, 44100), 20))
    data = bytearray(path.read_bytes())
    for position in range(2000, len(data) - 20000, 3000):
        data[position : position + 60] = bytes(60)
    path.write_bytes(data)
    _, warnings = read(path)
    assert len(warnings) == MAX_WARNINGS and "more places like these" in warnings[-1]


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["flac", "mp3", "m4a", "webm"]),
    st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=40)), max_size=8),
    st.floats(0.01, 1),
)
def test_nothing_but_clear_errors_whatever_the_bytes(small, capfd, kind, patches, part):
    """Any bytes give finite samples, or one line that says what is wrong; never anything else."""
    data = bytearray(small[kind])
    for where, patch in patches:
        position = int(where * len(data))
        data[position : position + len(patch)] = patch
    try:
        with open_audio(io.BytesIO(bytes(data[: max(1, int(part * len(data)))]))) as reader:
            # A damaged header may claim any times; how much silence it makes isn't the point here.
            while reader.position < 60 and (samples := next(reader, None)) is not None:
                assert samples.dtype == np.float32 and np.isfinite(samples).all()
    except TransducerError as error:
        assert "\n" not in str(error) and str(error).startswith("open file: ")
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    sound = noise(1.0, 48000)
    return {
        ext: write_media(folder / f"small.{ext}", CODECS[ext], sound, rate=48000).read_bytes()
        for ext in ("flac", "mp3", "m4a", "webm")
    }


def test_a_header_that_promises_too_much(tmp_path):
    path = tmp_path / "promise.wav"
    path.write_bytes(wav_header(10**9) + pcm(noise(0.5, RATE), "s16le"))
    sound, _ = read(path)
    assert len(sound) == RATE // 2
