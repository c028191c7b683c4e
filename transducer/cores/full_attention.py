"""Transformer and Conformer layers that see the whole sequence. They do not stream.

Legend of axis suffixes: B batch, T time, H heads, D channels of a head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transducer.cores.attention import rotary, rotate
from transducer.cores.layers import CausalConvModule, FeedForward, Pointwise, normed, stack
from transducer.model.config import CoreConfig, register
from transducer.model.sequence import Residual, Serial, Streaming, apply_mask


@register("full_transformer")
@dataclass(frozen=True)
class FullTransformerConfig(CoreConfig):
    """Layers of a Transformer encoder (Vaswani et al. 2017), pre-norm, each step seeing all others."""

    channels: int = 192
    heads: int = 4
    hidden: int = 768
    layers: int = 8
    dropout: float = 0.0

    def build(self) -> list[Streaming]:
        return stack(FullTransformerLayer, **vars(self))

    @classmethod
    def examples(cls) -> tuple[FullTransformerConfig, ...]:
        return (cls(8, 2, 12, 2),)


@register("full_conformer")
@dataclass(frozen=True)
class FullConformerConfig(CoreConfig):
    """Layers of a Conformer (Gulati et al. 2020) as in the paper: whole context, and centred convolutions."""

    channels: int = 192
    heads: int = 4
    hidden: int = 512
    layers: int = 8
    kernel: int = 15
    dropout: float = 0.0

    def build(self) -> list[Streaming]:
        return stack(FullConformerLayer, **vars(self))

    @classmethod
    def examples(cls) -> tuple[FullConformerConfig, ...]:
        return cls(8, 2, 12, 2, 5), cls(8, 2, 12, 1, 4)


class FullAttention(Streaming):
    """Multi-head self-attention of every step to every step that exists, (B, T, C) -> (B, T, C).

    Positions are rotary, as those of `ChunkAttention`. The products of all pairs are never in memory at once, so that
    memory grows with T and time with T squared.
    """

    can_step = False

    def __init__(self, channels: int, heads: int):
        super().__init__()
        if heads < 1 or channels % (2 * heads):
            raise ValueError(f"channels ({channels}) must be a multiple of twice the heads ({heads})")
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        # What does not exist is finite, and its keys are hidden. A row without any step sees its padding, or its
        # outputs, which nobody reads, would be NaN.
        visible = (mask | ~mask.any(dim=1, keepdim=True))[:, None, None]
        q, k, v = self.qkv(apply_mask(x, mask)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        turn = rotary(torch.arange(x.shape[1], device=x.device), q.shape[-1], q.dtype)
        y = nn.functional.scaled_dot_product_attention(rotate(q, turn), rotate(k, turn), v, attn_mask=visible)
        return self.out(y.transpose(1, 2).flatten(2)), mask


class CentredConvModule(CausalConvModule):
    """The Conformer's convolution module with as many steps after the current one as before it."""

    can_step = False

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        after = (self.kernel - 1) // 2
        x = nn.functional.pad(self._gated(x, mask), (0, 0, self.kernel - 1 - after, after))
        return self._finish(self.depthwise(x.transpose(1, 2)).transpose(1, 2)), mask

    init_state, step = Streaming.init_state, Streaming.step  # which refuse


class FullTransformerLayer(Serial):
    """Attention, feed-forward, norm."""

    def __init__(self, channels: int, heads: int, hidden: int, dropout: float = 0.0):
        super().__init__(
            Residual(normed(channels, FullAttention(channels, heads)), channels),
            Residual(normed(channels, Pointwise(FeedForward(channels, hidden, dropout))), channels),
            Pointwise(nn.LayerNorm(channels)),
        )


class FullConformerLayer(Serial):
    """Half feed-forward, attention, convolution, half feed-forward, norm."""

    def __init__(self, channels: int, heads: int, hidden: int, kernel: int = 15, dropout: float = 0.0):
        super().__init__(
            Residual(normed(channels, Pointwise(FeedForward(channels, hidden, dropout))), channels, 0.5),
            Residual(normed(channels, FullAttention(channels, heads)), channels),
            Residual(normed(channels, CentredConvModule(channels, kernel)), channels),
            Residual(normed(channels, Pointwise(FeedForward(channels, hidden, dropout))), channels, 0.5),
            Pointwise(nn.LayerNorm(channels)),
        )
