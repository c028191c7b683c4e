"""Chunk-causal self-attention with a bounded window and look-ahead.

Legend of axis suffixes: B batch, T time, H heads, D channels of a head, W cached keys.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from transducer.model.sequence import ChunkedStage, Streaming, apply_mask

# Rotation angles repeat exactly after this many steps, so that a stream's position can wrap around.
ROTARY_PERIOD = 8192


class AttentionState(NamedTuple):
    keys_values: Tensor  # (B, H, 2, W, D), keys rotated
    queries: Tensor  # (B, H, lookahead, D): waiting for the keys that they may see
    exists: Tensor  # (B, W) bool: which cached steps exist
    position: Tensor  # (B,) int64, modulo ROTARY_PERIOD


class WindowAttention(Streaming):
    """Multi-head self-attention (Vaswani et al. 2017) that a stream can run with bounded memory.

    A query sees its own step, `left_context` steps before it, and the `look_ahead` steps after it, for which its
    answer waits.

    Positions are rotary (Su et al. 2021), unless `positions` is off: then its inputs bring them along, or there are
    none. Scores depend on differences of positions only, and here every frequency is a whole number of turns per
    ROTARY_PERIOD, so that a position modulo the period is exact however long the stream.

    Args:
        bias: whether queries, keys, values and outputs have one.
    """

    chunk: int = 1

    def __init__(
        self,
        channels: int,
        heads: int,
        left_context: int = 128,
        look_ahead: int = 0,
        positions: bool = True,
        bias: bool = True,
    ):
        super().__init__()
        if heads < 1 or channels % (2 * heads):
            raise ValueError(f"channels ({channels}) must be a multiple of twice the heads ({heads})")
        if min(left_context, look_ahead) < 0:
            raise ValueError(f"left_context and look_ahead are at least 0, got {left_context} and {look_ahead}")
        if left_context + (look_ahead + 1) * self.chunk > ROTARY_PERIOD:
            raise ValueError(f"left_context and the chunks that a query sees must not be over {ROTARY_PERIOD} steps")
        self.channels, self.heads = channels, heads
        self.left_context, self.look_ahead, self.positions = left_context, look_ahead, positions
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)
        self.out = nn.Linear(channels, channels, bias=bias)

    @property
    def latency(self) -> int:
        return self.look_ahead * self.chunk

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        # Groups of whole chunks, each with the keys that it sees, side by side as if they were streams:
        # the cost grows with T * (left_context + group), and so does the memory.
        steps = mask.shape[1]
        window = self.left_context + self.latency
        group = self.chunk * max(1, 64 // self.chunk)
        groups = -(-(steps + self.latency) // group)
        qkv = self.qkv(apply_mask(x, mask)).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, T, D)
        if self.positions:
            turn = rotary(torch.arange(steps, device=x.device), q.shape[-1], x.dtype)
            q, k = rotate(q, turn), rotate(k, turn)
        after = groups * group - steps
        q = nn.functional.pad(q, (0, 0, self.latency, after - self.latency))
        k = nn.functional.pad(k, (0, 0, window, after)).unfold(2, window + group, group)
        # An existing future step that is NaN has no weight, but 0 times NaN is NaN.
        v = nn.functional.pad(v.nan_to_num(), (0, 0, window, after)).unfold(2, window + group, group)
        exists = nn.functional.pad(mask, (window, after)).unfold(1, window + group, group)  # (B, groups, W + group)
        visible = exists[:, None, :, None, :] & self._visible(group, x.device)
        y = attend(q.unflatten(2, (groups, group)), k.transpose(-1, -2), v.transpose(-1, -2), visible).flatten(2, 3)
        return self.out(y[:, :, self.latency : self.latency + steps].transpose(1, 2).flatten(2)), mask

    def init_state(self, batch: int, like: Tensor) -> AttentionState:
        window, size = self.left_context + self.latency, self.channels // self.heads
        return AttentionState(
            like.new_zeros(batch, self.heads, 2, window, size),
            like.new_zeros(batch, self.heads, self.latency, size),
            torch.zeros(batch, window, dtype=torch.bool, device=like.device),
            torch.zeros(batch, dtype=torch.int64, device=like.device),
        )

    def step(self, x: Tensor, mask: Tensor, state: AttentionState) -> tuple[Tensor, Tensor, AttentionState]:
        steps = x.shape[1]
        window = state.exists.shape[1]
        qkv = self.qkv(apply_mask(x, mask)).view(*mask.shape, 3, self.heads, -1)
        qk = qkv[:, :, :2]
        if self.positions:
            position = state.position[:, None] + torch.arange(steps, device=x.device)
            qk = rotate(qk, rotary(position, qkv.shape[-1], x.dtype)[:, :, :, None, None])  # (2, B, T, 1, 1, D)
        q, k = qk.permute(2, 0, 3, 1, 4)  # (B, H, T, D)
        waiting = state.queries.shape[2]
        if waiting:
            q = torch.cat([state.queries, q], dim=2)
        new = torch.stack([k, qkv[:, :, 2].transpose(1, 2)], dim=2)
        keys_values = torch.cat([state.keys_values, new], dim=3)
        exists = torch.cat([state.exists, mask], dim=1)
        visible = exists[:, None, None, :]  # (B, H, T, W + T)
        if steps > self.chunk:
            visible = visible & self._visible(steps, x.device)
        y = attend(q[:, :, :steps], keys_values[:, :, 0], keys_values[:, :, 1], visible)
        state = AttentionState(
            keys_values[:, :, :, steps:], q[:, :, steps:], exists[:, steps:], (state.position + steps) % ROTARY_PERIOD
        )
        y_mask = exists[:, window - waiting : window - waiting + steps]
        return self.out(y.transpose(1, 2).flatten(2)), y_mask, state

    def _visible(self, steps: int, device: torch.device) -> Tensor:
        """(T, W + T) bool: which keys, cached ones and then new ones, a query sees if all have arrived."""
        window = self.left_context + self.latency
        arrival = torch.arange(steps, device=device) // self.chunk * self.chunk  # start of the chunk it waited for
        key = torch.arange(window + steps, device=device)
        return (key[None, :] < window + arrival[:, None] + self.chunk) & (key[None, :] >= arrival[:, None])


class ChunkAttention(ChunkedStage, WindowAttention):
    """The same in chunks. A query sees its own chunk whole, `left_context` steps before that chunk, and the
    `look_ahead` chunks after it.

    With no look-ahead this is chunk-causal attention as in Chen et al. 2021 (arXiv:2010.11395); with chunk 1 it is
    plain causal or look-ahead attention.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        chunk: int = 16,
        left_context: int = 128,
        look_ahead: int = 0,
        positions: bool = True,
    ):
        if chunk < 1:
            raise ValueError(f"a chunk has at least 1 step, got {chunk}")
        self.chunk = chunk
        super().__init__(channels, heads, left_context, look_ahead, positions)


