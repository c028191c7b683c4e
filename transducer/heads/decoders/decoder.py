"""What all label-synchronous decoders do: read tokens, attend to a memory, and say what comes next.

Legend of axis suffixes: N rows (sequences or hypotheses), U tokens, S steps of the memory, C channels, V vocabulary,
L layers, H heads.

Token 0, the blank of other heads, begins and ends every sequence: a decoder reads it first and writes it last.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Memory(NamedTuple):
    """What is attended to, with keys and values that are computed once.

    Attributes:
        keys, values: one for each layer that attends, with the rows on dimension 0 and the steps on dimension -2.
        exists: (N, S) bool.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    exists: Tensor


class Decoder(nn.Module):
    """The next token after those that have been read.

    `step`, token by token, says what `forward` says of the whole.

    Attributes:
        tokens: size of the vocabulary, token 0 counted.
        longest: tokens that it can read; None for any number.
    """

    tokens: int
    longest: int | None = None

    def attend_to(self, memory: Tensor, mask: Tensor) -> Memory:
        """(N, S, C) steps of an encoder, (N, S) which of them exist -> what the other methods want."""
        raise NotImplementedError

    def forward(self, tokens: Tensor, memory: Memory, sampling: float = 0.0) -> tuple[Tensor, Tensor]:
        """Teacher forcing.

        Args:
            tokens: (N, U) int64 that are read, token 0 first.
            sampling: probability with which a token is one that the decoder would have written itself, from the
                second on: scheduled sampling (Bengio et al. 2015).

        Returns:
            Logits (N, U, V) of the token after each, and attention (N, L, H, U, S).
        """
        raise NotImplementedError

    def start(self, memory: Memory) -> Any:
        """The state of N rows that have read nothing. It has a method `select`, see `DecoderState`."""
        raise NotImplementedError

    def step(self, tokens: Tensor, memory: Memory, state: Any) -> tuple[Tensor, Tensor, Any]:
        """Read one more token in each row, (N,).

        Returns:
            Logits (N, V) of the next, attention (N, S), the mean over layers and heads, and the new state. The state
            that was given must not be used again.
        """
        raise NotImplementedError

    def extend(self, tokens: Tensor, memory: Memory, state: Any, last: int = 1) -> tuple[Tensor, Any]:
        """Read several more tokens in each row, (N, U), for inference.

        Returns:
            Logits (N, last, V) of the token after each of the `last` of them, and the new state. The state that was
            given must not be used again.
        """
        said = []
        for token in tokens.unbind(dim=1):
            logits, _, state = self.step(token, memory, state)
            said.append(logits)
        return torch.stack(said[len(said) - last :], dim=1), state

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    @property
    def exact(self) -> bool:
        """Whether no row changes a bit of another one, so that many clients can be decoded together."""
        return False


class DecoderState:
    """What a decoder keeps of the tokens that it has read, for N rows."""

    def select(self, rows: Tensor) -> Any:
        """The state of these rows (M,), in this order; a row may come more than once."""
        raise NotImplementedError


def select_memory(memory: Memory, rows: Tensor) -> Memory:
    """The memory of these rows (M,), in this order."""
    keys, values = (tuple(part[rows] for part in parts) for parts in (memory.keys, memory.values))
    return Memory(keys, values, memory.exists[rows])
