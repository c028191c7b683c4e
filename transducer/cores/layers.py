"""The position-wise and convolutional parts that Transformer and Conformer layers are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from transducer.model.sequence import Serial, Streaming, apply_mask


class Pointwise(Streaming):
    """A stage that treats every step alone: any module on the last axis, without state."""

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.module(x), mask

    def init_state(self, batch: int, like: Tensor) -> tuple[()]:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple[()]) -> tuple[Tensor, Tensor, tuple[()]]:
        return self.module(x), mask, state


def normed(channels: int, body: Streaming) -> Serial:
    """LayerNorm, then the body: the pre-norm half of a residual branch."""
    return Serial(Pointwise(nn.LayerNorm(channels)), body)


def stack(layer: Callable[..., Streaming], layers: int, **sizes: Any) -> list[Streaming]:
    """So many layers of the same sizes."""
    return [layer(**sizes) for _ in range(layers)]


class FeedForward(nn.Sequential):
    """Linear, SiLU, linear. Weights have the same names with dropout as without: either starts from the other."""

    def __init__(self, channels: int, hidden: int, dropout: float = 0.0):
        silu = nn.SiLU(inplace=True)
        between = nn.Sequential(silu, nn.Dropout(dropout)) if dropout else silu
        super().__init__(nn.Linear(channels, hidden), between, nn.Linear(hidden, channels))


class ConvState(NamedTuple):
    steps: Tensor  # (B, kernel - 1, C): the newest inputs of the convolution


class CausalConvModule(Streaming):
    """The Conformer's convolution module (Gulati et al. 2020), causal, with a norm per step.

    Linear -> GLU -> causal depthwise convolution -> LayerNorm -> SiLU -> linear.
    """

    def __init__(self, channels: int, kernel: int = 15):
        super().__init__()
        if kernel < 1:
            raise ValueError(f"the kernel of a convolution has at least 1 step, got {kernel}")
        self.channels, self.kernel = channels, kernel
        self.gate = nn.Linear(channels, 2 * channels)
        self.depthwise = nn.Conv1d(channels, channels, kernel, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        x = nn.functional.pad(self._gated(x, mask), (0, 0, self.kernel - 1, 0))
        return self._finish(self.depthwise(x.transpose(1, 2)).transpose(1, 2)), mask

    def init_state(self, batch: int, like: Tensor) -> ConvState:
        return ConvState(like.new_zeros(batch, self.kernel - 1, self.channels))

    def step(self, x: Tensor, mask: Tensor, state: ConvState) -> tuple[Tensor, Tensor, ConvState]:
        x = torch.cat([state.steps, self._gated(x, mask)], dim=1)
        # For a few steps, a product and a sum take a fifth of the time that the convolution's kernel does.
        windows = x.unfold(1, self.kernel, 1).transpose(2, 3)  # (B, T, kernel, C)
        y = (windows * self.depthwise.weight.squeeze(1).t().contiguous()).sum(dim=2) + self.depthwise.bias  # type: ignore[operator]
        return self._finish(y), mask, ConvState(x[:, x.shape[1] - (self.kernel - 1) :])

    def _gated(self, x: Tensor, mask: Tensor) -> Tensor:
        # Masked after the gate, whose bias would make a step that does not exist audible.
        return apply_mask(nn.functional.glu(self.gate(x), dim=-1), mask)

    def _finish(self, x: Tensor) -> Tensor:
        return self.out(nn.functional.silu(self.norm(x)))
