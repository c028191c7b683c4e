import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transducer.data.augment.features import AugmentConfig, FeatureAugment
from transducer.data.batches import BatchPlan
from transducer.data.item import Item
from transducer.data.loader import BatchLoader
from transducer.errors import UsageError


class MemoryStore:
    """Features in memory, where a FeatureStore has them on disk."""

    def __init__(self, count=40, speeds=(0.9, 1.0, 1.1), seed=0):
        rng = np.random.default_rng(seed)
        self.utterances = [Item(f"u{i}", f"u{i}", Path(f"u{i}"), text="ab" * (i % 3)) for i in range(count)]
        self.speeds = np.array(speeds)
        self.frames = np.round(rng.integers(20, 200, size=(count, 1)) / self.speeds).astype(np.int64)
        self.data = [[rng.normal(-8, 3, (n, 80)).astype(np.float16) for n in row] for row in self.frames]

    def features(self, utterance, variant=0):
        return self.data[utterance][variant]


LENGTHS = np.random.default_rng(5).integers(50, 1500, size=(300, 3))


def test_a_plan_is_a_function_of_seed_and_epoch():
    plan, same, other = BatchPlan(LENGTHS, 6000, 1), BatchPlan(LENGTHS, 6000, 1), BatchPlan(LENGTHS, 6000, 2)
    plan.epoch(7)
    assert plan.epoch(0) == same.epoch(0) and plan.epoch(7) == same.epoch(7)
    assert (plan.variants(3) == same.variants(3)).all()
    assert plan.epoch(0) != plan.epoch(1) and plan.epoch(0) != other.epoch(0)
    assert (plan.variants(0) != plan.variants(1)).any() and (plan.variants(0) != other.variants(0)).any()
    assert {frozenset(b) for b in plan.epoch(0)} != {frozenset(b) for b in plan.epoch(1)}


def test_variants_are_drawn_evenly():
    counts = np.bincount(np.concatenate([BatchPlan(LENGTHS, 6000, 1).variants(e) for e in range(10)]))
    assert len(counts) == 3 and counts.min() > 0.28 * counts.sum()


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=60),
    budget=st.integers(1, 2000),
    world=st.integers(1, 7),
    epoch=st.integers(0, 3),
)
def test_every_utterance_once_and_ranks_even(lengths, budget, world, epoch):
    if len(lengths) < world:
        with pytest.raises(UsageError, match="cannot be shared"):
            BatchPlan(lengths, budget, 0, world)
        return
    ranks = [BatchPlan(lengths, budget, 0, world, rank).epoch(epoch) for rank in range(world)]
    assert len({len(batches) for batches in ranks}) == 1
    everything = [batch for batches in ranks for batch in batches]
    assert sorted(index for batch in everything for index in batch) == list(range(len(lengths)))
    assert all(everything)
    if world == 1:
        assert all(len(b) == 1 or max(lengths[i] for i in b) * len(b) <= budget for b in everything)


def test_padding_is_small():
    plan = BatchPlan(LENGTHS, 24000, 0)
    used = LENGTHS[np.arange(300), plan.variants(0)]
    padded = sum(used[batch].max() * len(batch) for batch in plan.epoch(0))
    assert used.sum() / padded > 0.85


def test_bad_plans():
    with pytest.raises(UsageError, match="rank 2 of 2"):
        BatchPlan(LENGTHS, 100, 0, world=2, rank=2)
    with pytest.raises(UsageError, match="at least 1"):
        BatchPlan(LENGTHS, 0, 0)


def loader(store, prefetch=3, **kwargs):
    noise = MemoryStore(6, speeds=(1.0,), seed=9)
    augment = FeatureAugment(AugmentConfig(noise_probability=0.7, band_limit_probability=0.3), noise)
    return BatchLoader(store, BatchPlan(store.frames, 800, 4), augment=augment, prefetch=prefetch, **kwargs)


def same(a, b):
    return (
        torch.equal(a.features, b.features)
        and torch.equal(a.lengths, b.lengths)
        and torch.equal(a.speeds, b.speeds)
        and torch.equal(a.indices, b.indices)
        and (a.ids, a.texts, a.tokens, a.epoch, a.step) == (b.ids, b.texts, b.tokens, b.epoch, b.step)
    )


def test_a_batch_holds_its_utterances():
    store = MemoryStore()
    plan = BatchPlan(store.frames, 800, 4)
    seen = []
    for batch in BatchLoader(store, plan, tokenizer=lambda text: [ord(c) for c in text]).epoch(0):
        for row, index in enumerate(batch.indices.tolist()):
            variant = int(np.flatnonzero(np.isclose(store.speeds, batch.speeds[row].item(), atol=1e-6))[0])
            expected = torch.from_numpy(store.features(index, variant).astype(np.float32))
            length = int(batch.lengths[row])
            assert torch.equal(batch.features[row, :length], expected)
            assert (batch.features[row, length:] == 0).all() and int(batch.mask[row].sum()) == length
            assert batch.ids[row] == f"u{index}" and batch.tokens[row] == [ord(c) for c in batch.texts[row]]
            seen.append(index)
    assert sorted(seen) == list(range(len(store.utterances)))


def test_resume_is_exact_and_the_thread_changes_nothing():
    store = MemoryStore()
    straight = list(loader(store).epoch(2))
    assert len(straight) > 4
    assert all(map(same, straight, loader(store, prefetch=0).epoch(2)))
    resumed = list(loader(store).epoch(2, 3))
    assert len(resumed) == len(straight) - 3 and all(map(same, straight[3:], resumed))


def test_a_stream_crosses_epochs_and_resumes_there():
    store = MemoryStore(12)
    per_epoch = [len(list(loader(store).epoch(e))) for e in range(2)]
    stream = loader(store).stream()
    first = [next(stream) for _ in range(sum(per_epoch))]
    stream.close()
    assert [(b.epoch, b.step) for b in first] == [(e, s) for e in range(2) for s in range(per_epoch[e])]
    again = loader(store).stream(0, per_epoch[0] - 1)
    assert all(same(expected, next(again)) for expected in first[per_epoch[0] - 1 :])
    again.close()


def test_normalised_as_the_front_end_does():
    store = MemoryStore()
    mean, std = np.linspace(-9, -7, 80), np.linspace(2, 4, 80)
    plan = BatchPlan(store.frames, 800, 4)
    for plain, normal in zip(
        BatchLoader(store, plan).epoch(0), BatchLoader(store, plan, normalise=(mean, std)).epoch(0), strict=True
    ):
        expected = (plain.features - torch.tensor(mean)) / torch.tensor(std)
        torch.testing.assert_close(normal.features, expected.float() * plain.mask[..., None])


def test_an_error_in_the_thread_reaches_the_caller():
    def fail(text):
        raise ValueError("no such letter")

    with pytest.raises(ValueError, match="no such letter"):
        list(BatchLoader(MemoryStore(), BatchPlan(MemoryStore().frames, 800, 4), tokenizer=fail).epoch(0))


def test_the_thread_ends_with_the_iteration():
    stream = loader(MemoryStore()).stream()
    next(stream)
    assert any(thread.name == "read-ahead" for thread in threading.enumerate())
    stream.close()
    assert not any(thread.name == "read-ahead" for thread in threading.enumerate())
