"""A label for every frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transducer.cores.layers import Pointwise

IGNORE = -1  # a frame whose label nobody knows


class Framewise(Pointwise):
    """(B, T, C) -> (B, T, V) log-probabilities of the labels; label 0 is the background.

    Args:
        hidden: units of a layer before the last; 0 for none.
    """

    def __init__(self, channels: int, labels: int, hidden: int = 0):
        super().__init__(nn.Sequential(*head(channels, labels, hidden)))
        self.labels = labels

    @staticmethod
    def loss(log_probs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Cross-entropy, the mean over all frames that have a label; 0 where none has.

        Args:
            log_probs: (B, T, V). labels: (B, T) int64, -1 where unknown or padding.
            weights: (V,) of the labels; the mean is then weighted.
        """
        known = labels != IGNORE
        # Selected, not multiplied: 0 times NaN is NaN.
        found, wanted = log_probs[known].float(), labels[known]
        weight = torch.ones_like(found[:, 0]) if weights is None else weights.to(found)[wanted]
        nll = -found.gather(1, wanted[:, None]).squeeze(1)
        return (nll * weight).sum() / weight.sum().clamp(min=torch.finfo(weight.dtype).tiny)


def head(channels: int, outputs: int, hidden: int = 0) -> list[nn.Module]:
    """Linear, or linear, GELU, linear; then log-softmax."""
    before: list[nn.Module] = [nn.Linear(channels, hidden), nn.GELU()] if hidden else []
    return [*before, nn.Linear(hidden or channels, outputs), nn.LogSoftmax(dim=-1)]
