"""A model for video against a table of clips with labels."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transducer.data.clips import check_labels, event_frames, frame_labels
from transducer.data.item import Item
from transducer.data.table import Table
from transducer.errors import TransducerError, UsageError
from transducer.evaluation.confusion import confusion_matrix
from transducer.evaluation.events import (
    Spot,
    frame_accuracy,
    mean_average_precision,
    segment_f1,
    spots_of_events,
    spots_of_scores,
    stretches,
)
from transducer.evaluation.transitions import Interval, TransitionScores, score_transitions
from transducer.results import Labelling

TOLERANCES = (0, 1, 2, 5)  # frames
_KINDS = {"clip": ("label",), "sequence": ("text",), "transitions": ("events",)}  # what a table must have for a model


@dataclass
class ClipEvaluation:
    """What was found in the clips so far, and what is there.

    Attributes:
        kind: of the model's events, see `transducer.search.events.rules`.
        labels: that the model has, the background first; empty for sequences.
        truths, guesses: the label of each frame, (T,) numbers for each clip; of models for whole clips, of the clip.
        true_spots, spots: where events begin, or moments are.
        transitions: tolerance in frames -> counts.
        words, word_errors: of sequences.
        frames, video_seconds, cpu_seconds, wall_seconds: decoding included, loading the model not.
    """

    kind: str
    labels: tuple[str, ...]
    clips: int = 0
    truths: list[NDArray[np.int64]] = field(default_factory=list)
    guesses: list[NDArray[np.int64]] = field(default_factory=list)
    true_spots: list[Spot] = field(default_factory=list)
    spots: list[Spot] = field(default_factory=list)
    transitions: dict[int, TransitionScores] = field(default_factory=dict)
    words: int = 0
    word_errors: int = 0
    frames: int = 0
    video_seconds: float = 0.0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0

    def summary(self) -> dict[str, Any]:
        """The measures that go with the kind of model: fractions, counts, seconds; None where nothing is to measure."""
        found: dict[str, Any] = {"kind": self.kind, "clips": self.clips}
        if self.kind == "clip":
            found["clip_accuracy"] = frame_accuracy(self.truths, self.guesses)
        elif self.kind == "sequence":
            found["token_error_rate"] = self.word_errors / self.words if self.words else None
            found["tokens"] = self.words
        elif self.kind == "transitions":
            for tolerance, scores in self.transitions.items():
                found |= {f"{name}@{tolerance}": getattr(scores, name) for name in ("precision", "recall", "f1")}
            alarms = self.transitions[2].false_alarms if 2 in self.transitions else 0
            found["false_alarms_per_minute"] = 60 * alarms / max(self.video_seconds, 1e-9)
        else:
            if self.kind != "peaks":  # of moments, nearly all frames are background
                found["frame_accuracy"] = frame_accuracy(self.truths, self.guesses)
                found |= {f"f1@{share}": score for share, score in segment_f1(self.truths, self.guesses).items()}
            table = mean_average_precision(self.true_spots, self.spots, TOLERANCES)
            found |= {f"map@{tolerance}": row["map"] for tolerance, row in table.items()}
            found["average_precision"] = {f"@{tolerance}": row["labels"] for tolerance, row in table.items()}
        return found | {
            "frames": self.frames,
            "video_seconds": round(self.video_seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "wall_seconds": round(self.wall_seconds, 3),
        }

    def confusion(self) -> NDArray[np.int64]:
        """(V, V) counts of frames or clips, [true, found]."""
        return confusion_matrix(self.truths, self.guesses, len(self.labels))

    def add(self, table: Table, clip: Item, found: Labelling) -> None:
        """Count what was found in a clip, with the scores of its frames.

        Raises:
            UsageError: labels lie outside the clip; with the table's line.
        """
        self.clips += 1
        self.frames += found.frames
        self.video_seconds += found.duration
        if self.kind == "sequence":
            from rapidfuzz.distance import Levenshtein

            self.words += len(clip.words)
            self.word_errors += Levenshtein.distance(clip.words, [event.label for event in found.events])
            return
        numbers = {label: number for number, label in enumerate(self.labels)}
        if self.kind == "clip":
            self.truths.append(np.array([numbers[clip.label or ""]]))
            self.guesses.append(np.array([numbers[found.segments[0].label]]))
            return
        times = found.frame_times or ()
        check_labels(table, clip, times, found.fps)
        truth, guess = frame_labels(clip, numbers, times, found.fps), np.zeros(found.frames, np.int64)
        shift = 0
        if self.kind == "transitions":
            # Their first frame is still wholly of the old shot, and has no label.
            shift, truth = 1, np.zeros(found.frames, np.int64)
            for interval in self._add_transitions(clip, found):
                truth[interval.start + 1 : interval.end + 1] = numbers[interval.label]
        for event in found.events:
            guess[event.start_frame + shift : event.end_frame + 1] = numbers[event.label]
        self.truths.append(truth)
        self.guesses.append(guess)
        if clip.events is None:
            self.true_spots += [Spot(clip.name, self.labels[run.label], run.start) for run in stretches(truth)]
        else:
            starts = ((mark.label, event_frames(mark, times, found.fps)[0]) for mark in clip.events)
            self.true_spots += [Spot(clip.name, label, frame) for label, frame in starts]
        if self.kind == "peaks":
            self.spots += spots_of_scores(clip.name, found.frame_scores or (), self.labels, window=5)
        else:
            self.spots += spots_of_events(clip.name, found.events)

    def _add_transitions(self, clip: Item, found: Labelling) -> list[Interval]:
        """Count them; the true ones."""
        times = found.frame_times or ()
        marks = clip.events if clip.events is not None else ()
        truth = [Interval(*event_frames(mark, times, found.fps), mark.label) for mark in marks]
        for tolerance in (0, 2):
            scores = score_transitions(truth, found.events, tolerance, frames=found.frames)
            self.transitions[tolerance] = self.transitions.get(tolerance, TransitionScores()) + scores
        return truth


def check_kind(table: Table, kind: str, name: str) -> None:
    """Raises UsageError if a model whose events are of this kind cannot be measured on the table."""
    wanted = _KINDS.get(kind, ("events", "labels"))
    if table.kind not in wanted:
        raise UsageError(
            f"{table.path}: its clips have {table.kind}; the model {name} is measured on clips with "
            f"{' or '.join(wanted)}"
        )


def evaluate_clips(model: Any, table: Table, each: Callable[[Item], None] = lambda clip: None) -> ClipEvaluation:
    """Label every clip of a table and count; `each` is called after every one.

    Args:
        model: what transducer.load returned.

    Raises:
        TransducerError: the table is of another kind, or a clip cannot be read or does not fit its labels; with the
            table's line.
    """
    labeller = model.labeller()
    check_kind(table, labeller.rules.kind, model.name)
    evaluation = ClipEvaluation(labeller.rules.kind, labeller.labels)
    for clip in table.items:
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            found = model.label(clip.path, frames=True)
        except TransducerError as error:
            raise type(error)(f"{table.path}, line {clip.line}: {error}") from error
        evaluation.cpu_seconds += time.process_time() - cpu
        evaluation.wall_seconds += time.perf_counter() - wall
        evaluation.add(table, clip, found)
        each(clip)
    return evaluation
