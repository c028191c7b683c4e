"""Whisper's encoder, on a segment of any length up to its window.

Source: A. Radford et al., "Robust speech recognition via large-scale weak supervision", 2022 (arXiv:2212.04356).

Legend of axis suffixes: B batch, T time, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transducer.cores.multihead import sinusoids
from transducer.encoders.segment import EncoderLayer, SegmentEncoder, visible_steps
from transducer.model.config import SegmentEncoderConfig, register
from transducer.model.sequence import apply_mask, mask_stride

RANGE = 8.0  # decades of power below the maximum that are told apart


@register("whisper_encoder")
@dataclass(frozen=True)
class WhisperEncoderConfig(SegmentEncoderConfig):
    """See `WhisperEncoder`; hidden 0 is 4 times the channels."""

    channels: int = 384
    layers: int = 4
    heads: int = 6
    hidden: int = 0
    longest: int = 1500

    def build(self, features: int) -> WhisperEncoder:
        return WhisperEncoder(
            features, self.channels, self.layers, self.heads, self.hidden or 4 * self.channels, self.longest
        )

    @classmethod
    def examples(cls) -> tuple[WhisperEncoderConfig, ...]:
        return cls(8, 2, 2, 12, 10), cls(6, 1, 3)


class WhisperEncoder(SegmentEncoder):
    """log10 mel power (B, T, features) -> (B, ceil(T / 2), channels), each step seeing the whole segment.

    What is more than 8 decades below the maximum of the segment is raised to there, and the result x becomes
    (x + 4) / 4. Then: two convolutions over three steps, the second of stride 2, sinusoidal positions, pre-norm layers
    whose keys have no bias, a norm.

    Args:
        features: of each step of the front-end.
        longest: output steps that there are positions for.

    Raises:
        ValueError: in `forward`, a segment that is longer.
    """

    stride = 2
    positions: Tensor
    layers: Sequence[EncoderLayer]

    def __init__(self, features: int, channels: int, layers: int, heads: int, hidden: int, longest: int = 1500):
        super().__init__()
        if layers < 1 or channels % 2:
            raise ValueError(f"an encoder has at least 1 layer and an even width, got {layers} and {channels}")
        self.longest = longest
        self.conv1 = nn.Conv1d(features, channels, 3, padding=1)
        self.conv2 = nn.Conv1d(channels, channels, 3, stride=2, padding=1)
        loaded = torch.get_default_device().type == "meta"  # then a checkpoint brings them along
        positions = torch.empty(longest, channels) if loaded else sinusoids(torch.arange(longest), channels)
        self.register_buffer("positions", positions)
        self.layers = nn.ModuleList(EncoderLayer(channels, heads, hidden, key_bias=False) for _ in range(layers))  # type: ignore[assignment]
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if x.shape[1] > self.stride * self.longest:
            raise ValueError(f"a segment of this encoder has {self.stride * self.longest} steps at most: {x.shape[1]}")
        x = apply_mask(self._scaled(x, mask), mask)
        h = nn.functional.gelu(self.conv1(x.transpose(1, 2)))
        # Its bias would make steps that do not exist audible to the second convolution.
        h = torch.where(mask[:, None], h, 0.0)
        x = nn.functional.gelu(self.conv2(h)).transpose(1, 2)
        x, mask = x + self.positions[: x.shape[1]], mask_stride(mask, 2)
        visible = visible_steps(mask)
        for layer in self.layers:
            x = layer(x, visible)
        return self.norm(x), mask

    @staticmethod
    def _scaled(x: Tensor, mask: Tensor) -> Tensor:
        most = x.masked_fill(~mask[..., None], -torch.inf).amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(x, most - RANGE) + 4) / 4
