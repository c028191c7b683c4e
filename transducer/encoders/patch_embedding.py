"""Patches of pictures -> a vector each, which says what is there, and where that is in the picture.

Legend of axis suffixes: B batch, T steps, N pictures, C channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transducer.encoders.frame_cnn import StandardisedConv
from transducer.frontends.patches import Patches
from transducer.model.config import EncoderConfig, register
from transducer.model.sequence import Streaming, apply_mask


@register("patch_embedding")
@dataclass(frozen=True)
class PatchEmbeddingConfig(EncoderConfig):
    """See `PatchEmbedding`; without `widths` patches are mapped by themselves, as a ViT does it."""

    widths: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    dropout: float = 0.0

    def build(self, frontend: Streaming, channels: int) -> PatchEmbedding:
        if not isinstance(frontend, Patches):
            raise self.misfit(frontend)
        shape = frontend.down, frontend.across, frontend.patch, frontend.channels
        return PatchEmbedding(*shape, channels, **vars(self))

    @classmethod
    def examples(cls) -> tuple[PatchEmbeddingConfig, ...]:
        return cls(), cls((4, 6, 6), (2, 2, 1))


class PatchEmbedding(Streaming):
    """Patches (B, T, patch * patch * colours) in [-1, 1] -> (B, T, channels), with learned positions.

    Without `widths`, a linear map of each patch (Dosovitskiy et al. 2021, arXiv:2010.11929, equation 1). With them,
    convolutions over the whole picture whose strides make one cell of each patch (a convolutional stem: Xiao et al.
    2021, arXiv:2106.14881), so that a patch knows its neighbours, and pictures come whole; one that ends early goes on
    in grey.
    The position is the sum of one for the row and one for the column.

    Args:
        down, across: patches of a picture; picture follows picture.
        patch, colours: pixels of a patch's side, and numbers of a pixel.
        channels: of the output.
        widths, strides: of the convolutions; the product of the strides is the patch. Empty strides are 2 each.
        dropout: on the output.
    """

    def __init__(
        self,
        down: int,
        across: int,
        patch: int,
        colours: int,
        channels: int,
        widths: tuple[int, ...] = (),
        strides: tuple[int, ...] = (),
        dropout: float = 0.0,
    ):
        super().__init__()
        strides = tuple(strides) or (2,) * len(widths)
        if len(strides) != len(widths) or (widths and math.prod(strides) != patch):
            raise ValueError(
                f"each convolution of a patch embedding needs a stride, and their product must be the patch of {patch} "
                f"pixels; got widths {tuple(widths)} and strides {strides}"
            )
        self.shape = down, across, patch, colours
        self.block = down * across if widths else 1
        layers: list[nn.Module] = []
        inputs = colours
        for width, stride in zip(widths, strides, strict=True):
            # Of colours the mean matters, so that their filters are not standardised.
            conv = StandardisedConv(inputs, width, 3, stride) if layers else nn.Conv2d(inputs, width, 3, stride, 1)
            layers += [conv, nn.ReLU(inplace=True)]
            inputs = width
        self.convs = nn.Sequential(*layers) if widths else None
        self.out = nn.Linear(inputs if widths else patch * patch * colours, channels)
        self.norm = nn.LayerNorm(channels)
        self.rows = nn.Parameter(0.3 * torch.randn(down, 1, channels))
        self.columns = nn.Parameter(0.3 * torch.randn(across, channels))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.step(x, mask, self.init_state(len(x), x))[:2]

    def init_state(self, batch: int, like: Tensor) -> Tensor:
        """(B,) patches so far, of the picture that is not there to its end."""
        return torch.zeros(batch, dtype=torch.int64, device=like.device)

    def step(self, x: Tensor, mask: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        steps = x.shape[1]
        x = nn.functional.pad(apply_mask(x, mask), (0, 0, 0, -steps % self.block))
        cells = (x if self.convs is None else self._convolved(x))[:, :steps]
        seen = state[:, None] + mask.cumsum(dim=1)
        places = (self.rows + self.columns).flatten(0, 1)
        y = self.norm(self.out(cells)) + places[(seen - 1) % len(places)]
        return self.dropout(y), mask, seen[:, -1] % len(places)

    def _convolved(self, x: Tensor) -> Tensor:
        """(B, N * down * across, patch * patch * colours) -> the same with the channels of the last convolution."""
        down, across, patch, colours = self.shape
        pieces = x.reshape(-1, down, across, patch, patch, colours)
        pictures = pieces.permute(0, 5, 1, 3, 2, 4).reshape(-1, colours, down * patch, across * patch)
        cells: Tensor = self.convs(pictures)  # type: ignore[misc]
        return cells.flatten(2).transpose(1, 2).reshape(*x.shape[:2], -1)
