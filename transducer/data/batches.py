"""Which examples make which batch: a pure function of seed, epoch and rank, so that a run can resume anywhere."""

from collections.abc import Sequence

import numpy as np

from transducer.errors import UsageError

# Keys that keep the random streams of one seed apart.
_ORDER, _VARIANT, _WINDOWS, _SHUFFLE = 0, 1, 10, 11


class BatchPlan:
    """Length-bucketed batches: every example exactly once an epoch, every rank the same number of batches.

    Examples are sorted by length, with jitter so that batches differ between epochs, cut where a batch would
    exceed the budget of padded frames, and shuffled. An example longer than the budget is a batch of its own.
    Batches are halved until the ranks can share them evenly (in a set so small that each is one example, the
    shortest are joined).

    Args:
        lengths: (N,) frames of each example, or (N, V) where it comes in V variants (speeds): then each epoch
            draws one for each example.
        frames_per_batch: budget of a batch: its longest example times their number, at most.
        seed: of all that is random here.
        world, rank: of how many processes this is which.
        jitter: relative; 0.1 lets lengths within 10 % of each other change places.

    Raises:
        UsageError: fewer examples than ranks.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        frames_per_batch: int,
        seed: int,
        world: int = 1,
        rank: int = 0,
        jitter: float = 0.1,
    ):
        lengths = np.asarray(lengths, dtype=np.int64)
        self.lengths = lengths[:, None] if lengths.ndim == 1 else lengths
        _check(len(self.lengths), frames_per_batch, world, rank)
        self.frames_per_batch, self.seed, self.jitter = frames_per_batch, seed, jitter
        self.world, self.rank = world, rank

    def variants(self, epoch: int) -> np.ndarray:
        """(N,) which variant of each example this epoch uses; the same on every rank."""
        return _generator(self.seed, _VARIANT, epoch).integers(self.lengths.shape[1], size=len(self.lengths))

    def epoch(self, epoch: int) -> list[list[int]]:
        """The batches of this rank, in order, as positions of examples."""
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
        self._even_out(batches, lengths)
        shuffled = [batches[i] for i in rng.permutation(len(batches))]
        return shuffled[self.rank :: self.world]

    def _even_out(self, batches: list[list[int]], lengths: np.ndarray) -> None:
        """Halve the largest batches until the ranks share them evenly; where none can be halved, join short ones."""
        while len(batches) % self.world:
            largest = max(range(len(batches)), key=lambda i: len(batches[i]))
            if len(batches[largest]) > 1:
                batch = batches.pop(largest)
                batches += [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
            else:
                # All of one example, and more than there are ranks: twice as many as have to be joined, at least.
                batches.sort(key=lambda batch: int(lengths[batch[0]]))
                extra = len(batches) % self.world
                batches[: 2 * extra] = [batches[2 * i] + batches[2 * i + 1] for i in range(extra)]


class WindowPlan:
    """Batches of examples whose lengths show only once they are made.

    The order of an epoch is cut into windows of about `buckets` batches, whose examples are sorted by length and cut
    into batches; the batches of a window come in random order. Each rank goes through its own share of the order, and
    comes to its end when it does: there are batches without end, and so as many for each.

    Args:
        examples: how many there are.
        frames_per_batch, seed, world, rank: as above.
    """

    def __init__(
        self, examples: int, frames_per_batch: int, seed: int, buckets: int = 4, world: int = 1, rank: int = 0
    ):
        _check(examples, frames_per_batch, world, rank)
        self.examples, self.budget, self.seed = examples, frames_per_batch, seed
        self.frames = buckets * frames_per_batch  # of a window, about
        self.world, self.rank = world, rank

    def order(self, epoch: int) -> np.ndarray:
        """The examples of this rank in the order in which they are made."""
        return _generator(self.seed, _WINDOWS, epoch).permutation(self.examples)[self.rank :: self.world]

    def cut(self, lengths: Sequence[int], epoch: int, start: int) -> list[list[int]]:
        """The batches of a window that begins at `start`, as positions in it."""
        batches: list[list[int]] = []
        for row in sorted(range(len(lengths)), key=lengths.__getitem__):  # the last one is the longest so far
            if not batches or lengths[row] * (len(batches[-1]) + 1) > self.budget:
                batches.append([])
            batches[-1].append(row)
        order = _generator(self.seed, _SHUFFLE, epoch, start).permutation(len(batches))
        return [batches[number] for number in order]


def _check(examples: int, frames_per_batch: int, world: int, rank: int) -> None:
    if not 0 <= rank < world:
        raise UsageError(f"rank {rank} of {world}: ranks count from 0")
    if examples < world:
        raise UsageError(f"{examples} examples cannot be shared among {world} processes")
    if frames_per_batch < 1:
        raise UsageError(f"{frames_per_batch} frames a batch: it must be at least 1")


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
