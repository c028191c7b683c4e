"""ResNet (He et al. 2016, arXiv:1512.03385), in the form that torchvision and timm publish weights of.

In the bottleneck it is the 3x3 convolution that has the stride, as in torchvision ("version 1.5").
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from transducer.encoders.images.network import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    FrozenNorm,
    ImageNetwork,
    ImageNetworkConfig,
    Names,
    conv,
    halved,
)
from transducer.model.config import register

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}  # of each stage, by depth


@register("resnet")
@dataclass(frozen=True)
class ResNetConfig(ImageNetworkConfig):
    """See `ResNet`. Published are those of width 64."""

    depth: int = 18
    width: int = 64
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def build(self, height: int, width: int) -> ResNet:
        return ResNet(self.depth, self.width, height, width)


class ResNet(ImageNetwork):
    """Pictures -> features at a 32nd of their size. The names of its parts are those of the published weights.

    Args:
        depth: 18, 34 (basic blocks) or 50 (bottlenecks).
        base: channels of the first stage; each further one has twice as many.
    """

    classifier = ("fc.",)

    def __init__(self, depth: int, base: int, height: int, width: int):
        super().__init__()
        if depth not in BLOCKS or base < 1:
            raise ValueError(f"a ResNet has a depth of 18, 34 or 50 and at least 1 channel, got {depth} and {base}")
        self.conv1, self.bn1 = conv(3, base, 7, 2), FrozenNorm(base)
        inputs = base
        for stage, blocks in enumerate(BLOCKS[depth]):
            layers: list[nn.Module] = []
            for number in range(blocks):
                stride = 2 if stage and not number else 1
                channels = base * 2**stage
                layers.append(Bottleneck(inputs, channels, stride) if depth >= 50 else Basic(inputs, channels, stride))
                inputs = channels * (4 if depth >= 50 else 1)
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.features, self.map = inputs, (halved(height, 5), halved(width, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.relu(self.bn1(self.conv1(x)))
        x = nn.functional.max_pool2d(x, 3, 2, 1)
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
        return x

    def layouts(self) -> dict[str, Names]:
        return {"torchvision or timm": ((name, name) for name, _ in self.named_children())}


class Basic(nn.Module):
    """Two 3x3 convolutions around which the input goes."""

    def __init__(self, inputs: int, channels: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, channels, 3, stride), FrozenNorm(channels)
        self.conv2, self.bn2 = conv(channels, channels, 3), FrozenNorm(channels)
        self.downsample = _downsample(inputs, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu(self.bn1(self.conv1(x)))
        return nn.functional.relu(self.downsample(x) + self.bn2(self.conv2(y)))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, the last to four times as many channels; the input goes around them."""

    def __init__(self, inputs: int, channels: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, channels, 1), FrozenNorm(channels)
        self.conv2, self.bn2 = conv(channels, channels, 3, stride), FrozenNorm(channels)
        self.conv3, self.bn3 = conv(channels, 4 * channels, 1), FrozenNorm(4 * channels)
        self.downsample = _downsample(inputs, 4 * channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu(self.bn1(self.conv1(x)))
        y = nn.functional.relu(self.bn2(self.conv2(y)))
        return nn.functional.relu(self.downsample(x) + self.bn3(self.conv3(y)))


def _downsample(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(conv(inputs, outputs, 1, stride), FrozenNorm(outputs))
