"""How many threads compute."""

from __future__ import annotations

import os
import sys

VARIABLE = "OMP_NUM_THREADS"


def threads() -> int:
    """Threads that a network computes with."""
    torch = sys.modules.get("torch")
    return int(os.environ.get(VARIABLE) or 1) if torch is None else torch.get_num_threads()


def set_threads(count: int) -> None:
    """Compute with so many threads; libraries that are not loaded yet read it when they are."""
    os.environ[VARIABLE] = str(count)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(count)
