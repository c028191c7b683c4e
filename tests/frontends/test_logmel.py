"""The log-mel front-end against librosa, torchaudio and a naive loop; it is causal to the sample."""

from __future__ import annotations

import math

import librosa
import numpy as np
import pytest
import torch
import torchaudio

from transducer.frontends.logmel import LogMel, mel_filters, periodic_hann


def recording(seconds: float = 0.5, seed: int = 0) -> torch.Tensor:
    """(T,) float64: noise and a tone."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(16000 * seconds)) / 16000
    return torch.from_numpy(0.1 * rng.standard_normal(len(t)) + 0.3 * np.sin(2 * np.pi * 440 * t))


def features(frontend: LogMel, samples: torch.Tensor) -> torch.Tensor:
    return frontend(samples[None, :, None], torch.ones(1, len(samples), dtype=torch.bool))[0][0]


@pytest.mark.parametrize(
    ("rate", "fft", "bins", "low"), [(16000, 512, 80, 20.0), (8000, 256, 40, 0.0), (800, 32, 6, 20.0)]
)
def test_filters_are_those_of_librosa_and_torchaudio(rate, fft, bins, low):
    ours = mel_filters(rate, fft, bins, low, rate / 2)
    theirs = librosa.filters.mel(sr=rate, n_fft=fft, n_mels=bins, fmin=low, fmax=rate / 2)
    np.testing.assert_allclose(ours.numpy(), theirs.T, rtol=1e-6, atol=1e-9)
    other = torchaudio.functional.melscale_fbanks(fft // 2 + 1, low, rate / 2, bins, rate, "slaney", "slaney")
    torch.testing.assert_close(ours, other, rtol=2e-3, atol=1e-6)


def test_window_is_that_of_torch():
    torch.testing.assert_close(periodic_hann(400), torch.hann_window(400), rtol=0, atol=1e-6)


def test_features_equal_a_naive_loop():
    """Frame t: the 400 samples that end with its hop, by the definition of the Fourier transform."""
    frontend = LogMel().double()
    samples = recording(0.05)
    ours = features(frontend, samples)
    assert ours.shape == (5, 80)
    padded = np.concatenate([np.zeros(240), samples.numpy()])
    # Frequency k in steps of 16000 / 512 Hz.
    waves = np.exp(-2j * np.pi * np.arange(257)[:, None] * np.arange(400)[None, :] / 512)
    for t in range(5):
        window = [padded[160 * t + n] * (0.5 - 0.5 * math.cos(2 * math.pi * n / 400)) for n in range(400)]
        power = np.abs(waves @ np.array(window)) ** 2
        expected = np.log(power @ frontend.filters.numpy() + 1e-8)
        np.testing.assert_allclose(ours[t].numpy(), expected, atol=1e-5)


def test_features_equal_torchaudio():
    """torchaudio's transform without centring, moved to where our frames are."""
    frontend = LogMel().double()
    samples = recording()
    theirs = torchaudio.transforms.MelSpectrogram(
        16000, n_fft=512, win_length=400, hop_length=160, f_min=20.0, n_mels=80, center=False,
        norm="slaney",
        mel_scale="slaney",
    ).double()  # fmt: skip
    # Its windows of 512 samples have the 400 in their middle, 56 after the start; ours begin 240 before their hop.
    padded = torch.nn.functional.pad(samples, (240 + 56, 56))
    expected = (theirs(padded) + 1e-8).log().T
    torch.testing.assert_close(features(frontend, samples), expected, rtol=0, atol=2e-3)


def test_normalisation_is_fixed():
    plain, normalised = LogMel().double(), LogMel().double()
    normalised.mean.uniform_(-5, 5)
    normalised.std.uniform_(1, 3)
    samples = recording()
    expected = (features(plain, samples) - normalised.mean) / normalised.std
    torch.testing.assert_close(features(normalised, samples), expected)


def test_it_is_causal_to_the_sample():
    """Frame t needs the samples before 160 (t + 1), and not one more."""
    frontend = LogMel().double()
    samples = recording(0.1)
    whole = features(frontend, samples)
    for t in range(9):
        poisoned = samples.clone()
        poisoned[160 * (t + 1) :] = math.nan
        heard = features(frontend, poisoned)
        assert torch.equal(heard[: t + 1], whole[: t + 1])
        assert heard[t + 1].isnan().all()


def test_digital_silence_has_a_logarithm():
    silence = features(LogMel(), torch.zeros(1600))
    torch.testing.assert_close(silence, torch.full((10, 80), math.log(1e-8)))


def test_a_last_hop_that_is_not_full_makes_a_frame():
    samples = recording(0.05)[:641]
    zeros = torch.nn.functional.pad(samples, (0, 159))
    assert torch.equal(features(LogMel().double(), samples), features(LogMel().double(), zeros))


def test_a_hop_longer_than_the_window_is_refused():
    with pytest.raises(ValueError, match="hop must be between 1 and window"):
        LogMel(window=100, hop=160)
