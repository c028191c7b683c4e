"""Speech CNN: log-mel features at 10 ms -> encoder frames at 40 ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from transducer.frontends.logmel import LogMel
from transducer.model.config import EncoderConfig, register
from transducer.model.sequence import Streaming, apply_mask, mask_stride


@register("conv_subsampling")
@dataclass(frozen=True)
class ConvSubsamplingConfig(EncoderConfig):
    """See `ConvSubsampling`."""

    hidden: int = 32

    def build(self, frontend: Streaming, channels: int) -> ConvSubsampling:
        if not isinstance(frontend, LogMel):
            raise self.misfit(frontend)
        return ConvSubsampling(frontend.bins, channels, self.hidden)

    @classmethod
    def examples(cls) -> tuple[ConvSubsamplingConfig, ...]:
        return (cls(3),)


class SubsamplingState(NamedTuple):
    features: Tensor  # (B, 1, F): the newest input of the first convolution
    hidden: Tensor  # (B, 1, F', C): the newest input of the second


class ConvSubsampling(Streaming):
    """Two 3x3 convolutions of stride 2 in time and frequency, causal in time, then a linear map.

    (B, T, bins) -> (B, ceil(T / 4), channels). The layout is that of ESPnet's and WeNet's Conv2dSubsampling4,
    with the padding in time all on the left: an output sees its own four inputs and three before them.
    """

    stride = 4
    block = 4
    latency = 0

    def __init__(self, bins: int, channels: int, hidden: int = 32):
        super().__init__()
        self.bins, self.hidden = bins, hidden
        # Channels last: twice as fast forwards and backwards on a CPU, and the linear map reads it as it lies.
        self.conv1 = nn.Conv2d(1, hidden, 3, stride=2, padding=(0, 1)).to(memory_format=torch.channels_last)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, stride=2, padding=(0, 1)).to(memory_format=torch.channels_last)
        self.bins1 = (bins + 1) // 2
        self.out = nn.Linear(hidden * ((self.bins1 + 1) // 2), channels)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        missing = -x.shape[1] % 4
        if missing:
            x = nn.functional.pad(x, (0, 0, 0, missing))
            mask = nn.functional.pad(mask, (0, missing))
        y, mask, _ = self.step(x, mask, self.init_state(x.shape[0], x))
        return y, mask

    def init_state(self, batch: int, like: Tensor) -> SubsamplingState:
        return SubsamplingState(like.new_zeros(batch, 1, self.bins), like.new_zeros(batch, 1, self.bins1, self.hidden))

    def step(self, x: Tensor, mask: Tensor, state: SubsamplingState) -> tuple[Tensor, Tensor, SubsamplingState]:
        x = torch.cat([state.features, apply_mask(x, mask)], dim=1)
        h = nn.functional.relu(self.conv1(x.unsqueeze(1).contiguous(memory_format=torch.channels_last)))
        h = torch.cat([state.hidden.to(h.dtype), h.permute(0, 2, 3, 1)], dim=1)  # (B, 1 + T / 2, F', C)
        # The bias would make steps that do not exist audible to the second convolution.
        h[:, 1:].mul_(mask_stride(mask, 2)[:, :, None, None])
        y = nn.functional.relu(self.conv2(h.permute(0, 3, 1, 2)))
        y = self.out(y.permute(0, 2, 3, 1).flatten(2))
        return y, mask_stride(mask, 4), SubsamplingState(x[:, -1:], h[:, -1:])
