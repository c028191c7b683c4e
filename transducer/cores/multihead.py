"""Multi-head attention to keys and values that are computed apart, and positions of a Transformer.

Legend of axis suffixes: N rows, U queries, S keys, C channels, H heads, D channels of a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from transducer.cores.attention import rotate


class MultiHeadAttention(nn.Module):
    """Multi-head attention of (N, U, C) over keys and values (N, H, S, D), computed apart so that they can be kept.

    Args:
        channels: of queries and outputs.
        memory: channels of what keys and values are made of; as the queries if None.
        key_bias: whether keys have a bias, which changes no weight of the softmax.
        bias: whether any of them have one.
    """

    def __init__(self, channels: int, heads: int, memory: int | None = None, key_bias: bool = True, bias: bool = True):
        super().__init__()
        if heads < 1 or channels % heads:
            raise ValueError(f"channels ({channels}) must be a multiple of the heads ({heads})")
        self.heads = heads
        self.query = nn.Linear(channels, channels, bias=bias)
        self.key = nn.Linear(memory or channels, channels, bias=bias and key_bias)
        self.value = nn.Linear(memory or channels, channels, bias=bias)
        self.out = nn.Linear(channels, channels, bias=bias)

    def keys_values(self, x: Tensor, turn: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(N, S, C) -> keys and values, (N, H, S, D) each.

        Args:
            turn: with rotary positions, their angles (2, S, D), see `rotations`. Queries have to be turned as well.
        """
        return self._turned(self.key(x), turn), self._split(self.value(x))

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, visible: Tensor | None, turn: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """-> (N, U, C), weights (N, H, U, S). What is not `visible`, (N, 1, U or 1, S) bool, has no weight."""
        q = self._turned(self.query(x), turn) * (x.shape[-1] // self.heads) ** -0.5
        scores = torch.matmul(q, keys.transpose(-1, -2))
        weights = scores.softmax(dim=-1) if visible is None else masked_softmax(scores, visible)
        return self.out(torch.matmul(weights, values).transpose(1, 2).flatten(2)), weights

    def attend(
        self, x: Tensor, keys: Tensor, values: Tensor, visible: Tensor | None, turn: Tensor | None = None
    ) -> Tensor:
        """The same without the weights, (N, U, C): much faster. Some key has to be visible to every query."""
        q = self._turned(self.query(x), turn)
        y = nn.functional.scaled_dot_product_attention(q, keys, values, attn_mask=visible)
        return self.out(y.transpose(1, 2).flatten(2))

    def _turned(self, x: Tensor, turn: Tensor | None) -> Tensor:
        x = self._split(x)
        return x if turn is None else rotate(x, turn)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def masked_softmax(scores: Tensor, visible: Tensor) -> Tensor:
    """Softmax over the last axis; what is not visible has no weight. Where nothing is, all have the same."""
    return scores.masked_fill(~visible, torch.finfo(scores.dtype).min).softmax(dim=-1)


def sinusoids(positions: Tensor, channels: int) -> Tensor:
    """(U,) -> (U, channels): sines, then cosines, of wavelengths from 2 pi to 10000 times that (Vaswani et al. 2017,
    section 3.5)."""
    half = channels // 2
    rates = torch.exp(torch.arange(half, device=positions.device) * (-math.log(10000) / max(half - 1, 1)))
    angles = positions[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def rotations(positions: Tensor, channels: int, share: float, base: float = 10000.0) -> Tensor:
    """(U,) -> (2, U, channels): cosines and signed sines for `rotate`, of rotary positions (Su et al. 2021,
    arXiv:2104.09864, section 3.2.2).

    Args:
        channels: of a head.
        share: of them that turn, in whole pairs; the last pairs stay as they are.
        base: pair i of P that turn does so by base ** (-i / P) radians a position.
    """
    turning = int(channels * share) // 2
    rates = base ** (-torch.arange(turning, device=positions.device) / turning)
    angles = nn.functional.pad(positions[:, None] * rates, (0, channels // 2 - turning))
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)])
