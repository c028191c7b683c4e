"""One label for a whole sequence."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from transducer.heads.framewise import IGNORE, head
from transducer.model.sequence import Streaming, apply_mask


class PooledState(NamedTuple):
    total: Tensor  # (B, C): the sum of the frames so far
    count: Tensor  # (B,) int64: how many there were


class Pooled(Streaming):
    """(B, T, C) -> (B, T, V) log-probabilities of the sequence's label, judged by the frames up to each step.

    The mean over time comes before the head, so that the last output is the answer for all of the sequence.
    """

    def __init__(self, channels: int, labels: int, hidden: int = 0):
        super().__init__()
        self.channels, self.labels = channels, labels
        self.head = nn.Sequential(*head(channels, labels, hidden))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        y, mask, _ = self.step(x, mask, self.init_state(x.shape[0], x))
        return y, mask

    def init_state(self, batch: int, like: Tensor) -> PooledState:
        count = torch.zeros(batch, dtype=torch.int64, device=like.device)
        return PooledState(like.new_zeros(batch, self.channels), count)

    def step(self, x: Tensor, mask: Tensor, state: PooledState) -> tuple[Tensor, Tensor, PooledState]:
        # Eight bits of a sum stop counting after 256 frames.
        x = apply_mask(x, mask).to(torch.promote_types(x.dtype, torch.float32))
        total = state.total.to(x.dtype)[:, None] + x.cumsum(dim=1)
        count = state.count[:, None] + mask.cumsum(dim=1)
        y = self.head(total / count.clamp(min=1).unsqueeze(-1))
        return y, mask, PooledState(total[:, -1], count[:, -1])

    @staticmethod
    def loss(log_probs: Tensor, mask: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Cross-entropy of the last output of each row, the mean over rows that have a label; 0 where none has.

        Args:
            log_probs: (B, T, V). mask: (B, T). labels: (B,) int64, -1 where unknown.
            weights: (V,) of the labels; the mean is then weighted.
        """
        from transducer.heads.framewise import Framewise

        last = (mask.sum(dim=1) - 1).clamp(min=0)
        found = log_probs[torch.arange(len(last), device=last.device), last]
        labels = torch.where(mask.any(dim=1), labels, IGNORE)
        return Framewise.loss(found[:, None], labels[:, None], weights)
