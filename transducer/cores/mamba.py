"""Mamba (Gu & Dao 2023, arXiv:2312.00752): layers of a selective state space. The state of a stream is small and fixed.

Legend of axis suffixes: B batch, T time, C channels, E inner channels, N states of an inner channel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from transducer.cores.layers import Pointwise, normed
from transducer.cores.selective_scan import SelectiveSSM
from transducer.cores.tcn import DilatedConv, DilatedConvState
from transducer.model.config import CoreConfig, register
from transducer.model.sequence import Residual, Streaming, apply_mask

SMALLEST_STEP, LARGEST_STEP = 1e-3, 0.1  # of the step sizes that a new layer begins with


@register("mamba")
@dataclass(frozen=True)
class MambaConfig(CoreConfig):
    """Layers x + mamba(norm(x)), and a norm after the last.

    `states` are those of each of the `expand` times as many inner channels; `kernel` is that of the convolution.
    """

    channels: int = 192
    layers: int = 8
    states: int = 16
    expand: int = 2
    kernel: int = 4
    dropout: float = 0.0

    def build(self) -> list[Streaming]:
        return [*(self._layer() for _ in range(self.layers)), Pointwise(nn.LayerNorm(self.channels))]

    @classmethod
    def examples(cls) -> tuple[MambaConfig, ...]:
        return (cls(8, 2, 3, 2, 3),)

    def _layer(self) -> Residual:
        layer = Mamba(self.channels, self.states, self.expand, self.kernel, self.dropout)
        return Residual(normed(self.channels, layer), self.channels)


class MambaState(NamedTuple):
    convolution: DilatedConvState
    hidden: Tensor  # (B, E, N)


class Mamba(Streaming):
    """A Mamba block: a causal convolution and a selective state space, both gated, (B, T, C) -> (B, T, C).

    A step that does not exist has the step size 0, which leaves the state alone.
    """

    def __init__(self, channels: int, states: int = 16, expand: int = 2, kernel: int = 4, dropout: float = 0.0):
        super().__init__()
        if min(states, expand) < 1:
            raise ValueError(f"a Mamba layer expands by at least 1 and has at least 1 state, got {expand} and {states}")
        inner, self.rank = expand * channels, math.ceil(channels / 16)
        self.states = states
        self.inputs = nn.Linear(channels, 2 * inner, bias=False)
        self.convolution = DilatedConv(inner, kernel)
        self.selection = nn.Linear(inner, self.rank + 2 * states, bias=False)
        self.step_size = nn.Linear(self.rank, inner)
        self.ssm = SelectiveSSM(inner, states)
        self.out = nn.Linear(inner, channels, bias=False)
        self.dropout = nn.Dropout(dropout)
        nn.init.uniform_(self.step_size.weight, -(self.rank**-0.5), self.rank**-0.5)
        # Step sizes between the two, spread evenly on a logarithmic scale; the bias is the inverse of softplus.
        ratio = math.log(LARGEST_STEP / SMALLEST_STEP)
        size = SMALLEST_STEP * (torch.rand(inner) * ratio).exp()
        self.step_size.bias.data.copy_(size + (-(-size).expm1()).log())

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        u, gate = self.inputs(apply_mask(x, mask)).chunk(2, dim=-1)
        u, _ = self.convolution(u, mask)
        u = nn.functional.silu(u)
        return self._finish(self.ssm(*self._selected(u, mask)), gate), mask

    def init_state(self, batch: int, like: Tensor) -> MambaState:
        hidden = like.new_zeros(batch, self.ssm.channels, self.states)
        return MambaState(self.convolution.init_state(batch, like), hidden)

    def step(self, x: Tensor, mask: Tensor, state: MambaState) -> tuple[Tensor, Tensor, MambaState]:
        u, gate = self.inputs(apply_mask(x, mask)).chunk(2, dim=-1)
        u, _, convolution = self.convolution.step(u, mask, state.convolution)
        u = nn.functional.silu(u)
        y, hidden = self.ssm.step(*self._selected(u, mask), state.hidden)
        return self._finish(y, gate), mask, MambaState(convolution, hidden)

    def _selected(self, u: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The step size (B, T, E), the input, and the weights of input and output of the state (B, T, N)."""
        small, b, c = self.selection(u).split([self.rank, self.states, self.states], dim=-1)
        return apply_mask(nn.functional.softplus(self.step_size(small)), mask), u, b, c

    def _finish(self, y: Tensor, gate: Tensor) -> Tensor:
        return self.dropout(self.out(y * nn.functional.silu(gate)))
