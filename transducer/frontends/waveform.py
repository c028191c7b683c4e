"""The samples themselves as features, some of them a step: for models that learned their own filters."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from transducer.frontends.logmel import mel_filters, periodic_hann
from transducer.frontends.whisper_mel import FLOOR
from transducer.model.config import FrontendConfig, Units, register
from transducer.model.sequence import Streaming, apply_mask, mask_stride

if TYPE_CHECKING:
    from transducer.media.medium import Medium

RATE = 16000
_WINDOW = 400  # samples, of the front-end whose powers `levels` has


@register("waveform")
@dataclass(frozen=True)
class WaveformConfig(FrontendConfig):
    """See `Waveform`."""

    hop: int = 320
    rate: int = RATE

    def medium(self, units: Units | None = None) -> Medium:
        from transducer.media.audio.medium import Samples

        return Samples(Fraction(self.rate))

    def build(self) -> Waveform:
        return Waveform(self.hop)

    @classmethod
    def examples(cls) -> tuple[WaveformConfig, ...]:
        return (cls(8, 800),)


class Waveform(Streaming):
    """Samples (B, T, 1) -> (B, ceil(T / hop), hop), the samples of each step; after the last one lies silence.

    Args:
        hop: samples.
    """

    inputs = 1

    def __init__(self, hop: int = 320):
        super().__init__()
        if hop < 1:
            raise ValueError(f"a step has at least 1 sample, got {hop}")
        self.features = self.stride = self.block = hop

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        samples = nn.functional.pad(apply_mask(x, mask).squeeze(-1), (0, -x.shape[1] % self.features))
        return samples.unflatten(1, (-1, self.features)), mask_stride(mask, self.features)

    def init_state(self, batch: int, like: Tensor) -> tuple[()]:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple[()]) -> tuple[Tensor, Tensor, tuple[()]]:
        return *self(x, mask), state


def levels(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Steps of samples (..., T, hop) -> log10 of the power in mel bands (..., T, ceil(hop / 16)), at least -10.

    It is in the scale of `WhisperMel`, for those who ask whether there is sound: noise is as loud there as here. What
    a step has does not depend on the others, not even in its last bits.
    """
    window, filters = _bands(x.shape[-1])
    power = np.square(np.abs(np.fft.rfft(x.astype(np.float64) * window)))
    found: NDArray[np.float64] = np.log10(np.maximum((power[..., None] * filters).sum(axis=-2), FLOOR))
    return found


@lru_cache
def _bands(hop: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # The power of noise grows with the samples of a window, and so does the number of frequencies in a band.
    filters = mel_filters(RATE, hop, -(-hop // 16), 0.0, RATE / 2).double() * (_WINDOW / hop) ** 2
    return periodic_hann(hop).double().numpy(), filters.numpy()
