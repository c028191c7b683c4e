"""Single shots for composed sequences: footage or rendered pictures, seen by a virtual camera, with disturbances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.shots import hard_negatives, rendered
from pipelines.shots.camera import path, shoot
from pipelines.shots.degradation import Grade
from pipelines.shots.footage import Clip

# Kinds of material, and how often they come when there is footage.
KINDS = {
    "clip": 0.62,
    "still": 0.1,
    "texture": 0.03,
    "collage": 0.05,
    "card": 0.06,
    "credits": 0.015,
    "animation": 0.055,
    "boiling": 0.03,
    "particles": 0.02,
    "plain": 0.012,
    "mosaic": 0.03,
    "infographic": 0.02,
    "writing": 0.015,
}

# What disturbs them, "alone" of `hard_negatives.ALONE`, the others with pictures of other subjects.
DISTURBANCES = {"occluder": 0.1, "near": 0.1, "mover": 0.14, "inset": 0.03, "alone": 0.63}


@dataclass(frozen=True)
class Subject:
    """What a shot shows; two shots of the same subject are alike.

    Attributes:
        kind: of `KINDS`.
        clip: index of the clip of footage, for "clip", "still", "mosaic" and some "particles"; else -1.
        seed: of what is rendered.
        time: position in the clip, 0..1.
    """

    kind: str
    clip: int
    seed: int
    time: float
    mirror: bool


class Material:
    """Draws subjects and shoots them.

    Args:
        clips: footage; without any, everything is rendered.
        kinds, disturbances: how often each comes; None for `KINDS` and `DISTURBANCES`.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        kinds: Mapping[str, float] | None = None,
        disturbances: Mapping[str, float] | None = None,
    ):
        self.clips = list(clips)
        self.disturbances = dict(disturbances or DISTURBANCES)
        kinds = {k: w for k, w in (kinds or KINDS).items() if self.clips or k not in ("clip", "still")}
        total = sum(kinds.values())
        self.kinds = list(kinds)
        self.weights = [w / total for w in kinds.values()]
        sources: dict[str, list[int]] = {}
        for index, clip in enumerate(self.clips):
            sources.setdefault(clip.source, []).append(index)
        self.sources = sources
        # A source with many clips has many alike; one with few is not to be drowned by it.
        weights = np.array([len(sources[c.source]) ** -0.5 * min(len(c.frames), 200) ** 0.5 for c in self.clips])
        self.clip_weights = weights / weights.sum() if len(weights) else weights

    def subject(self, rng: np.random.Generator) -> Subject:
        kind = str(rng.choice(self.kinds, p=self.weights))
        return Subject(kind, self._clip(rng), int(rng.integers(2**31)), rng.random(), rng.random() < 0.5)

    def related(self, rng: np.random.Generator, subject: Subject) -> Subject:
        """Another shot of the same subject, or of the same source: what makes cuts hard to see."""
        if subject.clip < 0 or rng.random() < 0.6:
            return replace(subject, time=rng.random(), mirror=subject.mirror ^ (rng.random() < 0.15))
        others = self.sources[self.clips[subject.clip].source]
        return replace(subject, clip=others[rng.integers(len(others))], time=rng.random())

    def shoot(
        self, rng: np.random.Generator, subject: Subject, steps: int, view: NDArray | None = None
    ) -> NDArray[np.uint8]:
        """(steps, 27, 48, 3).

        Args:
            view: (T, 4) of another shot, for a jump cut that keeps the camera where it was.
        """
        pictures, times, widest = self._pictures(rng, subject, steps)
        half = self.clips[subject.clip].half if subject.kind == "clip" else None
        if view is None:
            lively = 1.0 if subject.kind in ("clip", "still", "texture", "collage", "boiling", "particles") else 0.3
            if subject.kind in ("still", "collage", "texture"):
                lively = 1.6
            view = path(rng, steps, widest=widest, lively=lively)
        else:
            view = np.repeat(view[-1:], steps, 0)
        return shoot(pictures, times, view, subject.mirror, half)

    def disturb(self, rng: np.random.Generator, frames: NDArray[np.uint8], rate: float) -> None:
        """Put hard negatives into a shot, in place; about `rate` in 100 frames."""
        kinds, weights = zip(*self.disturbances.items(), strict=True)
        for _ in range(rng.poisson(rate * len(frames) / 100)):
            kind = str(rng.choice(kinds, p=weights))
            if kind == "alone":
                effects, shares = zip(*hard_negatives.ALONE, strict=True)
                effects[rng.choice(len(effects), p=shares)](rng, frames)
            elif kind in ("near", "mover"):
                effect = hard_negatives.near if kind == "near" else hard_negatives.mover
                effect(rng, frames, self.shoot(rng, self.subject(rng), min(40, len(frames))))
            elif kind == "occluder":
                hard_negatives.occluder(rng, frames, self._swatch(rng))
            else:
                hard_negatives.inset(rng, frames, self._swatch(rng)[None])

    def _swatch(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        return Grade.draw(rng, 1.0)(self.shoot(rng, self.subject(rng), 1))[0]

    def _clip(self, rng: np.random.Generator) -> int:
        return int(rng.choice(len(self.clips), p=self.clip_weights)) if self.clips else -1

    def _pictures(self, rng: np.random.Generator, subject: Subject, steps: int) -> tuple[NDArray, NDArray, float]:
        """Pictures, which of them at each step, and the widest view."""
        own = np.random.default_rng(subject.seed)
        still = np.zeros(steps, np.int64)
        if subject.kind == "clip":
            frames = self.clips[subject.clip].frames
            return frames, _play(rng, len(frames), steps, subject.time, self.clips[subject.clip].fps), 1.0
        if subject.kind == "still":
            frames = self.clips[subject.clip].frames
            return np.array(frames[int(subject.time * (len(frames) - 1))])[None], still, 1.0
        if subject.kind == "texture":
            return rendered.texture(own), still, 0.7
        if subject.kind == "collage":
            return rendered.collage(own), still, 0.8
        if subject.kind == "card":
            # Other words at another time, on the same kind of card.
            return rendered.card(np.random.default_rng((subject.seed, int(subject.time * 1000)))), still, 1.0
        if subject.kind == "credits":
            return rendered.credit_roll(own, steps), np.arange(steps), 1.0
        if subject.kind == "animation":
            return rendered.animation(own, steps), np.arange(steps), 1.0
        if subject.kind == "boiling":
            return rendered.boiling(own, steps), np.arange(steps), 1.0
        if subject.kind == "mosaic":
            return rendered.mosaic(own, self._tiles(own, subject), steps), np.arange(steps), 1.0
        if subject.kind == "infographic":
            return rendered.infographic(own, steps), np.arange(steps), 1.3  # the figure never fills the view
        if subject.kind == "writing":
            return rendered.writing(own, steps), np.arange(steps), 1.0
        if subject.kind == "particles":
            if subject.clip >= 0 and own.random() < 0.7:
                frames = self.clips[subject.clip].frames
                behind = frames[_play(rng, len(frames), steps, subject.time, self.clips[subject.clip].fps)]
            else:
                behind = rendered.collage(own)
            return rendered.particles(own, behind, steps), np.arange(steps), 1.0
        colour = own.integers(24, 232, 3)  # neither black nor white, which would be part of a fade
        return np.full((1, 27, 48, 3), colour, np.uint8), still, 1.0

    def _tiles(self, rng: np.random.Generator, subject: Subject) -> list[NDArray]:
        """Pictures for a mosaic, each moving or not: one clip, its source, or all sorts of footage."""
        if subject.clip < 0:
            return [(rendered.collage if rng.random() < 0.5 else rendered.texture)(rng, 36, 64) for _ in range(12)]
        own = self.sources[self.clips[subject.clip].source]
        narrow = rng.random() < 0.3
        clips = [int(rng.choice(own)) if narrow else self._clip(rng) for _ in range(12)]
        starts = [int(rng.integers(max(1, len(self.clips[clip].half) - 60))) for clip in clips]
        length = 1 if rng.random() < 0.4 else 60
        return [self.clips[clip].half[start : start + length] for clip, start in zip(clips, starts, strict=True)]


def _play(rng: np.random.Generator, length: int, steps: int, time: float, fps: float) -> NDArray[np.int64]:
    """Which frames of a clip are shown: at normal speed, slow, fast or frozen; there and back at its ends."""
    if fps < 12:  # few frames a second: every one held for a while would be animation, so often just one
        if rng.random() < 0.5:
            return np.full(steps, int(time * (length - 1)))
        speed = rng.uniform(0.15, 0.5)
    else:
        speed = rng.choice([1.0, 1.0, 1.0, rng.uniform(0.3, 1), rng.uniform(1, 3)])
    start = time * max(0, length - 1 - speed * steps)
    position = (start + speed * np.arange(steps)).astype(np.int64)
    if rng.random() < 0.03:  # freeze
        stop = int(rng.integers(0, steps))
        position[stop:] = position[stop]
    period = max(1, 2 * length - 2)
    position %= period
    return np.minimum(position, period - position) if length > 1 else np.zeros(steps, np.int64)
