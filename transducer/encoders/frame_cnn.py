"""Video CNN: frames -> one vector each, with a little memory of the frames before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from transducer.encoders.similarity import Similarity, SimilarityState
from transducer.frontends.frames import Frames
from transducer.model.config import EncoderConfig, register
from transducer.model.sequence import Streaming

RELU_GAIN = 1.7139  # sqrt(2 / (1 - 1 / pi)): restores the variance that a ReLU takes from a unit normal


@register("frame_cnn")
@dataclass(frozen=True)
class FrameCNNConfig(EncoderConfig):
    """See `FrameCNN`."""

    widths: tuple[int, ...] = (16, 32, 64)
    strides: tuple[int, ...] = ()
    kernel: int = 3
    blocks: int | tuple[int, ...] = 0
    grid: tuple[int, int] = (2, 3)
    shift: float = 0.25
    difference: bool = True
    similarity: int = 0
    dropout: float = 0.0

    def build(self, frontend: Streaming, channels: int) -> FrameCNN:
        if not isinstance(frontend, Frames):
            raise self.misfit(frontend)
        return FrameCNN(frontend.height, frontend.width, frontend.channels, channels, **vars(self))

    @classmethod
    def examples(cls) -> tuple[FrameCNNConfig, ...]:
        return (
            cls((4, 6), blocks=(0, 1), grid=(1, 2)),
            cls((4,), shift=0.0, difference=False),
            cls((4, 6), grid=(1, 2), similarity=3),
        )


class FrameCNNState(NamedTuple):
    exists: Tensor  # (B, 1) bool: whether the frame before does
    carried: tuple[Tensor, ...]  # (B, 1, h, w, c) for each place: that frame's channels which the next one gets
    similarity: SimilarityState | tuple[()]


class StandardisedConv(nn.Conv2d):
    """A convolution whose filters have mean 0 and the variance that keeps a ReLU's output at unit variance.

    Scaled weight standardisation (Brock et al. 2021, arXiv:2101.08692) with a gain for each filter: what a norm does
    for training, without statistics over time, and without cost for each frame.
    """

    def __init__(self, channels: int, filters: int, kernel: int, stride: int = 1):
        super().__init__(channels, filters, kernel, stride, padding=kernel // 2)
        self.gain = nn.Parameter(torch.ones(filters))
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self._standardised(), self.bias)

    def _standardised(self) -> Tensor:
        rows = self.weight.flatten(1)
        rows = rows - rows.mean(dim=1, keepdim=True)
        # The sum of squares is the variance times the fan-in; torch's own variance takes five times as long.
        scale = RELU_GAIN * self.gain[:, None] * torch.rsqrt(rows.square().sum(dim=1, keepdim=True) + 1e-6)
        return (rows * scale).view_as(self.weight)


class FrameCNN(Streaming):
    """Frames (B, T, H * W * colours) in [-1, 1] -> (B, T, channels): a 2-D CNN on each frame, causal in time.

    Stages of a strided convolution and maybe residual blocks, then means over a small grid and a linear map. Time
    comes in by the temporal shift module (Lin et al. 2019, arXiv:1811.08383) in its online form: before a
    convolution, a share of the channels is replaced by those of the frame before. Where there is no frame before,
    the frame itself stands in, so that a stream begins like a still picture.

    Args:
        height, width, colours: of a frame.
        channels: of the output.
        widths: channels of each stage.
        strides: of each stage's first convolution; empty for 2 everywhere.
        kernel: size of every convolution, odd.
        blocks: residual blocks of two convolutions in each stage, or in all.
        grid: cells, down and across, whose means the linear map sees; fewer where the picture has got smaller.
        shift: share of the channels that come from the frame before; 0 for none.
        difference: also show the first convolution the difference to the frame before.
        similarity: predecessors to compare each frame with, see `Similarity`; 0 for none.
        dropout: on the output.
    """

    def __init__(
        self,
        height: int,
        width: int,
        colours: int,
        channels: int,
        widths: tuple[int, ...] = (16, 32, 64),
        strides: tuple[int, ...] = (),
        kernel: int = 3,
        blocks: int | tuple[int, ...] = 0,
        grid: tuple[int, int] = (2, 3),
        shift: float = 0.25,
        difference: bool = True,
        similarity: int = 0,
        dropout: float = 0.0,
    ):
        super().__init__()
        strides = tuple(strides) or (2,) * len(widths)
        blocks = (blocks,) * len(widths) if isinstance(blocks, int) else blocks
        if not widths or len(strides) != len(widths) or len(blocks) != len(widths):
            raise ValueError(
                f"a frame CNN needs a width, a stride and a number of blocks for every stage, got {tuple(widths)}, "
                f"{tuple(strides)} and {tuple(blocks)}"
            )
        if min(*widths, *strides, *grid) < 1 or min(*blocks, similarity) < 0:
            raise ValueError(
                f"widths, strides and grid of a frame CNN are at least 1, blocks and similarity at least 0, got "
                f"{tuple(widths)}, {tuple(strides)}, {tuple(grid)}, {tuple(blocks)} and {similarity}"
            )
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"the kernel of a frame CNN must be odd, got {kernel}")
        if not 0 <= shift <= 1:
            raise ValueError(f"the share of shifted channels must be from 0 to 1, got {shift}")
        self.shape, self.channels = (height, width, colours), channels
        self.stages = nn.ModuleList()
        self.carried: list[tuple[int, int, int]] = []  # height, width and channels, for each place
        inputs = colours
        for filters, stride, count in zip(widths, strides, blocks, strict=True):
            smaller = -(-height // stride), -(-width // stride)
            if not self.stages:
                down: nn.Module = Stem(inputs, filters, kernel, stride, difference)
                if difference:
                    self.carried.append((*smaller, filters))
            else:
                down = Shifted(StandardisedConv(inputs, filters, kernel, stride), int(shift * inputs))
                self.carried.append((height, width, down.shift))
            height, width = smaller
            residual = [Block(filters, kernel, int(shift * filters)) for _ in range(count)]
            self.carried += [(height, width, block.conv1.shift) for block in residual]
            self.stages.append(Stage(down, residual))
            inputs = filters
        self.grid = (min(grid[0], height), min(grid[1], width))
        self.out = nn.Linear(inputs * self.grid[0] * self.grid[1], channels)
        self.norm = nn.LayerNorm(channels)
        self.similarity = Similarity(similarity, channels, channels, *self.shape) if similarity else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        y, mask, _ = self.step(x, mask, self.init_state(x.shape[0], x))
        return y, mask

    def init_state(self, batch: int, like: Tensor) -> FrameCNNState:
        return FrameCNNState(
            torch.zeros(batch, 1, dtype=torch.bool, device=like.device),
            tuple(like.new_zeros(batch, 1, *shape) for shape in self.carried),
            self.similarity.init_state(batch, like) if self.similarity else (),
        )

    def step(self, x: Tensor, mask: Tensor, state: FrameCNNState) -> tuple[Tensor, Tensor, FrameCNNState]:
        # What does not exist is not masked: that would cost as much as a convolution. Every frame is by itself until
        # `Before`, which lets nothing of it through.
        frames = x.unflatten(-1, self.shape)
        before = Before(torch.cat([state.exists, mask[:, :-1]], dim=1), state.carried)
        h = frames.flatten(0, 1).permute(0, 3, 1, 2)  # channels last in memory: what a CPU's kernels want
        for stage in self.stages:
            h = stage(h, before)
        h = nn.functional.adaptive_avg_pool2d(h, self.grid).permute(0, 2, 3, 1)
        y = self.norm(self.out(h.flatten(1))).unflatten(0, mask.shape)
        similarity = state.similarity
        if self.similarity:
            similar, similarity = self.similarity.step(frames, y, mask, state.similarity)  # type: ignore[arg-type]
            y = y + similar
        exists = mask[:, -1:]
        newest = tuple(torch.where(exists[..., None, None, None], frame, 0.0) for frame in before.newest)
        return self.dropout(y), mask, FrameCNNState(exists, newest, similarity)


class Before:
    """Finds what the frame before each frame held, and keeps that of the newest for the next call.

    To be asked in the same order in every call. A frame without one before it stands for it.
    """

    def __init__(self, exists: Tensor, carried: tuple[Tensor, ...]):
        self.exists = exists[..., None, None, None]
        self.carried: Iterator[Tensor] = iter(carried)
        self.newest: list[Tensor] = []

    def __call__(self, h: Tensor) -> Tensor:
        """(B * T, H, W, C) -> the same of the frames before."""
        h = h.unflatten(0, self.exists.shape[:2])
        self.newest.append(h[:, -1:])
        before = torch.cat([next(self.carried).to(h.dtype), h[:, :-1]], dim=1)
        return torch.where(self.exists, before, h).flatten(0, 1)


class Stem(nn.Module):
    """The first convolution of a frame, and with `difference` of its difference to the frame before, added up.

    Of colours the mean matters, so that its filters are not standardised.
    """

    def __init__(self, colours: int, filters: int, kernel: int, stride: int, difference: bool):
        super().__init__()
        self.conv = nn.Conv2d(colours, filters, kernel, stride, padding=kernel // 2)
        self.change = (
            nn.Conv2d(colours, filters, kernel, stride, padding=kernel // 2, bias=False) if difference else None
        )
        for conv in filter(None, (self.conv, self.change)):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, h: Tensor, before: Before) -> Tensor:
        if self.change is None:
            return self.conv(h)
        # A convolution of a difference is the difference of convolutions: no pass over the pixels to take it.
        both = self.conv._conv_forward(h, self.conv.weight + self.change.weight, self.conv.bias)
        change = self.change(h).permute(0, 2, 3, 1)
        return both.sub_(before(change).permute(0, 3, 1, 2))


class Shifted(nn.Module):
    """A convolution of frames whose first `shift` channels are those of the frame before."""

    def __init__(self, conv: nn.Module, shift: int):
        super().__init__()
        self.conv, self.shift = conv, shift

    def forward(self, h: Tensor, before: Before) -> Tensor:
        frames = h.permute(0, 2, 3, 1)
        moved = torch.cat([before(frames[..., : self.shift]), frames[..., self.shift :]], dim=-1)
        return self.conv(moved.permute(0, 3, 1, 2))


class Stage(nn.Module):
    """A strided convolution, a ReLU, and residual blocks."""

    def __init__(self, down: nn.Module, blocks: list[Block]):
        super().__init__()
        self.down, self.blocks = down, nn.ModuleList(blocks)

    def forward(self, h: Tensor, before: Before) -> Tensor:
        h = nn.functional.relu(self.down(h, before), inplace=True)
        for block in self.blocks:
            h = block(h, before)
        return h


class Block(nn.Module):
    """relu(h + scale * conv(relu(conv(h)))), the first convolution shifted; after He et al. 2016."""

    def __init__(self, channels: int, kernel: int, shift: int):
        super().__init__()
        self.conv1 = Shifted(StandardisedConv(channels, channels, kernel), shift)
        self.conv2 = StandardisedConv(channels, channels, kernel)
        self.scale = nn.Parameter(torch.full((channels,), 0.2))

    def forward(self, h: Tensor, before: Before) -> Tensor:
        y = nn.functional.relu(self.conv1(h, before), inplace=True)
        return nn.functional.relu(h + self.conv2(y) * self.scale.view(-1, 1, 1))
