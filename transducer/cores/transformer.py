"""Transformer layers (Vaswani et al. 2017), pre-norm, chunk-causal."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from transducer.cores.attention import ChunkAttention
from transducer.cores.layers import FeedForward, Pointwise, normed, stack
from transducer.model.config import CoreConfig, register
from transducer.model.sequence import Residual, Serial, Streaming


@register("transformer")
@dataclass(frozen=True)
class TransformerConfig(CoreConfig):
    """Layers of `TransformerLayer`; chunk and left_context in encoder frames, look_ahead in chunks."""

    channels: int = 192
    heads: int = 4
    hidden: int = 768
    layers: int = 8
    chunk: int = 16
    left_context: int = 64
    look_ahead: int = 0
    dropout: float = 0.0

    def build(self) -> list[Streaming]:
        return stack(TransformerLayer, **vars(self))

    @classmethod
    def examples(cls) -> tuple[TransformerConfig, ...]:
        return (
            cls(8, 2, 12, 2, 1, 6),
            cls(8, 2, 12, 2, 2, 6, look_ahead=1),
        )


class TransformerLayer(Serial):
    """Attention, feed-forward, norm. See `ChunkAttention` for the chunks."""

    def __init__(
        self,
        channels: int,
        heads: int,
        hidden: int,
        chunk: int = 16,
        left_context: int = 128,
        look_ahead: int = 0,
        dropout: float = 0.0,
    ):
        super().__init__(
            Residual(normed(channels, ChunkAttention(channels, heads, chunk, left_context, look_ahead)), channels),
            Residual(normed(channels, Pointwise(FeedForward(channels, hidden, dropout))), channels),
            Pointwise(nn.LayerNorm(channels)),
        )
