"""Recurrent layers: plain RNN (Elman 1990), LSTM (Hochreiter & Schmidhuber 1997), GRU (Cho et al. 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from transducer.cores.layers import normed
from transducer.model.config import CoreConfig, register
from transducer.model.sequence import Residual, Streaming, apply_mask

KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@register("recurrent")
@dataclass(frozen=True)
class RecurrentConfig(CoreConfig):
    """Layers of `RecurrentLayer`; kind is "lstm", "gru" or "rnn".

    With `residual` a layer is x + layer(norm(x)), which trains where many plain ones on each other do not.
    """

    kind: str = "lstm"
    channels: int = 256
    layers: int = 3
    dropout: float = 0.0
    residual: bool = False

    def build(self) -> list[Streaming]:
        return [self._layer() for _ in range(self.layers)]

    @classmethod
    def examples(cls) -> tuple[RecurrentConfig, ...]:
        return (
            cls("lstm", 8, 2),
            cls("gru", 8, 1),
            cls("rnn", 8, 1),
            cls("gru", 8, 2, residual=True),
        )

    def _layer(self) -> Streaming:
        layer = RecurrentLayer(self.channels, self.kind, self.dropout)
        return Residual(normed(self.channels, layer), self.channels) if self.residual else layer


class RecurrentState(NamedTuple):
    hidden: Tensor  # (B, C)
    cell: Tensor  # (B, C) for an LSTM, (B, 0) otherwise


class RecurrentLayer(Streaming):
    """One recurrent layer of C units, (B, T, C) -> (B, T, C); torch's kernels do the stepping.

    A step that does not exist leaves the state as it was.
    """

    def __init__(self, channels: int, kind: str = "lstm", dropout: float = 0.0):
        super().__init__()
        self.channels, self.kind = channels, kind
        self.rnn = recurrent(kind, channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        # What exists is a prefix of the row, so that what comes after it cannot reach it.
        y, _ = self.rnn(apply_mask(x, mask))
        return self.dropout(y), mask

    def init_state(self, batch: int, like: Tensor) -> RecurrentState:
        cell = self.channels if self.kind == "lstm" else 0
        return RecurrentState(like.new_zeros(batch, self.channels), like.new_zeros(batch, cell))

    def step(self, x: Tensor, mask: Tensor, state: RecurrentState) -> tuple[Tensor, Tensor, RecurrentState]:
        outputs = []
        # One by one: the kernels for many steps know no steps that do not exist.
        for frame, exists in zip(apply_mask(x, mask).unbind(1), mask.unbind(1), strict=True):
            new = self._cell(frame, state)
            state = RecurrentState(*(torch.where(exists[:, None], a, b) for a, b in zip(new, state, strict=True)))
            outputs.append(new.hidden)
        return self.dropout(torch.stack(outputs, dim=1)), mask, state

    def _cell(self, x: Tensor, state: RecurrentState) -> RecurrentState:
        """One step: (B, C), state -> new state, whose hidden part is the output."""
        rnn: Any = self.rnn  # its weights have names that it makes up
        weights = (rnn.weight_ih_l0, rnn.weight_hh_l0, rnn.bias_ih_l0, rnn.bias_hh_l0)
        if self.kind == "lstm":
            return RecurrentState(*torch.lstm_cell(x, tuple(state), *weights))
        cell = torch.gru_cell if self.kind == "gru" else torch.rnn_tanh_cell
        return RecurrentState(cell(x, state.hidden, *weights), state.cell)


def recurrent(kind: str, channels: int, units: int) -> nn.RNNBase:
    """torch's layer of a kind, (B, T, channels) -> (B, T, units). Raises ValueError for an unknown kind."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind of recurrent layer {kind!r}: there are {', '.join(KINDS)}")
    return KINDS[kind](channels, units, batch_first=True)
