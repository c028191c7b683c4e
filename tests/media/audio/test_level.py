"""How loud sound is, and the gain for quiet sound: causal, bounded, the same in any pieces, 1 for usual levels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_fixtures import noise, write_media

from transducer.media import open_audio, read_audio
from transducer.media.audio.level import LARGEST, TARGET, LevelMeter, raise_level

RATE = 16000
# Syllables, and pauses between words.
SYLLABLES = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * np.arange(6 * RATE) / RATE)
SPEECH = noise(6, RATE, level=0.1) * SYLLABLES * np.repeat(np.arange(20) % 4 > 0, 3 * RATE // 10)


def raised(sound: np.ndarray, cuts: list[int] | None = None) -> np.ndarray:
    chunks = np.split(sound.astype(np.float32), cuts or [])
    return np.concatenate(list(raise_level(chunks, RATE)))


def test_usual_levels_are_not_changed():
    for level in (1, 0.5, 10 ** (-6 / 20)):
        np.testing.assert_array_equal(raised(level * SPEECH[4800:]), (level * SPEECH[4800:]).astype(np.float32))
    pauses = SPEECH[4800:] + noise(6, RATE, 1, 1e-3)[4800:]
    np.testing.assert_array_equal(raised(pauses), pauses.astype(np.float32))


@pytest.mark.parametrize("decibels", [-30, -40, -54])
def test_quiet_sound_is_raised(decibels):
    quiet = (SPEECH + 0.01 * noise(6, RATE, 1)) * 10 ** (decibels / 20)
    heard = raised(quiet)[4 * RATE :]
    wanted = min(0.0316 / 0.1 / 10 ** (decibels / 20), LARGEST) * quiet[4 * RATE :]
    assert np.std(heard) == pytest.approx(np.std(wanted), rel=0.3)


@pytest.mark.parametrize("decibels", [-80, -60, -40])
def test_steady_noise_is_not_raised(decibels):
    room = np.random.default_rng(0).normal(0, 10 ** (decibels / 20), 10 * RATE).astype(np.float32)
    np.testing.assert_array_equal(raised(room), room)
    # What is said after it is not raised either, if it has a usual level.
    sound = np.concatenate([room[: 5 * RATE], SPEECH.astype(np.float32)])
    np.testing.assert_array_equal(raised(sound), sound)


def test_silence_and_the_rounding_of_16_bits_stay():
    assert not raised(np.zeros(3 * RATE)).any()
    dither = np.round(np.random.default_rng(0).uniform(-1, 1, 3 * RATE)) / 2**15 * 0.5
    np.testing.assert_array_equal(raised(dither), dither.astype(np.float32))


def test_loud_sound_behind_quiet_sound_is_not_overdriven():
    sound = np.concatenate([0.001 * SPEECH, SPEECH])
    assert np.abs(raised(sound)).max() <= max(np.abs(SPEECH).max(), TARGET * 10)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 30000), max_size=10), st.floats(-70, 0))
def test_pieces_make_no_difference(cuts, decibels):
    sound = (SPEECH[:30000] * 10 ** (decibels / 20)).astype(np.float32)
    np.testing.assert_array_equal(raised(sound, sorted(cuts)), raised(sound))


def test_later_sound_changes_nothing_before():
    quiet = (0.01 * SPEECH).astype(np.float32)
    loud = np.concatenate([quiet[:32000], 100 * quiet])
    np.testing.assert_array_equal(raised(loud)[:32000], raised(quiet)[:32000])


def test_the_meter_measures():
    meter = LevelMeter()
    assert meter.is_silent and not meter.is_quiet and meter.rms == 0
    for part in np.split(SPEECH.astype(np.float32), 7 * [0]):
        meter.add(part)
    assert meter.peak == pytest.approx(np.abs(SPEECH).max()) and meter.rms == pytest.approx(np.sqrt(np.mean(SPEECH**2)))
    assert not meter.is_quiet and not meter.is_silent


def test_readers_tell_how_loud_their_sound_was(tmp_path):
    path = write_media(tmp_path / "quiet.flac", "flac", 0.01 * SPEECH, rate=RATE)
    with open_audio(path) as reader:
        sound = np.concatenate(list(reader))
    assert reader.level.is_quiet and reader.level.peak == np.abs(sound).max()
    with open_audio(path, level=True) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader)), raised(sound))
    assert not reader.level.is_quiet


def test_a_silent_sound_beside_another_is_told(tmp_path):
    path = write_media(tmp_path / "two.mkv", "aac", 0 * SPEECH, SPEECH, rate=RATE)
    with open_audio(path) as reader:
        list(reader)
    assert len(reader.warnings) == 1 and "is silent; there is also 1 (aac, mono)" in reader.warnings[0]
    with open_audio(path, stream=1) as reader:
        list(reader)
    assert reader.warnings == []
    from transducer.errors import UsageError

    with pytest.raises(UsageError, match=r"0 \(aac, mono\), 1 \(aac, mono\); there is no 2"):
        open_audio(path, stream=2)
    alone = write_media(tmp_path / "one.mkv", "aac", 0 * SPEECH, rate=RATE)
    with open_audio(alone) as reader:
        list(reader)
    assert reader.warnings == [] and reader.level.is_silent
    assert not read_audio(alone).any()
