"""Frames -> one vector each, by a network for pictures: with published weights, a few clips are enough to learn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

from transducer.encoders.images.efficientnet_lite import EfficientNetLiteConfig
from transducer.encoders.images.network import ImageNetwork, ImageNetworkConfig
from transducer.encoders.images.resnet import ResNetConfig
from transducer.encoders.images.vit import ViTConfig
from transducer.encoders.images.weights import read_weights
from transducer.frontends.frames import Frames
from transducer.model.config import EncoderConfig, register
from transducer.model.sequence import Streaming

Built = TypeVar("Built", bound="ImageEncoder")


@register("image_encoder")
@dataclass(frozen=True)
class ImageEncoderConfig(EncoderConfig):
    """See `ImageEncoder`.

    Attributes:
        network: which network, and of what size.
        weights: what training starts from: "efficientnet-lite0", or a file, see `read_weights`; "" for random numbers.
            A trained checkpoint has its own weights and does not need them again.
        frozen: the network stays as it is, and only what follows it learns. Else all of it learns, at `learning_rate`
            times that of the phase.
    """

    network: ImageNetworkConfig = field(default_factory=EfficientNetLiteConfig)
    weights: str = ""
    frozen: bool = True
    learning_rate: float = 0.1
    grid: tuple[int, int] = (1, 1)
    dropout: float = 0.0

    def build(self, frontend: Streaming, channels: int) -> ImageEncoder:
        if not isinstance(frontend, Frames) or frontend.channels != 3:
            raise self.misfit(frontend)
        network = self.network.build(frontend.height, frontend.width)
        encoder = ImageEncoder(network, (frontend.height, frontend.width), channels, self.grid, self.dropout)
        encoder.set_normalisation(self.network.mean, self.network.std)
        return self.prepared(encoder)

    def prepared(self, encoder: Built) -> Built:
        """The encoder, told what its network starts from and how fast it is to learn."""
        encoder.weights, encoder.fine_tuned = self.weights, 0.0 if self.frozen else self.learning_rate
        encoder.network.requires_grad_(not self.frozen)
        return encoder

    @classmethod
    def examples(cls) -> tuple[ImageEncoderConfig, ...]:
        return (
            cls(EfficientNetLiteConfig(0.1, 0.5)),
            cls(ResNetConfig(18, 4), frozen=False, grid=(1, 2)),
            cls(ResNetConfig(50, 2)),
            cls(ViTConfig(1, 8, 1, 2, 12, token=False), grid=(2, 2)),
        )


class ImageEncoder(Streaming):
    """Frames (B, T, H * W * 3) in [-1, 1] -> (B, T, channels), each frame by itself.

    The network's features are averaged over a small grid of the picture; then a linear map and a norm.

    Args:
        network: for pictures of this `size`, height and width.
        grid: cells, down and across; fewer where the network's map has fewer.

    Attributes:
        weights: what training starts from, see `ImageEncoderConfig`.
        fine_tuned: the learning rate of the network's weights, in that of all others; 0 where it is frozen.
    """

    scale: Tensor
    shift: Tensor
    weights: str = ""
    fine_tuned: float = 0.0

    def __init__(
        self,
        network: ImageNetwork,
        size: tuple[int, int],
        channels: int,
        grid: tuple[int, int] = (1, 1),
        dropout: float = 0.0,
    ):
        super().__init__()
        if min(grid) < 1:
            raise ValueError(f"a grid has at least one cell, got {tuple(grid)}")
        self.network, self.size, self.channels = network, size, channels
        self.grid = (min(grid[0], network.map[0]), min(grid[1], network.map[1]))
        self.register_buffer("scale", torch.ones(3))
        self.register_buffer("shift", torch.zeros(3))
        self.out = nn.Linear(network.features * self.grid[0] * self.grid[1], channels)
        self.norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def set_normalisation(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        """Give the network pictures with this mean and standard deviation taken out, those of colours from 0 to 1.

        Raises:
            ValueError: there are not three of each, or a deviation is 0.
        """
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError(f"three colours need three means and deviations above 0, got {mean} and {std}")
        # Frames are 2 p - 1 of colours p, and wanted is (p - mean) / std.
        self.scale = 0.5 / torch.tensor(std)
        self.shift = (0.5 - torch.tensor(mean)) / torch.tensor(std)

    def start(self) -> str:
        """Fill in the published weights, if the config names any; says what they are.

        Raises:
            UsageError, CheckpointError: they cannot be read, or belong to another network.
        """
        return self.network.take(read_weights(self.weights), self.weights) if self.weights else ""

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        frames = x.unflatten(-1, (*self.size, 3)).flatten(0, 1) * self.scale + self.shift
        # Channels last in memory: what a CPU's kernels want.
        return self.vectors(frames.permute(0, 3, 1, 2)).unflatten(0, mask.shape), mask

    def vectors(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W), as the network wants them -> (N, channels)."""
        h = nn.functional.adaptive_avg_pool2d(self.network(pictures), self.grid).permute(0, 2, 3, 1)
        return self.dropout(self.norm(self.out(h.flatten(1))))

    def init_state(self, batch: int, like: Tensor) -> tuple[()]:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple[()]) -> tuple[Tensor, Tensor, tuple[()]]:
        return *self(x, mask), state
