"""The items of a table as arrays: decoded once, as a model takes them, and kept on disk.

A medium gives steps: a frame of a picture, or a sample of sound. Labels are those of longer steps where `hop` steps
make one: of sound, those for which a model writes something.

T steps of the medium, C numbers of each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transducer.atomic import atomic_write
from transducer.data.item import Item, Mark
from transducer.data.table import Table
from transducer.errors import MediaError, TransducerError, UsageError
from transducer.media.medium import Medium
from transducer.media.video.medium import Frames


@dataclass(frozen=True)
class DecodedClip:
    """An item with its steps on disk. Its length is the number of steps that have labels.

    Attributes:
        file: of the steps: (T, C) of the medium's type, without a header.
        steps: T.
        hop: steps of the medium in one that has a label; the last one may have fewer.
        times: when each step that has a label begins, in seconds.
        fps: of these steps, how many there are in a second.
    """

    clip: Item
    file: Path
    medium: Medium
    steps: int
    hop: int
    times: Sequence[float]
    fps: float

    def __len__(self) -> int:
        return len(self.times)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a step of the medium: (H, W, colours) of a frame, else (C,)."""
        medium = self.medium
        return (medium.height, medium.width, medium.colours) if isinstance(medium, Frames) else (medium.channels,)

    def inputs(self) -> np.ndarray:
        """(T, *shape), mapped into memory."""
        return np.memmap(self.file, self.medium.dtype, "r", shape=(self.steps, *self.shape))

    def inputs_of(self, labelled: np.ndarray) -> np.ndarray:
        """(T', *shape): those of some steps that have labels, one after the other."""
        if self.hop == 1:
            return self.inputs()[labelled]
        wanted = (labelled[:, None] * self.hop + np.arange(self.hop)).reshape(-1)
        return self.inputs()[wanted[wanted < self.steps]]


def decode_clips(
    table: Table,
    medium: Medium,
    cache: Path,
    *,
    hop: int = 1,
    on_error: str = "fail",
    warn: Callable[[str], None] = lambda line: None,
    each: Callable[[Item], None] = lambda clip: None,
) -> list[DecodedClip]:
    """Decode what is not in the cache yet, and check that the labels are within the clips.

    Args:
        medium: what the model takes; a clip is read as the model reads it in use.
        cache: a folder; what is in it of a file is used as long as the file does not change.
        hop: steps of the medium for which a model writes one; with frames, 1.
        on_error: "fail" at a clip that cannot be read, or whose labels do not fit it; "skip" it with a warning.
        warn: is told of skipped clips, and of places in clips that could not be read.
        each: is called after every clip.

    Raises:
        UsageError, MediaError: with the table's line, for the first such clip; or if none is left.
    """
    if on_error not in ("fail", "skip"):
        raise UsageError(f"on_error is {on_error!r}: it must be 'fail' or 'skip'")
    cache.mkdir(parents=True, exist_ok=True)
    decoded = []
    for clip in table.items:
        try:
            found = _decode(table, clip, medium, hop, cache, warn)
            check_labels(table, clip, found.times, found.fps)
            decoded.append(found)
        except TransducerError as error:
            if on_error == "fail":
                raise
            warn(f"{error}; the clip is skipped")
        each(clip)
    if not decoded:
        raise UsageError(f"{table.path}: no clip is left that can be used")
    return decoded


def check_labels(table: Table, clip: Item, times: Sequence[float], fps: float) -> None:
    """Raises UsageError, with the line, if labels lie outside a clip whose frames are shown at these times."""
    frames, end = len(times), times[-1] + 1 / fps
    slack = 1 / fps  # headers and tools round
    for event in clip.events or ():
        last = event.start if event.end is None else event.end
        if event.frames and last >= frames:
            raise table.problem(
                event.line, f"the event {event} is outside the clip: {clip.name} has {frames} frames, 0 to {frames - 1}"
            )
        if not event.frames and (last > end + slack or event.start >= end):
            raise table.problem(
                event.line, f"the event {event} is outside the clip: {clip.name} is {end:.2f} seconds long"
            )
    for name, given in (("labels", clip.labels), ("numbers", clip.values)):
        if given is None or len(given) == frames:
            continue
        raise table.problem(
            clip.line,
            f"{len(given)} {name} for the {frames} steps of {clip.name}, {fps:g} a second: there must be one for each",
        )


def event_frames(event: Mark, times: Sequence[float], fps: float) -> tuple[int, int]:
    """The first and last frame of an event, both included.

    In seconds, an event has the frames whose middle is in [start, end), and at least the one shown at its start.
    """
    last = len(times) - 1
    if event.frames:
        end = event.start if event.end is None else event.end
        return min(int(event.start), last), min(int(end), last)
    shown = max(0, int(np.searchsorted(times, event.start + 1e-6, side="right")) - 1)
    if event.end is None:
        return shown, shown
    middles = np.asarray(times) + 0.5 / fps
    first = int(np.searchsorted(middles, event.start - 1e-6))
    after = int(np.searchsorted(middles, event.end - 1e-6))
    return (first, after - 1) if after > first else (shown, shown)


def frame_labels(clip: Item, numbers: dict[str, int], times: Sequence[float], fps: float, widen: int = 0) -> np.ndarray:
    """(T,) int64: the label of each frame of a clip with events or labels of frames; 0 for the background. Or
    (T, V) float32, the numbers of each frame.

    Args:
        numbers: label -> its number.
        widen: frames before and after a moment that carry its label as well.
    """
    if clip.values is not None:
        return np.array(clip.values, dtype=np.float32)
    if clip.labels is not None:
        return np.array([numbers[name] if name else 0 for name in clip.labels], dtype=np.int64)
    labels = np.zeros(len(times), dtype=np.int64)
    for event in clip.events or ():
        first, last = event_frames(event, times, fps)
        more = widen if first == last else 0
        labels[max(0, first - more) : last + 1 + more] = numbers[event.label]
    return labels


def _decode(
    table: Table, clip: Item, medium: Medium, hop: int, cache: Path, warn: Callable[[str], None]
) -> DecodedClip:
    try:
        state = clip.path.stat()
    except OSError as error:
        raise MediaError(f"{table.path}, line {clip.line}: {clip.name}: {error.strerror}") from None
    key = f"2 {clip.path.resolve()} {state.st_size} {state.st_mtime_ns} {medium!r}"
    steps = cache / f"{clip.path.stem[:40]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.steps"
    facts = steps.with_suffix(".json")
    if facts.exists() and steps.exists():
        known = json.loads(facts.read_text())
    else:
        try:
            known = _write(clip, medium, steps)
        except TransducerError as error:
            raise type(error)(f"{table.path}, line {clip.line}: {error}") from None
        with atomic_write(facts) as file:
            json.dump(known, file)
    for text in known["warnings"]:
        warn(text)
    count, rate = known["steps"], known["rate"]
    times: Any = range(count) if known["times"] is None else known["times"]
    starts = [times[step] / rate if known["times"] is None else times[step] for step in range(0, count, hop)]
    return DecodedClip(clip, steps, medium, count, hop, starts, rate / hop)


def _write(clip: Item, medium: Medium, path: Path) -> dict[str, Any]:
    count = 0
    times: list[float] = []
    with medium.open(clip.path) as reader, atomic_write(path, "wb") as file:
        for block in reader:
            file.write(np.ascontiguousarray(block.inputs).tobytes())
            count += len(block.inputs)
            times += block.times or ()
        rate = float(reader.rate)
    return {"steps": count, "rate": rate, "times": times or None, "warnings": reader.warnings}
