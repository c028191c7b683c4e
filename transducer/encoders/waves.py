"""Encoders of segments that convolve samples: what their convolutions, which have no padding, see and give.

Legend of axis suffixes: N rows, T steps of the front-end, H samples of a step, S output steps, C channels, L time
inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from transducer.encoders.segment import SegmentEncoder
from transducer.frontends.waveform import levels
from transducer.model.sequence import apply_mask, lengths_to_mask, mask_stride


class WaveEncoder(SegmentEncoder):
    """Samples of steps (N, T, H) through convolutions of these kernels and strides.

    Published models leave out what their last convolution would need samples after the end for. Here silence follows
    the last sample, so that every `stride` steps have an output.

    Raises:
        ValueError: a stride over all convolutions that is no multiple of H.
    """

    def __init__(self, features: int, kernels: Sequence[int], strides: Sequence[int]):
        super().__init__()
        hop = math.prod(strides)
        if not kernels or len(kernels) != len(strides) or min(*kernels, *strides) < 1 or hop % features:
            raise ValueError(
                f"convolutions over steps of {features} samples need a kernel each and strides whose product is a "
                f"multiple of that, got {list(kernels)} and {list(strides)}"
            )
        self.kernels, self.strides, self.hop = tuple(kernels), tuple(strides), hop
        self.stride = hop // features
        seen = 1
        for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
            seen = (seen - 1) * stride + kernel
        self.rest = max(0, seen - hop)  # samples of the next step that the last output sees

    def levels(self, x: NDArray[np.float32]) -> NDArray[Any]:
        return levels(x)

    def samples(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, H), (N, T) -> (N, 1, L), zero where there are none, and the mask (N, S) of the output."""
        samples, mask = apply_mask(x, mask).flatten(1), mask_stride(mask, self.stride)
        return nn.functional.pad(samples, (0, mask.shape[1] * self.hop + self.rest - samples.shape[1]))[:, None], mask

    def normed(self, x: Tensor, mask: Tensor, norm: nn.GroupNorm, after: int) -> Tensor:
        """A norm over time of (N, C, L), after so many convolutions, by what a row alone would have.

        Args:
            mask: (N, S) of the output.
        """
        lengths = mask.sum(dim=1) * self.hop + self.rest
        for kernel, stride in zip(self.kernels[:after], self.strides[:after], strict=True):
            lengths = (lengths - kernel).div(stride, rounding_mode="floor") + 1
        exists = lengths_to_mask(lengths, x.shape[2])[:, None]
        count = (lengths.clamp(min=1) * (x.shape[1] // norm.num_groups))[:, None, None]

        def mean(values: Tensor) -> Tensor:  # of a group, for each of its channels
            sums = values.sum(dim=2).unflatten(1, (norm.num_groups, -1))
            return (sums.sum(dim=2, keepdim=True) / count).expand_as(sums).flatten(1)[..., None]

        # Few copies: these are the largest tensors of all.
        centred = torch.where(exists, x - mean(torch.where(exists, x, 0.0)), 0.0)
        scale = (mean(centred.square()) + norm.eps).rsqrt() * norm.weight[:, None]
        return torch.addcmul(norm.bias[:, None], centred, scale)
