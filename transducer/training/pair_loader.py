"""Batches of examples of similar length, made in the background, from any place on bit for bit the same each time.

B examples, T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from torch import Tensor

from transducer.data.loader import in_background
from transducer.errors import UsageError
from transducer.training.pair_workers import PairMaker
from transducer.training.pairs import Pair, PairSource

_ORDER, _SHUFFLE = 10, 11  # keep random streams of one seed apart

# Where a batch is: the epoch, the place in its order where the window begins, the batch's number in the window.
Position = tuple[int, int, int]


@dataclass(frozen=True)
class PairBatch:
    """One training batch.

    Attributes:
        x: (B, T, C) uint8 or float32, 0 beyond the lengths.
        lengths: (B,) int64.
        pairs: the examples; their `x` is in the batch's.
        epoch: from 0.
        following: position of the next batch.
    """

    x: Tensor
    lengths: Tensor
    pairs: tuple[Pair, ...]
    epoch: int = 0
    following: Position = (0, 0, 0)

    @property
    def mask(self) -> Tensor:
        """(B, T) bool, true within the lengths."""
        return torch.arange(self.x.shape[1]) < self.lengths[:, None]


class PairLoader:
    """Cuts a source's examples into batches, epoch after epoch, each in an order of its own.

    How long an example is shows only once it is made. So the order is cut into windows of about `buckets` batches,
    whose examples are sorted by length and cut into batches of at most `batch_frames` steps, padding counted; the
    batches of a window come in random order. To go on from a position means to make its window anew.

    Args:
        prefetch: batches made ahead; 0 makes them when they are asked for.
    """

    def __init__(
        self,
        source: PairSource,
        batch_frames: int,
        seed: int,
        *,
        buckets: int = 4,
        workers: int = 0,
        prefetch: int = 2,
    ):
        if not len(source):
            raise UsageError("there is nothing to train on: the source of pairs is empty")
        if batch_frames < 1:
            raise UsageError(f"{batch_frames} frames a batch: it must be at least 1")
        self.source, self.batch_frames, self.seed = source, batch_frames, seed
        self.buckets, self.prefetch = buckets, prefetch
        self._maker = PairMaker(source, seed, workers)

    def stream(self, epoch: int = 0, start: int = 0, step: int = 0) -> Iterator[PairBatch]:
        """Batches without end from a position on. One stream at a time; close it before the next."""
        return in_background(self._batches(epoch, start, step), self.prefetch)

    def close(self) -> None:
        """End the processes."""
        self._maker.close()

    def _order(self, epoch: int) -> np.ndarray:
        return self._generator(_ORDER, epoch).permutation(len(self.source))

    def _keys(self, epoch: int, start: int) -> Iterator[tuple[int, int]]:
        for number in count(epoch):
            for index in self._order(number)[start if number == epoch else 0 :].tolist():
                yield number, index

    def _batches(self, epoch: int, start: int, step: int) -> Iterator[PairBatch]:
        pairs = self._maker.pairs(self._keys(epoch, start))
        while True:
            window: list[Pair] = []
            frames = 0
            while start + len(window) < len(self.source) and frames < self.buckets * self.batch_frames:
                window.append(_checked(next(pairs)))
                frames += len(window[-1].x)
            after = (epoch, start + len(window), 0) if start + len(window) < len(self.source) else (epoch + 1, 0, 0)
            batches = self._cut(window, epoch, start)
            for number in range(step, len(batches)):
                following = (epoch, start, number + 1) if number + 1 < len(batches) else after
                yield collate(batches[number], epoch, following)
            epoch, start, step = after

    def _cut(self, window: Sequence[Pair], epoch: int, start: int) -> list[list[Pair]]:
        batches: list[list[Pair]] = []
        for pair in sorted(window, key=lambda pair: len(pair.x)):  # the last one is the longest so far
            if not batches or len(pair.x) * (len(batches[-1]) + 1) > self.batch_frames:
                batches.append([])
            batches[-1].append(pair)
        order = self._generator(_SHUFFLE, epoch, start).permutation(len(batches))
        return [batches[number] for number in order]

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


def collate(pairs: Sequence[Pair], epoch: int = 0, following: Position = (0, 0, 0)) -> PairBatch:
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
    return PairBatch(torch.from_numpy(x), torch.from_numpy(lengths), tuple(pairs), epoch, following)


def _checked(pair: Pair) -> Pair:
    if pair.x.ndim != 2 or not len(pair.x) or pair.x.dtype not in (np.uint8, np.float32):
        raise UsageError(
            f"pair {pair.id!r}: x must be (T, C), uint8 or float32, T at least 1; it is {pair.x.shape} {pair.x.dtype}"
        )
    return pair
