"""Events of a source -> its labelling: the events, and the scenes between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from transducer.media.medium import Block
from transducer.results import Event, Labelling, Scene
from transducer.search.builder import Source
from transducer.search.events.rules import OF_WHOLES
from transducer.search.events.scenes import Cover, Shots, scenes


class LabellingBuilder:
    """Keeps the events, of which there are few, and the scenes that are certain.

    Args:
        kind: of the events, see `transducer.search.events.rules`.
        labels: names by their number, the background "" first; empty for sequences.
        scores: whether the probabilities of every frame are wanted, too.
        keep: without it the whole stays empty, and a stream without end takes no memory; whoever takes the `scenes`
            away takes the rest of it.

    Attributes:
        scenes: that are certain so far. Spans may overlap with spans that end later: of them nothing is certain
            before the end, and nothing is kept without `keep`.
    """

    def __init__(self, kind: str, labels: tuple[str, ...], scores: bool = False, keep: bool = True):
        self.kind, self.labels = kind, labels
        self._keep = keep
        self.scenes: list[Scene] = []
        self._events: list[Event] = []
        self._scores: list[NDArray[np.float32]] | None = [] if scores else None
        self._times: list[float] = []
        self._first: float | None = None
        self._frame = 0
        self._row: Shots | None = None

    def block(self, block: Block) -> None:
        if self._row is None:
            self._first = block.times[0] if block.times else 0.0
            # A step that begins with the source belongs to its first frame, whichever it shows.
            self._frame = block.frames[0] if block.frames and self._first > 0 else 0
            self._row = (Shots if self.kind == "transitions" else Cover)(self._first, self._frame)
        if self._scores is not None:
            self._times += block.times or ()

    def outputs(self, outputs: NDArray[np.float32], begins: Sequence[bool]) -> None:
        if self._scores is None:
            return
        for row, begin in zip(np.exp(outputs), begins, strict=True):
            if begin or not self._scores:
                self._scores.append(row)
            elif row[0] < self._scores[-1][0]:  # of a frame that goes on, what is least like the background
                self._scores[-1] = row

    def add(self, event: Event) -> bool:
        if self._keep:
            self._events.append(event)
        if self._row is not None and self.kind != "spans":
            self.scenes += self._row.before(event)
        return self.kind not in OF_WHOLES  # the label of the whole is a scene

    def close(self, source: Source) -> None:
        if self._row is None:
            return
        if self._keep:
            self.scenes = list(self.result(source).segments)
        elif self.kind != "spans":
            self.scenes += self._row.last(source.frames, source.end)

    def result(self, source: Source) -> Labelling:
        events = sorted(self._events, key=lambda event: (event.start_frame, event.end_frame))
        scores = [tuple(row.tolist()) for row in self._scores or []]
        asked = self._scores is not None
        times = self._times or [number / source.rate for number in range(len(scores))]
        return Labelling(
            source=source.name,
            fps=source.rate,
            frames=source.frames,
            duration=source.end,
            events=() if self.kind in OF_WHOLES else tuple(events),
            segments=scenes(self.kind, events, source.frames, self._first or 0.0, source.end, self._frame),
            warnings=source.warnings,
            kind=self.kind,
            labels=self.labels,
            frame_times=tuple(times[: len(scores)]) if asked else None,
            frame_scores=tuple(scores) if asked else None,
        )
