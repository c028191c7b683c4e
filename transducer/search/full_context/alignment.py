"""When tokens were said: dynamic time warping over the cross-attention of a few heads.

Source: A. Radford et al., "Robust speech recognition via large-scale weak supervision", 2022, and OpenAI's
`whisper/timing.py`, which this does as published: attention is standardised over the tokens, smoothed by a median
filter, and its mean over the heads is followed by the monotonic path that has the most of it.

Legend of axis suffixes: A heads, U tokens, S steps of the encoder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]

MEDIAN = 7  # steps


def token_starts(weights: NDArray[np.float32]) -> list[int]:
    """(A, U, S) attention of each of U queries -> the step on which the path comes to each, from 0, never going back.

    Query n is what the n-th token is said by, so that a last one more, for the end, tells when the last token is over.
    """
    spread = weights.std(axis=1, keepdims=True)
    normed = (weights - weights.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-10)
    return warp(-median_filter(normed, MEDIAN).mean(axis=0, dtype=np.float64))


def median_filter(x: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """The median of `width` (an odd number) values around each on the last axis, mirrored at the ends."""
    half = width // 2
    if x.shape[-1] <= half:
        return x
    padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(half, half)], mode="reflect")
    found: NDArray[np.float32] = np.median(np.lib.stride_tricks.sliding_window_view(padded, width, axis=-1), axis=-1)
    return found


def warp(costs: NDArray[np.float64]) -> list[int]:
    """(U, S) costs -> the first step of each row on the cheapest path from (0, 0) to (U - 1, S - 1), which goes on by
    a row, a step, or both at a time."""
    steps = costs.shape[1]
    places = np.arange(steps)
    before = np.full(steps, np.inf)
    before[0] = 0.0
    entered: list[NDArray[np.int64]] = []
    origins: list[Bools] = []
    for row in costs:
        # From where each step of the row is entered: from the same step of the row before, or the step before that.
        shifted = np.concatenate([[np.inf], before[:-1]]) if entered else np.full(steps, np.inf)
        diagonal = shifted <= before
        reached = np.where(diagonal, shifted, before)
        total = np.cumsum(row)
        # Entered at step k and followed to step j, a row costs total[j] - total[k - 1].
        ahead = reached - (total - row)
        least = np.minimum.accumulate(ahead)
        entered.append(np.maximum.accumulate(np.where(ahead == least, places, 0)))
        origins.append(diagonal)
        before = total + least
    starts, place = [], steps - 1
    for at, diagonal in zip(reversed(entered), reversed(origins), strict=True):
        first = int(at[place])
        starts.append(first)
        place = first - 1 if diagonal[first] and first else first
    return starts[::-1]
