"""Full convolutions over a few steps: for features as small as those of words, less time on a CPU than others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from transducer.cores.layers import Pointwise
from transducer.errors import UsageError
from transducer.model.config import CoreConfig, register
from transducer.model.sequence import Residual, Serial, Streaming, apply_mask

MOST_LAYERS = 1000


class WindowState(NamedTuple):
    steps: Tensor  # (B, (past + look_ahead) * dilation, C): the newest inputs
    exists: Tensor  # (B, look_ahead * dilation) bool: which of the newest exist; their outputs wait


class Window(Streaming):
    """A full convolution, (B, T, C) -> (B, T, C'): `past` taps before the current step and `look_ahead` after it.

    Taps are `dilation` steps apart. As one matrix product it takes less time on a CPU than the depthwise convolutions
    of `transducer.cores.tcn`, which are nearly all traffic.
    """

    def __init__(self, channels: int, out_channels: int, past: int, look_ahead: int = 0, dilation: int = 1):
        super().__init__()
        if min(past, look_ahead) < 0 or dilation < 1:
            raise ValueError(f"a window cannot reach {past} and {look_ahead} steps with {dilation} between them")
        self.channels, self.past, self.dilation = channels, past * dilation, dilation
        self.latency = look_ahead * dilation
        self.linear = nn.Linear((past + 1 + look_ahead) * channels, out_channels)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        padded = nn.functional.pad(apply_mask(x, mask), (0, 0, self.past, self.latency))
        return self._convolve(padded, x.shape[1]), mask

    def init_state(self, batch: int, like: Tensor) -> WindowState:
        steps = like.new_zeros(batch, self.past + self.latency, self.channels)
        return WindowState(steps, torch.zeros(batch, self.latency, dtype=torch.bool, device=like.device))

    def step(self, x: Tensor, mask: Tensor, state: WindowState) -> tuple[Tensor, Tensor, WindowState]:
        count = x.shape[1]
        steps = torch.cat([state.steps, apply_mask(x, mask)], dim=1)
        exists = torch.cat([state.exists, mask], dim=1)
        return self._convolve(steps, count), exists[:, :count], WindowState(steps[:, count:], exists[:, count:])

    def _convolve(self, x: Tensor, count: int) -> Tensor:
        starts = range(0, x.shape[1] - count + 1, self.dilation)
        return self.linear(torch.cat([x[:, start : start + count] for start in starts], dim=-1))


@register("window_layers")
@dataclass(frozen=True)
class WindowLayersConfig(CoreConfig):
    """Layers x + W gelu(window(norm(x))), each over the current step and `past` before it, and a norm after the last.

    Layer n has the nth of `dilations`, round and round.
    """

    channels: int = 160
    hidden: int = 224
    layers: int = 3
    past: int = 2
    dilations: tuple[int, ...] = (1, 3, 9)
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not self.dilations or not 0 <= self.layers <= MOST_LAYERS:
            raise UsageError(f"window layers have dilations, and are at most {MOST_LAYERS}, got {self.layers}")

    def build(self) -> list[Streaming]:
        dilations = [self.dilations[layer % len(self.dilations)] for layer in range(self.layers)]
        return [*map(self._layer, dilations), Pointwise(nn.LayerNorm(self.channels))]

    @classmethod
    def examples(cls) -> tuple[WindowLayersConfig, ...]:
        return cls(8, 5, 2, 2, (1, 3)), cls(8, 5, 3, 1, (2,))

    def _layer(self, dilation: int) -> Residual:
        last = nn.Linear(self.hidden, self.channels)
        body = Serial(
            Pointwise(nn.LayerNorm(self.channels)),
            Window(self.channels, self.hidden, self.past, dilation=dilation),
            Pointwise(nn.Sequential(nn.GELU(), nn.Dropout(self.dropout), last)),
        )
        return Residual(body, self.channels)
