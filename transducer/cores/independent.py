"""Position-wise layers: every step by itself, without any context. What other cores gain is what context gives."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from transducer.cores.layers import FeedForward, Pointwise, normed
from transducer.model.config import CoreConfig, register
from transducer.model.sequence import Residual, Streaming


@register("independent")
@dataclass(frozen=True)
class IndependentConfig(CoreConfig):
    """Layers x + W2 silu(W1 norm(x)), the feed-forward half of a Transformer, and a norm after the last."""

    channels: int = 192
    hidden: int = 768
    layers: int = 4
    dropout: float = 0.0

    def build(self) -> list[Streaming]:
        layers = [self._layer() for _ in range(self.layers)]
        return [*layers, Pointwise(nn.LayerNorm(self.channels))]

    @classmethod
    def examples(cls) -> tuple[IndependentConfig, ...]:
        return (cls(8, 12, 2),)

    def _layer(self) -> Residual:
        feed_forward = Pointwise(FeedForward(self.channels, self.hidden, self.dropout))
        return Residual(normed(self.channels, feed_forward), self.channels)
