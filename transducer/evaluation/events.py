"""How right labels of frames, segments and events are.

Sources:
    C. Lea et al., "Temporal Convolutional Networks for Action Segmentation and Detection", 2017 (segmental F1@k and
        edit score; as computed by Y. Abu Farha and J. Gall, "MS-TCN", 2019)
    J. Hong et al., "Spotting Temporally Precise, Fine-Grained Events in Video", 2022 (mean average precision within a
        tolerance of frames)

Labels of frames are (T,) whole numbers, with 0 for background, and -1 for frames that nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

BACKGROUND, IGNORE = 0, -1


class Stretch(NamedTuple):
    """Frames `start` to `end`, without `end`, of one label."""

    label: int
    start: int
    end: int


def stretches(labels: ArrayLike, background: int = BACKGROUND) -> list[Stretch]:
    """The runs of equal labels but the background."""
    row = np.asarray(labels)
    edges = [0, *(np.flatnonzero(row[1:] != row[:-1]) + 1).tolist(), len(row)] if len(row) else [0]
    runs = [Stretch(int(row[a]), a, b) for a, b in pairwise(edges)]
    return [run for run in runs if run.label != background]


def frame_accuracy(truths: Sequence[ArrayLike], guesses: Sequence[ArrayLike]) -> float | None:
    """The share of known frames with the right label, over all videos; None without any."""
    right = known = 0
    for truth, guess in zip(truths, guesses, strict=True):
        wanted, found = known_frames(truth, guess)
        right += int((wanted == found).sum())
        known += len(wanted)
    return right / known if known else None


@dataclass(frozen=True)
class SegmentCounts:
    """Segments that are right, made up and missed; they add up over videos."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: SegmentCounts) -> SegmentCounts:
        return SegmentCounts(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def f1(self) -> float | None:
        """None where there are no segments, neither true ones nor found ones."""
        whole = 2 * self.right + self.wrong + self.missed
        return 2 * self.right / whole if whole else None


def count_segments(truth: ArrayLike, guess: ArrayLike, overlap: float, background: int = BACKGROUND) -> SegmentCounts:
    """The segments of one video at an intersection over union of at least `overlap`.

    Each found segment, in the order of time, is held against the true one of its label with which it has most in
    common; it is right if that is enough and no other was there before.
    """
    wanted, found = (stretches(row, background) for row in known_frames(np.asarray(truth), np.asarray(guess)))
    taken: set[int] = set()
    for run in found:
        best, place = 0.0, -1
        for number, true in enumerate(wanted):
            if true.label == run.label:
                common = min(run.end, true.end) - max(run.start, true.start)
                union = max(run.end, true.end) - min(run.start, true.start)
                if common / union > best:
                    best, place = common / union, number
        if place >= 0 and best >= overlap:
            taken.add(place)
    # One found segment for each that is taken: the others of the same true segment are wrong.
    return SegmentCounts(len(taken), len(found) - len(taken), len(wanted) - len(taken))


def segment_f1(
    truths: Sequence[ArrayLike],
    guesses: Sequence[ArrayLike],
    overlaps: Iterable[float] = (0.10, 0.25, 0.50),
    background: int = BACKGROUND,
) -> dict[int, float | None]:
    """F1@k over all videos, by k in percent."""
    scores = {}
    for overlap in overlaps:
        pairs = zip(truths, guesses, strict=True)
        counts = [count_segments(truth, guess, overlap, background) for truth, guess in pairs]
        scores[round(100 * overlap)] = sum(counts, SegmentCounts()).f1
    return scores


class Spot(NamedTuple):
    """An event of one frame, in a video."""

    video: str | int
    label: str
    frame: int
    score: float = 1.0


def average_precision(truths: Sequence[Spot], predictions: Sequence[Spot], tolerance: int) -> float | None:
    """The area under precision over recall, for events of one label; None without true ones.

    Predictions take their turn by falling score. Each matches the nearest true event of its video that is not
    further than the tolerance and not yet taken. Precision is made to fall with recall (its envelope), as in E2E-Spot.
    """
    if not truths:
        return None
    free: dict[str | int, list[int]] = {}
    for truth in truths:
        free.setdefault(truth.video, []).append(truth.frame)
    hits = []
    for spot in sorted(predictions, key=lambda spot: -spot.score):
        frames = free.get(spot.video, [])
        nearest = min(frames, key=lambda frame: (abs(frame - spot.frame), frame), default=None)
        hits.append(nearest is not None and abs(nearest - spot.frame) <= tolerance)
        if nearest is not None and hits[-1]:
            frames.remove(nearest)
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[np.array(hits, bool)].sum() / len(truths)) if hits else 0.0


