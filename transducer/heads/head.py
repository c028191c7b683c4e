"""What all heads have in common: a stage, the targets it learns from, its loss, and how good it is.

Legend of axis suffixes: B batch, T output steps, V labels or tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from transducer.errors import UsageError
from transducer.model.config import HeadConfig
from transducer.model.sequence import Streaming

if TYPE_CHECKING:
    from transducer.heads.metrics import Metric
    from transducer.search.context import SearchContext
    from transducer.search.result_search import ResultSearch

IGNORE = -1  # a label that nobody knows


class Target(Enum):
    """What a head learns from; the value says it in words."""

    LABELS = "labels of its steps, an array (T,) of integers"
    LABEL = "one label, an integer"
    TOKENS = "tokens, a list of integers"
    VALUES = "numbers of its steps, an array (T, V) of floats"
    VALUE = "numbers of the whole, an array (V,) of floats"


class Loss(NamedTuple):
    """A sum over a batch, and over how many tokens, steps or sequences; 0 where nobody knows a target."""

    total: Tensor
    count: int  # type: ignore[assignment]  # hides a method of tuples

    @property
    def mean(self) -> Tensor:
        return self.total / max(self.count, 1)


class Head(Streaming):
    """The last stage of a model, (B, T, C) -> (B, T', V) or what its search reads.

    Attributes:
        config: what it was built from; `HeadConfig.build` sets it.
        size: labels or tokens that it knows, the background or blank (number 0) counted; or numbers that it gives.
        target: what it learns from.
        delay: output steps by which what it writes lags what it hears; it counts as latency.
    """

    config: HeadConfig | None = None
    size: int
    target: Target
    delay: int = 0

    def loss(self, outputs: Tensor, mask: Tensor, targets: Sequence[Any], weights: Tensor | None = None) -> Loss:
        """The loss of a batch, in float32 where outputs are less.

        Args:
            outputs, mask: as `forward` gives them, (B, T, V) and (B, T).
            targets: one a row, each as `check_target` wants it; `LABELS` for each of the row's steps.
            weights: (V,) of the labels, for heads of labels.

        Raises:
            UsageError: weights for a head of tokens.
        """
        raise NotImplementedError

    def search(self, context: SearchContext) -> ResultSearch[Any, Any]:
        """What makes results of its outputs. Raises UsageError for an option that it does not have."""
        raise NotImplementedError

    def searching(self) -> Any:
        """What its search is, see `transducer.search.searching`. Raises UsageError where nothing there says it."""
        raise UsageError(
            f"a {self._name} head cannot be exported: its search is not one of transducer.search.searching"
        )

    def metric(self) -> Metric:
        """A new count of how often the head is right."""
        raise NotImplementedError

    def matrices(self) -> Iterable[nn.Parameter]:
        """Matrices inside it, which map steps to steps: an optimizer may treat them as those of a core. Embeddings and
        what writes labels or tokens are none."""
        return ()

    def check_target(self, target: Any, where: str) -> None:
        """Raises UsageError, which begins with `where`, for a target of another kind or out of range."""
        labels = {
            Target.LABELS: lambda: isinstance(target, np.ndarray) and target.ndim == 1 and target.dtype.kind in "iu",
            Target.LABEL: lambda: _integer(target),
            Target.TOKENS: lambda: _tokens(target),
        }
        if not labels[self.target]():
            raise UsageError(f"{where}: a {self._name} head learns from {self.target.value}")
        lowest = 1 if self.target is Target.TOKENS else IGNORE
        numbers = np.asarray(target, dtype=np.int64).reshape(-1)
        strange = numbers[(numbers < lowest) | (numbers >= self.size)]
        if len(strange):
            what = "token" if self.target is Target.TOKENS else "label"
            raise UsageError(f"{where}: there is no {what} {strange[0]}; they go from {lowest} to {self.size - 1}")

    def refuse_weights(self, weights: Tensor | None) -> None:
        """Raises UsageError where there are weights."""
        if weights is not None:
            raise UsageError(f"weights of labels are for heads of labels: a {self._name} head has tokens")

    @property
    def _name(self) -> str:
        return type(self).__name__


def _integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _tokens(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "iu"
    return isinstance(value, Sequence) and not isinstance(value, str | bytes) and all(map(_integer, value))
