"""What the parts of a recipe that do something in a run are told of it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from transducer.data.ranks import Ranks
from transducer.model.network import Network
from transducer.training.recipe import Phase, Recipe


class Batches(Protocol):
    """Where the batches of a phase come from; `transducer.data.loader.PairLoader` is one."""

    def stream(self, *position: int) -> Generator[Any, None, None]:
        """Batches without end from a position on, the beginning if none is given.

        Each has `epoch`, `following` (the position of the next batch, whole numbers), `amount` (steps in it), and
        `shards`: number -> a part that is computed by itself, which has `to(device)`; see `data.loader.Share`.
        """
        ...


@dataclass(frozen=True)
class Context:
    """A phase of a run.

    Attributes:
        network: at the beginning of the phase, or, for `Phase.after`, at its end.
        seed: of this phase.
        folder: for files of the phase; cache: for what several runs may share.
    """

    recipe: Recipe
    phase: Phase
    network: Network
    seed: int
    folder: Path
    cache: Path
    ranks: Ranks
    device: torch.device
