"""A bound on what FFmpeg allocates at a time: a number in a damaged header may ask for gigabytes."""

from __future__ import annotations

import contextlib
import ctypes
from functools import cache
from pathlib import Path

LIMIT = 512 << 20  # bytes


@cache
def limit_allocations() -> None:
    """Tell FFmpeg once; its tool has an option for this (-max_alloc), PyAV has none. Does nothing where that fails."""
    with contextlib.suppress(OSError, AttributeError, IndexError):
        maps = Path("/proc/self/maps").read_text().splitlines()
        library = next(iter(line.split(maxsplit=5)[5] for line in maps if "/libavutil" in line), "")
        ctypes.CDLL(library).av_max_alloc(ctypes.c_size_t(LIMIT))
