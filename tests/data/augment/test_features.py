from types import SimpleNamespace

import numpy as np
import pytest
import torch

from transducer.data.augment.features import (
    DB,
    AugmentConfig,
    FeatureAugment,
    mel_edges,
    mix,
    spectral_power,
    warp_bins,
)
from transducer.data.augment.waveform import add_noise
from transducer.frontends.logmel import LogMel

NOTHING = AugmentConfig(
    gain_db=(0, 0),
    warp_probability=0,
    noise_probability=0,
    band_limit_probability=0,
    frequency_masks=0,
    time_mask_every=0,
)
FLOOR = np.float32(np.log(1e-8))


def only(**parts):
    return AugmentConfig(**{**NOTHING.__dict__, **parts})


def logmel(samples):
    x = torch.from_numpy(samples.astype(np.float32))[None, :, None]
    return LogMel()(x, torch.ones(x.shape[:2], dtype=torch.bool))[0][0].numpy()


def coloured(seed, seconds=2.0, smooth=4, scale=0.1):
    noise = np.random.default_rng(seed).standard_normal(int(16000 * seconds))
    return (scale * np.convolve(noise, np.ones(smooth) / smooth, "same")).astype(np.float32)


def batch(frames=(200, 120, 37)):
    rng = np.random.default_rng(0)
    features = np.zeros((len(frames), max(frames), 80), np.float32)
    for row, length in zip(features, frames, strict=True):
        row[:length] = rng.normal(-6, 3, (length, 80))
    return features, np.array(frames)


def noise_store(*clips):
    return SimpleNamespace(
        utterances=list(clips), speeds=np.ones(1), features=lambda index, variant=0: clips[index].astype(np.float16)
    )


def test_reproducible_by_its_generator():
    augment = FeatureAugment(noise=noise_store(logmel(coloured(1)), logmel(coloured(2))))
    features, lengths = batch()
    results = [augment(features.copy(), lengths, np.random.default_rng(s)) for s in (3, 3, 4)]
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
    assert np.isfinite(results[0]).all()
    for row, length in zip(results[0], lengths, strict=True):
        assert (row[length:] == 0).all()


def test_all_off_changes_nothing():
    features, lengths = batch()
    features = np.maximum(features, FLOOR)
    np.testing.assert_array_equal(FeatureAugment(NOTHING)(features.copy(), lengths, np.random.default_rng(0)), features)


def test_gain_is_the_gain_of_the_waveform():
    samples = coloured(1)
    features = logmel(samples)[None].copy()  # loud enough for the floor not to count
    changed = FeatureAugment(only(gain_db=(6, 6)))(features, [features.shape[1]], np.random.default_rng(0))
    np.testing.assert_allclose(changed[0], logmel(samples * 10 ** (6 / 20)), atol=0.02)


def test_gain_stops_at_the_floor():
    silence = np.full((1, 50, 80), FLOOR)
    changed = FeatureAugment(only(gain_db=(-20, -20)))(silence.copy(), [50], np.random.default_rng(0))
    np.testing.assert_array_equal(changed, silence)


@pytest.mark.parametrize("hertz", [150, 440, 1000, 3000, 6500])
def test_spectral_power_follows_the_waveform(hertz):
    """One constant for tones of any frequency: the widths undo the filters' equal areas."""
    edges = mel_edges()
    reference = coloured(0, smooth=1)
    constant = spectral_power(logmel(reference), edges) / np.mean(reference**2)
    samples = 0.3 * np.sin(2 * np.pi * hertz * np.arange(32000) / 16000)
    assert abs(10 * np.log10(spectral_power(logmel(samples), edges) / np.mean(samples**2) / constant)) < 0.7


@pytest.mark.parametrize("ratio", [0.0, 10.0, 20.0])
def test_mixing_approximates_that_of_waveforms(ratio):
    speech, noise = coloured(1, smooth=8), coloured(2, smooth=2, scale=0.02)
    mixed = logmel(speech)
    mix(mixed, logmel(noise), ratio, mel_edges())
    expected = logmel(add_noise(speech, noise, ratio))
    # Cross terms scatter single frames and bins, but not the spectrum's mean over time.
    np.testing.assert_allclose(np.log(np.exp(mixed).mean(0)) / DB, np.log(np.exp(expected).mean(0)) / DB, atol=0.8)
    powers = [spectral_power(x, mel_edges()) for x in (logmel(speech), mixed)]
    assert abs(10 * np.log10(powers[0] / (powers[1] - powers[0])) - ratio) < 0.1


def test_silence_is_not_mixed():
    speech, silence = logmel(coloured(1)), np.full((200, 80), FLOOR)
    for x, noise in ((speech, silence), (silence, speech)):
        before = x.copy()
        mix(x, noise.copy(), 0.0, mel_edges())
        np.testing.assert_array_equal(x, before)


def test_short_noise_goes_round():
    clip = logmel(coloured(2, seconds=0.3))
    features, lengths = batch()
    config = only(noise_probability=1.0, snr_db=(-60, -60))
    changed = FeatureAugment(config, noise_store(clip))(features.copy(), lengths, np.random.default_rng(0))[0]
    # At -60 dB only the noise is left, which repeats.
    np.testing.assert_allclose(changed[len(clip) :], changed[: -len(clip)], atol=0.2)


def test_band_limit():
    features, lengths = batch()
    config = only(band_limit_probability=1.0, cutoff_hz=(3600, 3600))
    changed = FeatureAugment(config)(features.copy(), lengths, np.random.default_rng(0))
    high = mel_edges()[1:-1] > 3600
    assert 5 < high.sum() < 40
    assert (changed[0][:, high] == FLOOR).all()
    np.testing.assert_array_equal(changed[0][:, ~high], np.maximum(features[0], FLOOR)[:, ~high])


def test_warp_moves_the_spectrum():
    ramp = np.tile(np.arange(80, dtype=np.float32), (3, 1))
    np.testing.assert_allclose(warp_bins(ramp, 0.9)[0], np.arange(80) * 0.9, rtol=1e-5)
    np.testing.assert_allclose(warp_bins(ramp, 1.1)[0], np.minimum(np.arange(80) * 1.1, 79), rtol=1e-5)
    np.testing.assert_array_equal(warp_bins(ramp, 1.0), ramp)


def test_masks_have_the_size_and_the_value_asked_for():
    mean = np.linspace(-9, -5, 80).astype(np.float32)
    config = only(frequency_masks=1, frequency_mask_bins=10)
    augment = FeatureAugment(config, mean=mean)
    widths = set()
    for seed in range(60):
        features, lengths = batch((100,))
        masked = (augment(features, lengths, np.random.default_rng(seed))[0] == mean).all(axis=0)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], masked, [0]])))
        assert len(edges) in (0, 2)
        widths.add(int(masked.sum()))
    assert widths == set(range(11))

    augment = FeatureAugment(only(time_mask_every=50, time_mask_frames=30, time_mask_fraction=0.2), mean=mean)
    shares = []
    for seed in range(60):
        features, lengths = batch((430,))
        shares.append((augment(features, lengths, np.random.default_rng(seed))[0] == mean).all(axis=1).mean())
    assert max(shares) <= 0.2 and 0.05 < np.mean(shares) < 0.15
