"""Batches of pairs: the same from any position on, by plan or by windows, with processes or without."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from lights import Lights

from transducer.data.loader import Batch, PairLoader, Share, collate
from transducer.data.pairs import Pair
from transducer.data.ranks import Ranks
from transducer.data.workers import PairMaker
from transducer.errors import TransducerError, UsageError


class Planned(Lights):
    """Lights whose lengths are known; every one comes twice, the second time doubled."""

    @property
    def lengths(self) -> np.ndarray:
        frames = np.array([len(super(Planned, self).pair(n, np.random.default_rng(0)).x) for n in range(self.size)])
        return np.stack([frames, 2 * frames], axis=1)

    def pair(self, index: int, rng: np.random.Generator) -> Pair:
        number, doubled = divmod(index, 2)
        pair = super().pair(number, rng)
        x = np.repeat(pair.x, 2, axis=0) if doubled else pair.x
        return Pair(x, np.zeros(len(x), np.int64), f"lights {number}")


SOURCES = {"windows": Lights(23), "planned": Planned(23)}


def loader_of(source, frames: int = 100, seed: int = 3, workers: int = 0, **options) -> PairLoader:
    return PairLoader(source, PairMaker([source], workers), frames, seed, **{"buckets": 2, "prefetch": 0, **options})


def shape_of(batch: Batch) -> tuple:
    return batch.epoch, tuple(pair.id for pair in batch.pairs), batch.x.double().sum().item(), batch.following


def take(loader: PairLoader, count: int, position: tuple = ()) -> list[tuple]:
    stream = loader.stream(*position)
    found = [shape_of(next(stream)) for _ in range(count)]
    stream.close()
    return found


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", SOURCES)
def test_batches_are_the_same_from_any_position_on(kind, workers):
    source = SOURCES[kind]
    plain = take(loader_of(source), 30)
    loader = loader_of(source, workers=workers, prefetch=2)
    try:
        assert take(loader, 30) == plain
        for start in (0, 3, 10):
            assert take(loader, 4, plain[start][-1]) == plain[start + 1 : start + 5]
    finally:
        loader._maker.close()
    seen = [pair for epoch, pairs, _, _ in plain for pair in pairs if epoch == 0]
    assert sorted(seen) == sorted(f"lights {number}" for number in range(23)) and plain[-1][0] > 0
    assert take(loader_of(source, seed=4), 30) != plain
    assert plain[0] not in plain[12:]  # epochs differ


@dataclass(frozen=True)
class Thread(Ranks):
    """One of the processes of a group as a thread of this one."""

    told: dict = field(default_factory=dict)  # by rank
    meeting: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    def sum(self, values) -> list[float]:
        self.told[self.rank] = list(values)
        self.meeting.wait(60)
        total = [sum(found) for found in zip(*self.told.values(), strict=True)]
        self.meeting.wait(60)
        return total


def threads(world: int, shards: int) -> list[Thread]:
    told, meeting = {}, threading.Barrier(world)
    return [Thread(world, rank, shards=shards, told=told, meeting=meeting) for rank in range(world)]


@pytest.mark.parametrize("shards", [2, 6])
@pytest.mark.parametrize("kind", SOURCES)
def test_processes_share_the_batches_that_one_has(kind, shards):
    """Whatever the number of processes and of shards, a batch has the same examples, and a shard the same rows."""

    def loaded(ranks: Ranks, count: int, position: tuple = ()) -> list[Share]:
        stream = loader_of(SOURCES[kind], ranks=ranks).stream(*position)
        found = [next(stream) for _ in range(count)]
        stream.close()
        return found

    whole = take(loader_of(SOURCES[kind]), 12)
    alone = loaded(Ranks(shards=shards), 12)
    for batch, (epoch, pairs, _, following) in zip(alone, whole, strict=True):
        assert (batch.epoch, batch.following) == (epoch, following)
        rows = [pair.id for shard in batch.shards.values() for pair in shard.pairs]
        assert sorted(rows) == sorted(pairs) and batch.shards.keys() <= set(range(shards))
        assert batch.amount == sum(shard.amount for shard in batch.shards.values())
    for world in (2, 3) if shards == 6 else (2,):
        for start, position in ((0, ()), (5, alone[4].following)):
            with ThreadPoolExecutor(world) as pool:
                parts = list(pool.map(lambda ranks, at=position: loaded(ranks, 6, at), threads(world, shards)))
            for batch, *shares in zip(alone[start:], *parts, strict=False):
                assert {share.following for share in shares} == {batch.following}
                found = [(number, shard) for share in shares for number, shard in share.shards.items()]
                assert [number for number, _ in found] == list(batch.shards)
                for number, shard in found:
                    assert shape_of(shard) == shape_of(batch.shards[number])


@pytest.mark.parametrize("kind", SOURCES)
def test_batches_keep_to_their_budget_and_hold_what_is_alike(kind):
    source = type(SOURCES[kind])(40)
    loader = loader_of(source, 200, buckets=4)
    stream = loader.stream()
    padding = []
    for _ in range(30):
        batch = next(stream)
        assert batch.x.shape[0] == 1 or batch.x.shape[0] * batch.x.shape[1] <= 200
        assert torch.equal(batch.mask.sum(dim=1), batch.lengths) and batch.amount == int(batch.lengths.sum())
        for row, pair in zip(batch.x, batch.pairs, strict=True):
            assert torch.equal(row[: len(pair.x)], torch.from_numpy(pair.x)) and not row[len(pair.x) :].any()
        padding.append(1 - float(batch.mask.float().mean()))
    assert np.mean(padding) < 0.1
    assert len(next(loader_of(type(source)(3), 5).stream()).pairs) == 1  # longer than the budget


def test_one_epoch_of_what_is_planned():
    batches = list(loader_of(SOURCES["planned"], prefetch=2).epoch(1))
    assert sorted(pair.id for batch in batches for pair in batch.pairs) == sorted(f"lights {n}" for n in range(23))
    assert {batch.epoch for batch in batches} == {1}


def test_what_is_no_pair_is_told():
    class Bad(Lights):
        def pair(self, index: int, rng: np.random.Generator) -> Pair:
            return Pair(np.zeros((4, 3)), np.zeros(4, int), "wrong")

    for workers in (0, 1):
        loader = loader_of(Bad(3), workers=workers, prefetch=2)
        with pytest.raises(UsageError, match=r"pair 'wrong': x must be .* it is \(4, 3\) float64"):
            next(loader.stream())
        loader._maker.close()
    with pytest.raises(UsageError, match="nothing to train on"):
        loader_of(Lights(0))
    pairs = [Pair(np.zeros((2, channels), np.uint8), 1, f"clip {channels}") for channels in (3, 4)]
    with pytest.raises(UsageError, match="3 channels in 'clip 3', uint8 with 4 in 'clip 4'"):
        collate(pairs)

    class NoPair(Lights):
        def pair(self, index: int, rng: np.random.Generator):
            return np.zeros((4, 3)), 1

    with pytest.raises(UsageError, match="gave tuple, not a Pair"):
        next(loader_of(NoPair(2)).stream())

    class Short(Planned):
        lengths = np.array([5])

    with pytest.raises(UsageError, match="has 3 examples and the lengths of 1"):
        loader_of(Short(3))

    class Elsewhere(Lights):
        enters = "core"

    with pytest.raises(UsageError, match="enters at 'core'"):
        loader_of(Elsewhere(2))


def test_errors_and_deaths_of_processes_arrive():
    class Failing(Lights):
        def pair(self, index: int, rng: np.random.Generator) -> Pair:
            if index == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            raise UsageError("clip 7 cannot be read") if index else ZeroDivisionError("a bug")

    def first(source: Lights) -> None:
        loader = loader_of(source, workers=1)
        try:
            next(loader.stream())
        finally:
            loader._maker.close()

    with pytest.raises(RuntimeError, match=r"example 0 cannot be made(.|\n)*ZeroDivisionError: a bug"):
        first(Failing(1))
    with pytest.raises(TransducerError, match=r"clip 7 cannot be read|has died.*--set workers=0"):
        first(Failing(5))


def test_processes_leave_interrupts_to_the_one_they_work_for():
    loader = loader_of(Lights(30), workers=2)
    maker = loader._maker
    processes = list(maker._processes)
    stream = loader.stream()
    next(stream)
    for process in processes:
        os.kill(process.pid, signal.SIGINT)
    assert [next(stream).epoch for _ in range(10)] and all(process.is_alive() for process in processes)
    stream.close()
    maker.close()
    maker.close()
    assert not any(process.is_alive() for process in processes)


def test_processes_make_pairs_of_several_sources():
    sources = [Lights(6), Lights(6, "pooled")]
    maker = PairMaker(sources, 1)
    try:
        for source in (*sources, sources[0]):
            found = next(PairLoader(source, maker, 100, 1).stream()).pairs[0].y
            assert isinstance(found, int) == (source.kind == "pooled")
    finally:
        maker.close()


def test_the_thread_ends_with_the_iteration():
    stream = loader_of(Lights(9), prefetch=3).stream()
    next(stream)
    assert any(thread.name == "read-ahead" for thread in threading.enumerate())
    stream.close()
    assert not any(thread.name == "read-ahead" for thread in threading.enumerate())
