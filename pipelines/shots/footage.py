"""Single-shot footage: clips decoded once to small pictures, kept in one memory-mapped array."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from transducer.data.table import read_table
from transducer.errors import UsageError
from transducer.media.io.protocols import file_options

HEIGHT, WIDTH = 72, 128


@dataclass(frozen=True)
class Clip:
    """One shot.

    Attributes:
        source: where it comes from; clips of one source are often alike.
        frames: (N, 72, 128, 3) uint8 RGB.
        half: (N, 36, 64, 3), the same at half the size.
    """

    name: str
    source: str
    fps: float
    frames: NDArray[np.uint8]
    half: NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """Frames `start`..`stop` (exclusive; None: to the end) of a clip, where the rest is another shot."""

    start: int = 0
    stop: int | None = None


def read_footage(table: Path, cache: Path, parts: dict[str, Part] | None = None) -> list[Clip]:
    """Clips of a table (TSV: path, source, fps), in its order.

    Args:
        table: paths are relative to its folder, or to the folder above it.
        cache: folder for the decoded frames (27 kB a frame); decoded only when they aren't there.
        parts: by file stem, what of a clip is a single shot.

    Raises:
        UsageError: the table is missing, or lacks a column, or names a file that is not there.
    """
    index = cache / "footage.json"
    if not index.is_file():
        _decode(table, cache)
    frames, half = (np.load(cache / name, mmap_mode="r") for name in ("footage.npy", "footage-half.npy"))
    clips = []
    for row in json.loads(index.read_text(encoding="utf-8")):
        name = Path(row["path"]).stem
        part = (parts or {}).get(name, Part())
        start, stop = row["start"], row["start"] + row["frames"]
        used = slice(start + part.start, stop if part.stop is None else min(stop, start + part.stop))
        clips.append(Clip(name, row["source"], row["fps"], frames[used], half[used]))
    return clips


def hold_out(clips: Sequence[Clip], sources: Collection[str]) -> tuple[list[Clip], list[Clip]]:
    """(clips to train on, clips of these whole sources, which training never sees)."""
    return [c for c in clips if c.source not in sources], [c for c in clips if c.source in sources]


def _decode(table: Path, cache: Path) -> None:
    import av
    import cv2

    try:
        rows = read_table(table, check_media=False).items
        paths = [_find(table, row.name) for row in rows]
        counts = [int(row.extra["frames"]) for row in rows]
        rates = [float(row.extra["fps"]) for row in rows]
    except KeyError as error:
        raise UsageError(f"{table}: the table of footage has no column {error}") from error

    cache.mkdir(parents=True, exist_ok=True)
    frames = open_memmap(cache / "footage.npy", "w+", np.uint8, (sum(counts), HEIGHT, WIDTH, 3))
    half = open_memmap(cache / "footage-half.npy", "w+", np.uint8, (sum(counts), HEIGHT // 2, WIDTH // 2, 3))
    index, position = [], 0
    for row, path, count, rate in zip(rows, paths, counts, rates, strict=True):
        start = position
        with av.open(str(path), container_options=file_options(path=True)) as container:
            for frame in container.decode(video=0):
                if position - start == count:
                    break
                image = frame.to_ndarray(format="rgb24")
                cv2.resize(image, (WIDTH, HEIGHT), dst=frames[position], interpolation=cv2.INTER_AREA)
                cv2.resize(
                    frames[position], (WIDTH // 2, HEIGHT // 2), dst=half[position], interpolation=cv2.INTER_AREA
                )
                position += 1
        index.append(
            {
                "path": row.name,
                "source": row.source,
                "fps": rate,
                "start": start,
                "frames": position - start,
            }
        )
    frames.flush()
    half.flush()
    # Last, so that an index means that the frames are there.
    (cache / "footage.json").write_text(json.dumps(index), encoding="utf-8")


def _find(table: Path, path: str) -> Path:
    for folder in (table.parent, table.parent.parent):
        if (folder / path).is_file():
            return folder / path
    raise UsageError(f"{table}: no such file: {path}")
