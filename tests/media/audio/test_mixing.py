"""Channels: what one of them says is heard, whatever the others do, and whatever the packets are."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_fixtures import Trickle, noise, wav, write_media

from transducer.media import open_audio, read_audio
from transducer.media.audio.mixing import Mixer

RATE = 16000
VOICE = noise(3, RATE, level=0.1) * np.repeat(np.arange(30) % 3 > 0, RATE // 10)  # with pauses


def mix(channels: np.ndarray) -> np.ndarray:
    return Mixer().mix(np.asarray(channels, np.float32), RATE)


def loudness(sound: np.ndarray) -> float:
    """Of the voice in a sound: its projection on the voice, after the first 0.2 s."""
    sound, voice = sound[3200:], VOICE[3200:]
    return float(sound @ voice / (voice @ voice))


def test_stereo_is_the_mean_exactly():
    rng = np.random.default_rng(0)
    for other in (VOICE, 0.1 * VOICE, 0 * VOICE, noise(3, RATE, 1), VOICE + noise(3, RATE, 1, 0.3), np.roll(VOICE, 37)):
        pair = np.stack([VOICE, other]).astype(np.float32)
        np.testing.assert_array_equal(mix(pair), (pair[0] + pair[1]) / np.float32(2))
    sides = noise(3, RATE, 2, 0.05)  # a voice in the middle, and a room that differs
    pair = np.stack([VOICE + sides, VOICE - sides + 1e-3 * rng.normal(size=len(VOICE))])[:, 1600:].astype(np.float32)
    np.testing.assert_array_equal(mix(pair), (pair[0] + pair[1]) / np.float32(2))


@pytest.mark.parametrize("level", [1.0, 0.9, 0.5])
@pytest.mark.parametrize("background", [0.0, 0.001])
def test_opposite_phase_does_not_cancel(level, background):
    hiss = background * np.random.default_rng(0).normal(size=(2, len(VOICE)))
    assert abs(loudness(mix(np.stack([VOICE, -level * VOICE]) + hiss))) == pytest.approx((1 + level) / 2, rel=0.05)


def test_some_of_many_channels_in_opposite_phase():
    signs = np.array([1, -1, 1, -1, -1, -1])
    assert abs(loudness(mix(signs[:, None] * VOICE))) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("count", [3, 6, 8, 32])
@pytest.mark.parametrize("floor", [0.0, 1e-3])
def test_one_voice_among_many_channels_is_not_drowned(count, floor):
    channels = floor * np.random.default_rng(0).normal(size=(count, len(VOICE)))
    channels[count // 2] += VOICE
    assert loudness(mix(channels)) > 0.8


@pytest.mark.parametrize("below", [10, 14, 20])
def test_one_voice_among_noise_that_is_hardly_below_it(below):
    """32 channels: in one somebody speaks, in the others there is steady noise. Their mean would have -5 to 5 dB."""
    level = float(np.sqrt(np.mean(VOICE**2))) * 10 ** (-below / 20)
    channels = np.random.default_rng(1).normal(0, level, (32, len(VOICE))).astype(np.float32)
    channels[7] += VOICE.astype(np.float32)
    mixed = mix(channels)
    # Once the voice has come, it is heard as if it were alone.
    np.testing.assert_allclose(mixed[RATE:], channels[7, RATE:], atol=1e-6)


def test_a_voice_that_moves_to_another_channel_is_followed():
    channels = 1e-4 * np.random.default_rng(0).normal(size=(16, len(VOICE)))
    half = len(VOICE) // 2
    channels[3, :half] += VOICE[:half]
    channels[9, half:] += VOICE[half:]
    assert loudness(mix(channels)) > 0.4


def test_channels_of_like_loudness_all_count():
    channels = np.stack([noise(1, RATE, seed) for seed in range(5)]).astype(np.float32)
    assert np.std(mix(channels)) == pytest.approx(0.1 / np.sqrt(5), rel=0.02)


def test_it_never_gets_louder_than_the_loudest_channel():
    rng = np.random.default_rng(0)
    for count in (2, 3, 9):
        channels = rng.uniform(-1, 1, (count, RATE)) * rng.choice([0.001, 1], (count, 1))
        assert np.abs(mix(channels)).max() <= 1 + 1e-6


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 3000), max_size=20), st.integers(1, 12))
def test_pieces_make_no_difference(cuts, count):
    rng = np.random.default_rng(count)
    channels = (rng.choice([-1, 0.01, 1], (count, 1)) * VOICE[:12000] + 0.001 * rng.normal(size=(count, 12000))).astype(
        np.float32
    )
    mixer, pieces = Mixer(), np.split(channels, np.minimum(np.cumsum(cuts), 12000).astype(int), axis=1)
    np.testing.assert_array_equal(np.concatenate([mixer.mix(piece, RATE) for piece in pieces]), mix(channels))


def test_later_sound_changes_nothing_before():
    channels = np.stack([VOICE, -VOICE, 0.01 * VOICE]).astype(np.float32)
    np.testing.assert_array_equal(mix(channels[:, :20000]), mix(channels)[:20000])


@pytest.mark.parametrize("count", [2, 6])
def test_files_with_channels_against_each_other(count, tmp_path):
    sound = np.stack([VOICE * (-1) ** number for number in range(count)], axis=1)
    data = wav(sound, RATE)
    heard = read_audio(io.BytesIO(data))
    assert abs(loudness(heard)) == pytest.approx(1, rel=0.05)
    for sizes in ([1000, 7], [50000]):
        np.testing.assert_array_equal(read_audio(Trickle(data, sizes)), heard)
    path = write_media(tmp_path / "a.flac", "flac", sound, rate=RATE)
    with open_audio(path) as reader:
        assert abs(loudness(np.concatenate(list(reader)))) == pytest.approx(1, rel=0.05)
        assert reader.warnings == []
