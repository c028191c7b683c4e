"""Composed sequences of shots with exact labels: cuts, dissolves, fades and wipes.

A transition's `start` is the last frame wholly of the old shot, its `end` the first wholly of the new one; the frames
start + 1 .. end carry its label.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipelines.shots import degradation, hard_negatives
from pipelines.shots.blends import alike, curve, difference, dissolve, fade_colour, mix, wipe
from pipelines.shots.compositions import Material, Subject

LABELS = ("", "cut", "dissolve", "fade", "wipe")
IGNORE = -1  # label of frames that say nothing: a change that nobody could see
APART = 6  # frames without a label between gradual transitions that follow each other at once; more than rules merge

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Transition:
    """`start` and `end` count frames of the sequence and may lie outside of it, at -1 or after its last frame."""

    label: str
    start: int
    end: int
    visible: bool = True


@dataclass(frozen=True)
class Mixture:
    """How sequences are made.

    Attributes:
        kinds: share of each label among the transitions.
        related: share of shots that show the same subject or source as the one before.
        disturbances: hard negatives in 100 frames.
        shot: median number of frames of a shot, spread log-normally.
        bursts: share of shots behind which come some of 2 to 5 frames, with cuts between them.
        chains: share of shots behind which come some of hardly a frame, with dissolves between them.
        alike: share of dissolves that are slow, and lead to a shot of the same colours.
        shadows: share of cuts right after which a shadow moves in.
        blanks: share of sequences with a blank frame inside a shot, and of those that begin with black frames.
        invisible: mean difference, in levels of 255, under which two frames count as the same.
    """

    kinds: tuple[float, ...] = (0.5, 0.22, 0.15, 0.13)
    related: float = 0.38
    disturbances: float = 0.9
    shot: float = 45.0
    bursts: float = 0.03
    chains: float = 0.02
    alike: float = 0.12
    shadows: float = 0.06
    blanks: float = 0.06
    invisible: float = 4.0


@dataclass(frozen=True)
class Sequence:
    """Frames (T, 27, 48, 3) uint8, labels (T,) of `LABELS` or IGNORE, and the transitions."""

    frames: Frames
    labels: NDArray[np.int64]
    transitions: tuple[Transition, ...]


def compose(rng: np.random.Generator, material: Material, steps: int, mixture: Mixture = Mixture()) -> Sequence:
    """A sequence of `steps` frames; a pure function of the generator's state."""
    index = degradation.time_map(rng, steps)
    needed = int(index[-1]) + 1
    style = _Style(rng)
    lead = int(rng.integers(0, 35))  # so that sequences begin anywhere in a shot or a transition
    builder = _Builder(rng, material, mixture, style)
    while builder.length < lead + needed:
        builder.add()
    frames = builder.frames(lead, lead + needed)
    transitions = [
        Transition(t.label, t.start - lead, t.end - lead, t.visible)
        for t in builder.transitions
        if t.end - lead > 0 and t.start - lead < needed - 1
    ]
    frames = np.ascontiguousarray(frames)
    _blank(rng, frames, transitions, mixture.blanks)
    frames = style.finish(rng, material, frames, mixture)[index]
    transitions = [_retime(t, index) for t in transitions]
    transitions = [t for t in transitions if t.end > 0 and t.start < steps - 1]
    return Sequence(frames, label(transitions, steps), tuple(transitions))


