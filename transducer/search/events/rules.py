"""How events are made of the probabilities of labels on frames: the rules, which come with a model's config.

Kinds of events:
    transitions: what lies between two shots. A frame carries a transition's label where it is the first frame after
        a cut, or neither wholly of the old shot nor the last frame of the change; so a run of frames b..e becomes
        the event from frame b - 1, the last one wholly of the old shot, to frame e, the first wholly of the new one.
    spans: stretches of frames, for each label on its own; spans of different labels may overlap.
    dense: every frame has the one label that is most probable; runs of labels other than the background are events.
    steps: every step has its most probable label and is an event of its own, as tags of words are.
    peaks: single frames, where the probability of a label is highest.
    clip: one label for the whole; there are no events, and one segment.
    numbers: no labels but numbers; every step is an event that has its own.
    whole_numbers: numbers for the whole; there are no events, and one segment.
    sequence: tokens in a row (CTC, RNN-T), put together to words with times.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, NamedTuple, cast

from transducer.errors import CheckpointError, UsageError
from transducer.model.config import register

KINDS = ("transitions", "spans", "dense", "steps", "peaks", "clip", "sequence", "numbers", "whole_numbers")
OF_WHOLES = ("clip", "whole_numbers")  # kinds that say one thing of the whole, at its end
OF_NUMBERS = ("numbers", "whole_numbers")
SEARCHES = ("greedy", "beam")  # of sequences
LONGEST_TRANSITION = 250  # frames: ten seconds at 25 frames a second


class Found(NamedTuple):
    """An event in frames; see `transducer.results.Event`."""

    label: str
    start: int
    end: int
    score: float
    values: tuple[float, ...] | None = None


@register("event_rules")
@dataclass(frozen=True)
class EventRules:
    """The rules for one kind of events. Numbers of frames are those of the video; of frames that
    come more slowly than the model knows, of the steps for which they are held.

    Attributes:
        kind: one of `KINDS`.
        high: probability that a run has to reach on one frame; of dense events, clips and peaks: that a label needs
            to be more than background. None for 0.5, and for 0 with dense events, steps and clips.
        low: a run goes on, forwards and backwards from there, while its probability is at least this. None for half
            of `high`.
        thresholds: `high` for single labels.
        merge: runs with at most so many frames below `low` between them are one run.
        min_frames: shorter runs are dropped, or, where events are dense, are part of what was before them. One number
            for all labels but `cut`, or a number for each label, 1 for those not named.
        max_frames: longer runs are cut into several. None for 250 frames with transitions, and no limit with spans.
        min_gap: of two cuts not more frames apart the one with the higher score stays.
        window: a peak is the highest of so many frames before and after it.
        cut: the label of transitions that have no frames of their own: a run of it is narrowed to its highest frame.
        search, beam: of sequences: "greedy" or "beam", and the hypotheses that are kept.

    Raises:
        UsageError: a rule makes no sense.
    """

    kind: str = "dense"
    high: float | None = None
    low: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    merge: int = 0
    min_frames: int | Mapping[str, int] = 1
    max_frames: int | None = None
    min_gap: int = 0
    window: int = 10
    cut: str = "cut"
    search: str = "greedy"
    beam: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"unknown kind of events {self.kind!r}: there are {', '.join(KINDS)}")
        if not isinstance(self.thresholds, Mapping):
            raise UsageError(f"thresholds must be a probability for each label, got {self.thresholds!r}")
        for name, value in {"high": self.high, "low": self.low, **self.thresholds}.items():
            if value is not None or name in self.thresholds:
                _check_probability(f"the threshold {name}", value)
        if self.low is not None and self.low > self.lowest_high:
            raise UsageError(f"the threshold low, {float(self.low):g}, is above high, {float(self.lowest_high):g}")
        lengths = self.min_frames if isinstance(self.min_frames, Mapping) else {"": self.min_frames}
        for label, frames in lengths.items():
            _check_count(f"min_frames of {label}" if label else "min_frames", frames, 1)
        for name in ("merge", "min_gap"):
            _check_count(name, getattr(self, name), 0)
        _check_count("window", self.window, 1)
        for name in ("max_frames", "beam"):
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name), 1)
        if not isinstance(self.cut, str):
            raise UsageError(f"cut must be the name of a label, got {self.cut!r}")
        if self.search not in SEARCHES:
            raise UsageError(f"unknown search {self.search!r}: there are {', '.join(SEARCHES)}")

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raises CheckpointError where there are rules for labels that the model lacks."""
        named = {*self.thresholds, *(self.min_frames if isinstance(self.min_frames, Mapping) else ())}
        if strange := sorted(named - set(labels)):
            raise CheckpointError(f"the model has rules for labels that it lacks: {', '.join(strange)}")

    def at(self, threshold: float) -> EventRules:
        """The same rules with one threshold for all labels; `low` keeps its proportion to `high`.

        Raises:
            UsageError: the threshold is no probability, or this kind of events has none.
        """
        if self.kind == "sequence":
            raise UsageError("a model that writes sequences has no threshold")
        if self.kind in OF_NUMBERS:
            raise UsageError("a model of numbers has no threshold")
        _check_probability("the threshold", threshold)
        low = None if self.low is None or not self.high_or_default else self.low * threshold / self.high_or_default
        return dataclasses.replace(
            self, high=threshold, low=None if low is None else min(low, threshold), thresholds={}
        )

    @property
    def high_or_default(self) -> float:
        if self.high is not None:
            return self.high
        return 0.0 if self.kind in ("dense", "steps", "clip") else 0.5

    @property
    def lowest_high(self) -> float:
        return min([self.high_or_default, *self.thresholds.values()])

    @property
    def longest(self) -> float:
        """`max_frames`, infinity for no limit."""
        default = LONGEST_TRANSITION if self.kind == "transitions" else float("inf")
        return default if self.max_frames is None else self.max_frames

    def high_of(self, label: str) -> float:
        return self.thresholds.get(label, self.high_or_default)

    def low_of(self, high: float) -> float:
        """Where a run ends that had to reach `high`."""
        return high / 2 if self.low is None else self.low

    def shortest(self, label: str) -> int:
        """The frames that a run of this label must have."""
        if isinstance(self.min_frames, Mapping):
            return self.min_frames.get(label, 1)
        return 1 if self.kind == "transitions" and label == self.cut else self.min_frames


def _check_probability(name: str, value: Any) -> None:
    # NaN is not between anything.
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= cast(float, value) <= 1:
        raise UsageError(f"{name} must be a probability from 0 to 1, got {value!r}")


def _check_count(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise UsageError(f"{name} must be a whole number of at least {least}, got {value!r}")
