"""One label for a whole sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from transducer.heads.framewise import cross_entropy, layers
from transducer.heads.head import IGNORE, Head, Loss, Target
from transducer.heads.metrics import LabelAccuracy
from transducer.model.config import HeadConfig, ModelConfig, register
from transducer.model.sequence import apply_mask

if TYPE_CHECKING:
    from transducer.search.context import SearchContext
    from transducer.search.result_search import ResultSearch
    from transducer.search.searching import EventSearching


@register("pooled")
@dataclass(frozen=True)
class PooledConfig(HeadConfig):
    """One label for the whole sequence; `hidden` units in a layer before the last, 0 for none."""

    units: str = "labels"
    hidden: int = 0

    def build(self, channels: int, model: ModelConfig) -> Pooled:
        head = Pooled(channels, model.tokens(self.units), self.hidden)
        head.config = self
        return head

    @classmethod
    def examples(cls) -> tuple[PooledConfig, ...]:
        return (
            cls(),
            cls(hidden=3),
        )


class PooledState(NamedTuple):
    total: Tensor  # (B, C): the sum of the frames so far
    count: Tensor  # type: ignore[assignment]  # (B,) int64: how many there were


class Pooled(Head):
    """(B, T, C) -> (B, T, V) log-probabilities of the sequence's label, judged by the frames up to each step.

    The mean over time comes before the head, so that the last output is the answer for all of the sequence.
    """

    target = Target.LABEL

    def __init__(self, channels: int, labels: int, hidden: int = 0):
        super().__init__()
        self.channels = channels
        self.size = self.labels = labels
        self.head = nn.Sequential(*layers(channels, labels, hidden))

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

    def loss(self, outputs: Tensor, mask: Tensor, targets: Sequence[int], weights: Tensor | None = None) -> Loss:
        """Cross-entropy of the last output of each row that has a label."""
        last = (mask.sum(dim=1) - 1).clamp(min=0)
        found = outputs[torch.arange(len(last), device=last.device), last]
        labels = torch.where(mask.any(dim=1), torch.tensor(targets, device=mask.device), IGNORE)
        count = int((labels != IGNORE).sum())
        return Loss(cross_entropy(found[:, None], labels[:, None], weights) * count, count)

    def search(self, context: SearchContext) -> ResultSearch[Any, Any]:
        """One label for the whole."""
        return self.searching().build(context)

    def searching(self) -> EventSearching:
        """See `Head`."""
        from transducer.search.searching import EventSearching

        return EventSearching("clip")

    def metric(self) -> LabelAccuracy:
        return LabelAccuracy(self.size, last=True)
