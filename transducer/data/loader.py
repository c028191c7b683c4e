"""Batches of features, collated and augmented in a background thread.

B utterances, T frames, C bins.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from transducer.data.batches import BatchPlan
from transducer.data.item import Item
from transducer.media.io.prefetch import Prefetch

_AUGMENT = 2  # keeps this random stream apart from those of BatchPlan


class Store(Protocol):
    """What the loader asks of a FeatureStore."""

    utterances: Sequence[Item]
    speeds: np.ndarray

    def features(self, utterance: int, variant: int = 0) -> np.ndarray: ...


Made = TypeVar("Made")

Augment = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Batch:
    """One training batch.

    Attributes:
        features: (B, T, C) float32, 0 beyond the lengths.
        lengths: (B,) int64, frames.
        ids, texts: of each utterance.
        speeds: (B,) float32: a time t of the recording is at t / speed in these features.
        tokens: (B,) lists of token numbers, or None without a tokenizer.
        indices: (B,) int64, positions in the store.
        epoch, step: where this batch is; the next one is (epoch, step + 1).
    """

    features: Tensor
    lengths: Tensor
    ids: list[str]
    texts: list[str]
    speeds: Tensor
    tokens: list[list[int]] | None
    indices: Tensor
    epoch: int
    step: int

    @property
    def mask(self) -> Tensor:
        """(B, T) bool, true within the lengths."""
        return torch.arange(self.features.shape[1]) < self.lengths[:, None]


class BatchLoader:
    """Iterate a plan over a store, from any step of any epoch, bit for bit the same each time.

    Args:
        store: a FeatureStore.
        plan: made from `store.frames`.
        augment: `(features (B, T, C), lengths (B,), generator) -> features`, training only; see
            `transducer.data.augment.features`. Its generator is seeded from (seed, epoch, step, rank).
        normalise: mean and standard deviation, (C,) each, as the model's front-end has them; applied last.
        tokenizer: text -> token numbers.
        prefetch: how many batches the thread prepares ahead; 0 works in the caller's thread.
    """

    def __init__(
        self,
        store: Store,
        plan: BatchPlan,
        *,
        augment: Augment | None = None,
        normalise: tuple[np.ndarray, np.ndarray] | None = None,
        tokenizer: Callable[[str], Sequence[int]] | None = None,
        prefetch: int = 3,
    ):
        self.store, self.plan, self.augment, self.prefetch = store, plan, augment, prefetch
        self.normalise = normalise and tuple(np.asarray(part, dtype=np.float32) for part in normalise)
        self.tokenizer = tokenizer

    def epoch(self, epoch: int, step: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from `step` on."""
        return in_background(self._batches(epoch, step), self.prefetch)

    def stream(self, epoch: int = 0, step: int = 0) -> Iterator[Batch]:
        """Epoch after epoch without end, from `(epoch, step)` on."""
        return in_background(self._endless(epoch, step), self.prefetch)

    def _endless(self, epoch: int, step: int) -> Iterator[Batch]:
        while True:
            yield from self._batches(epoch, step)
            epoch, step = epoch + 1, 0

    def _batches(self, epoch: int, first: int) -> Iterator[Batch]:
        variants = self.plan.variants(epoch)
        batches = self.plan.epoch(epoch)
        for step in range(first, len(batches)):
            yield self._collate(batches[step], variants, epoch, step)

    def _collate(self, indices: list[int], variants: np.ndarray, epoch: int, step: int) -> Batch:
        rows = [self.store.features(index, int(variants[index])) for index in indices]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        features = np.zeros((len(rows), int(lengths.max()), rows[0].shape[1]), dtype=np.float32)
        for target, row in zip(features, rows, strict=True):
            target[: len(row)] = row
        if self.augment:
            key = (_AUGMENT, epoch, step, self.plan.rank)
            rng = np.random.default_rng(np.random.SeedSequence(self.plan.seed, spawn_key=key))
            features = self.augment(features, lengths, rng)
        if self.normalise:
            features -= self.normalise[0]
            features /= self.normalise[1]
        for target, length in zip(features, lengths, strict=True):
            target[length:] = 0
        utterances = [self.store.utterances[index] for index in indices]
        return Batch(
            features=torch.from_numpy(features),
            lengths=torch.from_numpy(lengths),
            ids=[utterance.id for utterance in utterances],
            texts=[utterance.text for utterance in utterances],
            speeds=torch.from_numpy(self.store.speeds[variants[indices]].astype(np.float32)),
            tokens=[list(self.tokenizer(utterance.text)) for utterance in utterances] if self.tokenizer else None,
            indices=torch.tensor(indices),
            epoch=epoch,
            step=step,
        )


def in_background(source: Iterator[Made], ahead: int) -> Iterator[Made]:
    """The same items, prepared by a thread that ends with this generator; its errors are raised here."""
    if ahead < 1:
        yield from source
        return
    items = Prefetch(source, ahead)
    try:
        yield from items
    finally:
        items.close()
