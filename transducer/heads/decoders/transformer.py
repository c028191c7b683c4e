"""A Transformer decoder (Vaswani et al. 2017, arXiv:1706.03762), pre-norm, with a key-value cache.

Its parts are those of Whisper's decoder (Radford et al. 2022, arXiv:2212.04356): GELU, keys without a bias as an
option, learned positions, an output that may be tied to the embedding. And those of Moonshine's (Jeffries et al. 2024,
arXiv:2410.15608): rotary positions, gated feed-forward layers, no biases.

Legend of axis suffixes: N rows, U tokens, S steps of the memory, C channels, H heads, D channels of a head, L layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transducer.cores.multihead import MultiHeadAttention, rotations, sinusoids
from transducer.heads.decoders.decoder import Decoder, DecoderState, Memory
from transducer.model.config import SegmentDecoderConfig, register
from transducer.model.packing import is_packed
from transducer.model.sequence import apply_mask

POSITIONS = ("sinusoidal", "learned", "rotary")
_CAPACITY = 32  # tokens that a new cache has room for
_VECTOR = 16  # numbers that one instruction of a CPU takes, at most


@register("transformer_decoder")
@dataclass(frozen=True)
class TransformerDecoderConfig(SegmentDecoderConfig):
    """See `TransformerDecoder`; hidden 0 is 4 times the channels. The defaults are what Whisper's have in common."""

    channels: int = 384
    layers: int = 4
    heads: int = 6
    hidden: int = 0
    positions: str = "learned"
    longest: int = 448
    tied: bool = True
    key_bias: bool = False
    bias: bool = True
    gated: bool = False
    rotary: float = 1.0
    base: float = 10000.0
    memory_steps: int = 0

    def build(self, tokens: int, memory: int) -> TransformerDecoder:
        return TransformerDecoder(
            tokens,
            self.channels,
            memory,
            self.heads,
            self.layers,
            self.hidden or None,
            positions=self.positions,
            longest=self.longest,
            tied=self.tied,
            key_bias=self.key_bias,
            bias=self.bias,
            gated=self.gated,
            rotary=(self.rotary, self.base),
            memory_steps=self.memory_steps,
        )

    @classmethod
    def examples(cls) -> tuple[TransformerDecoderConfig, ...]:
        return (
            cls(8, 2, 2, 12, longest=50),
            cls(8, 1, 2, positions="sinusoidal", tied=False, key_bias=True),
            cls(8, 2, 2, 12, "rotary", bias=False, gated=True, rotary=0.5, memory_steps=20),
        )