def label(transitions: list[Transition], steps: int) -> NDArray[np.int64]:
    labels = np.zeros(steps, np.int64)
    for t in transitions:
        labels[max(0, t.start + 1) : t.end + 1] = LABELS.index(t.label) if t.visible else IGNORE
    for one, other in pairwise(transitions):
        if "cut" not in (one.label, other.label) and other.start - one.end < APART:
            middle = (one.end + other.start + 1) // 2
            labels[max(0, middle - APART // 2) : middle + APART // 2] = 0
    return labels


def _blank(rng: np.random.Generator, frames: Frames, transitions: list[Transition], rate: float) -> None:
    """A frame that was lost, and frames at the beginning that were not there yet, in place: no transitions."""
    first = min((t.start for t in transitions), default=len(frames))
    if rng.random() < rate and first > 8:
        frames[: int(rng.integers(1, 4))] = 0
    if rng.random() < rate:
        clear = np.ones(len(frames), bool)
        clear[:8] = clear[-8:] = False
        for t in transitions:
            clear[max(0, t.start - 7) : max(0, t.end + 8)] = False
        hard_negatives.blank(rng, frames, np.flatnonzero(clear))


def _retime(t: Transition, index: NDArray[np.int64]) -> Transition:
    """Where a transition is when frames are doubled and dropped."""
    start = int(np.searchsorted(index, t.start, "right")) - 1
    end = int(np.searchsorted(index, t.end, "left"))
    return Transition(t.label, start, end, t.visible)


class _Style:
    """What the shots of one film have in common."""

    def __init__(self, rng: np.random.Generator):
        self.grade = degradation.Grade.draw(rng, rng.choice([0.2, 0.6, 1.0]))
        self.variation = rng.choice([0.0, 0.2, 0.5, 0.9])
        self.tempo = np.exp(rng.normal(0, 0.5))
        self.calm = rng.random() < 0.25

    def shot(self, rng: np.random.Generator, frames: Frames) -> Frames:
        frames = self.grade(frames)
        return degradation.Grade.draw(rng, self.variation)(frames) if self.variation else frames

    def finish(self, rng: np.random.Generator, material: Material, frames: Frames, mixture: Mixture) -> Frames:
        """Everything that lies over the film as a whole."""
        if rng.random() < 0.15:
            degradation.vignette(rng, frames)
        if not self.calm and rng.random() < 0.3:
            material.disturb(rng, frames, mixture.disturbances / 3)
        if rng.random() < 0.2:
            degradation.letterbox(rng, frames)
        if rng.random() < 0.3:
            degradation.grain(rng, frames, rng.uniform(0.3, 6) * rng.uniform(0.3, 1), int(rng.choice([1, 1, 2])))
        if rng.random() < 0.4:
            frames = degradation.codec(rng, frames)
        return frames


@dataclass(frozen=True)
class _Plan:
    """A transition to come: `before` frames of the old shot and `after` of the new one are mixed with something."""

    label: str
    before: int = 0
    after: int = 0
    hold: int = 0
    colour: NDArray[np.uint8] | None = None
    alike: bool = False


class _Builder:
    """Puts one shot after the other."""

    def __init__(self, rng: np.random.Generator, material: Material, mixture: Mixture, style: _Style):
        self.rng, self.material, self.mixture, self.style = rng, material, mixture, style
        self.parts: list[Frames] = []
        self.length = 0
        self.transitions: list[Transition] = []
        self.history: list[Subject] = []
        self.series: list[str] = []  # what comes behind each of the short shots to come
        self.plan = self._first_plan()
        self.tail: Frames | None = None  # frames of the last shot that the planned transition uses

    def frames(self, start: int, stop: int) -> Frames:
        return np.concatenate(self.parts)[start:stop]

    def add(self) -> None:
        """The planned transition, and the next shot."""
        rng, plan = self.rng, self.plan
        solid, coming = self._next()
        new = self._shot(plan.after + solid + coming.before, fresh=solid < 5)
        if plan.alike:
            new = alike(new, self.tail)
        if plan.label == "cut" and rng.random() < self.mixture.shadows:
            hard_negatives.shadow(rng, new, plan.after + int(rng.integers(0, 4)))
        if plan.label:
            self._transition(plan, new)
        self._append(new[plan.after : plan.after + solid])
        self.plan, self.tail = coming, new[plan.after + solid :]

    def _next(self) -> tuple[int, _Plan]:
        """How many frames of the next shot are its own, and the transition behind it."""
        rng = self.rng
        if self.series:
            label = self.series.pop()
            return int(rng.integers(2, 6) if label == "cut" else rng.integers(1, 8)), self._plan(label)
        solid = int(np.clip(self.mixture.shot * self.style.tempo * np.exp(rng.normal(0, 0.8)), 5, 260))
        label, pick = LABELS[1 + rng.choice(4, p=self.mixture.kinds)], rng.random()
        if pick < self.mixture.bursts + self.mixture.chains:
            label = "cut" if pick < self.mixture.bursts else "dissolve"
            self.series = [label] * int(rng.integers(1, 4))
        return solid, self._plan(label)

    def _first_plan(self) -> _Plan:
        rng = self.rng
        if rng.random() < 0.85:
            return _Plan("")
        return _Plan("fade", 0, int(rng.integers(2, 45)), int(rng.integers(1, 30)), fade_colour(rng))

    def _plan(self, label: str) -> _Plan:
        rng = self.rng
        if label == "cut":
            # Frames of both shots, from interlacing or from a change of frame rate.
            mixed = int(rng.random() < 0.08 and not self.series)
            return _Plan("cut", mixed, mixed)
        if label == "dissolve" and self.series:
            over = int(rng.integers(8, 50))
            return _Plan(label, over, over)
        if label == "dissolve" and rng.random() < self.mixture.alike:
            over = int(rng.integers(24, 90))
            return _Plan(label, over, over, alike=True)
        if label == "dissolve":
            over = int(np.clip(np.exp(rng.normal(np.log(16), 0.7)), 2, 70))
            return _Plan(label, over, over)
        if label == "wipe":
            over = int(np.clip(np.exp(rng.normal(np.log(15), 0.5)), 4, 50))
            return _Plan(label, over, over)
        pick = rng.random()
        fall, rise = (int(np.clip(np.exp(rng.normal(np.log(12), 0.7)), 1, 45)) for _ in range(2))
        hold = int(rng.choice([0, 1, rng.integers(0, 8), rng.integers(5, 28)]))
        colour = fade_colour(rng)
        if pick < 0.14:  # a cut to black, then a rise
            return _Plan(label, 0, rise, max(hold, 2), colour)
        if pick < 0.28:  # black, then a cut
            return _Plan(label, fall, 0, max(hold, 2), colour)
        if pick < 0.36:  # a flash of white on the cut
            white = np.full(3, 255, np.uint8)
            return _Plan(label, int(rng.integers(0, 4)), int(rng.integers(2, 12)), int(rng.integers(0, 2)), white)
        if pick < 0.4:  # a few black frames
            return _Plan(label, 0, 0, int(rng.integers(1, 12)), colour)
        return _Plan(label, fall, rise, hold, colour)

    def _shot(self, steps: int, fresh: bool) -> Frames:
        """
        Args:
            fresh: whether it is too short to go back, which would be a flash.
        """
        rng, material = self.rng, self.material
        pick = 1.0 if fresh else rng.random()
        if self.history and pick < self.mixture.related:
            subject = material.related(rng, self.history[-1])
        elif len(self.history) > 1 and pick < self.mixture.related + 0.08:
            subject = self.history[-2]  # back to the other side of a conversation
        else:
            subject = material.subject(rng)
        self.history.append(subject)
        frames = self.style.shot(rng, material.shoot(rng, subject, steps))
        if not self.style.calm:
            material.disturb(rng, frames, self.mixture.disturbances)
        return frames

    def _transition(self, plan: _Plan, new: Frames) -> None:
        rng, start = self.rng, self.length - 1
        visible = True
        if plan.label == "fade":
            paint = np.broadcast_to(plan.colour, (1, *new.shape[1:]))
            if plan.before:
                self._append(mix(self.tail, paint, curve(rng, plan.before)))
            self._append(np.repeat(paint, plan.hold, 0))
            start += 0 if self.parts[:-1] else plan.hold  # at the beginning: from the last black frame
            if plan.after:
                self._append(mix(paint, new[: plan.after], curve(rng, plan.after)))
        else:
            visible = difference(self.parts[-1][-1], new[plan.after]) > self.mixture.invisible
            if plan.label == "cut" and plan.after:
                self._append(mix(self.tail, new[:1], np.array([rng.uniform(0.2, 0.8)])))
            elif plan.label == "dissolve":
                self._append(dissolve(rng, self.tail, new[: plan.after]))
            elif plan.label == "wipe":
                self._append(wipe(rng, self.tail, new[: plan.after]))
        self.transitions.append(Transition(plan.label, start, self.length, visible))

    def _append(self, frames: Frames) -> None:
        self.parts.append(frames)
        self.length += len(frames)
