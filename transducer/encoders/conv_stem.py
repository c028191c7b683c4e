"""The two convolutions before a Transformer of speech: log-mel features at 10 ms -> frames at 20 ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from transducer.frontends.logmel import LogMel
from transducer.model.config import EncoderConfig, register
from transducer.model.sequence import Streaming, apply_mask, mask_stride


@register("conv_stem")
@dataclass(frozen=True)
class ConvStemConfig(EncoderConfig):
    """See `ConvStem`."""

    def build(self, frontend: Streaming, channels: int) -> ConvStem:
        if not isinstance(frontend, LogMel):
            raise self.misfit(frontend)
        return ConvStem(frontend.bins, channels)

    @classmethod
    def examples(cls) -> tuple[ConvStemConfig, ...]:
        return (cls(),)


class StemState(NamedTuple):
    features: Tensor  # (B, 2, F): the newest inputs of the first convolution
    hidden: Tensor  # (B, 1, C): the newest input of the second


class ConvStem(Streaming):
    """Two convolutions over three steps in time, GELU after each, (B, T, bins) -> (B, ceil(T / 2), channels).

    They are those of Whisper's encoder (Radford et al. 2022, arXiv:2212.04356, section 2.2), one step later: there
    they are centred, here no output sees more than its own two inputs and those before them.
    """

    stride = 2
    block = 2

    def __init__(self, bins: int, channels: int):
        super().__init__()
        self.bins, self.channels = bins, channels
        self.conv1 = nn.Conv1d(bins, channels, 3)
        self.conv2 = nn.Conv1d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        missing = -x.shape[1] % 2
        if missing:
            x = nn.functional.pad(x, (0, 0, 0, missing))
            mask = nn.functional.pad(mask, (0, missing))
        y, mask, _ = self.step(x, mask, self.init_state(x.shape[0], x))
        return y, mask

    def init_state(self, batch: int, like: Tensor) -> StemState:
        return StemState(like.new_zeros(batch, 2, self.bins), like.new_zeros(batch, 1, self.channels))

    def step(self, x: Tensor, mask: Tensor, state: StemState) -> tuple[Tensor, Tensor, StemState]:
        x = torch.cat([state.features, apply_mask(x, mask)], dim=1)
        h = nn.functional.gelu(self.conv1(x.transpose(1, 2))).transpose(1, 2)
        # The bias would make steps that do not exist audible to the second convolution.
        h = torch.cat([state.hidden.to(h.dtype), apply_mask(h, mask)], dim=1)
        y = nn.functional.gelu(self.conv2(h.transpose(1, 2))).transpose(1, 2)
        return y, mask_stride(mask, 2), StemState(x[:, -2:], h[:, -1:])
