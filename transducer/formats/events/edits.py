"""A labelling as a list of edits: what an editor would have to put in a row to get the video.

Source and record are the same video. So the frames of a gradual transition, mixed as they are, belong to both of its
sides, and a dissolve of the one into the other gives the same frames once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from transducer.results import Event, Labelling, Scene


@dataclass(frozen=True)
class Effect:
    """What leads from one edit to the next: the frames `start` to `end` (excluded) are mixed, none for a cut."""

    event: Event | None
    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start

    @property
    def middle(self) -> int:
        """The first frame after the point at which to cut, if it has to be a cut."""
        return self.start + self.length // 2


@dataclass(frozen=True)
class Edit:
    """A scene with its place in frames, `end` excluded, and what led to it (None for the first)."""

    scene: Scene
    start: int
    end: int
    effect: Effect | None


def make_edits(labelling: Labelling, rate: float, native: bool = True) -> list[Edit]:
    """The scenes in a row; together with the effects between them they hold every frame once.

    Args:
        rate: frames per second to count in.
        native: each frame of the video counts as one, where it has a constant rate. Otherwise, and where frames
            come at varying intervals, positions are those of the clock, as editors play such files.
    """
    scenes = labelling.segments
    if not scenes:
        return []
    zero = scenes[0].start
    by_clock = not native or _varies(scenes, rate)

    def count(frame: int, seconds: float) -> int:
        return round((seconds - zero) * rate) if by_clock else frame

    effects: list[Effect | None] = [None]
    starts, ends = [0], []
    for before, after in pairwise(scenes):
        start = count(before.end_frame + 1, before.end)
        end = max(count(after.start_frame, after.start), start)
        event = _between(labelling, before, after)
        ends.append(start if event is not None else end)
        effects.append(Effect(event, ends[-1], end))
        starts.append(end)
    last = scenes[-1]
    total = count(max(labelling.frames, last.end_frame + 1), max(labelling.duration, last.end))
    ends.append(max(total, starts[-1], 1))
    return [Edit(*row) for row in zip(scenes, starts, ends, effects, strict=True)]


def _varies(scenes: tuple[Scene, ...], rate: float) -> bool:
    zero = scenes[0].start
    points = [(scene.start, scene.start_frame) for scene in scenes] + [(s.end, s.end_frame + 1) for s in scenes]
    return any(abs((seconds - zero) * rate - frame) > 1.0 for seconds, frame in points)


def _between(labelling: Labelling, before: Scene, after: Scene) -> Event | None:
    """The most probable transition between two shots."""
    if labelling.kind != "transitions":
        return None
    inside = [e for e in labelling.events if before.end_frame <= e.start_frame and e.end_frame <= after.start_frame]
    return max(inside, key=lambda event: event.score, default=None)
