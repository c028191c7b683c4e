"""Sound of any format, rate, width and number of channels comes out right: pitch, level, length and time."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from media_fixtures import lag, noise, pcm, sine, wav, write_media

from transducer.errors import UsageError
from transducer.media import RAW_ENCODINGS, RawFormat, open_audio, read_audio
from transducer.media.audio.samples import read_channels

RATE = 16000


def assert_is_sine(sound: np.ndarray, seconds: float, level: float = 0.5, tolerance: float = 2e-3) -> None:
    """The sound is the sine of 440 Hz sampled at 16 kHz: the same pitch, level and phase, and as long."""
    expected = sine(seconds, RATE, level=level)
    assert sound.dtype == np.float32 and sound.ndim == 1
    assert abs(len(sound) - len(expected)) <= 1
    middle = slice(800, len(expected) - 800)  # a resampler's filter rings where the sine is cut off
    np.testing.assert_allclose(sound[middle], expected[middle], atol=tolerance)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate(rate, channels):
    sound = sine(0.7, rate)
    samples = sound if channels == 1 else np.stack([sound * 1.5, sound * 0.5], axis=1)
    assert_is_sine(read_audio(io.BytesIO(wav(samples, rate))), 0.7)


@pytest.mark.parametrize(
    ("bits", "float_samples", "tolerance"),
    [(8, False, 5e-3), (16, False, 2e-5), (24, False, 2e-7), (32, False, 1e-7), (32, True, 1e-7), (64, True, 1e-7)],
)
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_any_width_and_channel_count(bits, float_samples, tolerance, channels):
    weights = np.arange(1, channels + 1) / np.arange(1, channels + 1).mean() / 2
    samples = sine(0.2, RATE)[:, None] * weights  # the mean of the channels is the sine at half its level
    sound = read_audio(io.BytesIO(wav(samples, RATE, bits, float_samples)))
    np.testing.assert_allclose(sound, sine(0.2, RATE, level=0.25), atol=tolerance)


@pytest.mark.parametrize("encoding", [e for e in RAW_ENCODINGS if not e.endswith("law")])
def test_raw_encodings(encoding):
    samples = np.stack([sine(0.3, 8000, level=0.4), sine(0.3, 8000, level=0.6)], axis=1)
    sound = read_audio(io.BytesIO(pcm(samples, encoding)), raw=RawFormat(encoding, 8000, 2))
    assert_is_sine(sound, 0.3, tolerance=1e-2 if encoding[1:] == "8" else 2e-3)


@pytest.mark.parametrize("encoding", ["alaw", "mulaw"])
def test_raw_telephone_encodings(encoding):
    silence = {"alaw": b"\xd5", "mulaw": b"\xff"}[encoding]
    sound = read_audio(io.BytesIO(silence * 800), rate=8000, raw=RawFormat(encoding, 8000, 1))
    np.testing.assert_allclose(sound, np.zeros(800), atol=1e-3)


def test_raw_format_is_checked():
    for arguments in ({"encoding": "s16"}, {"rate": 0}, {"channels": 0}, {"rate": -1}, {"channels": 5000}):
        with pytest.raises(UsageError):
            RawFormat(**arguments)


def test_raw_file_with_half_a_sample_at_its_end(tmp_path):
    path = tmp_path / "half.raw"
    path.write_bytes(pcm(sine(0.1, RATE), "s16le") + b"\x01")
    with open_audio(path, raw=RawFormat()) as reader:
        assert sum(map(len, reader)) == 1600
    assert len(reader.warnings) <= 1


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
def test_a_click_keeps_its_time(rate):
    seconds = np.array([0.25, 0.5, 0.8])
    samples = np.zeros(rate)
    samples[np.round(seconds * rate).astype(int)] = 0.9
    sound = np.abs(read_audio(io.BytesIO(wav(samples, rate))))
    assert len(sound) == RATE
    for second in seconds:
        near = sound[round((second - 0.1) * RATE) : round((second + 0.1) * RATE)]
        assert abs(np.argmax(near) - 1600) <= 1


# Container, codec, rate, and the samples at 16 kHz by which its sound may be longer than what went in:
# an encoder fills up its last frame, and not every container says how much of it to cut.
FORMATS = [
    ("a.flac", "flac", 44100, 1),
    ("a.mp3", "libmp3lame", 44100, 1),
    ("b.mp3", "libmp3lame", 24000, 1),
    ("a.m4a", "aac", 44100, 1),
    ("b.m4a", "alac", 48000, 1),
    ("a.opus", "libopus", 48000, 1),
    ("a.ogg", "flac", 16000, 1),
    ("a.webm", "libopus", 48000, 1),
    ("a.mkv", "aac", 44100, 372),
    ("a.mka", "pcm_s24le", 44100, 1),
    ("a.mp4", "aac", 48000, 1),
    ("a.mov", "pcm_s16be", 44100, 1),
    ("a.aiff", "pcm_s16be", 22050, 1),
    ("a.caf", "pcm_f32le", 44100, 1),
    ("a.au", "pcm_s16be", 44100, 1),
    ("a.w64", "pcm_s32le", 44100, 1),
]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("name", "codec", "rate", "padding"), FORMATS)
def test_any_format_keeps_times(tmp_path, name, codec, rate, padding, channels):
    original = noise(1.5, rate)
    samples = original if channels == 1 else np.stack([original, original], axis=1)
    write_media(tmp_path / name, codec, samples, rate=rate)
    with open_audio(tmp_path / name) as reader:
        sound = np.concatenate(list(reader))
    reference = read_audio(io.BytesIO(wav(original, rate, 32)))
    assert abs(lag(sound, reference)) <= 1
    assert -1 <= len(sound) - len(reference) <= padding
    assert np.std(sound[:24000]) == pytest.approx(np.std(reference), rel=0.05)
    assert reader.duration == pytest.approx(1.5, abs=0.03)
    assert reader.position == pytest.approx(len(sound) / RATE)
    assert reader.warnings == []


@pytest.mark.parametrize(("name", "codec", "delay"), [("a.aac", "aac", 1024), ("a.ts", "aac", 1024)])
def test_formats_that_do_not_tell_the_encoders_delay(tmp_path, name, codec, delay):
    write_media(tmp_path / name, codec, noise(1.5, 44100))
    sound = read_audio(tmp_path / name)
    assert lag(sound, read_audio(io.BytesIO(wav(noise(1.5, 44100), 44100, 32)))) == round(delay * RATE / 44100)


def test_more_channels_than_eight_in_planes():
    samples = sine(0.02, 48000).astype(np.float32)
    packed = np.repeat(samples, 16)[None]
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout="hexadecagonal")
    frame.sample_rate = 48000
    (planar,) = av.AudioResampler("fltp", "hexadecagonal", 48000).resample(frame)
    channels, bad = read_channels(planar)
    np.testing.assert_allclose(channels, np.repeat(samples[None], 16, axis=0), atol=1e-6)
    assert bad is None


def test_lossless_is_exact(tmp_path):
    original = np.round(noise(0.5, RATE) * 2**15) / 2**15
    path = write_media(tmp_path / "a.flac", "flac", original, rate=RATE)
    np.testing.assert_array_equal(read_audio(path), original.astype(np.float32))


@pytest.mark.parametrize(("name", "codec"), [("v.mp4", "aac"), ("v.mkv", "libopus"), ("v.mov", "pcm_s16le")])
@pytest.mark.parametrize("start", [0.0, 0.5])
def test_the_sound_of_a_video_starts_when_a_player_starts_it(tmp_path, name, codec, start):
    rate = 48000
    path = write_media(tmp_path / name, codec, noise(1.0, rate), rate=rate, start=start, video=2.0)
    with open_audio(path) as reader:
        sound = np.concatenate(list(reader))
    assert abs(lag(sound, read_audio(io.BytesIO(wav(noise(1.0, rate), rate, 32)))) - start * RATE) <= 16
    assert abs(len(sound) - (start + 1.0) * RATE) <= 400
    assert reader.warnings == []


def test_which_stream(tmp_path):
    first, second = noise(0.5, 16000, seed=1), noise(0.5, 16000, seed=2)
    path = write_media(tmp_path / "two.mka", "flac", first, second, rate=16000)
    assert lag(read_audio(path, stream=1), second) == 0
    np.testing.assert_allclose(read_audio(path, stream=0), first, atol=1e-4)
    np.testing.assert_allclose(read_audio(path, stream=1), second, atol=1e-4)
    with pytest.raises(UsageError, match="2 audio stream"):
        open_audio(path, stream=2)


def test_other_rates_of_the_model():
    sound = read_audio(io.BytesIO(wav(sine(0.5, 44100), 44100)), rate=8000)
    assert len(sound) == 4000
    with pytest.raises(UsageError, match="rate"):
        open_audio(io.BytesIO(wav(sine(0.5, 44100), 44100)), rate=0)
