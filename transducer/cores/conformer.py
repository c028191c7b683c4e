"""Conformer layers (Gulati et al. 2020, arXiv:2005.08100), chunk-causal."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from transducer.cores.attention import ChunkAttention
from transducer.cores.layers import CausalConvModule, FeedForward, Pointwise, normed, stack
from transducer.model.config import CoreConfig, register
from transducer.model.sequence import Residual, Serial, Streaming


@register("conformer")
@dataclass(frozen=True)
class ConformerConfig(CoreConfig):
    """Layers of `ConformerLayer`; chunk and left_context in encoder frames, look_ahead in chunks."""

    channels: int = 192
    heads: int = 4
    hidden: int = 512
    layers: int = 8
    kernel: int = 15
    chunk: int = 16
    left_context: int = 64
    look_ahead: int = 0
    dropout: float = 0.0

    def build(self) -> list[Streaming]:
        return stack(ConformerLayer, **vars(self))

    @classmethod
    def examples(cls) -> tuple[ConformerConfig, ...]:
        return (
            cls(8, 2, 12, 2, 5, 4, 6),
            cls(8, 2, 12, 2, 5, 2, 6, look_ahead=1),
        )


class ConformerLayer(Serial):
    """Half feed-forward, attention, convolution, half feed-forward, norm. See `ChunkAttention` for the chunks."""

    def __init__(
        self,
        channels: int,
        heads: int,
        hidden: int,
        kernel: int = 15,
        chunk: int = 16,
        left_context: int = 128,
        look_ahead: int = 0,
        dropout: float = 0.0,
    ):
        super().__init__(
            Residual(normed(channels, Pointwise(FeedForward(channels, hidden, dropout))), channels, 0.5),
            Residual(normed(channels, ChunkAttention(channels, heads, chunk, left_context, look_ahead)), channels),
            Residual(normed(channels, CausalConvModule(channels, kernel)), channels),
            Residual(normed(channels, Pointwise(FeedForward(channels, hidden, dropout))), channels, 0.5),
            Pointwise(nn.LayerNorm(channels)),
        )
