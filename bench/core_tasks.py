"""The tasks of bench/cores.py, made from seeds: one for each shape of target, and one of long range.

Every task gives batches of token numbers (B, T) and targets. All sequences of a batch have the same length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from transducer.heads.ctc import CTCConfig
from transducer.heads.framewise import FramewiseConfig
from transducer.heads.head import IGNORE
from transducer.heads.pooled import PooledConfig
from transducer.model.config import HeadConfig

Targets = list[Any]
Make = Callable[[np.random.Generator, int, int], tuple[np.ndarray, Targets]]


@dataclass(frozen=True)
class Task:
    """What is asked of a core.

    Attributes:
        shape: N2N, N21 or N2M.
        tokens: input numbers go from 0 to one less. labels: what the head tells apart, the blank or background counted.
        steps: length of the sequences.
        make: (random numbers, rows, steps) -> tokens (B, T) and a target for each row.
    """

    shape: str
    tokens: int
    labels: int
    head: HeadConfig
    make: Make
    steps: int = 32


def brackets(rng: np.random.Generator, rows: int, steps: int) -> tuple[np.ndarray, Targets]:
    """Three kinds of brackets, opened (0 to 2), closed (3) or neither (4): which kind is open innermost, 0 for none?"""
    x, targets = np.full((rows, steps), 4), []
    draw = rng.random((rows, steps))
    kinds = rng.integers(0, 3, (rows, steps))
    for row in range(rows):
        stack, labels = [], np.zeros(steps, np.int64)
        for t in range(steps):
            if draw[row, t] < 0.3 and len(stack) < 3:
                x[row, t] = kinds[row, t]
                stack.append(kinds[row, t])
            elif draw[row, t] < 0.6 and stack:
                x[row, t] = 3
                stack.pop()
            labels[t] = stack[-1] + 1 if stack else 0
        targets.append(labels)
    return x, targets


def marked(rng: np.random.Generator, rows: int, steps: int) -> tuple[np.ndarray, Targets]:
    """Digits 0 to 4, and a mark, 5, somewhere: the digit after it."""
    x = rng.integers(0, 5, (rows, steps))
    places = rng.integers(0, steps - 1, rows)
    x[np.arange(rows), places] = 5
    return x, [int(digit) for digit in x[np.arange(rows), places + 1]]


def differences(rng: np.random.Generator, rows: int, steps: int) -> tuple[np.ndarray, Targets]:
    """Digits 0 to 2, each held for 2 to 6 steps with a 3 between them, as sound holds a letter: each one's difference
    from the one before it, modulo 3, plus 1."""
    x, targets = np.full((rows, steps), 3), []
    for row in range(rows):
        position, before, tokens = 0, 0, []
        while (length := int(rng.integers(2, 7))) and position + length < steps:
            digit = int(rng.integers(0, 3))
            x[row, position : position + length] = digit
            position += length + 1
            tokens.append((digit - before) % 3 + 1)
            before = digit
        targets.append(tokens)
    return x, targets


def recall(rng: np.random.Generator, rows: int, steps: int) -> tuple[np.ndarray, Targets]:
    """Noise (0 to 7), and in the first tenth one of 8 to 15, which is asked for at the last step (16)."""
    x = rng.integers(0, 8, (rows, steps))
    value = rng.integers(0, 8, rows)
    x[np.arange(rows), rng.integers(0, max(steps // 10, 1), rows)] = 8 + value
    x[:, -1] = 16
    targets = [np.append(np.full(steps - 1, IGNORE), kind) for kind in value]
    return x, targets


TASKS = {
    "brackets": Task("N2N", 5, 4, FramewiseConfig("labels"), brackets),
    "marked": Task("N21", 6, 5, PooledConfig("labels"), marked),
    "differences": Task("N2M", 4, 4, CTCConfig("labels"), differences),
    "recall": Task("N2N", 17, 8, FramewiseConfig("labels"), recall),
}
