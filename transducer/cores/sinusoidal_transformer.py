"""Transformer layers whose positions are sinusoids that are added once: what Whisper's encoder is, chunk-causal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from transducer.cores.attention import ChunkAttention
from transducer.cores.layers import Pointwise, normed
from transducer.cores.multihead import sinusoids
from transducer.model.config import CoreConfig, register
from transducer.model.sequence import Residual, Serial, Streaming


@register("sinusoidal_transformer")
@dataclass(frozen=True)
class SinusoidalTransformerConfig(CoreConfig):
    """Positions, `layers` of attention and feed-forward with GELU, and a norm after the last.

    Attributes:
        chunk, left_context: in encoder frames, see `ChunkAttention`.
        period: frames after which positions begin again.
    """

    channels: int = 384
    heads: int = 6
    hidden: int = 1536
    layers: int = 4
    chunk: int = 32
    left_context: int = 256
    period: int = 1500
    dropout: float = 0.0

    def build(self) -> list[Streaming]:
        layers = [self._layer() for _ in range(self.layers)]
        return [SinusoidalPositions(self.channels, self.period), *layers, Pointwise(nn.LayerNorm(self.channels))]

    @classmethod
    def examples(cls) -> tuple[SinusoidalTransformerConfig, ...]:
        return (cls(8, 2, 12, 2, 3, 6, 20),)

    def _layer(self) -> Serial:
        attention = ChunkAttention(self.channels, self.heads, self.chunk, self.left_context, positions=False)
        feed_forward = nn.Sequential(
            nn.Linear(self.channels, self.hidden),
            nn.GELU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, self.channels),
        )
        return Serial(
            Residual(normed(self.channels, attention), self.channels),
            Residual(normed(self.channels, Pointwise(feed_forward)), self.channels),
        )


class PositionState(NamedTuple):
    position: Tensor  # (B,) int64, of the next step, below the period


class SinusoidalPositions(Streaming):
    """x + sinusoids of its position (Vaswani et al. 2017, section 3.5), which begins again after `period` steps.

    Attention to absolute positions is bounded to those that it was trained on, so that a stream of any length sees
    no others. In training, a sequence begins at a position that is drawn at random: otherwise the later ones, and the
    place where they begin again, would hardly be heard.
    """

    def __init__(self, channels: int, period: int):
        super().__init__()
        if channels % 2 or period < 1:
            raise ValueError(f"sinusoids need an even width and a period of at least 1, got {channels} and {period}")
        self.channels, self.period = channels, period

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        first = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        if self.training:
            first = torch.randint(self.period, (len(x),), device=x.device)
        return self.step(x, mask, PositionState(first))[:2]

    def init_state(self, batch: int, like: Tensor) -> PositionState:
        return PositionState(torch.zeros(batch, dtype=torch.int64, device=like.device))

    def step(self, x: Tensor, mask: Tensor, state: PositionState) -> tuple[Tensor, Tensor, PositionState]:
        steps = x.shape[1]
        position = (state.position[:, None] + torch.arange(steps, device=x.device)) % self.period
        where = sinusoids(position.flatten(), self.channels).view(*position.shape, -1)
        return x + where.to(x.dtype), mask, PositionState((state.position + steps) % self.period)
