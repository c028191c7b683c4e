"""EfficientNet-Lite (Tan & Le 2019, arXiv:1905.11946; the Lite form: Liu 2020): ReLU6, no squeeze-and-excitation.

Its weights come from TensorFlow, whose "same" padding puts the odd row and column at the bottom and on the right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from transducer.encoders.images.network import FrozenNorm, ImageNetwork, ImageNetworkConfig, Names, conv, halved
from transducer.model.config import register

# Of each stage: blocks, kernel, stride, expansion, channels (of B0).
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280  # channels, whatever the width
EPS = 1e-3  # of the norms


@register("efficientnet_lite")
@dataclass(frozen=True)
class EfficientNetLiteConfig(ImageNetworkConfig):
    """See `EfficientNetLite`. Lite0 to Lite4 are (1, 1), (1, 1.1), (1.1, 1.2), (1.2, 1.4), (1.4, 1.8)."""

    width: float = 1.0
    depth: float = 1.0
    mean: tuple[float, ...] = (127 / 255,) * 3
    std: tuple[float, ...] = (128 / 255,) * 3

    def build(self, height: int, width: int) -> EfficientNetLite:
        return EfficientNetLite(self.width, self.depth, height, width)


class EfficientNetLite(ImageNetwork):
    """Pictures -> 1280 features at a 32nd of their size.

    Args:
        scale, depth: factors on the channels and on the number of blocks of each stage.
    """

    classifier = ("classifier.", "_fc.")

    def __init__(self, scale: float, depth: float, height: int, width: int):
        super().__init__()
        if not (0 < scale <= 10 and 0 < depth <= 10):
            raise ValueError(f"width and depth of an EfficientNet are factors, above 0 to 10, got {scale} and {depth}")
        self.stem = ConvNorm(3, STEM, 3, 2)
        self.stages = nn.ModuleList()
        inputs = STEM
        for number, (count, kernel, stride, expansion, channels) in enumerate(STAGES):
            outputs = _rounded(channels * scale)
            # The Lite form keeps the first and the last stage as they are.
            blocks = count if number in (0, len(STAGES) - 1) else math.ceil(count * depth)
            self.stages.append(
                nn.Sequential(
                    *(
                        Block(outputs if block else inputs, outputs, kernel, 1 if block else stride, expansion)
                        for block in range(blocks)
                    )
                )
            )
            inputs = outputs
        self.head = ConvNorm(inputs, HEAD, 1)
        self.features, self.map = HEAD, (halved(height, 5), halved(width, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return self.head(x)

    def layouts(self) -> dict[str, Names]:
        return {"timm": self._timm(), "efficientnet-pytorch": self._efficientnet_pytorch()}

    def _timm(self) -> Names:
        yield from (("stem.conv", "conv_stem"), ("stem.norm", "bn1"), ("head.conv", "conv_head"), ("head.norm", "bn2"))
        for stage, place, block in self._blocks():
            convs = ("conv_dw", "conv_pw") if len(block.parts) == 2 else ("conv_pw", "conv_dw", "conv_pwl")
            for number, name in enumerate(convs):
                ours, theirs = f"stages.{stage}.{place}.parts.{number}", f"blocks.{stage}.{place}"
                yield f"{ours}.conv", f"{theirs}.{name}"
                yield f"{ours}.norm", f"{theirs}.bn{number + 1}"

    def _efficientnet_pytorch(self) -> Names:
        yield from (("stem.conv", "_conv_stem"), ("stem.norm", "_bn0"))
        yield from (("head.conv", "_conv_head"), ("head.norm", "_bn1"))
        convs = ("_expand_conv", "_depthwise_conv", "_project_conv")
        for index, (stage, place, block) in enumerate(self._blocks()):
            first = len(convs) - len(block.parts)
            for number, name in enumerate(convs[first:]):
                ours, theirs = f"stages.{stage}.{place}.parts.{number}", f"_blocks.{index}"
                yield f"{ours}.conv", f"{theirs}.{name}"
                yield f"{ours}.norm", f"{theirs}._bn{first + number}"

    def _blocks(self) -> Iterator[tuple[int, int, Block]]:
        for stage, blocks in enumerate(self.stages):
            assert isinstance(blocks, nn.Sequential)
            for place, block in enumerate(blocks):
                assert isinstance(block, Block)
                yield stage, place, block


class ConvNorm(nn.Module):
    """A convolution with "same" padding, a norm, and ReLU6 unless it is `linear`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, linear: bool = False):
        super().__init__()
        self.conv, self.norm, self.linear = (
            conv(inputs, outputs, kernel, stride, groups),
            FrozenNorm(outputs, EPS),
            linear,
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self._conv(x))
        return x if self.linear else nn.functional.relu6(x)

    def _conv(self, x: Tensor) -> Tensor:
        if self.conv.stride[0] == 1:
            return self.conv(x)
        (down, above), (right, left) = (self._padding(size) for size in x.shape[2:])
        x = nn.functional.pad(x, (left, right, above, down))
        return nn.functional.conv2d(x, self.conv.weight, None, self.conv.stride, 0, groups=self.conv.groups)

    def _padding(self, size: int) -> tuple[int, int]:
        """After and before an axis of this size."""
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        missing = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        return missing - missing // 2, missing // 2


class Block(nn.Module):
    """Inverted residual (Sandler et al. 2018): 1x1 to more channels, depthwise, 1x1 back."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        parts = [ConvNorm(inputs, inner, 1)] if expansion > 1 else []
        parts += [ConvNorm(inner, inner, kernel, stride, inner), ConvNorm(inner, outputs, 1, linear=True)]
        self.parts = nn.Sequential(*parts)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.parts(x)
        return x + y if self.residual else y


def _rounded(channels: float) -> int:
    """To a multiple of 8, and no less than nine tenths."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
