"""A long file that several workers share, see `transducer.engine.relay`: its legs, and how they hear of each other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from transducer.engine.relay import Leg


class Part(NamedTuple):
    """One of the streams that share a file.

    Attributes:
        number: of it; `parts`, how many there are.
        duration: of the file in seconds.
        folder: where all of them write down what states they were in.
    """

    number: int
    parts: int
    duration: float
    folder: str

    def first(self, rate: int, block: int) -> int:
        """The step with which the stream begins."""
        return round(self.number * self.duration / self.parts * rate) // block * block

    def meet(self, step: int, state: bytes) -> int | None:
        """See `run_leg`: looks whether one of the later streams was in this state at this step."""
        line = f"{step} {state.hex()}\n".encode()
        with open(Path(self.folder, str(self.number)), "ab", buffering=0) as file:
            file.write(line)
        for later in range(self.number + 1, self.parts):
            path = Path(self.folder, str(later))
            if path.exists() and line in path.read_bytes():
                return later
        return None


class Found(NamedTuple):
    """What a part found, and what its reader had to tell."""

    leg: Leg
    warnings: tuple[str, ...]
    incomplete: bool


def part_of(folder: str, number: int, parts: int, duration: float, key: int) -> Part:
    """One of the parts of the file that has a key of its own."""
    place = os.path.join(folder, str(key))
    os.makedirs(place, exist_ok=True)
    return Part(number, parts, duration, place)
