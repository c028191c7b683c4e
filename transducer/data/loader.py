"""Batches of examples, made in the background, from any place on bit for bit the same each time.

B examples, T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from transducer.data.batches import BatchPlan, WindowPlan
from transducer.data.pairs import Pair, PairSource, check_pair, enters
from transducer.data.workers import Key, PairMaker
from transducer.errors import UsageError
from transducer.media.io.prefetch import Prefetch

Item = TypeVar("Item")

# Where a batch is. Planned batches: epoch, number in it, 0. Windows: epoch, place in its order where the window
# begins, number in the window.
Position = tuple[int, int, int]
START: Position = (0, 0, 0)


@dataclass(frozen=True)
class Batch:
    """One training batch.

    Attributes:
        x: (B, T, C) uint8 or float32, 0 beyond the lengths.
        lengths: (B,) int64.
        pairs: the examples; their `x` is in the batch's.
        enters: where x goes, "frontend" or "encoder".
        epoch: from 0.
        following: position of the next batch.
    """

    x: Tensor
    lengths: Tensor
    pairs: tuple[Pair, ...]
    enters: str = "frontend"
    epoch: int = 0
    following: Position = START

    @property
    def mask(self) -> Tensor:
        """(B, T) bool, true within the lengths."""
        return torch.arange(self.x.shape[1], device=self.lengths.device) < self.lengths[:, None]

    @property
    def amount(self) -> int:
        """Steps, without padding."""
        return int(self.lengths.sum())

    def to(self, device: torch.device) -> Batch:
        """The same with its tensors on a device."""
        return replace(self, x=self.x.to(device), lengths=self.lengths.to(device))


class PairLoader:
    """Cuts a source's examples into batches, epoch after epoch, each in an order of its own.

    Where the source knows `lengths`, batches are planned by them, see `BatchPlan`. Elsewhere, how long an example is
    shows only once it is made, see `WindowPlan`; to go on from a position means to make its window anew.

    Args:
        maker: of the pairs of this source, among others; it is the caller's to close.
        batch_frames: steps in a batch, padding counted; a longer example is a batch of its own.
        seed: of the order, and of what the source draws.
        buckets: of windows: so many batches' worth of examples are sorted by length.
        world, rank: of how many processes this is which; every one gets batches of its own.
        prefetch: batches made ahead; 0 makes them when they are asked for.

    Raises:
        UsageError: there are fewer examples than processes.
    """

    def __init__(
        self,
        source: PairSource,
        maker: PairMaker,
        batch_frames: int,
        seed: int,
        *,
        buckets: int = 4,
        world: int = 1,
        rank: int = 0,
        prefetch: int = 2,
    ):
        if not len(source):
            raise UsageError("there is nothing to train on: the source of pairs is empty")
        self.source, self.seed, self.prefetch = source, seed, prefetch
        self._maker, self._number, self._enters = maker, maker.number(source), enters(source)
        lengths = getattr(source, "lengths", None)
        self._plan = self._windows = None
        if lengths is None:
            self._windows = WindowPlan(len(source), batch_frames, seed, buckets, world, rank)
        else:
            if len(lengths) != len(source):
                raise UsageError(f"the source of pairs has {len(source)} examples and the lengths of {len(lengths)}")
            self._plan = BatchPlan(lengths, batch_frames, seed, world, rank)

    def stream(self, *position: int) -> Generator[Batch, None, None]:
        """Batches without end from a position on. One stream at a time; close it before the next."""
        found = self._planned if self._plan else self._windowed
        return in_background(found(*(position or START)), self.prefetch)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch; only where lengths are known."""
        assert self._plan is not None
        return in_background(islice(self._planned(epoch, 0, 0), len(self._plan.epoch(epoch))), self.prefetch)

    def _planned(self, epoch: int, first: int, _: int) -> Iterator[Batch]:
        plan = self._plan
        assert plan is not None
        pairs = self._maker.pairs(self._planned_keys(epoch, first))
        while True:
            batches = plan.epoch(epoch)
            for number in range(first, len(batches)):
                after = (epoch, number + 1, 0) if number + 1 < len(batches) else (epoch + 1, 0, 0)
                rows = [check_pair(next(pairs)) for _ in batches[number]]
                yield collate(rows, self._enters, epoch, after)
            epoch, first = epoch + 1, 0

    def _planned_keys(self, epoch: int, first: int) -> Iterator[Key]:
        plan = self._plan
        assert plan is not None
        variants = plan.lengths.shape[1]
        for number in count(epoch):
            chosen = plan.variants(number)
            for batch in plan.epoch(number)[first if number == epoch else 0 :]:
                for index in batch:
                    yield Key(self._number, self.seed, number, index * variants + int(chosen[index]))

    def _windowed(self, epoch: int, start: int, step: int) -> Iterator[Batch]:
        plan = self._windows
        assert plan is not None
        pairs = self._maker.pairs(self._window_keys(epoch, start))
        while True:
            total = len(plan.order(epoch))
            window: list[Pair] = []
            frames = 0
            while start + len(window) < total and frames < plan.frames:
                window.append(check_pair(next(pairs)))
                frames += len(window[-1].x)
            after = (epoch, start + len(window), 0) if start + len(window) < total else (epoch + 1, 0, 0)
            batches = plan.cut([len(pair.x) for pair in window], epoch, start)
            for number in range(step, len(batches)):
                following = (epoch, start, number + 1) if number + 1 < len(batches) else after
                yield collate([window[row] for row in batches[number]], self._enters, epoch, following)
            epoch, start, step = after

    def _window_keys(self, epoch: int, start: int) -> Iterator[Key]:
        plan = self._windows
        assert plan is not None
        for number in count(epoch):
            for index in plan.order(number)[start if number == epoch else 0 :].tolist():
                yield Key(self._number, self.seed, number, index)


def collate(pairs: Sequence[Pair], where: str = "frontend", epoch: int = 0, following: Position = START) -> Batch:
    """Examples side by side, padded with zeros.

    Raises:
        UsageError: they differ in type or channels.
    """
    first = pairs[0]
    for pair in pairs:
        if pair.x.dtype != first.x.dtype or pair.x.shape[1] != first.x.shape[1]:
            raise UsageError(
                f"the pairs differ: x is {first.x.dtype} with {first.x.shape[1]} channels in {first.id!r}, "
                f"{pair.x.dtype} with {pair.x.shape[1]} in {pair.id!r}"
            )
    lengths = np.array([len(pair.x) for pair in pairs], dtype=np.int64)
    x = np.zeros((len(pairs), int(lengths.max()), first.x.shape[1]), first.x.dtype)
    for target, pair in zip(x, pairs, strict=True):
        target[: len(pair.x)] = pair.x
    return Batch(torch.from_numpy(x), torch.from_numpy(lengths), tuple(pairs), where, epoch, following)


def in_background(source: Iterator[Item], ahead: int) -> Generator[Item, None, None]:
    """The same items, prepared by a thread that ends with this generator; its errors are raised here."""
    if ahead < 1:
        yield from source
        return
    items = Prefetch(source, ahead)
    try:
        yield from items
    finally:
        items.close()
