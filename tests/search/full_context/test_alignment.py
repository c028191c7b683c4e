"""Dynamic time warping, against all paths; and a median filter, against medians."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transducer.search.full_context.alignment import median_filter, token_starts, warp


def cheapest(costs: np.ndarray) -> float:
    rows, steps = costs.shape
    best = np.full((rows, steps), np.inf)
    for row, step in itertools.product(range(rows), range(steps)):
        before = [best[r, s] for r, s in ((row - 1, step), (row, step - 1), (row - 1, step - 1)) if r >= 0 and s >= 0]
        best[row, step] = costs[row, step] + (min(before) if before else 0.0)
    return float(best[-1, -1])


def cost_of(starts: list[int], costs: np.ndarray) -> float:
    ends = [*starts[1:], costs.shape[1] - 1]
    total = 0.0
    for row, (first, following) in enumerate(zip(starts, ends, strict=True)):
        last_row = row == len(starts) - 1
        options = [following] if last_row else [following - 1, following]
        total_of = [costs[row, first : last + 1].sum() for last in options if last >= first]
        total += min(total_of)
    return float(total)


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 999))
def test_the_path_is_the_cheapest(rows: int, steps: int, seed: int) -> None:
    costs = np.random.default_rng(seed).normal(size=(rows, steps))
    starts = warp(costs)
    assert starts[0] == 0
    assert starts == sorted(starts)
    assert 0 <= starts[-1] < steps
    assert cost_of(starts, costs) == pytest.approx(cheapest(costs))


def test_tokens_start_where_they_are_attended_to() -> None:
    weights = np.full((2, 4, 60), 0.001, np.float32)
    for row, (begin, end) in enumerate([(0, 12), (12, 30), (30, 48), (48, 60)]):
        weights[:, row, begin:end] = 0.1
    assert np.abs(np.array(token_starts(weights)) - [0, 12, 30, 48]).max() <= 1


def test_a_median_is_that_of_what_is_around() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 20)).astype(np.float32)
    found = median_filter(x, 7)
    assert found.shape == x.shape
    np.testing.assert_allclose(
        found[..., 3:-3], [[[np.median(r[i - 3 : i + 4]) for i in range(3, 17)] for r in p] for p in x]
    )
    assert np.array_equal(median_filter(x[..., :3], 7), x[..., :3])  # too short to have anything around
