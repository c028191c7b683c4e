"""Heads for connectionist temporal classification (Graves et al. 2006): frames -> token log-probabilities."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transducer.cores.layers import Pointwise
from transducer.model.sequence import Streaming

BLANK = 0  # the blank's index, in every head and every search


class CTC(Pointwise):
    """(B, T, C) -> (B, T, V) log-probabilities of the tokens; token 0 is the blank."""

    def __init__(self, channels: int, tokens: int):
        super().__init__(nn.Sequential(nn.Linear(channels, tokens), nn.LogSoftmax(dim=-1)))
        self.tokens = tokens

    @staticmethod
    def loss(log_probs: Tensor, lengths: Tensor, targets: list[list[int]]) -> Tensor:
        """Negative log-likelihood (B,) of the targets, summed over alignments; 0 where a target cannot fit.

        Args:
            log_probs: (B, T, V). lengths: (B,) frames. targets: B token lists without blanks.
        """
        flat = torch.tensor([token for target in targets for token in target], dtype=torch.long)
        sizes = torch.tensor([len(target) for target in targets])
        return nn.functional.ctc_loss(
            log_probs.float().transpose(0, 1), flat, lengths, sizes, BLANK, reduction="none", zero_infinity=True
        )


class SelfConditioning(Streaming):
    """An intermediate head whose posteriors are fed back: x + W softmax(head(x)).

    Self-conditioned CTC (Nozaki & Komatsu 2021, arXiv:2104.02724): later layers see what the earlier ones
    think that they heard. The loss on `logits` is the trainer's affair.
    """

    def __init__(self, channels: int, tokens: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, tokens)
        self.back = nn.Linear(tokens, channels)

    def logits(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, V), not normalised."""
        return self.head(self.norm(x))

    def condition(self, x: Tensor, logits: Tensor) -> Tensor:
        return x + self.back(logits.softmax(dim=-1))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.condition(x, self.logits(x)), mask

    def init_state(self, batch: int, like: Tensor) -> tuple:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple) -> tuple[Tensor, Tensor, tuple]:
        return self.condition(x, self.logits(x)), mask, state
