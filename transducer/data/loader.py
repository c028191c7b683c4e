"""Batches of examples, made in the background, from any place on bit for bit the same each time.

B examples, T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from transducer.data.batches import BatchPlan, WindowPlan
from transducer.data.pairs import Pair, PairSource, check_pair, enters
from transducer.data.ranks import Ranks
from transducer.data.workers import Key, PairMaker
from transducer.errors import UsageError
from transducer.media.io.prefetch import Prefetch

Item = TypeVar("Item")

# Where a batch is. Planned batches: epoch, number in it, 0. Windows: epoch, place in its order where the window
# begins, number in the window.
Position = tuple[int, int, int]
START: Position = (0, 0, 0)

_WAITING = 32  # examples made ahead where several processes make those of a window


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

    @property
    def shards(self) -> Mapping[int, Batch]:
        """Of a batch that is not cut: itself."""
        return {0: self}

    def to(self, device: torch.device) -> Batch:
        """The same with its tensors on a device."""
        return replace(self, x=self.x.to(device), lengths=self.lengths.to(device))


@dataclass(frozen=True)
class Share:
    """What one process has of a batch that is cut into shards.

    Attributes:
        shards: number -> a shard, which is a batch by itself; those without examples are left out.
        following: position of the next batch.
    """

    shards: Mapping[int, Any]
    epoch: int
    following: tuple[int, ...]

    @property
    def amount(self) -> int:
        """Steps, without padding."""
        return sum(shard.amount for shard in self.shards.values())


class PairLoader:
    """Cuts a source's examples into batches, epoch after epoch, each in an order of its own.

    Where the source knows `lengths`, batches are planned by them, see `BatchPlan`. Elsewhere, how long an example is
    shows only once it is made, see `WindowPlan`; to go on from a position means to make its window anew.

    Args:
        maker: of the pairs of this source, among others; it is the caller's to close.
        batch_frames: steps in a batch, padding counted; a longer example is a batch of its own.
        seed: of the order, and of what the source draws.
        buckets: of windows: so many batches' worth of examples are sorted by length.
        ranks: the processes that share each batch; where there are several, or several shards, this one gets a
            `Share`. Every example is made by the process that computes with it.
        prefetch: batches made ahead; 0 makes them when they are asked for.
    """

    def __init__(
        self,
        source: PairSource,
        maker: PairMaker,
        batch_frames: int,
        seed: int,
        *,
        buckets: int = 4,
        ranks: Ranks = Ranks(),  # noqa: B008 (frozen)
        prefetch: int = 2,
    ):
        if not len(source):
            raise UsageError("there is nothing to train on: the source of pairs is empty")
        self.source, self.seed, self.ranks, self.prefetch = source, seed, ranks, prefetch
        self._maker, self._number, self._enters = maker, maker.number(source), enters(source)
        lengths = getattr(source, "lengths", None)
        self._plan = self._windows = None
        if lengths is None:
            self._windows = WindowPlan(len(source), batch_frames, seed, buckets)
        else:
            if len(lengths) != len(source):
                raise UsageError(f"the source of pairs has {len(source)} examples and the lengths of {len(lengths)}")
            self._plan = BatchPlan(lengths, batch_frames, seed)

    def stream(self, *position: int) -> Generator[Batch | Share, None, None]:
        """Batches without end from a position on. One stream at a time; close it before the next."""
        start = position or START
        if self._plan:
            return in_background(self._planned(*start), self.prefetch)
        if self.ranks.world == 1:
            return in_background(self._windowed(*start), self.prefetch)
        return self._windowed(*start)  # the processes tell each other lengths, in step with all else that they tell

    def epoch(self, epoch: int) -> Iterator[Batch | Share]:
        """The batches of one epoch; only where lengths are known."""
        assert self._plan is not None
        return in_background(islice(self._planned(epoch, 0, 0), len(self._plan.epoch(epoch))), self.prefetch)

    def _planned(self, epoch: int, first: int, _: int) -> Iterator[Batch | Share]:
        plan = self._plan
        assert plan is not None
        pairs = self._maker.pairs(self._planned_keys(epoch, first))
        while True:
            batches = plan.epoch(epoch)
            for number in range(first, len(batches)):
                after = (epoch, number + 1, 0) if number + 1 < len(batches) else (epoch + 1, 0, 0)
                rows = [(shard, check_pair(next(pairs))) for shard, _ in self._own(batches[number])]
                yield self._share(rows, epoch, after)
            epoch, first = epoch + 1, 0

    def _planned_keys(self, epoch: int, first: int) -> Iterator[Key]:
        plan = self._plan
        assert plan is not None
        variants = plan.lengths.shape[1]
        for number in count(epoch):
            chosen = plan.variants(number)
            for batch in plan.epoch(number)[first if number == epoch else 0 :]:
                for _, index in self._own(batch):
                    yield Key(self._number, self.seed, number, index * variants + int(chosen[index]))

    def _own(self, rows: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Those of the shards of this process, each with its shard: they take turns, and so get what is alike."""
        for place, row in enumerate(rows):
            if place % self.ranks.shards in self.ranks.own:
                yield place % self.ranks.shards, row

    def _share(self, rows: Sequence[tuple[int, Pair]], epoch: int, following: Position) -> Batch | Share:
        """What this process has of a batch, of its examples with their shards."""
        found = {
            number: collate([pair for shard, pair in rows if shard == number], self._enters, epoch, following)
            for number in sorted({shard for shard, _ in rows})
        }
        return found[0] if self.ranks.shards == 1 else Share(found, epoch, following)

    def _windowed(self, epoch: int, start: int, step: int) -> Generator[Batch | Share, None, None]:
        plan = self._windows
        assert plan is not None
        examples = self._examples(epoch, start)
        try:
            while True:
                window: list[tuple[int, Pair | None]] = []
                frames = 0
                while start + len(window) < plan.examples and frames < plan.frames:
                    window.append(next(examples))
                    frames += window[-1][0]
                end = start + len(window)
                after = (epoch, end, 0) if end < plan.examples else (epoch + 1, 0, 0)
                batches = plan.cut([length for length, _ in window], epoch, start)
                for number in range(step, len(batches)):
                    following = (epoch, start, number + 1) if number + 1 < len(batches) else after
                    made = [((start + row) % self.ranks.shards, window[row][1]) for row in batches[number]]
                    yield self._share([(shard, pair) for shard, pair in made if pair is not None], epoch, following)
                epoch, start, step = after
        finally:
            examples.close()

    def _examples(self, epoch: int, start: int) -> Generator[tuple[int, Pair | None], None, None]:
        """Those of the windows, in order: their lengths, and the pairs of this process.

        The shards take turns here, too. The processes tell each other the lengths of a round of shards at a time.
        """
        plan, ranks = self._windows, self.ranks
        assert plan is not None
        pairs = in_background(self._maker.pairs(self._window_keys(epoch, start)), _WAITING if ranks.world > 1 else 0)
        try:
            for number in count(epoch):
                for first in range(start if number == epoch else 0, plan.examples, ranks.shards):
                    places = range(first, min(first + ranks.shards, plan.examples))
                    made = [check_pair(next(pairs)) if place % ranks.shards in ranks.own else None for place in places]
                    lengths = ranks.sum(0 if pair is None else len(pair.x) for pair in made)
                    yield from zip(map(int, lengths), made, strict=True)
        finally:
            pairs.close()

    def _window_keys(self, epoch: int, start: int) -> Iterator[Key]:
        plan = self._windows
        assert plan is not None
        for number in count(epoch):
            order = plan.order(number).tolist()
            for place in range(start if number == epoch else 0, len(order)):
                if place % self.ranks.shards in self.ranks.own:
                    yield Key(self._number, self.seed, number, order[place])


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
