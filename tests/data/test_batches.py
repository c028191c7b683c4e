"""Which examples make which batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transducer.data.batches import BatchPlan, WindowPlan
from transducer.errors import UsageError

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
    epoch=st.integers(0, 3),
)
def test_every_example_once_and_within_the_budget(lengths, budget, epoch):
    batches = BatchPlan(lengths, budget, 0).epoch(epoch)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(batches)
    assert all(len(b) == 1 or max(lengths[i] for i in b) * len(b) <= budget for b in batches)


def test_padding_is_small():
    plan = BatchPlan(LENGTHS, 24000, 0)
    used = LENGTHS[np.arange(300), plan.variants(0)]
    padded = sum(used[batch].max() * len(batch) for batch in plan.epoch(0))
    assert used.sum() / padded > 0.85


def test_bad_plans():
    with pytest.raises(UsageError, match="at least 1"):
        BatchPlan(LENGTHS, 0, 0)


@given(
    examples=st.integers(1, 40),
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=60),
    budget=st.integers(1, 2000),
)
def test_windows_lose_nothing(examples, lengths, budget):
    plan = WindowPlan(examples, budget, 0, 4)
    assert sorted(plan.order(1).tolist()) == list(range(examples))
    batches = plan.cut(lengths, 0, 3)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(len(b) == 1 or max(lengths[row] for row in b) * len(b) <= budget for b in batches)
    assert batches == WindowPlan(examples, budget, 0, 4).cut(lengths, 0, 3)
