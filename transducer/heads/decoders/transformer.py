"""A Transformer decoder (Vaswani et al. 2017, arXiv:1706.03762), pre-norm, with a key-value cache.

Its parts are those of Whisper's decoder (Radford et al. 2022, arXiv:2212.04356): GELU, keys without a bias as an
option, learned positions, an output that may be tied to the embedding.

Legend of axis suffixes: N rows, U tokens, S steps of the memory, C channels, H heads, D channels of a head, L layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from transducer.heads.decoders.decoder import Decoder, DecoderState, Memory
from transducer.heads.decoders.scores import masked_softmax
from transducer.model.packing import is_packed
from transducer.model.sequence import apply_mask

POSITIONS = ("sinusoidal", "learned")
_CAPACITY = 32  # tokens that a new cache has room for
_VECTOR = 16  # numbers that one instruction of a CPU takes, at most


class MultiHeadAttention(nn.Module):
    """Multi-head attention of (N, U, C) over keys and values (N, H, S, D), computed apart so that they can be kept.

    Args:
        channels: of queries and outputs.
        memory: channels of what keys and values are made of; as the queries if None.
        key_bias: whether keys have a bias, which changes no weight of the softmax.
    """

    def __init__(self, channels: int, heads: int, memory: int | None = None, key_bias: bool = True):
        super().__init__()
        if heads < 1 or channels % heads:
            raise ValueError(f"channels ({channels}) must be a multiple of the heads ({heads})")
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(memory or channels, channels, bias=key_bias)
        self.value = nn.Linear(memory or channels, channels)
        self.out = nn.Linear(channels, channels)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, S, C) -> keys and values, (N, H, S, D) each."""
        return self._split(self.key(x)), self._split(self.value(x))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, visible: Tensor | None) -> tuple[Tensor, Tensor]:
        """-> (N, U, C), weights (N, H, U, S). What is not `visible`, (N, 1, U or 1, S) bool, has no weight."""
        q = self._split(self.query(x)) * (x.shape[-1] // self.heads) ** -0.5
        scores = torch.matmul(q, keys.transpose(-1, -2))
        weights = scores.softmax(dim=-1) if visible is None else masked_softmax(scores, visible)
        return self.out(torch.matmul(weights, values).transpose(1, 2).flatten(2)), weights

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the memory, feed-forward; a norm before each, a residual around each."""

    def __init__(self, channels: int, heads: int, hidden: int, memory: int, dropout: float, key_bias: bool):
        super().__init__()
        self.hidden = hidden
        self.self_norm, self.cross_norm, self.feed_norm = (nn.LayerNorm(channels) for _ in range(3))
        self.self_attention = MultiHeadAttention(channels, heads, key_bias=key_bias)
        self.cross_attention = MultiHeadAttention(channels, heads, memory, key_bias)
        self.feed_forward = nn.Sequential(
            nn.Linear(channels, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, channels)
        )
        self.dropout = nn.Dropout(dropout)

    def attend(self, x: Tensor, keys: Tensor, values: Tensor, exists: Tensor) -> tuple[Tensor, Tensor]:
        """What follows self-attention: (N, U, C), keys and values of the memory -> (N, U, C), weights (N, H, U, S)."""
        y, weights = self.cross_attention(self.cross_norm(x), keys, values, exists[:, None, None])
        x = x + self.dropout(y)
        return x + self.dropout(self.feed_forward(self.feed_norm(x))), weights


class KeyValueCache(DecoderState):
    """Keys and values of the tokens that have been read, a tensor (2, N, H, capacity, D) for each layer.

    They are written in place, into room that doubles when it is full: a token costs no copy of those before it.
    """

    def __init__(self, buffers: list[Tensor], length: int = 0):
        self.buffers, self.length = buffers, length

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Those of one more token, (N, H, 1, D) each -> those of all up to it, (N, H, length + 1, D) each."""
        buffer, end = self.buffers[layer], self.length + 1
        if end > buffer.shape[3]:
            buffer = self.buffers[layer] = torch.cat([buffer, torch.zeros_like(buffer)], dim=3)
        buffer[0, :, :, self.length : end], buffer[1, :, :, self.length : end] = keys, values
        return buffer[0, :, :, :end], buffer[1, :, :, :end]

    def select(self, rows: Tensor) -> KeyValueCache:
        if len(rows) == self.buffers[0].shape[1] and bool((rows == torch.arange(len(rows), device=rows.device)).all()):
            return self
        chosen = []
        for buffer in self.buffers:
            new = buffer.new_empty(2, len(rows), *buffer.shape[2:])
            torch.index_select(buffer[..., : self.length, :], 1, rows, out=new[..., : self.length, :])
            chosen.append(new)
        return KeyValueCache(chosen, self.length)


class TransformerDecoder(Decoder):
    """Embedding and positions, layers, a norm, and a linear layer to the vocabulary.

    Args:
        tokens: size of the vocabulary.
        channels: of the embedding and the layers.
        memory: channels of what it attends to.
        hidden: of the feed-forward layers; 4 times the channels if None.
        positions: "sinusoidal" for any number of tokens, or "learned" for `longest`.
        tied: whether the output's weights are the embedding's.
        key_bias: see `MultiHeadAttention`.
    """

    def __init__(
        self,
        tokens: int,
        channels: int,
        memory: int,
        heads: int = 4,
        layers: int = 2,
        hidden: int | None = None,
        dropout: float = 0.0,
        positions: str = "sinusoidal",
        longest: int = 448,
        tied: bool = False,
        key_bias: bool = True,
    ):
        super().__init__()
        if positions not in POSITIONS:
            raise ValueError(f"unknown positions {positions!r}: there are {', '.join(POSITIONS)}")
        if layers < 1 or channels % 2:
            raise ValueError(f"a decoder has at least 1 layer and an even width, got {layers} and {channels}")
        self.tokens, self.channels, self.tied = tokens, channels, tied
        self.embedding = nn.Embedding(tokens, channels)
        if positions == "learned":
            self.longest = longest
            self.positions = nn.Parameter(0.1 * torch.randn(longest, channels))
        self.layers = nn.ModuleList(
            DecoderLayer(channels, heads, hidden or 4 * channels, memory, dropout, key_bias) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)
        if tied:
            nn.init.normal_(self.embedding.weight, std=channels**-0.5)
        else:
            self.out = nn.Linear(channels, tokens)

    def attend_to(self, memory: Tensor, mask: Tensor) -> Memory:
        memory = apply_mask(memory, mask)
        pairs = [layer.cross_attention.keys_values(memory) for layer in self._layers]
        return Memory(tuple(keys for keys, _ in pairs), tuple(values for _, values in pairs), mask)

    def forward(self, tokens: Tensor, memory: Memory, sampling: float = 0.0) -> tuple[Tensor, Tensor]:
        """See `Decoder`. With scheduled sampling there are two passes: the first, on the right tokens, tells what the
        decoder would have written (Mihaylova & Martins 2019, arXiv:1906.07651)."""
        if sampling and tokens.shape[1] > 1:
            with torch.no_grad():
                said = self._forward(tokens, memory)[0][:, :-1].argmax(dim=-1)
            own = torch.rand(said.shape, device=said.device) < sampling
            tokens = torch.cat([tokens[:, :1], torch.where(own, said, tokens[:, 1:])], dim=1)
        return self._forward(tokens, memory)

    def start(self, memory: Memory) -> KeyValueCache:
        size = (2, len(memory.exists), self._layers[0].self_attention.heads, _CAPACITY, -1)
        like = memory.values[0]
        return KeyValueCache([like.new_zeros(*size[:4], like.shape[-1]) for _ in self._layers])

    def step(self, tokens: Tensor, memory: Memory, state: KeyValueCache) -> tuple[Tensor, Tensor, KeyValueCache]:
        x = self._embed(tokens[:, None], state.length)
        seen = []
        for number, (layer, kept, means) in enumerate(zip(self._layers, memory.keys, memory.values, strict=True)):
            normed = layer.self_norm(x)
            keys, values = state.append(number, *layer.self_attention.keys_values(normed))
            x = x + layer.dropout(layer.self_attention(normed, keys, values, None)[0])
            x, weights = layer.attend(x, kept, means, memory.exists)
            seen.append(weights[:, :, 0].mean(dim=1))
        state.length += 1
        return self._write(x)[:, 0], torch.stack(seen).mean(dim=0), state

    @property
    def exact(self) -> bool:
        """See `Decoder`. Packed matrices see to it, and sizes of which torch's vectors leave no rest."""
        whole = not self.channels % _VECTOR and not self._layers[0].hidden % _VECTOR
        return whole and self._layers[0].self_attention.heads > 1 and not self.tied and is_packed(self)

    @property
    def _layers(self) -> Sequence[DecoderLayer]:
        return self.layers  # type: ignore[return-value]

    def _forward(self, tokens: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        x = self._embed(tokens, 0)
        visible = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=x.device).tril()[None, None]
        seen = []
        for layer, kept, means in zip(self._layers, memory.keys, memory.values, strict=True):
            normed = layer.self_norm(x)
            x = x + layer.dropout(layer.self_attention(normed, *layer.self_attention.keys_values(normed), visible)[0])
            x, weights = layer.attend(x, kept, means, memory.exists)
            seen.append(weights)
        return self._write(x), torch.stack(seen, dim=1)

    def _embed(self, tokens: Tensor, first: int) -> Tensor:
        x = self.embedding(tokens)
        last = first + tokens.shape[1]
        if self.longest is None:
            positions = sinusoids(torch.arange(first, last, device=x.device), self.channels).to(x)
        elif last > self.longest:
            raise ValueError(f"a decoder with {self.longest} learned positions cannot read {last} tokens")
        else:
            positions = self.positions[first:last]
        return self.dropout(x + positions)

    def _write(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return nn.functional.linear(x, self.embedding.weight) if self.tied else self.out(x)


def sinusoids(positions: Tensor, channels: int) -> Tensor:
    """(U,) -> (U, channels): sines, then cosines, of wavelengths from 2 pi to 10000 times that (Vaswani et al. 2017,
    section 3.5)."""
    half = channels // 2
    rates = torch.exp(torch.arange(half, device=positions.device) * (-math.log(10000) / max(half - 1, 1)))
    angles = positions[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
