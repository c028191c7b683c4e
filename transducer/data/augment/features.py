"""Augmentation of log-mel features, for training only: cheap enough to run beside it, in NumPy, a batch at a time.

Features are log power, un-normalised: (B, T, C) float32, C mel bins. What needs samples (speeds, rooms) is done once,
in `transducer.data.features`.

Noise is mixed in the power domain: log(exp(speech) + g exp(noise)). Mixing waveforms gives |S + gN|^2 =
|S|^2 + g^2 |N|^2 + 2 g Re(S N*). The last term has mean 0 for independent signals, and a mel bin averages it over
its frequencies: this approximates waveform mixing, without the scatter around it, which is largest in narrow bins
where both are equally loud.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

DB = np.log(10) / 10  # a decibel, in the natural logarithm of a power


class Store(Protocol):
    """What is asked of a `transducer.data.features.FeatureStore`."""

    @property
    def utterances(self) -> Sequence[Any]: ...

    def features(self, utterance: int, variant: int = 0) -> np.ndarray: ...


@dataclass(frozen=True)
class AugmentConfig:
    """What is drawn for each utterance; a probability or a count of 0 turns a part off.

    Attributes:
        gain_db: the level changes by something uniform between these, in dB.
        warp_probability, warp: the mel axis is stretched about bin 0 by a factor drawn between the two: a rough
            change of vocal tract length (Jaitly & Hinton 2013, who warp in Hz).
        noise_probability, snr_db: noise at a signal-to-noise ratio uniform between the two, over the utterance.
        band_limit_probability, cutoff_hz: everything above a cutoff between the two falls to the floor, as in speech
            from a telephone.
        frequency_masks, frequency_mask_bins: SpecAugment (Park et al. 2019), each 0 to so many bins wide.
        time_mask_every, time_mask_frames: one mask for each so many frames begun, so that their number grows with
            the length (Park et al. 2020), each 0 to so many frames wide, and
        time_mask_fraction: at most this part of the utterance.
    """

    gain_db: tuple[float, float] = (-10.0, 10.0)
    warp_probability: float = 0.5
    warp: tuple[float, float] = (0.9, 1.1)
    noise_probability: float = 0.4
    snr_db: tuple[float, float] = (5.0, 25.0)
    band_limit_probability: float = 0.05
    cutoff_hz: tuple[float, float] = (3400.0, 4000.0)
    frequency_masks: int = 2
    frequency_mask_bins: int = 20
    time_mask_every: int = 150
    time_mask_frames: int = 40
    time_mask_fraction: float = 0.15


class FeatureAugment:
    """`augment(features, lengths, generator) -> features`, changed in place; a pure function of its arguments.

    The order is: gain, warp, noise, band limit, masks.

    Args:
        config: AugmentConfig.
        noise: a FeatureStore of noise clips; None mixes none.
        mean: (C,) what masks are filled with, as a rule the front-end's mean, which normalisation turns into 0;
            None takes each utterance's own mean.
        edges_hz: (C + 2,) of the mel filters, see `mel_edges`; None computes those of the default front-end.
        floor: what the front-end adds to the power before its logarithm.
    """

    def __init__(
        self,
        config: AugmentConfig | None = None,
        noise: Store | None = None,
        mean: np.ndarray | None = None,
        edges_hz: np.ndarray | None = None,
        floor: float = 1e-8,
    ):
        self.config = config or AugmentConfig()
        self.noise = noise
        self.mean = None if mean is None else np.asarray(mean, dtype=np.float32)
        self.edges_hz = mel_edges() if edges_hz is None else np.asarray(edges_hz)
        self.floor = floor

    def __call__(self, features: np.ndarray, lengths: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        config, lowest = self.config, np.float32(np.log(self.floor))
        for row, length in zip(features, lengths, strict=True):
            x = row[:length]
            x += np.float32(rng.uniform(*config.gain_db) * DB)
            np.maximum(x, lowest, out=x)
            if rng.random() < config.warp_probability:
                x[:] = warp_bins(x, rng.uniform(*config.warp))
            if self.noise is not None and rng.random() < config.noise_probability:
                noise = self._draw_noise(len(x), rng)
                mix(x, noise, rng.uniform(*config.snr_db), self.edges_hz, self.floor)
            if rng.random() < config.band_limit_probability:
                x[:, self.edges_hz[1:-1] > rng.uniform(*config.cutoff_hz)] = lowest
            self._mask(x, rng)
        return features

    def _draw_noise(self, frames: int, rng: np.random.Generator) -> np.ndarray:
        """A stretch of a random clip, from a random frame on, round and round where the clip is shorter."""
        assert self.noise is not None
        clip = self.noise.features(int(rng.integers(len(self.noise.utterances))))
        start = int(rng.integers(len(clip)))
        return clip[(start + np.arange(frames)) % len(clip)].astype(np.float32)

    def _mask(self, x: np.ndarray, rng: np.random.Generator) -> None:
        config = self.config
        frames, bins = x.shape
        fill = x.mean(axis=0) if self.mean is None else self.mean
        for _ in range(config.frequency_masks):
            width = int(rng.integers(min(config.frequency_mask_bins, bins) + 1))
            start = int(rng.integers(bins - width + 1))
            x[:, start : start + width] = fill[start : start + width]
        count = -(-frames // config.time_mask_every) if config.time_mask_every else 0
        widest = min(config.time_mask_frames, int(config.time_mask_fraction * frames / max(1, count)))
        for _ in range(count):
            width = int(rng.integers(widest + 1))
            start = int(rng.integers(frames - width + 1))
            x[start : start + width] = fill


def mel_edges(rate: int = 16000, bins: int = 80, low_hz: float = 20.0, high_hz: float | None = None) -> np.ndarray:
    """(bins + 2,) Hz: filter k rises from edge k, peaks at edge k + 1, falls to edge k + 2 (Slaney's mel scale)."""
    import librosa

    return librosa.mel_frequencies(n_mels=bins + 2, fmin=low_hz, fmax=high_hz or rate / 2)


def spectral_power(features: np.ndarray, edges_hz: np.ndarray, floor: float = 1e-8) -> float:
    """Mean power of log-mel features (T, C), up to a constant factor the mean square of their samples.

    Filters of equal area weigh a frequency by the inverse width of its bins; times their widths, the triangles
    add up to 1 at every frequency.
    """
    widths = (edges_hz[2:] - edges_hz[:-2]) / 2
    power = np.exp(features).mean(axis=0, dtype=np.float64) - floor
    return float(np.maximum(power, 0) @ widths)


def mix(x: np.ndarray, noise: np.ndarray, snr_db: float, edges_hz: np.ndarray, floor: float = 1e-8) -> None:
    """Add noise (T, C) to x (T, C), log power both, in place; silent noise or speech is left as it is."""
    speech_power, noise_power = spectral_power(x, edges_hz, floor), spectral_power(noise, edges_hz, floor)
    if speech_power <= 0 or noise_power <= 0:
        return
    noise += np.float32(np.log(speech_power / noise_power) - snr_db * DB)
    # logaddexp, written out: NumPy's own is several times slower.
    louder = np.maximum(x, noise)
    noise -= x
    x[:] = louder + np.log(1 + np.exp(-np.abs(noise)))


def warp_bins(x: np.ndarray, factor: float) -> np.ndarray:
    """(T, C) -> (T, C): bin k takes the value at k * factor, interpolated linearly, the last bin's beyond the end."""
    bins = x.shape[1]
    position = np.minimum(np.arange(bins) * factor, bins - 1)
    below = np.minimum(position.astype(np.int64), bins - 2)
    weight = (position - below).astype(np.float32)
    return x[:, below] * (1 - weight) + x[:, below + 1] * weight
