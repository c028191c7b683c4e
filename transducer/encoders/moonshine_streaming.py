"""Moonshine Streaming's encoder: samples -> steps, each of which sees a window around it, and no positions.

Source: the models that Useful Sensors has published under this name, as transformers'
`MoonshineStreamingForConditionalGeneration` computes them.

Legend of axis suffixes: B batch, T time, H samples of a step, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transducer.cores.attention import WindowAttention
from transducer.cores.layers import Pointwise
from transducer.encoders.segment import SegmentEncoder
from transducer.errors import UsageError
from transducer.frontends.waveform import levels
from transducer.model.config import SegmentEncoderConfig, register
from transducer.model.sequence import Residual, Serial, Streaming, apply_mask, mask_stride

_EPSILON = 1e-6  # of the variance of a step's samples
_KERNEL = 5


@register("moonshine_streaming_encoder")
@dataclass(frozen=True)
class MoonshineStreamingEncoderConfig(SegmentEncoderConfig):
    """See `MoonshineStreamingEncoder`.

    Attributes:
        windows: of each layer, how many output steps a step sees up to itself, and how many after it.
    """

    channels: int = 320
    heads: int = 8
    hidden: int = 1280
    windows: tuple[tuple[int, int], ...] = ((16, 3), (16, 3), (16, 0), (16, 0), (16, 3), (16, 3))

    def __post_init__(self) -> None:
        if not self.windows or any(before < 1 or after < 0 for before, after in self.windows):
            raise UsageError(f"windows see the step itself and no fewer than 0 after it, got {list(self.windows)}")

    def build(self, features: int) -> MoonshineStreamingEncoder:
        return MoonshineStreamingEncoder(features, self)

    @classmethod
    def examples(cls) -> tuple[MoonshineStreamingEncoderConfig, ...]:
        return cls(8, 2, 12, ((3, 1), (2, 0), (1, 2))), cls(4, 1, 8, ((2, 0),))


class MoonshineStreamingEncoder(Serial, SegmentEncoder):
    """Samples of steps (B, T, H) -> (B, ceil(T / 4), C), at once or as a stream.

    `MoonshineStem`, then pre-norm layers without biases in attention and norms, and a norm.
    """

    def __init__(self, features: int, config: MoonshineStreamingEncoderConfig):
        channels = config.channels
        layers = (self._layer(config, before - 1, after) for before, after in config.windows)
        norm = Pointwise(nn.LayerNorm(channels, bias=False))
        super().__init__(MoonshineStem(features, channels), Serial(*layers), norm)

    @property
    def lookahead(self) -> int:
        """See `Streaming`; the stem sees none."""
        return self.latency * self.stride

    def levels(self, x: NDArray[np.float32]) -> NDArray[Any]:
        return levels(x)

    @staticmethod
    def _layer(config: MoonshineStreamingEncoderConfig, before: int, after: int) -> Serial:
        channels, hidden = config.channels, config.hidden
        feed_forward = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))
        bodies = (
            WindowAttention(channels, config.heads, before, after, positions=False, bias=False),
            Pointwise(feed_forward),
        )
        return Serial(
            *(Residual(Serial(Pointwise(nn.LayerNorm(channels, bias=False)), body), channels) for body in bodies)
        )


class StemState(NamedTuple):
    frames: Tensor  # (B, 4, C): the newest inputs of the first convolution
    hidden: Tensor  # (B, 4, 2 C): the newest inputs of the second


class MoonshineStem(Streaming):
    """Samples of steps (B, T, H) -> (B, ceil(T / 4), C).

    The samples of each step are brought to mean 0 and variance 1 and compressed by asinh; then a linear map and two
    causal convolutions over 5 steps with stride 2, SiLU between them.
    """

    stride = block = 4

    def __init__(self, features: int, channels: int):
        super().__init__()
        self.channels = channels
        self.log_scale = nn.Parameter(torch.tensor(0.75).log())
        self.linear = nn.Linear(features, channels, bias=False)
        self.conv1 = nn.Conv1d(channels, 2 * channels, _KERNEL, 2)
        self.conv2 = nn.Conv1d(2 * channels, channels, _KERNEL, 2)

    @property
    def lookahead(self) -> int:
        """See `Streaming`; of its four steps, an output sees the first one."""
        return 0

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        missing = -x.shape[1] % self.stride
        x, mask = nn.functional.pad(x, (0, 0, 0, missing)), nn.functional.pad(mask, (0, missing))
        return self.step(x, mask, self.init_state(len(x), x))[:2]

    def init_state(self, batch: int, like: Tensor) -> StemState:
        kept = _KERNEL - 1
        return StemState(like.new_zeros(batch, kept, self.channels), like.new_zeros(batch, kept, 2 * self.channels))

    def step(self, x: Tensor, mask: Tensor, state: StemState) -> tuple[Tensor, Tensor, StemState]:
        frames = torch.cat([state.frames, apply_mask(self._frames(apply_mask(x, mask)), mask)], dim=1)
        hidden = nn.functional.silu(self.conv1(frames.transpose(1, 2)).transpose(1, 2))
        # Its bias would make steps that do not exist audible to the second convolution.
        hidden = torch.cat([state.hidden, apply_mask(hidden, mask_stride(mask, 2))], dim=1)
        y = self.conv2(hidden.transpose(1, 2)).transpose(1, 2)
        kept = _KERNEL - 1
        return y, mask_stride(mask, self.stride), StemState(frames[:, -kept:], hidden[:, -kept:])

    def _frames(self, x: Tensor) -> Tensor:
        x = x - x.mean(dim=-1, keepdim=True)
        x = x / (x.square().mean(dim=-1, keepdim=True) + _EPSILON).sqrt()
        return nn.functional.silu(self.linear((self.log_scale.exp() * x).asinh()))
