"""Shot transitions that are found against those that there are.

A prediction matches a truth if its interval [start_frame, end_frame] meets the truth's, widened by the tolerance to
both sides. Each matches one of the other at most; of all ways to match them, one with the most pairs counts.
Labels do not matter for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

CUT = "cut"


class Interval(NamedTuple):
    """A transition: the last frame wholly of the old shot, the first wholly of the new one, what kind it is."""

    start: int
    end: int
    label: str = ""


@dataclass(frozen=True)
class TransitionScores:
    """Counts, which add up over videos, and what follows from them; a ratio is None where there is nothing to divide.

    Attributes:
        truths, predictions: how many, without those in ignored ranges.
        matched: pairs.
        cuts, gradual: truths that are cuts, and others.
        cuts_found, gradual_found: those of them that were found.
        right_label: pairs of the same label.
        frames: of the videos; 0 if unknown.
    """

    truths: int = 0
    predictions: int = 0
    matched: int = 0
    cuts: int = 0
    cuts_found: int = 0
    gradual: int = 0
    gradual_found: int = 0
    right_label: int = 0
    frames: int = 0

    def __add__(self, other: TransitionScores) -> TransitionScores:
        return TransitionScores(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def precision(self) -> float | None:
        return self.matched / self.predictions if self.predictions else None

    @property
    def recall(self) -> float | None:
        return self.matched / self.truths if self.truths else None

    @property
    def f1(self) -> float | None:
        both = self.predictions + self.truths
        return 2 * self.matched / both if both else None

    @property
    def false_alarms(self) -> int:
        return self.predictions - self.matched

    @property
    def missed(self) -> int:
        return self.truths - self.matched

    @property
    def cut_recall(self) -> float | None:
        return self.cuts_found / self.cuts if self.cuts else None

    @property
    def gradual_recall(self) -> float | None:
        return self.gradual_found / self.gradual if self.gradual else None

    def summary(self) -> dict[str, Any]:
        """Counts and ratios, for JSON."""
        names = ("precision", "recall", "f1", "cut_recall", "gradual_recall", "false_alarms", "missed")
        return {**vars(self), **{name: getattr(self, name) for name in names}}


def intervals(events: Sequence[Any]) -> list[Interval]:
    """`transducer.results.Event`s, or mappings or tuples with the same fields, as intervals."""
    found = []
    for event in events:
        if isinstance(event, Mapping):
            found.append(Interval(event["start_frame"], event["end_frame"], event.get("label", "")))
        elif isinstance(event, tuple):
            found.append(Interval(*event))
        else:
            found.append(Interval(event.start_frame, event.end_frame, event.label))
    return found


def match_transitions(
    truths: Sequence[Interval], predictions: Sequence[Interval], tolerance: int = 0
) -> list[tuple[int, int]]:
    """The indices (truth, prediction) of as many pairs as can be, by augmenting paths (Kuhn 1955)."""
    near = [
        [
            number
            for number, prediction in enumerate(predictions)
            if prediction.start <= truth.end + tolerance and truth.start - tolerance <= prediction.end
        ]
        for truth in truths
    ]
    partner: dict[int, int] = {}  # prediction -> truth

    def place(truth: int, tried: set[int]) -> bool:
        for prediction in near[truth]:
            if prediction in tried:
                continue
            tried.add(prediction)
            if prediction not in partner or place(partner[prediction], tried):
                partner[prediction] = truth
                return True
        return False

    for truth in range(len(truths)):
        place(truth, set())
    return sorted((truth, prediction) for prediction, truth in partner.items())


def score_transitions(
    truths: Sequence[Any],
    predictions: Sequence[Any],
    tolerance: int = 0,
    ignore: Sequence[tuple[int, int]] = (),
    frames: int = 0,
) -> TransitionScores:
    """How well a video's transitions were found.

    Args:
        truths, predictions: see `intervals`.
        tolerance: frames.
        ignore: ranges of frames, both ends included, about which nobody can tell. A truth that meets one does not
            count, nor does a prediction that meets one, unless it matches a truth that counts.
        frames: of the video, to be summed up.
    """
    wanted = [truth for truth in intervals(truths) if not _meets(truth, ignore)]
    found = intervals(predictions)
    pairs = match_transitions(wanted, found, tolerance)
    matched = {prediction for _, prediction in pairs}
    counted = [number for number, event in enumerate(found) if number in matched or not _meets(event, ignore)]
    hits = [wanted[truth] for truth, _ in pairs]
    return TransitionScores(
        truths=len(wanted),
        predictions=len(counted),
        matched=len(pairs),
        cuts=sum(truth.label == CUT for truth in wanted),
        cuts_found=sum(truth.label == CUT for truth in hits),
        gradual=sum(truth.label != CUT for truth in wanted),
        gradual_found=sum(truth.label != CUT for truth in hits),
        right_label=sum(wanted[truth].label == found[prediction].label for truth, prediction in pairs),
        frames=frames,
    )


def _meets(event: Interval, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(event.start <= last and first <= event.end for first, last in ranges)
