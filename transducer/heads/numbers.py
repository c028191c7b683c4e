"""Numbers: one or several for every step, or for a whole sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import huber_loss

from transducer.cores.layers import Pointwise
from transducer.errors import UsageError
from transducer.heads.framewise import layers
from transducer.heads.head import Head, Loss, Target
from transducer.heads.metrics import NumberErrors
from transducer.heads.pooled import Pooled
from transducer.model.config import HeadConfig, ModelConfig, register

if TYPE_CHECKING:
    from transducer.search.context import SearchContext
    from transducer.search.result_search import ResultSearch
    from transducer.search.searching import EventSearching


@register("numbers")
@dataclass(frozen=True)
class NumbersConfig(HeadConfig):
    """A number for each of its units but token 0, which has no meaning here.

    Attributes:
        units: the names of the numbers, as labels.
        whole: one answer for the whole sequence, judged by the mean of its steps; else one for every step.
        hidden: units in a layer before the last, 0 for none.
        delta: standard deviations from which on the loss grows linearly (Huber 1964); a large one is squared error.

    Raises:
        UsageError: delta is not above 0.
    """

    units: str = "labels"
    whole: bool = False
    hidden: int = 0
    delta: float = 1.0

    def __post_init__(self) -> None:
        if not self.delta > 0:
            raise UsageError(f"delta must be above 0, not {self.delta:g}")

    def build(self, channels: int, model: ModelConfig) -> StepNumbers | WholeNumbers:
        kind = WholeNumbers if self.whole else StepNumbers
        head = kind(channels, model.tokens(self.units) - 1, self.hidden, self.delta)
        head.config = self
        return head

    @classmethod
    def examples(cls) -> tuple[NumbersConfig, ...]:
        return (
            cls("characters"),
            cls("characters", hidden=8),
            cls("characters", whole=True, hidden=3),
        )


class Scale(nn.Module):
    """(..., V) in standard deviations from the mean of the training data -> the data's own units, float32 at least."""

    mean: Tensor
    std: Tensor

    def __init__(self, numbers: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("std", torch.ones(numbers))

    def forward(self, x: Tensor) -> Tensor:
        return x.to(torch.promote_types(x.dtype, self.std.dtype)) * self.std + self.mean


class Numbers(Head):
    """What both heads below have in common. NaN in a target is a number that nobody knows."""

    delta: float

    @property
    def scale(self) -> Scale:
        """Mean and standard deviation of the targets, which training measures before it starts."""
        return cast(Scale, self._layers()[-1])

    def _layers(self) -> nn.Sequential:
        raise NotImplementedError

    def _loss(self, found: Tensor, wanted: Tensor) -> Loss:
        """Huber loss of (N, V) in standard deviations, over all numbers that are known."""
        known = ~wanted.isnan()
        errors = (found.float() - wanted.nan_to_num()) / self.scale.std.float()
        # Selected, not multiplied: 0 times NaN is NaN.
        chosen = errors[known]
        return Loss(huber_loss(chosen, torch.zeros_like(chosen), reduction="sum", delta=self.delta), int(known.sum()))

    def check_target(self, target: Any, where: str) -> None:
        axes = 1 if self.target is Target.VALUE else 2
        if not isinstance(target, np.ndarray) or target.ndim != axes or target.dtype.kind != "f":
            raise UsageError(f"{where}: a {self._name} head learns from {self.target.value}")
        if target.shape[-1] != self.size:
            raise UsageError(f"{where}: there are {target.shape[-1]} numbers, and the head has {self.size}")
        if np.isinf(target).any():
            raise UsageError(f"{where}: a number is infinite")

    def refuse_weights(self, weights: Tensor | None) -> None:
        if weights is not None:
            raise UsageError(f"weights of labels are for heads of labels: a {self._name} head has numbers")

    def metric(self) -> NumberErrors:
        return NumberErrors(self.size, last=self.target is Target.VALUE)


class StepNumbers(Pointwise, Numbers):
    """(B, T, C) -> (B, T, V) numbers of every step, in the units of the data.

    Args:
        numbers: V. hidden, delta: see `NumbersConfig`.
    """

    target = Target.VALUES

    def __init__(self, channels: int, numbers: int, hidden: int = 0, delta: float = 1.0):
        super().__init__(nn.Sequential(*layers(channels, numbers, hidden)[:-1], Scale(numbers)))
        self.size, self.delta = numbers, delta

    def _layers(self) -> nn.Sequential:
        return cast(nn.Sequential, self.module)

    def loss(self, outputs: Tensor, mask: Tensor, targets: Sequence[np.ndarray], weights: Tensor | None = None) -> Loss:
        self.refuse_weights(weights)
        wanted = np.full((*mask.shape, self.size), np.nan, dtype=np.float32)
        for row, target in zip(wanted, targets, strict=True):
            row[: len(target)] = target
        return self._loss(outputs[mask], torch.from_numpy(wanted).to(mask.device)[mask])

    def search(self, context: SearchContext) -> ResultSearch[Any, Any]:
        """An event for every step, with its numbers."""
        return self.searching().build(context)

    def searching(self) -> EventSearching:
        """See `Head`."""
        from transducer.search.searching import EventSearching

        return EventSearching("numbers")


class WholeNumbers(Pooled, Numbers):
    """(B, T, C) -> (B, T, V) numbers of the sequence, judged by the mean of the steps up to each.

    Args:
        numbers: V. hidden, delta: see `NumbersConfig`.
    """

    target = Target.VALUE

    def __init__(self, channels: int, numbers: int, hidden: int = 0, delta: float = 1.0):
        super().__init__(channels, numbers, hidden)
        self.delta = delta
        self.head = nn.Sequential(*layers(channels, numbers, hidden)[:-1], Scale(numbers))

    def _layers(self) -> nn.Sequential:
        return self.head

    def loss(self, outputs: Tensor, mask: Tensor, targets: Sequence[Any], weights: Tensor | None = None) -> Loss:
        """Of the last output of each row that is known."""
        self.refuse_weights(weights)
        wanted = torch.from_numpy(np.stack(targets).astype(np.float32)).to(mask.device)
        there = mask.any(dim=1)
        last = (mask.sum(dim=1) - 1).clamp(min=0)
        return self._loss(outputs[torch.arange(len(last), device=last.device), last][there], wanted[there])

    def search(self, context: SearchContext) -> ResultSearch[Any, Any]:
        """The numbers of the whole, at its end."""
        return self.searching().build(context)

    def searching(self) -> EventSearching:
        """See `Head`."""
        from transducer.search.searching import EventSearching

        return EventSearching("whole_numbers")

    def metric(self) -> NumberErrors:  # Pooled counts labels
        return Numbers.metric(self)
