"""Recurrent decoders with attention (Bahdanau et al. 2015, arXiv:1409.0473; Luong et al. 2015, arXiv:1508.04025).

Legend of axis suffixes: N rows, U tokens, S steps of the memory, C channels, V vocabulary, H heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transducer.heads.decoders.decoder import Decoder, DecoderState, Memory
from transducer.heads.decoders.scores import build_attention, score_name
from transducer.model.sequence import apply_mask

GATES = {"lstm": 4, "gru": 3}


class Cell(nn.Module):
    """One step of an LSTM or a GRU, as torch.nn.LSTMCell and GRUCell compute it, of layers that can be packed."""

    def __init__(self, kind: str, inputs: int, channels: int):
        super().__init__()
        if kind not in GATES:
            raise ValueError(f"unknown kind of recurrent decoder {kind!r}: there are {', '.join(GATES)}")
        self.kind = kind
        self.of_input = nn.Linear(inputs, GATES[kind] * channels)
        self.of_state = nn.Linear(channels, GATES[kind] * channels)

    def forward(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """(N, inputs), hidden and cell (N, C) -> new hidden, new cell; a GRU has none, and gives back what it got."""
        if self.kind == "lstm":
            into, forget, new, out = (self.of_input(x) + self.of_state(hidden)).chunk(4, dim=-1)
            cell = forget.sigmoid() * cell + into.sigmoid() * new.tanh()
            return out.sigmoid() * cell.tanh(), cell
        (reset, update, new), (h_reset, h_update, h_new) = (
            part.chunk(3, dim=-1) for part in (self.of_input(x), self.of_state(hidden))
        )
        new = torch.tanh(new + torch.sigmoid(reset + h_reset) * h_new)
        return torch.lerp(new, hidden, torch.sigmoid(update + h_update)), cell


@dataclass(frozen=True)
class RecurrentState(DecoderState):
    """Of N rows: hidden and cell (layers, N, C), and the attentional vector (N, C) of the step before."""

    hidden: Tensor
    cell: Tensor
    fed: Tensor

    def select(self, rows: Tensor) -> RecurrentState:
        return RecurrentState(self.hidden[:, rows], self.cell[:, rows], self.fed[rows])


class RecurrentDecoder(Decoder):
    """Layers of LSTM or GRU that attend to a memory at every token.

    With additive attention the state before a token asks, and what it gets goes into the first layer with the token
    (Bahdanau). With the others the new state asks; what comes of it, tanh(W [context; state]), is written from, and
    goes into the first layer at the next token (input feeding, Luong section 3.3).

    Args:
        tokens: size of the vocabulary.
        channels: of the embedding and the layers.
        memory: channels of what it attends to.
        kind: "lstm" or "gru".
        attention: see `score_name`; `heads` are those of multi-head attention.
        dropout: of what goes into each layer, and of what is written from.
    """

    def __init__(
        self,
        tokens: int,
        channels: int,
        memory: int,
        kind: str = "lstm",
        attention: str = "additive",
        layers: int = 1,
        heads: int = 4,
        dropout: float = 0.0,
    ):
        super().__init__()
        if layers < 1:
            raise ValueError(f"a recurrent decoder has at least 1 layer, got {layers}")
        self.tokens, self.channels = tokens, channels
        self.asks_first = score_name(attention) == "additive"
        self.embedding = nn.Embedding(tokens, channels)
        self.attention = build_attention(attention, channels, memory, heads)
        first = channels + (self.attention.size if self.asks_first else channels)
        self.cells = nn.ModuleList(Cell(kind, channels if layer else first, channels) for layer in range(layers))
        self.combine = nn.Linear(channels + self.attention.size, channels)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(channels, tokens)

    def attend_to(self, memory: Tensor, mask: Tensor) -> Memory:
        keys, values = self.attention.prepare(apply_mask(memory, mask))
        return Memory((keys,), (values,), mask)

    def forward(self, tokens: Tensor, memory: Memory, sampling: float = 0.0) -> tuple[Tensor, Tensor]:
        state = self.start(memory)
        read = tokens[:, 0]
        logits: list[Tensor] = []
        weights: list[Tensor] = []
        for position in range(tokens.shape[1]):
            if position:
                read = tokens[:, position]
                if sampling:
                    own = torch.rand(len(read), device=read.device) < sampling
                    read = torch.where(own, logits[-1].detach().argmax(dim=-1), read)
            said, seen, state = self._step(read, memory, state)
            logits.append(said)
            weights.append(seen)
        return torch.stack(logits, dim=1), torch.stack(weights, dim=2).unsqueeze(1)

    def start(self, memory: Memory) -> RecurrentState:
        zero = memory.values[0].new_zeros(len(self.cells), len(memory.exists), self.channels)
        return RecurrentState(zero, zero, zero[0])

    def step(self, tokens: Tensor, memory: Memory, state: RecurrentState) -> tuple[Tensor, Tensor, RecurrentState]:
        logits, weights, state = self._step(tokens, memory, state)
        return logits, weights.mean(dim=1), state

    def _step(self, tokens: Tensor, memory: Memory, state: RecurrentState) -> tuple[Tensor, Tensor, RecurrentState]:
        """One token in each row -> logits (N, V), weights (N, H, S), new state."""
        embedded, attended = self.embedding(tokens), (memory.keys[0], memory.values[0], memory.exists)
        if self.asks_first:
            context, weights = self.attention(state.hidden[-1], *attended)
            x = torch.cat([embedded, context], dim=-1)
        else:
            x = torch.cat([embedded, state.fed], dim=-1)
        hidden, cells = [], []
        for layer, cell in enumerate(self.cells):
            x, kept = cell(self.dropout(x), state.hidden[layer], state.cell[layer])
            hidden.append(x)
            cells.append(kept)
        if not self.asks_first:
            context, weights = self.attention(x, *attended)
        fed = torch.tanh(self.combine(torch.cat([context, x], dim=-1)))
        return self.out(self.dropout(fed)), weights, RecurrentState(torch.stack(hidden), torch.stack(cells), fed)
