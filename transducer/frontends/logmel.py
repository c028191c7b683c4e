"""Causal log-mel spectrogram: samples -> features, one step every hop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transducer.model.config import FrontendConfig, Units, register
from transducer.model.sequence import Streaming, apply_mask, mask_stride

if TYPE_CHECKING:
    from transducer.media.medium import Medium


@register("logmel")
@dataclass(frozen=True)
class LogMelConfig(FrontendConfig):
    """See `LogMel`; window, hop and fft in samples."""

    rate: int = 16000
    bins: int = 80
    window: int = 400
    hop: int = 160
    low_hz: float = 20.0
    floor: float = 1e-8
    fft: int = 0

    def medium(self, units: Units | None = None) -> Medium:
        from transducer.media.audio.medium import Samples

        return Samples(Fraction(self.rate))

    def build(self) -> LogMel:
        return LogMel(self.rate, self.bins, self.window, self.hop, self.low_hz, floor=self.floor, fft=self.fft)

    @classmethod
    def examples(cls) -> tuple[LogMelConfig, ...]:
        return cls(800, 6, 20, 8), cls(800, 6, 20, 8, fft=20)


class LogMelState(NamedTuple):
    samples: Tensor  # (B, window - hop): what the next window still needs


def mel_filters(rate: int, fft_size: int, bins: int, low_hz: float, high_hz: float) -> Tensor:
    """(fft_size // 2 + 1, bins) triangular filters of equal area on the Slaney mel scale, as librosa's."""
    if torch.get_default_device().type == "meta":  # a checkpoint is being loaded, and brings its filters along
        return torch.empty(fft_size // 2 + 1, bins)
    centres = _mel_to_hz(np.linspace(_hz_to_mel(low_hz), _hz_to_mel(high_hz), bins + 2))
    widths = np.diff(centres)
    ramps = centres[:, None] - np.linspace(0, rate / 2, 1 + fft_size // 2)
    filters = np.maximum(0, np.minimum(-ramps[:-2] / widths[:-1, None], ramps[2:] / widths[1:, None]))
    filters = filters.astype(np.float32) * (2 / (centres[2:] - centres[:-2]))[:, None]
    return torch.from_numpy(filters.astype(np.float32)).T.contiguous()


# Slaney's scale (Auditory Toolbox, 1998): linear up to 1000 Hz, which is 15 mels; then 27 more for each factor of 6.4.
def _hz_to_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def _mel_to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(math.log(6.4) / 27 * (mels - 15)))


def periodic_hann(size: int) -> Tensor:
    """(size,) Hann window for spectra."""
    if torch.get_default_device().type == "meta":  # as above
        return torch.empty(size)
    return torch.from_numpy(np.hanning(size + 1)[:-1].astype(np.float32))


class LogMel(Streaming):
    """Samples (B, T, 1) in [-1, 1] -> log-mel features (B, ceil(T / hop), bins), normalised by fixed statistics.

    Frame t looks at the `window` samples that end with its own hop, so it needs no future (a centred
    window, as librosa's default, would). The logarithm's argument is power, floored at `floor`.
    Normalisation uses the training data's mean and standard deviation per bin, never the utterance's.

    Args:
        rate: samples per second.
        bins: mel filters.
        window, hop: in samples; 400 and 160 are the usual 25 ms and 10 ms at 16 kHz.
        low_hz, high_hz: lowest and highest frequency that a filter covers.
        floor: added to the power, so that digital silence has a logarithm.
        fft: samples that the Fourier transform takes, the window and zeros; 0 for the next power of two.
    """

    inputs = 1
    window: Tensor
    filters: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        rate: int = 16000,
        bins: int = 80,
        window: int = 400,
        hop: int = 160,
        low_hz: float = 20.0,
        high_hz: float | None = None,
        floor: float = 1e-8,
        fft: int = 0,
    ):
        super().__init__()
        if not 0 < hop <= window:
            raise ValueError(f"hop must be between 1 and window ({window}), got {hop}")
        if min(rate, bins) < 1 or floor <= 0:
            raise ValueError(f"rate, bins and floor must be more than 0, got {rate}, {bins} and {floor:g}")
        if fft and fft < window:
            raise ValueError(f"the Fourier transform must take the whole window ({window}), got {fft}")
        self.rate, self.bins, self.window_size, self.hop, self.floor = rate, bins, window, hop, floor
        self.stride = self.block = hop
        self.fft_size = fft or 1 << (window - 1).bit_length()
        filters = mel_filters(rate, self.fft_size, bins, low_hz, high_hz or rate / 2)
        self.register_buffer("filters", filters)
        self.register_buffer("window", periodic_hann(window))
        self.register_buffer("mean", torch.zeros(bins))
        self.register_buffer("std", torch.ones(bins))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        samples = apply_mask(x, mask).squeeze(-1)
        missing = -samples.shape[1] % self.hop
        samples = nn.functional.pad(samples, (self.window_size - self.hop, missing))
        return self._features(samples), mask_stride(mask, self.hop)

    def init_state(self, batch: int, like: Tensor) -> LogMelState:
        return LogMelState(like.new_zeros(batch, self.window_size - self.hop))

    def step(self, x: Tensor, mask: Tensor, state: LogMelState) -> tuple[Tensor, Tensor, LogMelState]:
        samples = torch.cat([state.samples, apply_mask(x, mask).squeeze(-1)], dim=1)
        kept = samples[:, samples.shape[1] - (self.window_size - self.hop) :]
        return self._features(samples), mask_stride(mask, self.hop), LogMelState(kept)

    def _features(self, samples: Tensor) -> Tensor:
        windows = samples.unfold(1, self.window_size, self.hop) * self.window
        spectrum = torch.fft.rfft(windows, n=self.fft_size)
        power = (spectrum.real.square() + spectrum.imag.square()) @ self.filters
        return ((power + self.floor).log() - self.mean) / self.std
