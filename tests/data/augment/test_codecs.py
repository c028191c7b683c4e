"""Telephones and codecs as augmentation: what is heard stays where it was said."""

from __future__ import annotations

import io

import numpy as np
import pytest

from transducer.data.augment.codecs import CODECS, encode, through_codec
from transducer.data.augment.waveform import change_speed
from transducer.media import read_audio

RATE = 16000


def sweep(seconds: float) -> np.ndarray:
    """From 100 Hz to 7 kHz, in bursts, so that a shift in time shows."""
    t = np.arange(round(seconds * RATE)) / RATE
    tone = np.sin(2 * np.pi * (100 * t + (7000 - 100) * t**2 / (2 * seconds)))
    return (0.3 * tone * (np.sin(2 * np.pi * 3 * t) > -0.5)).astype(np.float32)


def lag(a: np.ndarray, b: np.ndarray) -> int:
    """Samples by which b is later than a."""
    size = 2 * len(a)
    correlation = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)))
    best = int(np.argmax(correlation))
    return best if best < size // 2 else best - size


@pytest.mark.parametrize(
    ("codec", "bit_rate"), [(codec, bit_rate) for codec in CODECS for bit_rate in codec.bit_rates or (None,)]
)
def test_nothing_moves_and_little_is_left(codec, bit_rate):
    sound = sweep(2.0)
    data = encode(change_speed(sound, 1.0, RATE, codec.rate), codec, bit_rate)
    heard = read_audio(io.BytesIO(data), RATE)
    assert abs(len(heard) - len(sound)) <= RATE // 50
    assert abs(lag(sound[: len(heard)], heard[: len(sound)])) <= 4
    assert len(data) < len(sound) * 2 / 1.9


def test_a_telephone_ends_at_4_khz():
    heard = read_audio(io.BytesIO(encode(change_speed(sweep(2.0), 1.0, RATE, 8000), CODECS[0])), RATE)
    spectrum = np.abs(np.fft.rfft(heard)) ** 2
    edge = int(4000 / (RATE / 2) * len(spectrum))
    assert spectrum[edge:].sum() < 0.01 * spectrum.sum()


def test_what_is_drawn_is_a_function_of_the_generator():
    sound = sweep(0.7)[:11111]
    heard = [through_codec(sound, RATE, np.random.default_rng(seed)) for seed in (*range(8), 0)]
    assert all(len(h) == len(sound) and h.dtype == np.float32 for h in heard)
    assert np.array_equal(heard[0], heard[-1])
    assert len({h.tobytes() for h in heard}) > 2
    assert len(through_codec(sound[:0], RATE, np.random.default_rng(0))) == 0
