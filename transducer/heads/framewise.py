"""A label for every frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from transducer.cores.layers import Pointwise
from transducer.heads.head import IGNORE, Head, Loss, Target
from transducer.heads.metrics import LabelAccuracy
from transducer.model.config import HeadConfig, ModelConfig, register

if TYPE_CHECKING:
    from transducer.search.context import SearchContext
    from transducer.search.result_search import ResultSearch
    from transducer.search.searching import EventSearching


@register("framewise")
@dataclass(frozen=True)
class FramewiseConfig(HeadConfig):
    """A label for every frame; `hidden` units in a layer before the last, 0 for none."""

    units: str = "labels"
    hidden: int = 0

    def build(self, channels: int, model: ModelConfig) -> Framewise:
        head = Framewise(channels, model.tokens(self.units), self.hidden)
        head.config = self
        return head

    @classmethod
    def examples(cls) -> tuple[FramewiseConfig, ...]:
        return (
            cls(),
            cls(hidden=3),
        )


class Framewise(Pointwise, Head):
    """(B, T, C) -> (B, T, V) log-probabilities of the labels; label 0 is the background.

    Args:
        hidden: units of a layer before the last; 0 for none.
    """

    target = Target.LABELS

    def __init__(self, channels: int, labels: int, hidden: int = 0):
        super().__init__(nn.Sequential(*layers(channels, labels, hidden)))
        self.size = self.labels = labels

    def loss(self, outputs: Tensor, mask: Tensor, targets: Sequence[np.ndarray], weights: Tensor | None = None) -> Loss:
        labels = np.full(tuple(mask.shape), IGNORE, dtype=np.int64)
        for row, target in zip(labels, targets, strict=True):
            row[: len(target)] = target
        known = torch.where(mask, torch.from_numpy(labels).to(mask.device), IGNORE)
        count = int((known != IGNORE).sum())
        return Loss(cross_entropy(outputs, known, weights) * count, count)

    def search(self, context: SearchContext) -> ResultSearch[Any, Any]:
        """Events of any kind that is made of labels of steps."""
        return self.searching().build(context)

    def searching(self) -> EventSearching:
        """See `Head`."""
        from transducer.search.searching import EventSearching

        return EventSearching("dense")

    def metric(self) -> LabelAccuracy:
        return LabelAccuracy(self.size)


def cross_entropy(log_probs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
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


def layers(channels: int, outputs: int, hidden: int = 0) -> list[nn.Module]:
    """Linear, or linear, GELU, linear; then log-softmax."""
    before: list[nn.Module] = [nn.Linear(channels, hidden), nn.GELU()] if hidden else []
    return [*before, nn.Linear(hidden or channels, outputs), nn.LogSoftmax(dim=-1)]
