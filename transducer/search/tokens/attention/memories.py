"""What is decoded, and what comes of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from transducer.model.state import as_numpy


class Written(NamedTuple):
    """A token sequence without its end.

    Attributes:
        tokens, log_probs: each with its log-probability.
        score: of the whole, its end counted; what hypotheses are ranked by.
    """

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    score: float


class Memories(NamedTuple):
    """What some clients' decoders attend to, together: see `Decodes.attend_to`.

    Attributes:
        prepared: for N clients.
        exists: (N, S) bool.
        limits: tokens of each, at most.
        device: where it is computed by PyTorch; None for a decoder that takes and gives arrays of NumPy.
    """

    prepared: Any
    exists: NDArray[np.bool_]
    limits: list[int]
    device: Any


def log_softmax(logits: Any) -> NDArray[np.float32]:
    """(N, V) of either kind of arrays -> log-probabilities."""
    found = as_numpy(logits).astype(np.float32)
    found = found - found.max(axis=-1, keepdims=True)
    return found - np.log(np.exp(found).sum(axis=-1, keepdims=True))
