"""Whisper's log-mel spectrogram as a stream: samples -> features, one step every hop.

Source: A. Radford et al., "Robust speech recognition via large-scale weak supervision", 2022 (arXiv:2212.04356), and
`log_mel_spectrogram` of its published code.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from transducer.frontends.logmel import mel_filters, periodic_hann
from transducer.model.config import FrontendConfig, Units, register
from transducer.model.sequence import Streaming, apply_mask, mask_stride

if TYPE_CHECKING:
    from transducer.media.medium import Medium

FLOOR = 1e-10  # of the power


@register("whisper_mel")
@dataclass(frozen=True)
class WhisperMelConfig(FrontendConfig):
    """See `WhisperMel`."""

    bins: int = 80
    rate: int = 16000
    window: int = 400
    hop: int = 160

    def medium(self, units: Units | None = None) -> Medium:
        from transducer.media.audio.medium import Samples

        return Samples(Fraction(self.rate))

    def build(self) -> WhisperMel:
        return WhisperMel(self.bins, self.rate, self.window, self.hop)

    @classmethod
    def examples(cls) -> tuple[WhisperMelConfig, ...]:
        return cls(8, 800, 20, 8), cls(8, 800, 16, 4)


class WhisperMelState(NamedTuple):
    samples: Tensor  # (B, kept): those before the next block that its windows need
    seen: Tensor  # (B,) int64: hops so far, up to where windows no longer reach the first sample
    exists: Tensor  # (B, latency) bool: whether the outputs that wait exist


class WhisperMel(Streaming):
    """Samples (B, T, 1) in [-1, 1] -> log10 of mel power (B, ceil(T / hop), bins), at least -10.

    The window of frame t is centred on sample t * hop, so that half of it is look-ahead. Before the first sample lies
    what follows it, mirrored, as with `torch.stft`; after the last one lies silence.

    Whisper then raises what is far below the maximum of its 30 s, and scales. That depends on the whole and is left
    to the encoder, see `WhisperEncoder`.

    Args:
        bins: mel filters from 0 to half the rate.
        rate: samples per second.
        window: samples of the Fourier transform, an even number.
        hop: samples.
    """

    inputs = 1
    filters: Tensor
    window: Tensor

    def __init__(self, bins: int = 80, rate: int = 16000, window: int = 400, hop: int = 160):
        super().__init__()
        if not 0 < hop <= window or window % 2:
            raise ValueError(f"a window is even and no shorter than its hop, got {window} and {hop}")
        self.features, self.size, self.hop = bins, window, hop
        self.stride = self.block = hop
        half = window // 2
        self.latency = max(0, -(-half // hop) - 1)
        self.kept = half + self.latency * hop
        self.register_buffer("filters", mel_filters(rate, window, bins, 0.0, rate / 2))
        self.register_buffer("window", periodic_hann(window))

    @property
    def lookahead(self) -> int:
        """See `Streaming`; less than whole blocks."""
        return max(self.size // 2, self.hop) - 1

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        half, frames = self.size // 2, -(-x.shape[1] // self.hop)
        samples = apply_mask(x, mask).squeeze(-1)
        samples = nn.functional.pad(samples, (0, max(frames * self.hop, half) + half - x.shape[1]))
        # The window begins with a 0: what is there does not matter, and must be no sample of the future.
        samples = torch.cat([samples[:, :1], samples[:, 1:half].flip(1), samples], dim=1)
        return self._features(samples)[:, :frames], mask_stride(mask, self.hop)

    def init_state(self, batch: int, like: Tensor) -> WhisperMelState:
        return WhisperMelState(
            like.new_zeros(batch, self.kept),
            torch.zeros(batch, dtype=torch.int64, device=like.device),
            torch.zeros(batch, self.latency, dtype=torch.bool, device=like.device),
        )

    def step(self, x: Tensor, mask: Tensor, state: WhisperMelState) -> tuple[Tensor, Tensor, WhisperMelState]:
        hops = mask_stride(mask, self.hop)
        samples = torch.cat([state.samples, apply_mask(x, mask).squeeze(-1)], dim=1)
        absent = (hops.cumsum(dim=1) == 0).sum(dim=1) * (state.seen == 0)  # hops before the first sample
        first = self.kept + (absent - state.seen)[:, None] * self.hop  # where it lies; below 0 it is long gone
        places = torch.arange(samples.shape[1], device=x.device)[None] - first
        mirrored = torch.where(places < 0, (-places).clamp(max=self.size // 2 - 1), places) + first
        exists = torch.cat([state.exists, hops], dim=1)
        new = WhisperMelState(
            samples[:, samples.shape[1] - self.kept :],
            (state.seen + hops.shape[1] - absent).clamp(max=-(-self.kept // self.hop)),
            exists[:, hops.shape[1] :],
        )
        features = self._features(samples.gather(1, mirrored.clamp(max=samples.shape[1] - 1)))
        return features, exists[:, : hops.shape[1]], new

    def _features(self, samples: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(samples.unfold(1, self.size, self.hop) * self.window)
        power = (spectrum.real.square() + spectrum.imag.square()) @ self.filters
        return power.clamp(min=FLOOR).log10()