class Gate(nn.Module):
    """(..., 2 C) -> (..., C): the first half times SiLU of the second (SwiGLU, Shazeer 2020, arXiv:2002.05202)."""

    def forward(self, x: Tensor) -> Tensor:
        value, gate = x.chunk(2, dim=-1)
        return value * nn.functional.silu(gate)


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the memory, feed-forward; a norm before each, a residual around each."""

    def __init__(
        self,
        channels: int,
        heads: int,
        hidden: int,
        memory: int,
        dropout: float,
        key_bias: bool,
        bias: bool = True,
        gated: bool = False,
    ):
        super().__init__()
        self.hidden = hidden
        self.self_norm, self.cross_norm, self.feed_norm = (nn.LayerNorm(channels, bias=bias) for _ in range(3))
        self.self_attention = MultiHeadAttention(channels, heads, key_bias=key_bias, bias=bias)
        self.cross_attention = MultiHeadAttention(channels, heads, memory, key_bias, bias)
        first = nn.Linear(channels, 2 * hidden if gated else hidden)
        activation = Gate() if gated else nn.GELU()
        self.feed_forward = nn.Sequential(first, activation, nn.Dropout(dropout), nn.Linear(hidden, channels))
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
        """Those of U more tokens, (N, H, U, D) each -> those of all up to them, (N, H, length + U, D) each."""
        buffer, end = self.buffers[layer], self.length + keys.shape[2]
        while end > buffer.shape[3]:
            buffer = self.buffers[layer] = torch.cat([buffer, torch.zeros_like(buffer)], dim=3)
        buffer[0, :, :, self.length : end], buffer[1, :, :, self.length : end] = keys, values
        return buffer[0, :, :, :end], buffer[1, :, :, :end]

    def rewound(self, length: int) -> KeyValueCache:
        """As it was after so many tokens. This one must not be used again."""
        return KeyValueCache(self.buffers, length)

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
        positions: "sinusoidal" or "rotary" for any number of tokens, or "learned" for `longest`.
        tied: whether the output's weights are the embedding's.
        key_bias, bias: see `MultiHeadAttention`; without biases, norms and output have none either.
        gated: whether feed-forward layers are gated with SiLU.
        rotary: share and base of rotary positions, see `rotations`.
        memory_steps: of the memory, that have learned positions, after which it is projected to the channels if it
            has others; 0 for a memory that is attended to as it is.
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
        bias: bool = True,
        gated: bool = False,
        rotary: tuple[float, float] = (1.0, 10000.0),
        memory_steps: int = 0,
    ):
        super().__init__()
        if positions not in POSITIONS:
            raise ValueError(f"unknown positions {positions!r}: there are {', '.join(POSITIONS)}")
        if layers < 1 or channels % 2:
            raise ValueError(f"a decoder has at least 1 layer and an even width, got {layers} and {channels}")
        if positions == "rotary" and not (0 < rotary[0] <= 1 and channels % (2 * heads) == 0):
            raise ValueError(f"a decoder cannot turn {rotary[0]:g} of {channels} channels in {heads} heads")
        self.tokens, self.channels, self.tied = tokens, channels, tied
        self.rotary = (channels // heads, *rotary) if positions == "rotary" else None
        self.memory_projection: nn.Module = nn.Identity()
        self.memory_positions: nn.Parameter | None = None
        if memory_steps:
            self.memory_positions = nn.Parameter(nn.init.normal_(torch.empty(memory_steps, memory), std=0.1))
            if memory != channels:
                self.memory_projection = nn.Linear(memory, channels, bias=False)
                memory = channels
        self.packs_embedding = tied
        self.tied_output: nn.Module | None = None
        self.embedding = nn.Embedding(tokens, channels)
        if positions == "learned":
            self.longest = longest
            self.positions = nn.Parameter(nn.init.normal_(torch.empty(longest, channels), std=0.1))
        self.layers = nn.ModuleList(
            DecoderLayer(channels, heads, hidden or 4 * channels, memory, dropout, key_bias, bias, gated)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(channels, bias=bias)
        self.dropout = nn.Dropout(dropout)
        if tied:
            nn.init.normal_(self.embedding.weight, std=channels**-0.5)
        else:
            self.out = nn.Linear(channels, tokens, bias=bias)

    def attend_to(self, memory: Tensor, mask: Tensor) -> Memory:
        memory = apply_mask(memory, mask)
        if self.memory_positions is not None:
            if memory.shape[1] > len(self.memory_positions):
                raise ValueError(
                    f"a decoder with {len(self.memory_positions)} positions cannot attend to {memory.shape[1]}"
                )
            memory = self.memory_projection(memory + self.memory_positions[: memory.shape[1]])
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
        x, turn = self._embed(tokens[:, None], state.length)
        seen = []
        for number, (layer, kept, means) in enumerate(zip(self._layers, memory.keys, memory.values, strict=True)):
            normed = layer.self_norm(x)
            keys, values = state.append(number, *layer.self_attention.keys_values(normed, turn))
            x = x + layer.dropout(layer.self_attention(normed, keys, values, None, turn)[0])
            x, weights = layer.attend(x, kept, means, memory.exists)
            seen.append(weights[:, :, 0].mean(dim=1))
        state.length += 1
        return self._write(x)[:, 0], torch.stack(seen).mean(dim=0), state

    def extend(
        self, tokens: Tensor, memory: Memory, state: KeyValueCache, last: int = 1
    ) -> tuple[Tensor, KeyValueCache]:
        (x, turn), count = self._embed(tokens, state.length), tokens.shape[1]
        shape = (count, state.length + count)
        visible = None
        if count > 1:
            visible = torch.ones(shape, dtype=torch.bool, device=x.device).tril(state.length)
        exists = _visible(memory)
        for number, (layer, kept, means) in enumerate(zip(self._layers, memory.keys, memory.values, strict=True)):
            normed = layer.self_norm(x)
            keys, values = state.append(number, *layer.self_attention.keys_values(normed, turn))
            x = x + layer.self_attention.attend(normed, keys, values, visible, turn)
            x = x + layer.cross_attention.attend(layer.cross_norm(x), kept, means, exists)
            x = x + layer.feed_forward(layer.feed_norm(x))
        state.length += count
        return self._write(x[:, count - last :]), state

    def aligned(self, tokens: Tensor, memory: Memory, heads: Sequence[tuple[int, int]]) -> Tensor:
        """What a few heads attend to while tokens (N, U) are read.

        Args:
            heads: (layer, head) of each of A heads.

        Returns:
            (N, A, U, S): their attention to the memory.
        """
        x, turn = self._embed(tokens, 0)
        visible = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=x.device).tril()
        exists = _visible(memory)
        seen: dict[tuple[int, int], Tensor] = {}
        layers = list(zip(self._layers, memory.keys, memory.values, strict=True))
        for number, (layer, kept, means) in enumerate(layers[: 1 + max(layer for layer, _ in heads)]):
            normed = layer.self_norm(x)
            x = x + layer.self_attention.attend(normed, *layer.self_attention.keys_values(normed, turn), visible, turn)
            if wanted := [head for at, head in heads if at == number]:
                x, weights = layer.attend(x, kept, means, memory.exists)
                seen |= {(number, head): weights[:, head] for head in wanted}
            else:
                x = x + layer.cross_attention.attend(layer.cross_norm(x), kept, means, exists)
                x = x + layer.feed_forward(layer.feed_norm(x))
        return torch.stack([seen[layer, head] for layer, head in heads], dim=1)

    @property
    def exact(self) -> bool:
        """See `Decoder`. Packed matrices see to it, and sizes of which torch's vectors leave no rest."""
        whole = not self.channels % _VECTOR and not self._layers[0].hidden % _VECTOR
        packed = is_packed(self) and (not self.tied or self.tied_output is not None)
        return whole and self._layers[0].self_attention.heads > 1 and packed

    @property
    def _layers(self) -> Sequence[DecoderLayer]:
        return self.layers  # type: ignore[return-value]

    def _forward(self, tokens: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        x, turn = self._embed(tokens, 0)
        visible = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=x.device).tril()[None, None]
        seen = []
        for layer, kept, means in zip(self._layers, memory.keys, memory.values, strict=True):
            normed = layer.self_norm(x)
            keys, values = layer.self_attention.keys_values(normed, turn)
            x = x + layer.dropout(layer.self_attention(normed, keys, values, visible, turn)[0])
            x, weights = layer.attend(x, kept, means, memory.exists)
            seen.append(weights)
        return self._write(x), torch.stack(seen, dim=1)

    def _embed(self, tokens: Tensor, first: int) -> tuple[Tensor, Tensor | None]:
        """With positions, or with the angles that queries and keys are turned by instead."""
        x = self.embedding(tokens)
        last = first + tokens.shape[1]
        if self.rotary is not None:
            turn = rotations(torch.arange(first, last, device=x.device), *self.rotary)
            return self.dropout(x), turn.to(x.dtype)
        if self.longest is None:
            positions = sinusoids(torch.arange(first, last, device=x.device), self.channels).to(x)
        elif last > self.longest:
            raise ValueError(f"a decoder with {self.longest} learned positions cannot read {last} tokens")
        else:
            positions = self.positions[first:last]
        return self.dropout(x + positions), None

    def _write(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        if self.tied_output is not None:
            return self.tied_output(x)
        return nn.functional.linear(x, self.embedding.weight) if self.tied else self.out(x)


def _visible(memory: Memory) -> Tensor:
    """(N, 1, 1, S) bool: what queries see. A row without any step sees its padding, or it would be NaN."""
    return (memory.exists | ~memory.exists.any(dim=1, keepdim=True))[:, None, None]
