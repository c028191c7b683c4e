"""How right a head is: accuracy of labels, edits between tokens, errors of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from transducer.heads.head import IGNORE
from transducer.search.tokens.hypothesis import Search


class Metric(Protocol):
    """Counts over sequences, one after the other.

    Attributes:
        name: "accuracy" (more is better), "error", "perplexity" or "mean_absolute_error" (less is).
        total: labels, tokens or numbers of the targets so far.
        rate: the share of them; of errors it may be over 1, and the last two are no shares.
    """

    name: str

    @property
    def total(self) -> int: ...

    @property
    def rate(self) -> float: ...

    def add(self, outputs: Tensor, target: Any) -> None:
        """Count a sequence: outputs (T, V), and what would have been right, as `Head.loss` takes it."""
        ...


class LabelAccuracy:
    """What a head said against what was right, label by label.

    Args:
        labels: how many there are.
        last: there is one label for the whole, and the last output tells it.
    """

    name = "accuracy"

    def __init__(self, labels: int, last: bool = False):
        self.matrix = np.zeros((labels, labels), dtype=np.int64)  # [right, said]
        self._last = last

    def add(self, outputs: Tensor, target: Any) -> None:
        right = np.asarray(target, dtype=np.int64).reshape(-1)
        said = (outputs[-1:] if self._last else outputs).argmax(dim=-1).cpu().numpy()
        known = right != IGNORE
        np.add.at(self.matrix, (right[known], said[known]), 1)

    @property
    def total(self) -> int:
        return int(self.matrix.sum())

    @property
    def rate(self) -> float:
        return float(np.trace(self.matrix) / self.total)


class TokenErrors:
    """Edits between the tokens that a search finds and those that are right.

    Attributes:
        search: finds the tokens, greedily.
        sequences, right: how many there were, and how many of them without any error.
    """

    name = "error"

    def __init__(self, search: Search[Any]):
        self.total = self.errors = self.sequences = self.right = 0
        self.search = search

    def add(self, outputs: Tensor, target: Any) -> None:
        self.add_many([outputs], [target])

    def add_many(self, outputs: Sequence[Tensor], targets: Sequence[Any]) -> None:
        """The same for many sequences, (T_i, V) each."""
        parts = [part.float().cpu().numpy() for part in outputs]
        searched = self.search.step_many([self.search.init()] * len(parts), parts)
        ended = self.search.finish_many(
            [(state, len(part), True) for (state, _), part in zip(searched, parts, strict=True)]
        )
        for state, target in zip(ended, targets, strict=True):
            self._count(target, self.search.best(state).tokens)

    @property
    def rate(self) -> float:
        return self.errors / self.total

    def _count(self, target: Sequence[int], found: Sequence[int]) -> None:
        wrong = edits(list(target), list(found))
        self.errors += wrong
        self.total += len(target)
        self.sequences += 1
        self.right += not wrong


class WrittenErrors(TokenErrors):
    """The same of a head that writes whole segments by itself.

    Args:
        write: outputs (T, V) -> tokens.
    """

    def __init__(self, write: Callable[[Tensor], Sequence[int]]):
        self.total = self.errors = self.sequences = self.right = 0
        self.write = write

    def add_many(self, outputs: Sequence[Tensor], targets: Sequence[Any]) -> None:
        for part, target in zip(outputs, targets, strict=True):
            self._count(target, self.write(part))


class Perplexity:
    """How many tokens a language model hesitates between: exp of the mean negative log-likelihood."""

    name = "perplexity"

    def __init__(self) -> None:
        self.total, self.nll = 0, 0.0

    def add(self, outputs: Tensor, target: Any) -> None:
        right = torch.as_tensor(np.asarray(target, dtype=np.int64)).to(outputs.device)
        known = right != IGNORE
        self.nll -= float(outputs[known].double().gather(1, right[known, None]).sum())
        self.total += int(known.sum())

    @property
    def rate(self) -> float:
        return math.exp(self.nll / self.total)


class NumberErrors:
    """How far numbers are from what is right.

    Args:
        numbers: V, how many there are for a step, or for the whole.
        last: the last output tells those of the whole.
    """

    name = "mean_absolute_error"

    def __init__(self, numbers: int, last: bool = False):
        self.total, self.absolute = 0, 0.0
        self._numbers, self._last = numbers, last

    def add(self, outputs: Tensor, target: Any) -> None:
        right = np.asarray(target, dtype=np.float64).reshape(-1, self._numbers)
        said = (outputs[-1:] if self._last else outputs).double().cpu().numpy()
        known = ~np.isnan(right)
        self.absolute += float(np.abs(said - right)[known].sum())
        self.total += int(known.sum())

    @property
    def rate(self) -> float:
        return self.absolute / self.total


def edits(right: Sequence[object], said: Sequence[object]) -> int:
    """The fewest insertions, deletions and substitutions that make one sequence the other."""
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.distance(right, said)
