"""Contiguous samples at any rates -> samples at one rate."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
import soxr


def resample(pieces: Iterable[tuple[int, np.ndarray]], rate: int) -> Iterator[np.ndarray]:
    """(rate, samples) pieces -> float32 arrays at `rate`, lazily and bit for bit the same for any pieces.

    A sample at time t stays at time t: soxr's filter (its "HQ") has linear phase, and its delay is taken out.
    After n seconds in all, exactly round(n * rate) samples have been given, even if the input's rate changes.
    """
    given = 0
    seconds = Fraction(0)
    for source_rate, run in itertools.groupby(pieces, key=lambda piece: piece[0]):
        stream = soxr.ResampleStream(source_rate, rate, 1, dtype="float32", quality="HQ")
        count = 0
        for _, samples in run:
            count += len(samples)
            output = samples if source_rate == rate else stream.resample_chunk(samples)
            if len(output):
                given += len(output)
                yield output
        seconds += Fraction(count, source_rate)
        output = np.zeros(0, np.float32)
        if source_rate != rate:
            output = stream.resample_chunk(output, last=True)
        output = _fit(output, round(seconds * rate) - given)
        if len(output):
            given += len(output)
            yield output


def _fit(samples: np.ndarray, length: int) -> np.ndarray:
    """Cut or pad with zeros: soxr rounds the length of each run, which may be a sample off from the whole's."""
    length = max(length, 0)
    return np.pad(samples[:length], (0, max(length - len(samples), 0)))
