"""The scenes between events."""

from __future__ import annotations

from collections.abc import Sequence

from transducer.results import Event, Scene


class Shots:
    """Shots between transitions, which come in order.

    Args:
        start: the time of the first frame.
        frame: its number.
    """

    def __init__(self, start: float, frame: int = 0):
        self._frame, self._time = frame, start
        self._gradual = False  # what came last

    def before(self, event: Event) -> list[Scene]:
        """The scenes that a further event makes certain."""
        change = event.end if event.change is None else event.change
        shot = Scene("shot", self._time, change, self._frame, event.start_frame, 1.0)
        self._frame, self._time = event.end_frame, event.end
        self._gradual = event.end_frame - event.start_frame > 1
        return [shot]

    def last(self, frames: int, end: float) -> list[Scene]:
        """The scenes up to the end of the video, after so many frames, at this time.

        Where a fade or a dissolve ends with the video, its last frame is no shot.
        """
        if self._gradual and self._frame == frames - 1:
            return []
        return [Scene("shot", self._time, end, self._frame, frames - 1, 1.0)] if frames else []


class Cover(Shots):
    """Other events, which come in the order of their first frames, and the gaps between them; where events overlap,
    the frames belong to the one that began first."""

    def before(self, event: Event) -> list[Scene]:
        found = []
        if event.end_frame < self._frame:
            return []
        if event.start_frame > self._frame:
            found.append(Scene("", self._time, event.start, self._frame, event.start_frame - 1, 1.0))
            self._frame, self._time = event.start_frame, event.start
        found.append(Scene(event.label, self._time, event.end, self._frame, event.end_frame, event.score, event.values))
        self._frame, self._time = event.end_frame + 1, event.end
        return found

    def last(self, frames: int, end: float) -> list[Scene]:
        return [Scene("", self._time, end, self._frame, frames - 1, 1.0)] if self._frame < frames else []


def scenes(
    kind: str, events: Sequence[Event], frames: int, start: float, end: float, first: int = 0
) -> tuple[Scene, ...]:
    """The scenes of a video; see `transducer.results.Scene`.

    Args:
        kind: of the events.
        events: in any order.
        frames: of the video.
        start, end: the time of the first frame, and the time at which the last one ends.
        first: number of the first frame.
    """
    ordered = sorted(events, key=lambda event: (event.start_frame, event.end_frame))
    row = Shots(start, first) if kind == "transitions" else Cover(start, first)
    found = [scene for event in ordered for scene in row.before(event)]
    return (*found, *row.last(frames, end))
