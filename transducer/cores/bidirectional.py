"""Recurrent layers in both directions (Schuster & Paliwal 1997). They need the whole sequence and do not stream."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transducer.cores.layers import normed
from transducer.cores.recurrent import recurrent
from transducer.errors import UsageError
from transducer.model.config import CoreConfig, register
from transducer.model.sequence import Residual, Streaming, apply_mask


@register("bidirectional")
@dataclass(frozen=True)
class BidirectionalConfig(CoreConfig):
    """Layers of `BidirectionalLayer`; kind is "lstm", "gru" or "rnn", and `channels` those of both directions together.

    With `residual` a layer is x + layer(norm(x)).
    """

    kind: str = "lstm"
    channels: int = 256
    layers: int = 3
    dropout: float = 0.0
    residual: bool = False

    def __post_init__(self) -> None:
        if self.channels % 2:
            raise UsageError(f"two directions share the channels: their number must be even, got {self.channels}")

    def build(self) -> list[Streaming]:
        return [self._layer() for _ in range(self.layers)]

    @classmethod
    def examples(cls) -> tuple[BidirectionalConfig, ...]:
        return (
            cls("lstm", 8, 2),
            cls("gru", 8, 2, residual=True),
            cls("rnn", 8, 1),
        )

    def _layer(self) -> Streaming:
        layer = BidirectionalLayer(self.channels, self.kind, self.dropout)
        return Residual(normed(self.channels, layer), self.channels) if self.residual else layer


class BidirectionalLayer(Streaming):
    """Two recurrent layers of C / 2 units, one from the first step on and one from the last, (B, T, C) -> (B, T, C)."""

    can_step = False

    def __init__(self, channels: int, kind: str = "lstm", dropout: float = 0.0):
        super().__init__()
        self.forwards = recurrent(kind, channels, channels // 2)
        self.backwards = recurrent(kind, channels, channels // 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        x = apply_mask(x, mask)
        there, _ = self.forwards(x)
        back, _ = self.backwards(reverse(x, mask))
        return self.dropout(torch.cat([there, reverse(back, mask)], dim=-1)), mask


def reverse(x: Tensor, mask: Tensor) -> Tensor:
    """(B, T, C) with the steps of each row that exist in reverse order, and those that don't where they were.

    So the direction that begins at the end begins at the row's own end, and padding never reaches it.
    """
    step = torch.arange(mask.shape[1], device=x.device)
    source = torch.where(mask, mask.sum(1, keepdim=True) - 1 - step, step)
    return x.gather(1, source.unsqueeze(-1).expand_as(x))