def attend(q: Tensor, k: Tensor, v: Tensor, visible: Tensor) -> Tensor:
    """Scaled dot-product attention of (..., T, D) queries over (..., S, D) keys and values, which must be finite.

    What is not `visible` (..., T, S) does not reach a query even if its key is NaN. A query that sees nothing stays
    finite, unlike with torch's: it takes the mean of all values.
    """
    scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2))
    scores = scores.masked_fill(~visible, torch.finfo(scores.dtype).min)
    return torch.matmul(scores.softmax(dim=-1), v)


def rotary(position: Tensor, channels: int, dtype: torch.dtype) -> Tensor:
    """Positions (...) of any size -> (2, ..., channels): cosines, and sines with their signs."""
    # Whole numbers up to here, so that no position is too large to be exact.
    part = position.unsqueeze(-1) * torch.tensor(_turns(channels // 2), device=position.device) % ROTARY_PERIOD
    angle = part.to(torch.promote_types(dtype, torch.float32)) * (2 * math.pi / ROTARY_PERIOD)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)]).to(dtype)


@lru_cache
def _turns(pairs: int) -> tuple[int, ...]:
    """Whole turns of each pair per period, from about one radian a step down to one turn a period."""
    fastest = ROTARY_PERIOD / (2 * math.pi)
    return tuple(round(fastest ** (1 - pair / max(pairs - 1, 1))) for pair in range(pairs))


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Rotate the pairs (i, i + D / 2) of x (..., T, D) by the angles of turn (2, ..., T, D), as in `rotary`."""
    return torch.addcmul(x * turn[0], x.roll(x.shape[-1] // 2, dims=-1), turn[1])
