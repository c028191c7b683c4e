"""Pictures cut into square patches: one step a patch, from the top left, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from transducer.errors import UsageError
from transducer.frontends.frames import Frames
from transducer.model.config import FrontendConfig, Units, register
from transducer.model.sequence import Streaming

if TYPE_CHECKING:
    from transducer.media.video.patches import Patches as Pieces


@register("patches")
@dataclass(frozen=True)
class PatchesConfig(FrontendConfig):
    """The size that pictures are brought to, and the side of a patch, which divides both sides of them; in pixels."""

    height: int = 32
    width: int = 32
    patch: int = 8
    channels: int = 3

    def __post_init__(self) -> None:
        if self.patch < 1 or min(self.height, self.width) < 1 or self.height % self.patch or self.width % self.patch:
            raise UsageError(
                f"pictures of {self.height} x {self.width} pixels cannot be cut into patches of {self.patch} a side"
            )

    def medium(self, units: Units | None = None) -> Pieces:
        from transducer.media.video.medium import Frames as Pictures
        from transducer.media.video.patches import Patches as Pieces

        return Pieces(Pictures(self.height, self.width, self.channels), self.patch)

    def build(self) -> Patches:
        return Patches(self.height // self.patch, self.width // self.patch, self.patch, self.channels)

    @classmethod
    def examples(cls) -> tuple[PatchesConfig, ...]:
        return (cls(4, 8, 4), cls(8, 4, 4, 1))


class Patches(Streaming):
    """Pixels (B, T, patch * patch * channels) of patches, 0 to 255 -> the same in [-1, 1]; see `Frames`.

    Args:
        down, across: patches of a picture.
        patch: pixels of a side.
    """

    def __init__(self, down: int, across: int, patch: int, channels: int = 3):
        super().__init__()
        self.down, self.across, self.patch, self.channels = down, across, patch, channels
        self.pixels = Frames(patch, patch, channels)
        self.inputs = self.pixels.size

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.pixels(x, mask)

    def init_state(self, batch: int, like: Tensor) -> tuple[()]:
        return ()

    def step(self, x: Tensor, mask: Tensor, state: tuple[()]) -> tuple[Tensor, Tensor, tuple[()]]:
        return *self(x, mask), state