def mean_average_precision(
    truths: Sequence[Spot], predictions: Sequence[Spot], tolerances: Iterable[int] = (0, 1, 2, 4)
) -> dict[int, dict[str, Any]]:
    """By tolerance in frames: {"map": the mean over the labels that have true events, "labels": {label: AP}}."""
    labels = sorted({truth.label for truth in truths})
    table: dict[int, dict[str, Any]] = {}
    for tolerance in tolerances:
        scores = {
            label: average_precision(
                [truth for truth in truths if truth.label == label],
                [spot for spot in predictions if spot.label == label],
                tolerance,
            )
            for label in labels
        }
        values = [score for score in scores.values() if score is not None]
        table[tolerance] = {"map": sum(values) / len(values) if values else None, "labels": scores}
    return table


def spot_f1(truths: Sequence[Spot], found: Sequence[Spot], tolerance: int) -> float | None:
    """F1 of events, the best first, each of which may be a true one of its label within a tolerance of frames; None
    without any."""
    left = list(truths)
    right = 0
    for spot in sorted(found, key=lambda spot: -spot.score):
        near = [
            truth
            for truth in left
            if (truth.video, truth.label) == (spot.video, spot.label) and abs(truth.frame - spot.frame) <= tolerance
        ]
        if near:
            left.remove(min(near, key=lambda truth: abs(truth.frame - spot.frame)))
            right += 1
    total = len(truths) + len(found)
    return 2 * right / total if total else None


def spots_of_events(video: str | int, events: Iterable[Any], at: str = "start") -> list[Spot]:
    """Events (or mappings with their fields) as spots at their "start", "middle" or "end" frame."""
    found = []
    for event in events:
        entry = event if isinstance(event, Mapping) else vars(event)
        first, last = entry["start_frame"], entry["end_frame"]
        frame = {"start": first, "middle": (first + last) // 2, "end": last}[at]
        found.append(Spot(video, entry["label"], frame, entry.get("score", 1.0)))
    return found


def spots_of_scores(
    video: str | int, probabilities: ArrayLike, labels: Sequence[str], window: int = 1, floor: float = 0.01
) -> list[Spot]:
    """Every peak of the probabilities (T, V), for the whole curve of precision and recall.

    Args:
        labels: V names, the background first.
        window: frames to both sides in which a peak is the highest.
        floor: less probable peaks are left out.
    """
    from transducer.search.events.frames import PeakSearch
    from transducer.search.events.rules import EventRules

    search = PeakSearch(tuple(labels), EventRules("peaks", high=floor, window=window))
    with np.errstate(divide="ignore"):
        state, found = search.step(search.init(), np.log(np.asarray(probabilities, np.float64)))
    return [Spot(video, event.label, event.start, event.score) for event in [*found, *search.finish(state)]]


def known_frames(truth: ArrayLike, guess: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """The frames of both whose label is known.

    Raises:
        ValueError: the two differ in length.
    """
    wanted, found = np.asarray(truth), np.asarray(guess)
    if wanted.shape != found.shape or wanted.ndim != 1:
        raise ValueError(f"labels of {wanted.shape} frames cannot be held against labels of {found.shape}")
    known = wanted != IGNORE
    return wanted[known], found[known]
