"""Moonshine's encoder: samples -> steps, each of which sees the whole segment.

Source: N. Jeffries et al., "Moonshine: speech recognition for live transcription and voice commands", 2024
(arXiv:2410.15608).

Legend of axis suffixes: N rows, T steps, H samples of a step, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transducer.cores.multihead import rotations
from transducer.encoders.segment import EncoderLayer, visible_steps
from transducer.encoders.waves import WaveEncoder
from transducer.model.config import SegmentEncoderConfig, register


@register("moonshine_encoder")
@dataclass(frozen=True)
class MoonshineEncoderConfig(SegmentEncoderConfig):
    """See `MoonshineEncoder`.

    Attributes:
        kernels, strides: of the three convolutions over samples.
        rotary, base: share and base of rotary positions, see `rotations`.
    """

    channels: int = 288
    layers: int = 6
    heads: int = 8
    hidden: int = 1152
    kernels: tuple[int, ...] = (127, 7, 3)
    strides: tuple[int, ...] = (64, 3, 2)
    rotary: float = 0.9
    base: float = 10000.0

    def build(self, features: int) -> MoonshineEncoder:
        return MoonshineEncoder(features, self)

    @classmethod
    def examples(cls) -> tuple[MoonshineEncoderConfig, ...]:
        return cls(8, 2, 2, 12, (5, 3, 2), (4, 2, 2), 0.5), cls(8, 1, 1, 8, (4, 2, 1), (2, 2, 2), 1.0, 100.0)


class MoonshineEncoder(WaveEncoder):
    """Samples of steps (N, T, H) -> (N, ceil(T / stride), C).

    Three convolutions with tanh, GELU and GELU, a norm over all of a segment after the first; pre-norm layers with
    rotary positions, a norm. Neither attention nor norms over channels have biases.

    Args:
        features: samples of a step; the product of the strides is a multiple of it.
    """

    def __init__(self, features: int, config: MoonshineEncoderConfig):
        super().__init__(features, config.kernels, config.strides)
        self.config, channels = config, config.channels
        if config.layers < 1 or len(config.kernels) != 3 or not 0 < config.rotary <= 1:
            raise ValueError("this encoder has at least 1 layer, three convolutions, and turns a share of its channels")
        (first, second, third), (stride, *strides) = config.kernels, config.strides
        self.conv1 = nn.Conv1d(1, channels, first, stride, bias=False)
        self.conv2 = nn.Conv1d(channels, 2 * channels, second, strides[0])
        self.conv3 = nn.Conv1d(2 * channels, channels, third, strides[1])
        self.wave_norm = nn.GroupNorm(1, channels)
        self.layers = nn.ModuleList(
            EncoderLayer(channels, config.heads, config.hidden, bias=False) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(channels, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        samples, exists = self.samples(x, mask)
        x = self.normed(self.conv1(samples).tanh(), exists, self.wave_norm, 1)
        x = nn.functional.gelu(self.conv3(nn.functional.gelu(self.conv2(x)))).transpose(1, 2)
        config, positions = self.config, torch.arange(x.shape[1], device=x.device)
        turn = rotations(positions, config.channels // config.heads, config.rotary, config.base).to(x.dtype)
        visible = visible_steps(exists)
        for layer in self.layers:
            x = layer(x, visible, turn)
        return self.norm(x), exists
