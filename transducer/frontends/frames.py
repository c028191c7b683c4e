"""Video frames: pixels as bytes -> pixels as numbers around zero, one step a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from transducer.model.config import FrontendConfig, Units, register
from transducer.model.sequence import Streaming, apply_mask

if TYPE_CHECKING:
    from transducer.media.video.medium import Frames as Pictures

HALF = 127.5  # half of the range of a byte
LARGEST_SIDE = 8192  # pixels


@register("frames")
@dataclass(frozen=True)
class FramesConfig(FrontendConfig):
    """See `Frames`; the size that pictures are brought to, in pixels, and the slowest rate that is known.

    Attributes:
        fps: see `known_fps` of `transducer.media.video.medium.Frames`.
    """

    height: int = 27
    width: int = 48
    channels: int = 3
    fps: float | None = None

    def medium(self, units: Units | None = None) -> Pictures:
        from transducer.media.video.medium import Frames as Pictures

        return Pictures(self.height, self.width, self.channels, self.fps)

    def build(self) -> Frames:
        return Frames(self.height, self.width, self.channels)

    @classmethod
    def examples(cls) -> tuple[FramesConfig, ...]:
        return (
            cls(5, 7),
            cls(4, 3, 1, 12.5),
        )


class Frames(Streaming):
    """Pixels (B, T, H * W * channels), 0 to 255, uint8 or floating -> the same in [-1, 1], floating.

    A step is a frame, flattened in the order height, width, channel. Nothing is measured on a frame or on the
    training data, so that a dark picture stays dark.
    """

    def __init__(self, height: int, width: int, channels: int = 3):
        super().__init__()
        if not (min(height, width) >= 1 and max(height, width) <= LARGEST_SIDE and 1 <= channels <= 4):
            raise ValueError(
                f"frames have 1 to {LARGEST_SIDE} pixels a side and 1 to 4 colours, got {height} x {width} x {channels}"
            )
        self.height, self.width, self.channels = height, width, channels
        self.inputs = self.size

    @property
    def size(self) -> int:
        """Numbers in a frame."""
        return self.height * self.width * self.channels

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        if not x.is_floating_point():
            x = x.to(torch.get_default_dtype())
        # In place on what is a copy: at thousands of frames a second, every pass over the pixels counts.
        return apply_mask(x, mask).mul_(1 / HALF).sub_(1.0), mask

    def init_state(self, batch: int, like: Tensor) -> tuple[()]:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple[()]) -> tuple[Tensor, Tensor, tuple[()]]:
        return *self(x, mask), state
