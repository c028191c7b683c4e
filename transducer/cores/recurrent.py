"""Recurrent layers: plain RNN (Elman 1990), LSTM (Hochreiter & Schmidhuber 1997), GRU (Cho et al. 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from transducer.model.config import CoreConfig, register
from transducer.model.sequence import Streaming, apply_mask

KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@register("recurrent")
@dataclass(frozen=True)
class RecurrentConfig(CoreConfig):
    """Layers of `RecurrentLayer`; kind is "lstm", "gru" or "rnn"."""

    kind: str = "lstm"
    channels: int = 256
    layers: int = 3
    dropout: float = 0.0

    def build(self) -> list[Streaming]:
        return [RecurrentLayer(self.channels, self.kind, self.dropout) for _ in range(self.layers)]


class RecurrentState(NamedTuple):
    hidden: Tensor  # (B, C)
    cell: Tensor  # (B, C) for an LSTM, (B, 0) otherwise


class RecurrentLayer(Streaming):
    """One recurrent layer of C units, (B, T, C) -> (B, T, C); torch's kernels do the stepping.

    A step that does not exist leaves the state as it was.
    """

    def __init__(self, channels: int, kind: str = "lstm", dropout: float = 0.0):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"unknown kind of recurrent layer {kind!r}: there are {', '.join(KINDS)}")
        self.channels, self.kind = channels, kind
        self.rnn = KINDS[kind](channels, channels, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        # What exists is a prefix of the row, so that what comes after it cannot reach it.
        y, _ = self.rnn(apply_mask(x, mask))
        return self.dropout(y), mask

    def init_state(self, batch: int, like: Tensor) -> RecurrentState:
        cell = self.channels if self.kind == "lstm" else 0
        return RecurrentState(like.new_zeros(batch, self.channels), like.new_zeros(batch, cell))

    def step(self, x: Tensor, mask: Tensor, state: RecurrentState) -> tuple[Tensor, Tensor, RecurrentState]:
        x = apply_mask(x, mask)
        y, after = self._run(x, state)
        partial = mask.any(dim=1) & ~mask.all(dim=1)
        if partial.any():
            # Rows of which some steps exist go step by step; the others must not notice, not even in rounding.
            slow_y, slow = self._run_masked(x, mask, state)
            y = torch.where(partial[:, None, None], slow_y, y)
            after = _choose(partial, slow, after)
        return self.dropout(y), mask, _choose(mask.any(dim=1), after, state)

    def _run_masked(self, x: Tensor, mask: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        outputs = []
        for t in range(x.shape[1]):
            y, moved = self._run(x[:, t : t + 1], state)
            state = _choose(mask[:, t], moved, state)
            outputs.append(y)
        return torch.cat(outputs, dim=1), state

    def _run(self, x: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        if self.kind == "lstm":
            y, (hidden, cell) = self.rnn(x, (state.hidden[None], state.cell[None]))
            return y, RecurrentState(hidden[0], cell[0])
        y, hidden = self.rnn(x, state.hidden[None])
        return y, RecurrentState(hidden[0], state.cell)


def _choose(rows: Tensor, new: RecurrentState, old: RecurrentState) -> RecurrentState:
    """`new` where `rows` (B,) is True, elsewhere `old`."""
    return RecurrentState(*(torch.where(rows[:, None], a, b) for a, b in zip(new, old, strict=True)))
