"""Pictures as a medium whose steps are their patches: a still image is a sequence of places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.media.counted import RATE, CountedSource, read_counted
from transducer.media.medium import BlockReader
from transducer.media.video.medium import Frames


@dataclass(frozen=True)
class Patches:
    """Square patches of pictures of one size, uint8, from the top left, row by row; picture follows picture.

    Attributes:
        pictures: what the patches are cut from.
        patch: pixels of a side, which divide height and width of a picture.
    """

    pictures: Frames
    patch: int

    name = "patches"
    dtype = np.dtype(np.uint8)
    rate = RATE
    steady, read_ahead, counted = True, False, True
    options = ()

    @property
    def channels(self) -> int:
        return self.patch**2 * self.pictures.colours

    @property
    def count(self) -> int:
        """Patches of a picture."""
        return self.pictures.height * self.pictures.width // self.patch**2

    def block_for(self, reader: BlockReader) -> int | None:
        return self.count

    def facts(self, lookahead: int) -> dict[str, Any]:
        pictures = self.pictures.facts(lookahead)
        return {"frame_size": pictures["frame_size"], "patch_size": f"{self.patch}x{self.patch}", "patches": self.count}

    def check(self, x: Any) -> NDArray[np.uint8]:
        """Pictures, as `Frames.check` takes them -> the patches of all, (N, C). Raises UsageError."""
        return self.cut(self.pictures.check(x))

    def cut(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(T, H * W * colours), or the axes apart -> (T * count, patch * patch * colours)."""
        pictures, side = self.pictures, self.patch
        down, across = pictures.height // side, pictures.width // side
        pieces = frames.reshape(len(frames), down, side, across, side, pictures.colours).swapaxes(2, 3)
        return np.ascontiguousarray(pieces).reshape(-1, self.channels)

    def open(self, source: Any, *, block: int | None = None) -> BlockReader:
        """Open what `Frames.open` takes, `block` patches at a time. Raises MediaError, UsageError."""
        reader = self.pictures.open(source)

        def arrays() -> Iterator[NDArray[np.uint8]]:
            for part in reader:
                yield self.cut(part.inputs)

        return read_counted(CountedSource(reader.name, closing=reader.close), arrays(), block)
