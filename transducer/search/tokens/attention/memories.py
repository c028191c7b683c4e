"""What is decoded, and what comes of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


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
        device: where it is computed.
    """

    prepared: Any
    exists: Tensor
    limits: list[int]
    device: torch.device


def select_rows(prepared: Any, rows: Tensor) -> Any:
    """Some rows of what a decoder attends to: tensors with the rows on dimension 0, in tuples."""
    if isinstance(prepared, Tensor):
        return prepared[rows]
    parts = [select_rows(part, rows) for part in prepared]
    return type(prepared)(*parts) if hasattr(prepared, "_fields") else tuple(parts)
