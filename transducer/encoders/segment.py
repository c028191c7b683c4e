"""What encoders of whole segments have in common, and a layer that most of them are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from transducer.cores.multihead import MultiHeadAttention
from transducer.model.sequence import Streaming


class SegmentEncoder(Streaming):
    """An encoder of segments, each of which it sees as a whole."""

    can_step = False

    def levels(self, x: NDArray[np.float32]) -> NDArray[Any]:
        """Features (..., T, F) -> log10 of the power in mel bands (..., T, bands), in the scale of `WhisperMel`."""
        return x


class EncoderLayer(nn.Module):
    """Attention of all steps to each other, feed-forward with GELU; a residual around each.

    Args:
        key_bias, bias: see `MultiHeadAttention`; without biases, norms have none either.
        pre_norm: whether a norm comes before each of the two (Xiong et al. 2020, arXiv:2002.04745), or after its
            residual (Vaswani et al. 2017).
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        hidden: int,
        key_bias: bool = True,
        bias: bool = True,
        pre_norm: bool = True,
    ):
        super().__init__()
        self.pre_norm = pre_norm
        self.self_norm, self.feed_norm = (nn.LayerNorm(channels, bias=bias) for _ in range(2))
        self.self_attention = MultiHeadAttention(channels, heads, key_bias=key_bias, bias=bias)
        self.feed_forward = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))

    def forward(self, x: Tensor, visible: Tensor, turn: Tensor | None = None) -> Tensor:
        """(B, T, C) -> the same, each step seeing what is visible, (B, 1, 1, T) bool; `turn` as in `rotations`."""
        y = self.self_norm(x) if self.pre_norm else x
        x = x + self.self_attention.attend(y, *self.self_attention.keys_values(y, turn), visible, turn)
        if self.pre_norm:
            return x + self.feed_forward(self.feed_norm(x))
        x = self.self_norm(x)
        return self.feed_norm(x + self.feed_forward(x))


def visible_steps(mask: Tensor) -> Tensor:
    """(B, T) -> (B, 1, 1, T): what every step sees. A row without any step sees its padding, or it would be NaN."""
    return (mask | ~mask.any(dim=1, keepdim=True))[:, None, None]
