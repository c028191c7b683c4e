"""Forced alignment: which token is said when, by a CTC head's log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from transducer.model.torchaudio import torchaudio_functional


def best_path(log_probs: Tensor, tokens: Sequence[int]) -> Tensor | None:
    """The token or blank (0) of every frame, (T,), on the best CTC alignment; None where the tokens do not fit.

    Viterbi search by torchaudio's forced_align.

    Args:
        log_probs: (T, V).
    """
    forced_align = torchaudio_functional().forced_align

    repeats = sum(a == b for a, b in pairwise(tokens))
    if not tokens or len(tokens) + repeats > len(log_probs):
        return None
    path, _ = forced_align(log_probs[None], torch.tensor([list(tokens)], dtype=torch.int32), blank=0)
    return path[0]


def runs_of(path: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(T,) token of each frame -> token, first frame and end of each run, (N,) each."""
    labels = path.numpy()
    first = np.flatnonzero(np.diff(labels, prepend=-1))
    return labels[first], first, np.append(first[1:], len(labels))
