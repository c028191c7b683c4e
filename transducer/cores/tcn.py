"""Temporal convolutional networks: dilated convolutions over time, with as much look-ahead as is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from transducer.cores.layers import Pointwise
from transducer.errors import UsageError
from transducer.model.config import CoreConfig, register
from transducer.model.sequence import Residual, Serial, Streaming, apply_mask

MOST_LAYERS = 1000  # what look-ahead is spread over is counted before anything is built


@register("tcn")
@dataclass(frozen=True)
class TCNConfig(CoreConfig):
    """Layers of `TCNLayer`; layer n has the nth of `dilations`, round and round.

    `look_ahead` is that of all layers together, in encoder frames.
    """

    channels: int = 128
    hidden: int = 256
    layers: int = 8
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    look_ahead: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not self.dilations or not 0 <= self.layers <= MOST_LAYERS:
            raise UsageError(f"a TCN has dilations and at most {MOST_LAYERS} layers, got {self.layers}")

    def build(self) -> list[Streaming]:
        dilations = [self.dilations[layer % len(self.dilations)] for layer in range(self.layers)]
        ahead = spread_look_ahead(self.look_ahead, self.kernel, dilations)
        return [
            TCNLayer(self.channels, self.hidden, self.kernel, dilation, steps, self.dropout)
            for dilation, steps in zip(dilations, ahead, strict=True)
        ]

    @classmethod
    def examples(cls) -> tuple[TCNConfig, ...]:
        return (
            cls(8, 12, 3, 3, (1, 2)),
            cls(8, 12, 3, 3, (1, 2), look_ahead=5),
        )


class DilatedConvState(NamedTuple):
    steps: Tensor  # (B, (kernel - 1) * dilation, C): the newest inputs
    exists: Tensor  # (B, look_ahead) bool: which of the newest exist; their outputs wait


class DilatedConv(Streaming):
    """A depthwise convolution, (B, T, C) -> (B, T, C): tap j looks at step t + look_ahead - j * dilation.

    So with `look_ahead` 0 it is causal, and centred with half of (kernel - 1) * dilation.
    """

    def __init__(self, channels: int, kernel: int, dilation: int = 1, look_ahead: int = 0):
        super().__init__()
        if min(kernel, dilation) < 1:
            raise ValueError(f"kernel and dilation of a convolution are at least 1, got {kernel} and {dilation}")
        self.channels, self.kernel, self.dilation = channels, kernel, dilation
        self.span = (kernel - 1) * dilation
        if not 0 <= look_ahead <= self.span:
            raise ValueError(f"a convolution over {self.span + 1} steps cannot look {look_ahead} ahead")
        self.latency = look_ahead
        self.weight = nn.Parameter(torch.empty(kernel, channels))  # the newest step's tap last
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.normal_(self.weight, std=kernel**-0.5)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        x = nn.functional.pad(apply_mask(x, mask), (0, 0, self.span - self.latency, self.latency))
        return self._convolve(x, mask.shape[1]), mask

    def init_state(self, batch: int, like: Tensor) -> DilatedConvState:
        return DilatedConvState(
            like.new_zeros(batch, self.span, self.channels),
            torch.zeros(batch, self.latency, dtype=torch.bool, device=like.device),
        )

    def step(self, x: Tensor, mask: Tensor, state: DilatedConvState) -> tuple[Tensor, Tensor, DilatedConvState]:
        steps = mask.shape[1]
        x = torch.cat([state.steps.to(x.dtype), apply_mask(x, mask)], dim=1)
        exists = torch.cat([state.exists, mask], dim=1)
        return self._convolve(x, steps), exists[:, :steps], DilatedConvState(x[:, steps:], exists[:, steps:])

    def _convolve(self, x: Tensor, steps: int) -> Tensor:
        # A CPU has no fast kernel for dilated depthwise convolutions; sums of products of slices are one.
        y = self.bias + x[:, :steps] * self.weight[0]
        for tap in range(1, self.kernel):
            start = tap * self.dilation
            y = torch.addcmul(y, x[:, start : start + steps], self.weight[tap].to(y.dtype))
        return y


class TCNLayer(Residual):
    """x + W2 gelu(W1 conv(norm(x))), the convolution depthwise and dilated.

    After Bai et al. 2018 (arXiv:1803.01271), with the separable convolutions and the inverted bottleneck of Conv-TasNet
    (Luo & Mesgarani 2019).
    """

    def __init__(
        self, channels: int, hidden: int, kernel: int, dilation: int = 1, look_ahead: int = 0, dropout: float = 0.0
    ):
        body = Serial(
            Pointwise(nn.LayerNorm(channels)),
            DilatedConv(channels, kernel, dilation, look_ahead),
            Pointwise(
                nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, channels))
            ),
        )
        super().__init__(body, channels)


def spread_look_ahead(look_ahead: int, kernel: int, dilations: list[int]) -> list[int]:
    """Steps of look-ahead for each layer, in proportion to its reach, that add up to `look_ahead`.

    Raises:
        ValueError: the layers do not reach that far.
    """
    spans = [(kernel - 1) * dilation for dilation in dilations]
    reach = sum(spans)
    if not 0 <= look_ahead <= reach:
        raise ValueError(f"these convolutions reach over {reach} steps and cannot look {look_ahead} ahead")
    bounds = [0]
    for span in spans:
        bounds.append(bounds[-1] + span)
    # Rounding where each layer's share begins and ends keeps the sum, and no layer gets more than it spans.
    shares = [bound * look_ahead // max(reach, 1) for bound in bounds]
    return [b - a for a, b in pairwise(shares)]
