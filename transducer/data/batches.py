"""Which examples make which batch: a pure function of seed and epoch, so that a run can resume anywhere."""

from collections.abc import Sequence

import numpy as np

from transducer.errors import UsageError

# Keys that keep the random streams of one seed apart.
_ORDER, _VARIANT, _WINDOWS, _SHUFFLE = 0, 1, 10, 11


class BatchPlan:
    """Length-bucketed batches: every example exactly once an epoch.

    Examples are sorted by length, with jitter so that batches differ between epochs, cut where a batch would
    exceed the budget of padded frames, and shuffled. An example longer than the budget is a batch of its own.

    Args:
        lengths: (N,) frames of each example, or (N, V) where it comes in V variants (speeds): then each epoch
            draws one for each example.
        frames_per_batch: budget of a batch: its longest example times their number, at most.
        seed: of all that is random here.
        jitter: relative; 0.1 lets lengths within 10 % of each other change places.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        frames_per_batch: int,
        seed: int,
        jitter: float = 0.1,
    ):
        lengths = np.asarray(lengths, dtype=np.int64)
        self.lengths = lengths[:, None] if lengths.ndim == 1 else lengths
        _check(frames_per_batch)
        self.frames_per_batch, self.seed, self.jitter = frames_per_batch, seed, jitter

    def variants(self, epoch: int) -> np.ndarray:
        """(N,) which variant of each example this epoch uses."""
        return _generator(self.seed, _VARIANT, epoch).integers(self.lengths.shape[1], size=len(self.lengths))

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches in order, as positions of examples."""
        lengths = self.lengths[np.arange(len(self.lengths)), self.variants(epoch)]
        rng = _generator(self.seed, _ORDER, epoch)
        order = np.argsort(lengths * (1 + self.jitter * rng.random(len(lengths))), kind="stable")
        batches: list[list[int]] = []
        longest = 0
        for index in order.tolist():
            longest = max(longest, int(lengths[index]))
            if not batches or longest * (len(batches[-1]) + 1) > self.frames_per_batch:
                batches.append([])
                longest = int(lengths[index])
            batches[-1].append(index)
        return [batches[i] for i in rng.permutation(len(batches))]


class WindowPlan:
    """Batches of examples whose lengths show only once they are made.

    The order of an epoch is cut into windows of about `buckets` batches, whose examples are sorted by length and cut
    into batches; the batches of a window come in random order.

    Args:
        examples: how many there are.
        frames_per_batch, seed: as above.
    """

    def __init__(self, examples: int, frames_per_batch: int, seed: int, buckets: int = 4):
        _check(frames_per_batch)
        self.examples, self.budget, self.seed = examples, frames_per_batch, seed
        self.frames = buckets * frames_per_batch  # of a window, about

    def order(self, epoch: int) -> np.ndarray:
        """The examples in the order in which they are made."""
        return _generator(self.seed, _WINDOWS, epoch).permutation(self.examples)

    def cut(self, lengths: Sequence[int], epoch: int, start: int) -> list[list[int]]:
        """The batches of a window that begins at `start`, as positions in it."""
        batches: list[list[int]] = []
        for row in sorted(range(len(lengths)), key=lengths.__getitem__):  # the last one is the longest so far
            if not batches or lengths[row] * (len(batches[-1]) + 1) > self.budget:
                batches.append([])
            batches[-1].append(row)
        order = _generator(self.seed, _SHUFFLE, epoch, start).permutation(len(batches))
        return [batches[number] for number in order]


def _check(frames_per_batch: int) -> None:
    if frames_per_batch < 1:
        raise UsageError(f"{frames_per_batch} frames a batch: it must be at least 1")


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
